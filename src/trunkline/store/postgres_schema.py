"""The schema of the PostgreSQL store, step by step, and how a database is brought up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trunkline.store import postgres_claims
from trunkline.store.migrations import Applied, Migration, check_applied
from trunkline.store.postgres_pool import PostgresPool
from trunkline.store.seam import StoreError

LOCK_OF_MIGRATIONS = (0x54524B4C, 0)
"""What those wait for that migrate the same database."""
MIGRATE_SECONDS = 600.0
"""For one step, and for another process that takes it."""

_FIRST = Migration(
    "keys, accounts, ledger, spend, journals, contents, charges, processes, leases, rates",
    (
        "CREATE TABLE access (number bigint NOT NULL)",
        "INSERT INTO access VALUES (1)",
        # The collation of each text is its bytes', as SQLite's is, whatever the database's.
        """CREATE TABLE keys (
            id text COLLATE "C" PRIMARY KEY, name text NOT NULL, role text NOT NULL,
            owner text, team text, scope text NOT NULL, limits text NOT NULL, budgets text NOT NULL,
            created float8 NOT NULL, expires float8, revoked float8)""",
        """CREATE TABLE secrets (
            digest bytea PRIMARY KEY, key text COLLATE "C" NOT NULL REFERENCES keys (id),
            hint text NOT NULL, created float8 NOT NULL, expires float8)""",
        "CREATE INDEX secrets_of_key ON secrets (key)",
        """CREATE TABLE accounts (
            kind text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,
            limits text NOT NULL, budgets text NOT NULL, PRIMARY KEY (kind, name))""",
        """CREATE TABLE ledger (
            id text COLLATE "C" PRIMARY KEY, boot text NOT NULL, key text NOT NULL,
            owner text, team text, endpoint text NOT NULL, model text NOT NULL,
            stream boolean NOT NULL, started float8 NOT NULL, reserved bigint NOT NULL,
            state text NOT NULL, ended float8, status bigint, outcome text NOT NULL, error text,
            upstream text NOT NULL, provider text, target_model text NOT NULL,
            attempts bigint NOT NULL, input_tokens bigint, output_tokens bigint,
            cached_tokens bigint, token_source text NOT NULL, cost bigint,
            charged bigint NOT NULL, input_price bigint, output_price bigint,
            price_source text NOT NULL, first_byte float8, upstream_id text, note text)""",
        "CREATE INDEX ledger_open ON ledger (id) WHERE state = 'open'",
        # Sums of money outgrow 64 bits.
        """CREATE TABLE spend (
            day text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL,
            owner text COLLATE "C" NOT NULL, team text COLLATE "C" NOT NULL,
            model text COLLATE "C" NOT NULL, provider text COLLATE "C" NOT NULL,
            calls bigint NOT NULL, unpriced bigint NOT NULL, failed bigint NOT NULL,
            input_tokens bigint NOT NULL, output_tokens bigint NOT NULL,
            cost numeric NOT NULL, charged numeric NOT NULL,
            PRIMARY KEY (day, key, owner, team, model, provider))""",
        # What budgets count, so that a lease reads a row a day and not all of its spend.
        """CREATE TABLE charges (
            scope text COLLATE "C" NOT NULL, whose text COLLATE "C" NOT NULL,
            day text COLLATE "C" NOT NULL, amount numeric NOT NULL,
            PRIMARY KEY (scope, whose, day))""",
        """CREATE TABLE journals (
            name text COLLATE "C" PRIMARY KEY, position bigint NOT NULL)""",
        """CREATE TABLE contents (
            id text COLLATE "C" PRIMARY KEY, prompt text NOT NULL, answer text NOT NULL,
            kept float8 NOT NULL, expires float8 NOT NULL)""",
        "CREATE INDEX contents_by_end ON contents (expires)",
        """CREATE TABLE replicas (
            boot text COLLATE "C" PRIMARY KEY, host text NOT NULL, started float8 NOT NULL,
            config text NOT NULL, version text NOT NULL, trouble text NOT NULL,
            lost boolean NOT NULL, seen float8 NOT NULL, round bigint NOT NULL DEFAULT 0)""",
        """CREATE TABLE leases (
            boot text COLLATE "C" NOT NULL, scope text COLLATE "C" NOT NULL,
            whose text COLLATE "C" NOT NULL, granted numeric NOT NULL, settled numeric NOT NULL,
            PRIMARY KEY (boot, scope, whose))""",
        "CREATE INDEX leases_of_scope ON leases (scope, whose)",
        """CREATE TABLE rates (
            minute bigint NOT NULL, scope text COLLATE "C" NOT NULL, whose text COLLATE "C" NOT NULL,
            calls bigint NOT NULL, tokens bigint NOT NULL, PRIMARY KEY (minute, scope, whose))""",
        """CREATE TABLE slots (
            scope text COLLATE "C" NOT NULL, whose text COLLATE "C" NOT NULL,
            boot text COLLATE "C" NOT NULL, slots bigint NOT NULL, seen float8 NOT NULL,
            PRIMARY KEY (scope, whose, boot))""",
        "CREATE INDEX slots_of_process ON slots (boot)",
        "CREATE TABLE reloads (number bigint NOT NULL)",
        "INSERT INTO reloads VALUES (0)",
    ),
)
_SECOND = Migration("claims", postgres_claims.SCHEMA)
_THIRD = Migration(
    "clients' request ids", ("ALTER TABLE ledger ADD COLUMN client_request_id text",)
)
_FOURTH = Migration(
    "seal",
    ("CREATE TABLE seal (only_one bigint PRIMARY KEY CHECK (only_one = 1), bytes bytea NOT NULL)",),
)
_FIFTH = Migration(
    "waiting and deadlines",
    (
        "ALTER TABLE ledger ADD COLUMN queued float8",
        "ALTER TABLE keys ADD COLUMN priority text NOT NULL DEFAULT 'interactive'",
        "ALTER TABLE keys ADD COLUMN deadline_seconds float8",
    ),
)
_SIXTH = Migration(
    "tries and routes",
    (
        "ALTER TABLE ledger ADD COLUMN tries text",
        "ALTER TABLE ledger ADD COLUMN route text",
        """CREATE TABLE told (
            boot text COLLATE "C" PRIMARY KEY, said bytea NOT NULL, seen float8 NOT NULL)""",
    ),
)
MIGRATIONS: tuple[Migration, ...] = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH)

_LOCK = "SELECT pg_advisory_xact_lock($1, $2)"
_TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
    "AND relkind IN ('r', 'p')"
)
_COLUMNS = (
    "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('migrations') AND attnum > 0"
)
_OURS = {"number", "name", "checksum", "applied"}
_CREATE = """CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
    applied timestamptz NOT NULL DEFAULT now())"""
_APPLIED = "SELECT number, name, checksum FROM migrations ORDER BY number"
_NOTE = "INSERT INTO migrations (number, name, checksum) VALUES ($1, $2, $3)"


def migrate(pool: PostgresPool, steps: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Apply the steps that a database lacks, each in a transaction, and return their names.

    Others that start at the same time wait, and find it done.
    """
    applied: list[str] = []

    async def step(connection: Any) -> str | None:
        milliseconds = int(MIGRATE_SECONDS * 1000)
        await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
        await connection.fetch(_LOCK, *LOCK_OF_MIGRATIONS)
        known = await _known(connection, pool.place)
        check_applied(known, steps, pool.place)
        if len(known) == len(steps):
            return None
        next_one = steps[len(known)]
        for statement in next_one.statements:
            await connection.execute(statement)
        await connection.execute(_NOTE, len(known) + 1, next_one.name, next_one.checksum)
        return next_one.name

    while (name := pool.run(step, writing=True, seconds=MIGRATE_SECONDS)) is not None:
        applied.append(name)
    return applied


async def _known(connection: Any, place: str) -> list[Applied]:
    """Return the steps that were applied, and begin their table where the database is empty."""
    known = await applied(connection, place)
    if not known:
        await connection.execute(_CREATE)
    return known


async def applied(connection: Any, place: str) -> list[Applied]:
    """Return the steps that were applied; none of an empty database. Refuses another program's."""
    tables = {row[0] for row in await connection.fetch(_TABLES)}
    if not tables:
        return []
    if "migrations" not in tables or {r[0] for r in await connection.fetch(_COLUMNS)} != _OURS:
        raise StoreError(
            f"The database {place} is another program's; make one for Trunkline alone (createdb) and "
            "name it in store.url."
        )
    return [Applied(*row) for row in await connection.fetch(_APPLIED)]

"""The schema of the SQLite store, step by step, and how a file is brought up to date."""

# ruff: noqa: S608 - the parts that texts are built from are constants of this module

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from trunkline.store import sqlite_claims
from trunkline.store.migrations import Applied, Migration, check_applied
from trunkline.store.seam import StoreError
from trunkline.store.sqlite_file import SqliteFile

_FIRST = Migration(
    "keys, accounts, ledger, spend, journals, contents",
    (
        "CREATE TABLE access (number INTEGER NOT NULL)",
        "INSERT INTO access VALUES (1)",
        """CREATE TABLE keys (
            id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
            owner TEXT, team TEXT,
            scope TEXT NOT NULL, limits TEXT NOT NULL, budgets TEXT NOT NULL,
            created REAL NOT NULL, expires REAL, revoked REAL)""",
        """CREATE TABLE secrets (
            digest BLOB PRIMARY KEY NOT NULL, key TEXT NOT NULL REFERENCES keys (id),
            hint TEXT NOT NULL, created REAL NOT NULL, expires REAL)""",
        "CREATE INDEX secrets_of_key ON secrets (key)",
        """CREATE TABLE accounts (
            kind TEXT NOT NULL, name TEXT NOT NULL, limits TEXT NOT NULL, budgets TEXT NOT NULL,
            PRIMARY KEY (kind, name)) WITHOUT ROWID""",
        # With rowids: appending to it costs less than appending to a table without.
        """CREATE TABLE ledger (
            id TEXT PRIMARY KEY NOT NULL, boot TEXT NOT NULL, key TEXT NOT NULL,
            owner TEXT, team TEXT, endpoint TEXT NOT NULL, model TEXT NOT NULL,
            stream INTEGER NOT NULL, started REAL NOT NULL, reserved INTEGER NOT NULL,
            state TEXT NOT NULL, ended REAL, status INTEGER, outcome TEXT NOT NULL, error TEXT,
            upstream TEXT NOT NULL, provider TEXT, target_model TEXT NOT NULL,
            attempts INTEGER NOT NULL, input_tokens INTEGER, output_tokens INTEGER,
            cached_tokens INTEGER, token_source TEXT NOT NULL, cost INTEGER,
            charged INTEGER NOT NULL, input_price INTEGER, output_price INTEGER,
            price_source TEXT NOT NULL, first_byte REAL, upstream_id TEXT, note TEXT)""",
        "CREATE INDEX ledger_open ON ledger (id) WHERE state = 'open'",
        # Sums of money outgrow 64 bits: whole thousandths of a dollar, and picodollars below one.
        """CREATE TABLE spend (
            day TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, team TEXT NOT NULL,
            model TEXT NOT NULL, provider TEXT NOT NULL,
            calls INTEGER NOT NULL, unpriced INTEGER NOT NULL, failed INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL CHECK (typeof(input_tokens) = 'integer'),
            output_tokens INTEGER NOT NULL CHECK (typeof(output_tokens) = 'integer'),
            cost_mills INTEGER NOT NULL, cost_picos INTEGER NOT NULL,
            charged_mills INTEGER NOT NULL, charged_picos INTEGER NOT NULL,
            PRIMARY KEY (day, key, owner, team, model, provider)) WITHOUT ROWID""",
        "CREATE TABLE journals (name TEXT PRIMARY KEY NOT NULL, position INTEGER NOT NULL)",
        """CREATE TABLE contents (
            id TEXT PRIMARY KEY NOT NULL, prompt TEXT NOT NULL, answer TEXT NOT NULL,
            kept REAL NOT NULL, expires REAL NOT NULL)""",
        "CREATE INDEX contents_by_end ON contents (expires)",
    ),
)
_SECOND = Migration(
    "charges, processes, leases, rates",
    (
        # What budgets count, so that a lease reads a row a day and not all of its spend.
        """CREATE TABLE charges (
            scope TEXT NOT NULL, whose TEXT NOT NULL, day TEXT NOT NULL,
            mills INTEGER NOT NULL, picos INTEGER NOT NULL,
            PRIMARY KEY (scope, whose, day)) WITHOUT ROWID""",
        *(
            f"""INSERT INTO charges
            SELECT '{scope}', {scope}, day,
                SUM(charged_mills) + SUM(charged_picos) / 1000000000, SUM(charged_picos) % 1000000000
            FROM spend WHERE {scope} <> '' GROUP BY {scope}, day"""
            for scope in ("key", "owner", "team")
        ),
        """CREATE TABLE replicas (
            boot TEXT PRIMARY KEY NOT NULL, host TEXT NOT NULL, started REAL NOT NULL,
            config TEXT NOT NULL, version TEXT NOT NULL, trouble TEXT NOT NULL,
            lost INTEGER NOT NULL, seen REAL NOT NULL) WITHOUT ROWID""",
        # All that a process was ever granted outgrows 64 bits: digits, counted by the program.
        """CREATE TABLE leases (
            boot TEXT NOT NULL, scope TEXT NOT NULL, whose TEXT NOT NULL,
            granted TEXT NOT NULL, settled TEXT NOT NULL,
            PRIMARY KEY (boot, scope, whose)) WITHOUT ROWID""",
        "CREATE INDEX leases_of_scope ON leases (scope, whose)",
        """CREATE TABLE rates (
            minute INTEGER NOT NULL, scope TEXT NOT NULL, whose TEXT NOT NULL,
            calls INTEGER NOT NULL, tokens INTEGER NOT NULL,
            PRIMARY KEY (minute, scope, whose)) WITHOUT ROWID""",
        """CREATE TABLE slots (
            scope TEXT NOT NULL, whose TEXT NOT NULL, boot TEXT NOT NULL,
            slots INTEGER NOT NULL, seen REAL NOT NULL,
            PRIMARY KEY (scope, whose, boot)) WITHOUT ROWID""",
        "CREATE INDEX slots_of_process ON slots (boot)",
        "CREATE TABLE reloads (number INTEGER NOT NULL)",
        "INSERT INTO reloads VALUES (0)",
    ),
)
_THIRD = Migration("claims", sqlite_claims.SCHEMA)
_FOURTH = Migration(
    "clients' request ids", ("ALTER TABLE ledger ADD COLUMN client_request_id TEXT",)
)
_FIFTH = Migration(
    "seal",
    ("CREATE TABLE seal (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), bytes BLOB NOT NULL)",),
)
_SIXTH = Migration(
    "waiting and deadlines",
    (
        "ALTER TABLE ledger ADD COLUMN queued REAL",
        "ALTER TABLE keys ADD COLUMN priority TEXT NOT NULL DEFAULT 'interactive'",
        "ALTER TABLE keys ADD COLUMN deadline_seconds REAL",
    ),
)
_SEVENTH = Migration(
    "tries and routes",
    (
        "ALTER TABLE ledger ADD COLUMN tries TEXT",
        "ALTER TABLE ledger ADD COLUMN route TEXT",
        """CREATE TABLE told (
            boot TEXT PRIMARY KEY NOT NULL, said BLOB NOT NULL, seen REAL NOT NULL) WITHOUT ROWID""",
    ),
)
MIGRATIONS: tuple[Migration, ...] = (
    _FIRST,
    _SECOND,
    _THIRD,
    _FOURTH,
    _FIFTH,
    _SIXTH,
    _SEVENTH,
)

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_CREATE = """CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
    applied TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"""
_APPLIED = "SELECT number, name, checksum FROM migrations ORDER BY number"
_NOTE = "INSERT INTO migrations (number, name, checksum) VALUES (?, ?, ?)"


def migrate(file: SqliteFile, steps: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Apply the steps that a file lacks, each in a transaction, and return their names.

    Others that start at the same time wait, and find it done.
    """
    applied: list[str] = []
    while True:
        with file.writing() as connection:
            known = _known(connection, file.path)
            check_applied(known, steps, str(file.path))
            if len(known) == len(steps):
                return applied
            step = steps[len(known)]
            for statement in step.statements:
                connection.execute(statement)
            connection.execute(_NOTE, (len(known) + 1, step.name, step.checksum))
        applied.append(step.name)


def _known(connection: sqlite3.Connection, path: Path) -> list[Applied]:
    """Return the steps that were applied, and begin their table where the file is empty."""
    known = applied(connection, path)
    if not known:
        connection.execute(_CREATE)
    return known


def applied(connection: sqlite3.Connection, path: Path) -> list[Applied]:
    """Return the steps that were applied; none of an empty file. Refuses another program's."""
    tables = {name for (name,) in connection.execute(_TABLES)}
    if not tables:
        return []
    if "migrations" not in tables:
        raise StoreError(f"The file {path} is another program's database; name another file.")
    return [Applied(*row) for row in connection.execute(_APPLIED).fetchall()]

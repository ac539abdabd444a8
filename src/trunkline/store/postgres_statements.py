"""The SQL that is PostgreSQL's own, each statement once; built from column names, never from values."""

# ruff: noqa: S608 - the parts that texts are built from are constants of this module

from __future__ import annotations

from collections.abc import Sequence

from trunkline.store.records import Entry, Replica
from trunkline.store.statements import BY, replaced, select

CLOCK = "extract(epoch FROM clock_timestamp())::float8"
"""What time it is by the server."""
COUNTS = ("calls", "unpriced", "failed", "input_tokens", "output_tokens")
SUMS = (*COUNTS, "cost", "charged")
_ENTRY = Entry.__struct_fields__
REPLICA_SAYS = tuple(name for name in Replica.__struct_fields__ if name not in ("lost", "seen"))
"""What a process says of itself."""

EXPIRE_SECRETS = (
    "UPDATE secrets SET expires = $1 WHERE key = $2 AND (expires IS NULL OR expires > $1)"
)
ADVANCE = (
    "INSERT INTO journals (name, position) VALUES ($1, $2) ON CONFLICT (name) "
    f"{replaced(['position'])} WHERE journals.position < excluded.position"
)
"""Tells 0 rows where the journal is that far already; others with the same journal wait."""

# The columns of what is copied are those of the ledger; nothing of it outlives the transaction.
MAKE_INCOMING = "CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE ledger) ON COMMIT DELETE ROWS"
CLEAR_INCOMING = "DELETE FROM incoming"
_TAKE = (
    f"INSERT INTO ledger ({', '.join(_ENTRY)}) SELECT {', '.join(_ENTRY)} FROM incoming "
    f"ON CONFLICT (id) {replaced(_ENTRY[1:])}"
)
ADD_ENTRIES = f"{_TAKE} WHERE ledger.state = 'open'"
CORRECT_ENTRIES = f"{_TAKE} WHERE ledger.state <> 'settled'"
KNOWN_ENTRIES = select("ledger", _ENTRY, "WHERE id = ANY($1) ORDER BY id FOR UPDATE")
OPEN_ENTRIES_OF = select("ledger", _ENTRY, "WHERE state = 'open' AND boot = ANY($1) ORDER BY id")

# In the order of their keys, so that two that add to the same rows cannot wait for each other.
ADD_SPEND = (
    f"INSERT INTO spend ({', '.join((*BY, *SUMS))}) "
    f"SELECT {', '.join(BY)}, {', '.join(f'sum({name})::bigint' for name in COUNTS)}, "
    "sum(cost), sum(charged) FROM unnest("
    f"{', '.join(f'${at}::text[]' for at in range(1, 7))}, "
    f"{', '.join(f'${at}::bigint[]' for at in range(7, 12))}, $12::numeric[], $13::numeric[]) "
    f"AS given ({', '.join((*BY, *SUMS))}) GROUP BY {', '.join(BY)} ORDER BY "
    f"{', '.join(f'{name} COLLATE ' + chr(34) + 'C' + chr(34) for name in BY)} "
    f"ON CONFLICT ({', '.join(BY)}) DO UPDATE SET "
    f"{', '.join(f'{name} = spend.{name} + excluded.{name}' for name in SUMS)}"
)
DROP_EMPTY_SPEND = (
    f"DELETE FROM spend WHERE {' AND '.join(f'{name} = ${at}' for at, name in enumerate(BY, 1))} "
    "AND calls = 0"
)
ADD_CHARGES = (
    "INSERT INTO charges (scope, whose, day, amount) "
    "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[]) "
    "ON CONFLICT (scope, whose, day) DO UPDATE SET amount = charges.amount + excluded.amount"
)
# A process that leaves meanwhile waits: its leases go after these have come.
SETTLE = (
    "WITH joined AS (SELECT boot FROM replicas WHERE boot = ANY($1) FOR KEY SHARE) "
    "INSERT INTO leases (boot, scope, whose, granted, settled) "
    "SELECT given.boot, given.scope, given.whose, greatest(given.amount, 0), given.amount "
    "FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[]) "
    "AS given (boot, scope, whose, amount) JOIN joined USING (boot) "
    "ON CONFLICT (boot, scope, whose) DO UPDATE SET settled = leases.settled + excluded.settled, "
    "granted = greatest(leases.granted, leases.settled + excluded.settled)"
)

CHARGED = select("spend", (*BY, *SUMS), f"WHERE day >= $1 ORDER BY {', '.join(BY)}")


def spend(by: Sequence[str], *, team: bool) -> str:
    """Return the query for spend between two days, added up by columns of BY."""
    grouped = ", ".join(name for name in BY if name in by)
    columns = [name if name in by else "''" for name in BY]
    counts = [f"coalesce(sum({name}), 0)" for name in SUMS]
    return select(
        "spend",
        (*columns, *counts),
        f"WHERE day BETWEEN $1 AND $2 {'AND team = $3 ' if team else ''}"
        + (f"GROUP BY {grouped} ORDER BY {grouped}" if grouped else "HAVING count(*) > 0"),
    )


def join(clock: str) -> str:
    """Return what notes a process, seen now."""
    said = REPLICA_SAYS
    return (
        f"INSERT INTO replicas ({', '.join(said)}, lost, seen) "
        f"VALUES ({', '.join(f'${at}' for at in range(1, len(said) + 1))}, false, {clock})"
    )


def beat(clock: str) -> str:
    """Return what notes that a process is seen now."""
    return f"UPDATE replicas SET seen = {clock} WHERE boot = $1 AND NOT lost"


def lose(clock: str) -> str:
    """Return what gives a process up that was not seen for some seconds."""
    return f"UPDATE replicas SET lost = true WHERE boot = $1 AND (lost OR seen <= {clock} - $2)"


LOCK = "SELECT pg_advisory_xact_lock($1, given) FROM unnest($2::int[]) AS given"
"""Waits in the order given; kept until the transaction ends."""
BEGIN_ROUND = "UPDATE replicas SET round = $2 WHERE boot = $1 AND NOT lost AND round < $2"
"""A round that comes late, on a connection that was given up, finds that another has begun."""
REPLICA_ROUND = "SELECT round FROM replicas WHERE boot = $1 AND NOT lost"
# One statement, and so one moment: what moves from leases to charges is seen in one of them.
PURSES = (
    "SELECT "
    "(SELECT coalesce(sum(amount), 0) FROM charges WHERE charges.scope = given.scope "
    "AND charges.whose = given.whose AND day >= $4), "
    "(SELECT coalesce(sum(amount), 0) FROM charges WHERE charges.scope = given.scope "
    "AND charges.whose = given.whose AND day >= $5), "
    "own.granted, own.settled, "
    "(SELECT coalesce(sum(greatest(granted - settled, 0)), 0) FROM leases "
    "WHERE leases.scope = given.scope AND leases.whose = given.whose AND boot <> $1) "
    "FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS given (scope, whose, place) "
    "LEFT JOIN leases AS own ON own.boot = $1 AND own.scope = given.scope "
    "AND own.whose = given.whose ORDER BY place"
)
GRANT = (
    "INSERT INTO leases (boot, scope, whose, granted, settled) "
    "SELECT $1, given.scope, given.whose, given.granted, 0 "
    "FROM unnest($2::text[], $3::text[], $4::numeric[]) AS given (scope, whose, granted) "
    "ON CONFLICT (boot, scope, whose) DO UPDATE SET "
    "granted = greatest(excluded.granted, leases.settled)"
)

FORGET_MINUTES = "DELETE FROM rates WHERE minute < $1"
DROP_OLD_SLOTS = "DELETE FROM slots WHERE boot = $1 AND (seen <= $2 OR slots = 0)"
KEEP_SLOTS = "UPDATE slots SET seen = $2 WHERE boot = $1"
METERS = (
    "SELECT coalesce(rates.calls, 0), coalesce(rates.tokens, 0), "
    "(SELECT coalesce(sum(slots), 0)::bigint FROM slots WHERE slots.scope = given.scope "
    "AND slots.whose = given.whose AND boot <> $1 AND seen > $5) "
    "FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS given (scope, whose, place) "
    "LEFT JOIN rates ON rates.minute = $4 AND rates.scope = given.scope "
    "AND rates.whose = given.whose ORDER BY place"
)
COUNT = (
    "INSERT INTO rates (minute, scope, whose, calls, tokens) "
    "SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) "
    f"ON CONFLICT (minute, scope, whose) {replaced(['calls', 'tokens'])}"
)
TAKE_SLOTS = (
    "INSERT INTO slots (boot, seen, scope, whose, slots) "
    "SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::bigint[]) "
    f"ON CONFLICT (scope, whose, boot) {replaced(['slots', 'seen'])}"
)

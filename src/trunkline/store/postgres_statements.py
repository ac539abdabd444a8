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
# The columns of what is copied are those of the ledger; nothing of it outlives the transaction.
MAKE_INCOMING = "CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE ledger) ON COMMIT DELETE ROWS"
KNOWN_ENTRIES = select("ledger", _ENTRY, "WHERE id = ANY($1) ORDER BY id FOR UPDATE")
OPEN_ENTRIES_OF = select("ledger", _ENTRY, "WHERE state = 'open' AND boot = ANY($1) ORDER BY id")

DROP_EMPTY_SPEND = (
    f"DELETE FROM spend WHERE {' AND '.join(f'{name} = ${at}' for at, name in enumerate(BY, 1))} "
    "AND calls = 0"
)


def _commit(where: str) -> str:
    """Return what does all of a commit but the copying, in one round trip.

    Tells how many journals went on (none where it was done before), and how many entries were
    written: fewer than were copied where some had ended. Rows that others add to as well are
    touched in the order of their keys, so that no two processes wait for each other. A process that
    leaves meanwhile waits: its leases go after these have come.
    """
    texts, counts = _arrays("text", 3, 6), _arrays("bigint", 9, 5)
    return (
        "WITH advanced AS (INSERT INTO journals (name, position) VALUES ($1, $2) "
        f"ON CONFLICT (name) {replaced(['position'])} "
        "WHERE journals.position < excluded.position RETURNING 1), "
        f"written AS (INSERT INTO ledger ({', '.join(_ENTRY)}) SELECT {', '.join(_ENTRY)} "
        f"FROM incoming ON CONFLICT (id) {replaced(_ENTRY[1:])} WHERE {where} RETURNING 1), "
        f"spent AS (INSERT INTO spend ({', '.join((*BY, *SUMS))}) "
        f"SELECT {', '.join(BY)}, {', '.join(f'sum({name})::bigint' for name in COUNTS)}, "
        f"sum(cost), sum(charged) FROM unnest({texts}, {counts}, {_arrays('numeric', 14, 2)}) "
        f"AS given ({', '.join((*BY, *SUMS))}) GROUP BY {', '.join(BY)} "
        f"ORDER BY {', '.join(f'{name} {_BYTES}' for name in BY)} "
        f"ON CONFLICT ({', '.join(BY)}) DO UPDATE SET "
        f"{', '.join(f'{name} = spend.{name} + excluded.{name}' for name in SUMS)}), "
        "charged AS (INSERT INTO charges (scope, whose, day, amount) "
        f"SELECT * FROM unnest({_arrays('text', 16, 3)}, {_arrays('numeric', 19, 1)}) "
        "ON CONFLICT (scope, whose, day) DO UPDATE SET amount = charges.amount + excluded.amount), "
        f"joined AS (SELECT boot FROM replicas WHERE boot = ANY($20::text[]) FOR KEY SHARE), "
        "settled AS (INSERT INTO leases (boot, scope, whose, granted, settled) "
        "SELECT given.boot, given.scope, given.whose, greatest(given.amount, 0), given.amount "
        f"FROM unnest({_arrays('text', 20, 3)}, {_arrays('numeric', 23, 1)}) "
        "AS given (boot, scope, whose, amount) JOIN joined USING (boot) "
        "ON CONFLICT (boot, scope, whose) DO UPDATE SET settled = leases.settled + excluded.settled, "
        "granted = greatest(leases.granted, leases.settled + excluded.settled)) "
        "SELECT (SELECT count(*) FROM advanced), (SELECT count(*) FROM written)"
    )


def _arrays(kind: str, first: int, many: int) -> str:
    return ", ".join(f"${at}::{kind}[]" for at in range(first, first + many))


_BYTES = 'COLLATE "C"'
COMMIT = _commit("ledger.state = 'open'")
"""Of entries that are new, or open in the ledger."""
CORRECT = _commit("ledger.state <> 'settled'")
"""Of entries that become known, too."""

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


def begin_round(clock: str) -> str:
    """Return what begins a process's round, waits for others of the same scopes, and tells the time.

    A round that comes late, on a connection that was given up, finds that another has begun.
    """
    return (
        "UPDATE replicas SET round = $2 WHERE boot = $1 AND NOT lost AND round < $2 "
        "RETURNING (SELECT count(*) FROM "
        "(SELECT pg_advisory_xact_lock($3, given) FROM unnest($4::int[]) AS given) AS locked), "
        f"{clock}"
    )


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

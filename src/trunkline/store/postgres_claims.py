"""Claims in PostgreSQL. Each function is work for a connection, and one round trip of it."""

# ruff: noqa: S608 - the parts that texts are built from are names of columns, and the clock

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from trunkline.store.claims import Claim
from trunkline.store.postgres_commit import changed
from trunkline.store.statements import replaced

_FIELDS = Claim.__struct_fields__
_COLUMNS = ", ".join(_FIELDS)
_MARKS = ", ".join(f"${at}" for at in range(1, len(_FIELDS) + 1))
_FULFIL = (
    "UPDATE claims SET state = $1, status = $2, lines = $3, body = $4 "
    "WHERE id = $5 AND call = $6 AND state = 'running'"
)
_RELEASE = "DELETE FROM claims WHERE id = $1 AND call = $2 AND state = 'running'"
_RELEASE_UNSENT = (
    "DELETE FROM claims WHERE state = 'running' AND boot = ANY($1) "
    "AND NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.id = claims.call)"
)

SCHEMA = (
    """CREATE TABLE claims (
        id bytea PRIMARY KEY, request bytea NOT NULL, call text COLLATE "C" NOT NULL,
        boot text NOT NULL, state text NOT NULL, status bigint NOT NULL, lines bytea NOT NULL,
        body bytea NOT NULL, expires float8 NOT NULL)""",
    "CREATE INDEX claims_by_end ON claims (expires)",
)


async def claim(connection: Any, wanted: Claim, seconds: float, clock: str) -> Claim | None:
    """Take a name, or return the claim that has it."""
    take = _take(clock)
    while True:
        row = msgspec.structs.astuple(wanted)
        taken, *standing = await connection.fetchrow(take, *row, seconds)
        if taken:
            return None
        if standing[0] is not None:  # else it was taken or given back in this very moment
            return Claim(*standing)


def _take(clock: str) -> str:
    """Return what takes a name that is nobody's, or is over; it tells whether, and who had it before."""
    expires = f"{clock} + ${len(_FIELDS) + 1}::float8"
    return (
        f"WITH taken AS (INSERT INTO claims ({_COLUMNS}, expires) VALUES ({_MARKS}, {expires}) "
        f"ON CONFLICT (id) {replaced((*_FIELDS[1:], 'expires'))} WHERE claims.expires <= {clock} "
        "RETURNING id) "
        f"SELECT EXISTS (SELECT 1 FROM taken), {', '.join(f'claims.{name}' for name in _FIELDS)} "
        "FROM (SELECT $1::bytea AS id) AS wanted LEFT JOIN claims USING (id)"
    )


async def fulfil(connection: Any, done: Claim) -> bool:
    """Write down how a call ended."""
    values = (done.state, done.status, done.lines, done.body, done.id, done.call)
    return changed(await connection.execute(_FULFIL, *values)) > 0


async def release(connection: Any, given_up: Claim) -> None:
    """Give a name back."""
    await connection.execute(_RELEASE, given_up.id, given_up.call)


async def release_unsent(connection: Any, boots: Collection[str]) -> int:
    """Give back what dead processes had claimed and not begun."""
    return changed(await connection.execute(_RELEASE_UNSENT, list(boots)))


async def purge(connection: Any, clock: str) -> int:
    """Delete claims whose time is over."""
    return changed(await connection.execute(f"DELETE FROM claims WHERE expires <= {clock}"))

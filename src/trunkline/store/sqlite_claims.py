"""Claims in a SQLite file. Each function works on a connection within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

import msgspec

from trunkline.store.claims import Claim

_COLUMNS = ", ".join(Claim.__struct_fields__)
_MARKS = ", ".join("?" * len(Claim.__struct_fields__))
_TAKE = f"INSERT INTO claims ({_COLUMNS}, expires) VALUES ({_MARKS}, ?) ON CONFLICT (id) DO NOTHING"  # noqa: S608 - names of columns
_STANDING = f"SELECT {_COLUMNS} FROM claims WHERE id = ?"  # noqa: S608 - names of columns
_EXPIRE = "DELETE FROM claims WHERE id = ? AND expires <= ?"
_FULFIL = (
    "UPDATE claims SET state = ?, status = ?, lines = ?, body = ? "
    "WHERE id = ? AND call = ? AND state = 'running'"
)
_RELEASE = "DELETE FROM claims WHERE id = ? AND call = ? AND state = 'running'"
_RELEASE_UNSENT = """DELETE FROM claims WHERE state = 'running'
    AND boot IN (SELECT value FROM json_each(?))
    AND NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.id = claims.call)"""
_PURGE = "DELETE FROM claims WHERE expires <= ?"

SCHEMA = (
    """CREATE TABLE claims (
        id BLOB PRIMARY KEY NOT NULL, request BLOB NOT NULL, call TEXT NOT NULL, boot TEXT NOT NULL,
        state TEXT NOT NULL, status INTEGER NOT NULL, lines BLOB NOT NULL, body BLOB NOT NULL,
        expires REAL NOT NULL)""",
    "CREATE INDEX claims_by_end ON claims (expires)",
)


def claim(
    connection: sqlite3.Connection, wanted: Claim, now: float, seconds: float
) -> Claim | None:
    """Take a name, or return the claim that has it."""
    connection.execute(_EXPIRE, (wanted.id, now))
    row = (*msgspec.structs.astuple(wanted), now + seconds)
    if connection.execute(_TAKE, row).rowcount:
        return None
    return Claim(*connection.execute(_STANDING, (wanted.id,)).fetchone())


def fulfil(connection: sqlite3.Connection, done: Claim) -> bool:
    """Write down how a call ended."""
    values = (done.state, done.status, done.lines, done.body, done.id, done.call)
    return connection.execute(_FULFIL, values).rowcount > 0


def release(connection: sqlite3.Connection, given_up: Claim) -> None:
    """Give a name back."""
    connection.execute(_RELEASE, (given_up.id, given_up.call))


def release_unsent(connection: sqlite3.Connection, boots: Collection[str]) -> int:
    """Give back what dead processes had claimed and not begun."""
    names = msgspec.json.encode(list(boots)).decode()
    return connection.execute(_RELEASE_UNSENT, (names,)).rowcount


def purge(connection: sqlite3.Connection, now: float) -> int:
    """Delete claims whose time is over."""
    return connection.execute(_PURGE, (now,)).rowcount

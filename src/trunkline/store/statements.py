"""The SQL that both stores share, each statement once; built from column names, never from values.

Parameters are question marks, as SQLite has them; `numbered` writes them as PostgreSQL does.
"""

# ruff: noqa: S608 - the parts that texts are built from are constants of this module

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count

from trunkline.store.records import Account, Content, Entry, Key, KeySecret, Replica
from trunkline.store.seam import SpendBy

BY: tuple[SpendBy, ...] = ("day", "key", "owner", "team", "model", "provider")


def numbered(text: str) -> str:
    """Return a statement with its parameters as `$1`, `$2`, ..."""
    first, *rest = text.split("?")
    return first + "".join(f"${number}{part}" for number, part in zip(count(1), rest, strict=False))


def select(table: str, columns: Sequence[str], rest: str) -> str:
    """Return a query."""
    return f"SELECT {', '.join(columns)} FROM {table} {rest}"


def insert(table: str, columns: Sequence[str], rows: int = 1, unset: Collection[int] = ()) -> str:
    """Return a statement that adds rows; the columns at `unset` are NULL."""
    row = ", ".join("NULL" if at in unset else "?" for at in range(len(columns)))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([f'({row})'] * rows)}"


def replaced(columns: Sequence[str]) -> str:
    """Return what a statement that adds rows does where they are."""
    return "DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in columns)


VERSION = "SELECT number FROM access"
NEW_VERSION = "UPDATE access SET number = number + 1"

_KEY = Key.__struct_fields__
KEYS = select("keys", _KEY, "ORDER BY created, id")
ADD_KEY = insert("keys", _KEY)
CHANGE_KEY = f"UPDATE keys SET {', '.join(f'{name} = ?' for name in _KEY[1:])} WHERE id = ?"

_SECRET = KeySecret.__struct_fields__
SECRETS = select("secrets", _SECRET, "ORDER BY created, digest")
ADD_SECRET = insert("secrets", _SECRET)
_ACCOUNT = Account.__struct_fields__
ACCOUNTS = select("accounts", _ACCOUNT, "ORDER BY kind, name")
PUT_ACCOUNT = insert("accounts", _ACCOUNT) + f" ON CONFLICT (kind, name) {replaced(_ACCOUNT[2:])}"
DROP_ACCOUNT = "DELETE FROM accounts WHERE kind = ? AND name = ?"

_CONTENT = Content.__struct_fields__
KEEP = insert("contents", _CONTENT) + f" ON CONFLICT (id) {replaced(_CONTENT[1:])}"
CONTENT = select("contents", _CONTENT, "WHERE id = ?")
PURGE = "DELETE FROM contents WHERE expires <= ?"

FIRST_SEAL = "INSERT INTO seal (only_one, bytes) VALUES (1, ?) ON CONFLICT (only_one) DO NOTHING"
SEAL = "SELECT bytes FROM seal"

POSITION = "SELECT position FROM journals WHERE name = ?"
FORGET_JOURNAL = "DELETE FROM journals WHERE name = ?"

_ENTRY = Entry.__struct_fields__
ENTRY = select("ledger", _ENTRY, "WHERE id = ?")
OPEN_ENTRIES = select("ledger", _ENTRY, "WHERE state = 'open' ORDER BY id")


def entries(*, key: bool, team: bool, before: bool) -> str:
    """Return the query for the newest entries; takes the parameters asked for, then a limit."""
    wanted = [
        text for text, asked in (("key = ?", key), ("team = ?", team), ("id < ?", before)) if asked
    ]
    where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
    return select("ledger", _ENTRY, where + "ORDER BY id DESC LIMIT ?")


_REPLICA = Replica.__struct_fields__
JOIN = insert("replicas", _REPLICA)
REPLICAS = select("replicas", _REPLICA, "ORDER BY boot <> ?, started, boot")
SAY = "UPDATE replicas SET config = ?, trouble = ? WHERE boot = ?"
LIVES = "SELECT 1 FROM replicas WHERE boot = ? AND NOT lost"
FREE_ALL_SLOTS = "DELETE FROM slots WHERE boot = ?"
LEAVE = (
    "DELETE FROM leases WHERE boot = ?",
    FREE_ALL_SLOTS,
    "DELETE FROM replicas WHERE boot = ?",
)
RELOADS = "SELECT number FROM reloads"
ASK_RELOAD = "UPDATE reloads SET number = number + 1"

FORGET_TOLD = "DELETE FROM told WHERE seen < ?"
TELL = (
    "INSERT INTO told (boot, said, seen) VALUES (?, ?, ?) "
    "ON CONFLICT (boot) DO UPDATE SET said = excluded.said, seen = excluded.seen"
)
TOLD = "SELECT boot, said, seen FROM told WHERE boot <> ? ORDER BY boot"

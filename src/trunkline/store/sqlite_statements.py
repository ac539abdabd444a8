"""The SQL of the SQLite store, each statement once; built from column names, never from values."""

# ruff: noqa: S608 - the parts that texts are built from are constants of this module

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from trunkline.store.records import Account, Content, Entry, Key, KeySecret, Replica
from trunkline.store.seam import SpendBy

VERSION = "SELECT number FROM access"
NEW_VERSION = "UPDATE access SET number = number + 1"

BY: tuple[SpendBy, ...] = ("day", "key", "owner", "team", "model", "provider")
_COUNTS = ("calls", "unpriced", "failed", "input_tokens", "output_tokens")
_SUMS = (*_COUNTS, "cost_mills", "cost_picos", "charged_mills", "charged_picos")
MILL = 10**9
"""Picodollars in a thousandth of a dollar: sums of money are kept in two columns, so that neither
outgrows 64 bits."""


def _select(table: str, columns: Sequence[str], rest: str) -> str:
    return f"SELECT {', '.join(columns)} FROM {table} {rest}"


def _insert(table: str, columns: Sequence[str], rows: int = 1, unset: Collection[int] = ()) -> str:
    row = ", ".join("NULL" if at in unset else "?" for at in range(len(columns)))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([f'({row})'] * rows)}"


def _replace(columns: Sequence[str]) -> str:
    return "DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in columns)


_KEY = Key.__struct_fields__
KEYS = _select("keys", _KEY, "ORDER BY created, id")
ADD_KEY = _insert("keys", _KEY)
CHANGE_KEY = f"UPDATE keys SET {', '.join(f'{name} = ?' for name in _KEY[1:])} WHERE id = ?"

_SECRET = KeySecret.__struct_fields__
SECRETS = _select("secrets", _SECRET, "ORDER BY created, digest")
ADD_SECRET = _insert("secrets", _SECRET)
EXPIRE_SECRETS = (
    "UPDATE secrets SET expires = ?1 WHERE key = ?2 AND (expires IS NULL OR expires > ?1)"
)

_ACCOUNT = Account.__struct_fields__
ACCOUNTS = _select("accounts", _ACCOUNT, "ORDER BY kind, name")
PUT_ACCOUNT = _insert("accounts", _ACCOUNT) + f" ON CONFLICT (kind, name) {_replace(_ACCOUNT[2:])}"
DROP_ACCOUNT = "DELETE FROM accounts WHERE kind = ? AND name = ?"

_CONTENT = Content.__struct_fields__
KEEP = _insert("contents", _CONTENT) + f" ON CONFLICT (id) {_replace(_CONTENT[1:])}"
CONTENT = _select("contents", _CONTENT, "WHERE id = ?")
PURGE = "DELETE FROM contents WHERE expires <= ?"

POSITION = "SELECT position FROM journals WHERE name = ?"
ADVANCE = "INSERT INTO journals (name, position) VALUES (?, ?) ON CONFLICT (name) " + _replace(
    ["position"]
)
FORGET_JOURNAL = "DELETE FROM journals WHERE name = ?"

_ENTRY = Entry.__struct_fields__
ENTRY = _select("ledger", _ENTRY, "WHERE id = ?")
OPEN_ENTRIES = _select("ledger", _ENTRY, "WHERE state = 'open' ORDER BY id")
KNOWN_ENTRIES = _select("ledger", _ENTRY, "WHERE id IN (SELECT value FROM json_each(?))")
"""Takes the ids as JSON."""


def entries(*, key: bool, team: bool, before: bool) -> str:
    """Return the query for the newest entries; takes the parameters asked for, then a limit."""
    wanted = [
        text for text, asked in (("key = ?", key), ("team = ?", team), ("id < ?", before)) if asked
    ]
    where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
    return _select("ledger", _ENTRY, where + "ORDER BY id DESC LIMIT ?")


CHARGED = _select("spend", (*BY, *_SUMS), f"WHERE day >= ? ORDER BY {', '.join(BY)}")


def spend(by: Sequence[str], *, team: bool) -> str:
    """Return the query for spend between two days, added up by columns of BY."""
    columns = [name if name in by else "''" for name in BY]
    return _select(
        "spend",
        (*columns, *(f"SUM({name})" for name in _SUMS)),
        f"WHERE day BETWEEN ? AND ? {'AND team = ? ' if team else ''}"
        "GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6",
    )


_ROWS = (128, 32, 8, 1)
_MOST_TEXTS = 64
"""How many rows a statement inserts. More than the largest saves nothing that can be measured."""


class Many:
    """One statement for one row and for many at once.

    SQLite is asked once for many rows, since each time costs a hand-over of the interpreter's lock;
    and with few different texts, so that they stay compiled.
    """

    def __init__(self, table: str, columns: Sequence[str], conflict: str) -> None:
        """Insert into `columns`, and on conflict do as `conflict` says."""
        self.width = len(columns)
        self._table = table
        self._columns = columns
        self._conflict = conflict
        self._texts: dict[tuple[int, tuple[int, ...]], str] = {}

    def pieces(self, rows: int) -> Iterator[tuple[int, int]]:
        """Split so many rows; each piece is its first row and the row after its last."""
        start = 0
        for size in _ROWS:
            while rows - start >= size:
                yield start, start + size
                start += size

    def whole_text(self, rows: int) -> str:
        """Return the SQL for so many rows, each with every column."""
        return self.text(rows, ()) or ""

    def text(self, rows: int, unset: tuple[int, ...]) -> str | None:
        """Return the SQL for so many rows; the columns `unset` are NULL in all of them.

        A NULL that is written out costs nothing; one that is a parameter takes the module a search.
        None where there would be too many texts to stay compiled.
        """
        text = self._texts.get((rows, unset))
        if text is None and (len(self._texts) < _MOST_TEXTS or not unset):
            inserted = _insert(self._table, self._columns, rows, unset)
            text = self._texts[rows, unset] = f"{inserted} ON CONFLICT {self._conflict}"
        return text


# What has ended stays as it is.
ADD_ENTRIES = Many("ledger", _ENTRY, f"(id) {_replace(_ENTRY[1:])} WHERE ledger.state = 'open'")
CORRECT_ENTRIES = Many("ledger", _ENTRY, f"(id) {_replace(_ENTRY[1:])}")


def _sum(prefix: str) -> str:
    """Add up what is kept in two columns, and carry what makes a mill."""
    rest = f"({prefix}picos + excluded.{prefix}picos)"
    mills = f"{prefix}mills = {prefix}mills + excluded.{prefix}mills + {rest} / {MILL}"
    return f"{mills}, {prefix}picos = {rest} % {MILL}"


def _added() -> str:
    counts = [f"{name} = {name} + excluded.{name}" for name in _COUNTS]
    return ", ".join([*counts, _sum("cost_"), _sum("charged_")])


ADD_SPEND = Many("spend", (*BY, *_SUMS), f"({', '.join(BY)}) DO UPDATE SET {_added()}")
DROP_EMPTY_SPEND = (
    f"DELETE FROM spend WHERE {' AND '.join(f'{name} = ?' for name in BY)} AND calls = 0"
)

_CHARGE = ("scope", "whose", "day")
ADD_CHARGES = Many(
    "charges",
    (*_CHARGE, "mills", "picos"),
    f"({', '.join(_CHARGE)}) DO UPDATE SET {_sum('')}",
)
# Days to come count too: those of a process whose clock is ahead.
CHARGED_SINCE = (
    f"SELECT coalesce(SUM(mills) + SUM(picos) / {MILL}, 0), coalesce(SUM(picos) % {MILL}, 0) "
    "FROM charges WHERE scope = ? AND whose = ? AND day >= ?"
)

_REPLICA = Replica.__struct_fields__
JOIN = _insert("replicas", _REPLICA)
BEAT = "UPDATE replicas SET seen = ? WHERE boot = ? AND NOT lost"
SAY = "UPDATE replicas SET config = ?, trouble = ? WHERE boot = ?"
REPLICAS = _select("replicas", _REPLICA, "ORDER BY boot <> ?, started, boot")
LIVES = "SELECT 1 FROM replicas WHERE boot = ? AND NOT lost"
LOSE = "UPDATE replicas SET lost = 1 WHERE boot = ? AND (lost OR seen <= ?)"
FREE_ALL_SLOTS = "DELETE FROM slots WHERE boot = ?"
LEAVE = (
    "DELETE FROM leases WHERE boot = ?",
    FREE_ALL_SLOTS,
    "DELETE FROM replicas WHERE boot = ?",
)
RELOADS = "SELECT number FROM reloads"
ASK_RELOAD = "UPDATE reloads SET number = number + 1"

LEASES = "SELECT boot, granted, settled FROM leases WHERE scope = ? AND whose = ?"
LEASES_ANY = "SELECT 1 FROM leases WHERE boot = ? LIMIT 1"
_LEASE = "WHERE boot = ? AND scope = ? AND whose = ?"
LEASE = f"SELECT granted, settled FROM leases {_LEASE}"
GRANT = (
    "INSERT INTO leases (boot, scope, whose, granted, settled) VALUES (?, ?, ?, ?, '0') "
    "ON CONFLICT (boot, scope, whose) DO UPDATE SET granted = excluded.granted"
)
SETTLE = f"UPDATE leases SET granted = ?, settled = ? {_LEASE}"

FORGET_MINUTES = "DELETE FROM rates WHERE minute < ?"
RATE = "SELECT calls, tokens FROM rates WHERE minute = ? AND scope = ? AND whose = ?"
COUNT = (
    "INSERT INTO rates (minute, scope, whose, calls, tokens) VALUES (?, ?, ?, ?, ?) "
    f"ON CONFLICT (minute, scope, whose) {_replace(('calls', 'tokens'))}"
)
FREE_SLOTS = "DELETE FROM slots WHERE seen <= ?"
KEEP_SLOTS = "UPDATE slots SET seen = ? WHERE boot = ?"
SLOTS_ELSEWHERE = (
    "SELECT coalesce(SUM(slots), 0) FROM slots WHERE scope = ? AND whose = ? AND boot <> ?"
)
TAKE_SLOTS = (
    "INSERT INTO slots (scope, whose, boot, slots, seen) VALUES (?, ?, ?, ?, ?) "
    f"ON CONFLICT (scope, whose, boot) {_replace(('slots', 'seen'))}"
)
DROP_SLOTS = "DELETE FROM slots WHERE scope = ? AND whose = ? AND boot = ?"

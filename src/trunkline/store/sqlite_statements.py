"""The SQL that is the SQLite store's own, each statement once; built from column names, never from values."""

# ruff: noqa: S608 - the parts that texts are built from are constants of this module

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trunkline.store.records import Entry
from trunkline.store.statements import BY, insert, replaced, select

_COUNTS = ("calls", "unpriced", "failed", "input_tokens", "output_tokens")
_SUMS = (*_COUNTS, "cost_mills", "cost_picos", "charged_mills", "charged_picos")
MILL = 10**9
"""Picodollars in a thousandth of a dollar: sums of money are kept in two columns, so that neither
outgrows 64 bits."""


_ENTRY = Entry.__struct_fields__
EXPIRE_SECRETS = (
    "UPDATE secrets SET expires = ?1 WHERE key = ?2 AND (expires IS NULL OR expires > ?1)"
)

ADVANCE = "INSERT INTO journals (name, position) VALUES (?, ?) ON CONFLICT (name) " + replaced(
    ["position"]
)
KNOWN_ENTRIES = select("ledger", _ENTRY, "WHERE id IN (SELECT value FROM json_each(?))")
"""Takes the ids as JSON."""


CHARGED = select("spend", (*BY, *_SUMS), f"WHERE day >= ? ORDER BY {', '.join(BY)}")


def spend(by: Sequence[str], *, team: bool) -> str:
    """Return the query for spend between two days, added up by columns of BY."""
    columns = [name if name in by else "''" for name in BY]
    return select(
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
            inserted = insert(self._table, self._columns, rows, unset)
            text = self._texts[rows, unset] = f"{inserted} ON CONFLICT {self._conflict}"
        return text


# What has ended stays as it is.
ADD_ENTRIES = Many("ledger", _ENTRY, f"(id) {replaced(_ENTRY[1:])} WHERE ledger.state = 'open'")
CORRECT_ENTRIES = Many("ledger", _ENTRY, f"(id) {replaced(_ENTRY[1:])}")


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

LEASES = "SELECT boot, granted, settled FROM leases WHERE scope = ? AND whose = ?"
LEASE = "SELECT granted, settled FROM leases WHERE boot = ? AND scope = ? AND whose = ?"
_LEASE = ("boot", "scope", "whose")
GRANT = (
    "INSERT INTO leases (boot, scope, whose, granted, settled) VALUES (?, ?, ?, ?, '0') "
    f"ON CONFLICT ({', '.join(_LEASE)}) {replaced(['granted'])}"
)
SETTLE = (
    insert("leases", (*_LEASE, "granted", "settled"))
    + f" ON CONFLICT ({', '.join(_LEASE)}) {replaced(['granted', 'settled'])}"
)
JOINED = "SELECT 1 FROM replicas WHERE boot = ?"

FORGET_MINUTES = "DELETE FROM rates WHERE minute < ?"
RATE = "SELECT calls, tokens FROM rates WHERE minute = ? AND scope = ? AND whose = ?"
COUNT = (
    "INSERT INTO rates (minute, scope, whose, calls, tokens) VALUES (?, ?, ?, ?, ?) "
    f"ON CONFLICT (minute, scope, whose) {replaced(('calls', 'tokens'))}"
)
FREE_SLOTS = "DELETE FROM slots WHERE seen <= ?"
KEEP_SLOTS = "UPDATE slots SET seen = ? WHERE boot = ?"
SLOTS_ELSEWHERE = (
    "SELECT coalesce(SUM(slots), 0) FROM slots WHERE scope = ? AND whose = ? AND boot <> ?"
)
TAKE_SLOTS = (
    "INSERT INTO slots (scope, whose, boot, slots, seen) VALUES (?, ?, ?, ?, ?) "
    f"ON CONFLICT (scope, whose, boot) {replaced(('slots', 'seen'))}"
)
DROP_SLOTS = "DELETE FROM slots WHERE scope = ? AND whose = ? AND boot = ?"
BEAT = "UPDATE replicas SET seen = ? WHERE boot = ? AND NOT lost"
LOSE = "UPDATE replicas SET lost = 1 WHERE boot = ? AND (lost OR seen <= ?)"

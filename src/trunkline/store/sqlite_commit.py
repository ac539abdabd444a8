"""How a batch gets into a SQLite file: its entries, and all that they add up to.

Called within a transaction. Statements insert many rows at once: see `sqlite_statements.Many`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from trunkline.store import sqlite_statements as own
from trunkline.store import statements as sql
from trunkline.store.records import Batch, Entry
from trunkline.store.sqlite_rows import (
    read_entry,
    without_unset,
    written_charges,
    written_entries,
    written_spend,
)
from trunkline.store.sums import Change, change_of, charges_of, corrected

_R = TypeVar("_R")


def add_entries(connection: sqlite3.Connection, batch: Batch) -> Change:
    """Write a batch's entries, and return what else there is to be done for them."""
    connection.execute("SAVEPOINT entries")
    before = connection.total_changes
    _insert(connection, own.ADD_ENTRIES, batch.entries, written_entries)
    if connection.total_changes - before == len(batch.entries):
        connection.execute("RELEASE entries")
        return change_of(batch)
    # One of them has ended already, and was left as it is: look which, and begin again.
    connection.execute("ROLLBACK TO entries")
    connection.execute("RELEASE entries")
    right = corrected(batch, _known(connection, batch.entries))
    _insert(connection, own.CORRECT_ENTRIES, right.entries, written_entries)
    return right.change


def add_spend(connection: sqlite3.Connection, change: Change) -> None:
    """Add to spend, and to what budgets count."""
    _insert(connection, own.ADD_SPEND, change.spend, written_spend)
    charges = list(charges_of(change.spend).items())
    _insert(connection, own.ADD_CHARGES, charges, lambda rows: written_charges(dict(rows)))
    for row in change.corrected:
        names = msgspec.structs.astuple(row)[: len(sql.BY)]
        connection.execute(own.DROP_EMPTY_SPEND, names)


def _known(connection: sqlite3.Connection, entries: list[Entry]) -> list[Entry]:
    ids = msgspec.json.encode([entry.id for entry in entries]).decode()
    return [read_entry(row) for row in connection.execute(own.KNOWN_ENTRIES, (ids,)).fetchall()]


def _insert(
    connection: sqlite3.Connection,
    many: own.Many,
    rows: Sequence[_R],
    written: Callable[[Sequence[_R]], list[Any]],
) -> None:
    for start, end in many.pieces(len(rows)):
        _add(connection, many, end - start, written(rows[start:end]))


def _add(connection: sqlite3.Connection, many: own.Many, rows: int, fields: list[Any]) -> None:
    """Insert rows that stand one after the other in `fields`."""
    unset, set_fields = without_unset(fields, many.width)
    text = many.text(rows, unset)
    if text is None:
        connection.execute(many.whole_text(rows), fields)
    else:
        connection.execute(text, set_fields)

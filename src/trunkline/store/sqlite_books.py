"""A SQLite file to be looked through or moved."""

# ruff: noqa: S608 - the parts that texts are built from are names of tables and columns

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from trunkline.store import books
from trunkline.store.books import SUMS, TABLES, Pieces, Row, Totals
from trunkline.store.migrations import Applied, check_applied
from trunkline.store.records import Replica, Spend
from trunkline.store.seam import StoreConflictError, StoreError
from trunkline.store.sqlite_file import SqliteFile
from trunkline.store.sqlite_rows import read_spend
from trunkline.store.sqlite_schema import MIGRATIONS, applied
from trunkline.store.sqlite_statements import MILL

_LEDGER_SPEND = f"""SELECT strftime('%Y-%m-%d', CAST(started / 86400 AS INTEGER) * 86400, 'unixepoch') AS day,
    key, coalesce(owner, ''), coalesce(team, ''), model, coalesce(provider, ''),
    count(*), sum(cost IS NULL), sum(outcome <> 'ok'),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
    coalesce(sum(cost / {MILL}), 0), coalesce(sum(cost % {MILL}), 0),
    coalesce(sum(charged / {MILL}), 0), coalesce(sum(charged % {MILL}), 0)
    FROM ledger WHERE state <> 'open' GROUP BY 1, 2, 3, 4, 5, 6"""
_IN_TWO = {"spend": ("cost", "charged"), "charges": ("amount",)}
"""Sums of money that are kept in two columns."""


class SqliteBooks:
    """All of a file."""

    def __init__(self, file: SqliteFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock

    def lacking(self) -> list[str]:
        """Return the names of steps of the schema that it lacks."""
        with self._file.reading() as connection:
            known: list[Applied] = applied(connection, self._file.path)
        check_applied(known, MIGRATIONS, str(self._file.path))
        return [step.name for step in MIGRATIONS[len(known) :]]

    def damage(self) -> list[str]:
        """Say what is damaged."""
        with self._file.reading() as connection:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check(10)").fetchall()]
        return [] if said == ["ok"] else [f"the file is damaged: {text}" for text in said]

    def serving(self, seconds: float) -> list[Replica]:
        """Return the processes that were seen within so long."""
        since = self._clock() - seconds
        found = [Replica(*row) for _, rows in self.pieces("replicas") for row in rows]
        return [one for one in found if not one.lost and one.seen > since]

    def boots(self) -> set[str]:
        """Return the processes that have joined and not left."""
        return {row[0] for _, rows in self.pieces("replicas") for row in rows}

    def ledger_spend(self) -> list[Spend]:
        """Add up the ended entries of the ledger as spend is."""
        with self._file.reading() as connection:
            return [read_spend(row) for row in connection.execute(_LEDGER_SPEND).fetchall()]

    def charges(self) -> dict[tuple[str, str, str], int]:
        """Return what each scope and name was charged on each day."""
        return {
            (row[0], row[1], row[2]): row[3] for _, some in self.pieces("charges") for row in some
        }

    def pieces(self, *names: str) -> Iterator[tuple[str, list[Row]]]:
        """Yield all of TABLES, or some, as they are at one moment."""
        with self._file.reading() as connection:
            connection.execute("BEGIN")
            try:
                for name in names or TABLES:
                    table = TABLES[name]
                    text = f"SELECT {', '.join(_columns(name))} FROM {name}"
                    cursor = connection.execute(text)
                    while rows := cursor.fetchmany(table.at_once):
                        yield name, [_read(name, row) for row in rows]
            finally:
                connection.execute("ROLLBACK")

    def totals(self) -> Totals:
        """Count rows, and add up SUMS."""
        with self._file.reading() as connection:
            return _totals(connection)

    def fill(self, pieces: Pieces, expected: Totals) -> None:
        """Take all that another store had, in one transaction."""
        with self._file.writing() as connection:
            there = books.taken(_totals(connection))
            if there:
                raise StoreConflictError(
                    f"The store {self._file.path} is not empty: it has {', '.join(there)}. Name a file "
                    "that is not there yet."
                )
            for name, table in TABLES.items():
                if not table.key:
                    connection.execute(f"DELETE FROM {name}")
            for name, rows in pieces:
                columns = _columns(name)
                marks = ", ".join("?" * len(columns))
                text = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})"
                connection.executemany(text, [_written(name, row) for row in rows])
            wrong = books.differences(expected, _totals(connection))
            if wrong:
                raise StoreError(
                    f"The store {self._file.path} did not get all: {'; '.join(wrong)}. Nothing was kept."
                )


def _columns(name: str) -> list[str]:
    """Return the columns of a table as the file has them."""
    split = _IN_TWO.get(name, ())
    columns: list[str] = []
    for column in TABLES[name].columns:
        prefix = "" if column == "amount" else f"{column}_"
        columns += (f"{prefix}mills", f"{prefix}picos") if column in split else (column,)
    return columns


def _read(name: str, row: Row) -> Row:
    """Return a row as every kind of store has it."""
    values = iter(row)
    split = _IN_TWO.get(name, ())
    read: list[Any] = []
    for column in TABLES[name].columns:
        value = next(values)
        if column in split:
            value = value * MILL + next(values)
        elif name == "leases" and column in ("granted", "settled"):
            value = int(value)
        elif (name, column) in (("ledger", "stream"), ("replicas", "lost")):
            value = bool(value)
        read.append(value)
    return tuple(read)


def _written(name: str, row: Row) -> list[Any]:
    """Return a row as the file has it."""
    split = _IN_TWO.get(name, ())
    written: list[Any] = []
    for column, value in zip(TABLES[name].columns, row, strict=True):
        if column in split:
            written += divmod(value, MILL)
        elif name == "leases" and column in ("granted", "settled"):
            written.append(str(value))
        else:
            written.append(int(value) if isinstance(value, bool) else value)
    return written


def _totals(connection: sqlite3.Connection) -> Totals:
    totals: Totals = {}
    for name in TABLES:
        (totals[name],) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
    for name, column in SUMS:
        if column in _IN_TWO.get(name, ()):
            prefix = "" if column == "amount" else f"{column}_"
            mills, picos = f"{prefix}mills", f"{prefix}picos"
        else:
            mills, picos = f"{column} / {MILL}", f"{column} % {MILL}"
        text = f"SELECT coalesce(sum({mills}), 0), coalesce(sum({picos}), 0) FROM {name}"
        whole, rest = connection.execute(text).fetchone()
        totals[f"{name}.{column}"] = whole * MILL + rest
    return totals

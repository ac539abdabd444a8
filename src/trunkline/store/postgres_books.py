"""A PostgreSQL database to be looked through or moved."""

# ruff: noqa: S608 - the parts that texts are built from are names of tables and columns, and the clock

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from trunkline.store import books
from trunkline.store.books import SUMS, TABLES, Pieces, Row, Totals
from trunkline.store.migrations import check_applied
from trunkline.store.postgres_commit import copy
from trunkline.store.postgres_pool import PostgresPool
from trunkline.store.postgres_schema import MIGRATIONS, applied
from trunkline.store.records import Replica, Spend
from trunkline.store.seam import StoreConflictError, StoreError
from trunkline.store.statements import BY

_LONG = 24 * 3600.0
"""Seconds for what looks at every row."""
_PATIENT = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
_LEDGER_SPEND = """SELECT to_char(date '1970-01-01' + floor(started / 86400)::int, 'YYYY-MM-DD'),
    key, coalesce(owner, ''), coalesce(team, ''), model, coalesce(provider, ''),
    count(*), count(*) FILTER (WHERE cost IS NULL), count(*) FILTER (WHERE outcome <> 'ok'),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
    coalesce(sum(cost), 0), coalesce(sum(charged), 0)
    FROM ledger WHERE state <> 'open' GROUP BY 1, 2, 3, 4, 5, 6"""


class PostgresBooks:
    """All of a database."""

    def __init__(self, pool: PostgresPool, clock: str) -> None:
        self._pool = pool
        self._clock = clock

    def lacking(self) -> list[str]:
        """Return the names of steps of the schema that it lacks."""
        known = self._pool.run(lambda connection: applied(connection, self._pool.place))
        check_applied(known, MIGRATIONS, self._pool.place)
        return [step.name for step in MIGRATIONS[len(known) :]]

    def damage(self) -> list[str]:
        """Nothing: PostgreSQL says so itself, when it meets it."""
        return []

    def serving(self, seconds: float) -> list[Replica]:
        """Return the processes that were seen within so long."""
        columns = ", ".join(TABLES["replicas"].columns)
        text = (
            f"SELECT {columns} FROM replicas WHERE NOT lost AND seen > {self._clock} - $1::float8"
        )
        rows = self._pool.run(lambda connection: connection.fetch(text, seconds))
        return [Replica(*row) for row in rows]

    def boots(self) -> set[str]:
        """Return the processes that have joined and not left."""
        return {row[0] for _, rows in self.pieces("replicas") for row in rows}

    def ledger_spend(self) -> list[Spend]:
        """Add up the ended entries of the ledger as spend is."""

        async def work(connection: Any) -> list[Any]:
            await connection.execute(_PATIENT)
            rows: list[Any] = await connection.fetch(_LEDGER_SPEND)
            return rows

        found = self._pool.run(work, writing=True, seconds=_LONG)
        return [Spend(*row[: len(BY)], *map(int, row[len(BY) :])) for row in found]

    def charges(self) -> dict[tuple[str, str, str], int]:
        """Return what each scope and name was charged on each day."""
        return {
            (row[0], row[1], row[2]): row[3] for _, some in self.pieces("charges") for row in some
        }

    def pieces(self, *names: str) -> Iterator[tuple[str, list[Row]]]:
        """Yield all of TABLES, or some, in the order of their keys."""
        for name in names or TABLES:
            table = TABLES[name]
            last: Row | None = None
            places = [table.columns.index(column) for column in table.key]
            while rows := self._some(name, last):
                yield name, rows
                if not places or len(rows) < table.at_once:
                    break
                last = tuple(rows[-1][place] for place in places)

    def _some(self, name: str, last: Row | None) -> list[Row]:
        """Return rows behind the one whose key is `last`."""
        table = TABLES[name]
        text = f"SELECT {', '.join(table.columns)} FROM {name}"
        if last is not None:
            marks = ", ".join(f"${at}" for at in range(1, len(last) + 1))
            text += f" WHERE ({', '.join(table.key)}) > ({marks})"
        if table.key:
            text += f" ORDER BY {', '.join(table.key)} LIMIT {table.at_once}"
        rows = self._pool.run(lambda connection: connection.fetch(text, *(last or ())))
        return [tuple(map(_whole, row)) for row in rows]

    def totals(self) -> Totals:
        """Count rows, and add up SUMS."""
        return self._pool.run(_totals, writing=True, seconds=_LONG)

    def fill(self, pieces: Pieces, expected: Totals) -> None:
        """Take all that another store had, in one transaction."""

        async def work(connection: Any) -> None:
            # Whoever starts to serve meanwhile waits for it.
            await connection.execute("LOCK TABLE access IN ACCESS EXCLUSIVE MODE")
            there = books.taken(await _totals(connection))
            if there:
                raise StoreConflictError(
                    f"The store {self._pool.place} is not empty: it has {', '.join(there)}. Name a "
                    "database that has nothing in it."
                )
            for name, table in TABLES.items():
                if not table.key:
                    await connection.execute(f"DELETE FROM {name}")
            for name, rows in pieces:
                columns = TABLES[name].columns
                await copy(connection, name, [tuple(map(_kept, row)) for row in rows], columns)
            wrong = books.differences(expected, await _totals(connection))
            if wrong:
                raise StoreError(
                    f"The store {self._pool.place} did not get all: {'; '.join(wrong)}. Nothing was kept."
                )

        self._pool.run(work, writing=True, seconds=_LONG)


async def _totals(connection: Any) -> Totals:
    await connection.execute(_PATIENT)
    totals = {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in TABLES}
    for name, column in SUMS:
        text = f"SELECT coalesce(sum({column}), 0) FROM {name}"
        totals[f"{name}.{column}"] = int(await connection.fetchval(text))
    return totals


def _kept(value: Any) -> Any:
    """Return a value as PostgreSQL can keep it: of all that SQLite has, a NUL in a text is what it cannot."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) else value

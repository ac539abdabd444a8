"""How a batch gets into PostgreSQL: entries are copied beside the ledger, and taken over at once.

Copying costs the interpreter least: one pass over tuples that the driver encodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from trunkline.store import postgres_statements as own
from trunkline.store.records import Batch, Entry, Spend
from trunkline.store.seam import StoreError
from trunkline.store.statements import BY
from trunkline.store.sums import Change, change_of, charges_of, corrected

_TURNS = 5
_COLUMNS = Entry.__struct_fields__
_SPEND = Spend.__struct_fields__


class _HasEndedError(Exception):
    """The ledger has an entry of the batch as ended already."""


class _DoneBeforeError(Exception):
    """The journal has reached the batch's position already: nothing of it is to be kept."""


class Committing:
    """One batch, as work for a connection within a transaction."""

    def __init__(self, batch: Batch) -> None:
        """Look at nothing yet."""
        self._batch = batch
        self._careful = False
        self._turns = 0

    def again(self) -> bool:
        """Begin once more, now looking what there is; tells whether that can be of use."""
        self._careful = True
        self._turns += 1
        return self._turns < _TURNS

    async def __call__(self, connection: Any) -> None:
        """Do all of it; raises HasEnded where it has to be begun again."""
        batch = self._batch
        if batch.position <= 0:
            return
        if self._careful:
            await _correct(connection, batch)
        elif len({entry.id for entry in batch.entries}) < len(batch.entries):
            raise HasEnded
        else:
            await _commit(connection, own.COMMIT, batch, batch.entries, change_of(batch))


HasEnded = _HasEndedError
DoneBefore = _DoneBeforeError


def changed(status: str) -> int:
    """Return how many rows a statement changed, of what the server says of it: `UPDATE 3`."""
    return int(status.rpartition(" ")[2])


async def prepare(connection: Any) -> None:
    """Make the place that entries are copied to, once for each connection and outside transactions."""
    await connection.execute(own.MAKE_INCOMING)


async def _correct(connection: Any, batch: Batch) -> None:
    """Commit a batch beside what the ledger has of its calls."""
    ids = [entry.id for entry in batch.entries]
    rows = await connection.fetch(own.KNOWN_ENTRIES, ids)
    right = corrected(batch, [msgspec.convert(tuple(row), Entry) for row in rows])
    await _commit(connection, own.CORRECT, batch, right.entries, right.change)
    for row in right.change.corrected:
        names = msgspec.structs.astuple(row)[: len(BY)]
        await connection.execute(own.DROP_EMPTY_SPEND, *names)


async def _commit(
    connection: Any, statement: str, batch: Batch, entries: list[Entry], change: Change
) -> None:
    """Do it all; raises HasEnded where not all entries could be written."""
    if entries:
        await copy(connection, "incoming", map(msgspec.structs.astuple, entries), _COLUMNS)
    spend = _columns(map(msgspec.structs.astuple, change.spend), len(_SPEND))
    charges = _columns(_sorted(charges_of(change.spend)), 4)
    settled = _columns(_sorted(change.settled), 4)
    advanced, written = await connection.fetchrow(
        statement, batch.journal, batch.position, *spend, *charges, *settled
    )
    if not advanced:
        raise DoneBefore
    if written < len(entries):
        raise HasEnded


def _sorted(sums: Mapping[tuple[str, str, str], int]) -> Iterator[tuple[Any, ...]]:
    return ((*place, sums[place]) for place in sorted(sums))


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    """Return rows as columns, of which there are as many where there is no row."""
    return list(zip(*rows, strict=True)) or [()] * width


async def copy(
    connection: Any, table: str, rows: Iterable[tuple[Any, ...]], columns: Sequence[str]
) -> None:
    """Add rows to a table, as fast as can be."""
    try:
        await connection.copy_records_to_table(table, records=rows, columns=columns)
    except TypeError as error:
        raise ValueError from error  # as the driver says of other values


def refused(place: str) -> StoreError:
    """Return what is said where others changed the same entries again and again."""
    return StoreError(
        f"The store {place}: others write the same calls all the time; it is tried again by itself."
    )

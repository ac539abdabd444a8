"""How a batch gets into PostgreSQL: entries are copied beside the ledger, and taken over at once.

Copying costs the interpreter least: one pass over tuples that the driver encodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from trunkline.store import postgres_statements as own
from trunkline.store.records import Batch, Entry
from trunkline.store.seam import StoreError
from trunkline.store.statements import BY
from trunkline.store.sums import Change, change_of, charges_of, corrected

_TURNS = 5
_COLUMNS = Entry.__struct_fields__


class _HasEndedError(Exception):
    """The ledger has an entry of the batch as ended already."""


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
        if batch.position <= 0 or not changed(
            await connection.execute(own.ADVANCE, batch.journal, batch.position)
        ):
            return
        change = await (_corrected if self._careful else _added)(connection, batch)
        await _add_up(connection, change)


HasEnded = _HasEndedError


def changed(status: str) -> int:
    """Return how many rows a statement changed, of what the server says of it: `UPDATE 3`."""
    return int(status.rpartition(" ")[2])


async def prepare(connection: Any) -> None:
    """Make the place that entries are copied to, once for each connection and outside transactions."""
    await connection.execute(own.MAKE_INCOMING)


async def _added(connection: Any, batch: Batch) -> Change:
    """Write entries that are new, or open in the ledger."""
    entries = batch.entries
    if len({entry.id for entry in entries}) < len(entries):
        raise HasEnded
    if await _take(connection, entries, own.ADD_ENTRIES) < len(entries):
        raise HasEnded
    return change_of(batch)


async def _corrected(connection: Any, batch: Batch) -> Change:
    """Write entries beside what the ledger has of their calls."""
    ids = [entry.id for entry in batch.entries]
    rows = await connection.fetch(own.KNOWN_ENTRIES, ids)
    right = corrected(batch, [msgspec.convert(tuple(row), Entry) for row in rows])
    if await _take(connection, right.entries, own.CORRECT_ENTRIES) < len(right.entries):
        raise HasEnded  # another process has written one since
    return right.change


async def _take(connection: Any, entries: list[Entry], statement: str) -> int:
    """Write entries to the ledger, and return how many of them were."""
    if not entries:
        return 0
    await copy(connection, "incoming", map(msgspec.structs.astuple, entries), _COLUMNS)
    return changed(await connection.execute(statement))


async def copy(
    connection: Any, table: str, rows: Iterable[tuple[Any, ...]], columns: Sequence[str]
) -> None:
    """Add rows to a table, as fast as can be."""
    try:
        await connection.copy_records_to_table(table, records=rows, columns=columns)
    except TypeError as error:
        raise ValueError from error  # as the driver says of other values


async def _add_up(connection: Any, change: Change) -> None:
    """Add to spend, to what budgets count, and to what processes were charged."""
    if change.spend:
        rows = map(msgspec.structs.astuple, change.spend)
        await connection.execute(own.ADD_SPEND, *zip(*rows, strict=True))
    for row in change.corrected:
        names = msgspec.structs.astuple(row)[: len(BY)]
        await connection.execute(own.DROP_EMPTY_SPEND, *names)
    for statement, sums in (
        (own.ADD_CHARGES, charges_of(change.spend)),
        (own.SETTLE, change.settled),
    ):
        if sums:
            # In the order of their keys, so that two that add to the same rows cannot deadlock.
            columns = zip(*((*place, sums[place]) for place in sorted(sums)), strict=True)
            await connection.execute(statement, *columns)


def refused(place: str) -> StoreError:
    """Return what is said where others changed the same entries again and again."""
    return StoreError(
        f"The store {place}: others write the same calls all the time; it is tried again by itself."
    )

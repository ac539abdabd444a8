"""Entries, spend and charges as rows of the SQLite store and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, compress, cycle
from typing import Any

import msgspec

from trunkline.store.records import Entry, Spend
from trunkline.store.rows import read
from trunkline.store.sqlite_statements import MILL

_STREAM = Entry.__struct_fields__.index("stream")
_WIDTH = len(Entry.__struct_fields__)


def read_entry(row: Sequence[Any]) -> Entry:
    """Return a row of the ledger as an entry."""
    fields = list(row)
    fields[_STREAM] = bool(fields[_STREAM])
    return msgspec.convert(fields, Entry)


def written_entries(entries: Iterable[Entry]) -> list[Any]:
    """Return the fields of entries, one entry after the other."""
    fields = list(chain.from_iterable(map(msgspec.structs.astuple, entries)))
    # Whatever is not exactly a number or a text takes the module a search for adapters.
    fields[_STREAM::_WIDTH] = map(int, fields[_STREAM::_WIDTH])
    return fields


def without_unset(fields: list[Any], width: int) -> tuple[tuple[int, ...], list[Any]]:
    """Return which columns are None in every row, and the fields of all the others."""
    rows = len(fields) // width
    unset = tuple(
        at for at in range(width) if fields[at] is None and fields[at::width].count(None) == rows
    )
    if not unset:
        return unset, fields
    kept = [at not in unset for at in range(width)]
    return unset, list(compress(fields, cycle(kept)))


def written_spend(rows: Iterable[Spend]) -> list[Any]:
    """Return the fields of spend, one row after the other, each sum of money as two numbers."""
    fields: list[Any] = []
    for row in rows:
        *plain, cost, charged = msgspec.structs.astuple(row)
        fields += (*plain, *divmod(cost, MILL), *divmod(charged, MILL))
    return fields


def written_charges(charges: Mapping[tuple[str, str, str], int]) -> list[Any]:
    """Return what scopes were charged on days, one row after the other."""
    fields: list[Any] = []
    for place, amount in charges.items():
        fields += (*place, *divmod(amount, MILL))
    return fields


def read_spend(row: Sequence[Any]) -> Spend:
    """Return a row of spend, the two parts of each sum of money put together."""
    *plain, cost, cost_rest, charged, charged_rest = row
    return read(Spend, (*plain, cost * MILL + cost_rest, charged * MILL + charged_rest))

"""Records as rows of a table, of whichever store, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

_R = TypeVar("_R", bound=msgspec.Struct)
_NESTED = frozenset({"scope", "limits", "budgets"})
"""Columns that hold JSON."""


def written(record: msgspec.Struct) -> list[Any]:
    """Return a record's fields in their order, the nested ones as JSON."""
    return [
        msgspec.json.encode(value).decode() if name in _NESTED else value
        for name, value in zip(
            record.__struct_fields__, msgspec.structs.astuple(record), strict=True
        )
    ]


def read(kind: type[_R], row: Sequence[Any]) -> _R:
    """Return the record that a row was written from."""
    named = {
        name: msgspec.json.decode(value) if name in _NESTED else value
        for name, value in zip(kind.__struct_fields__, row, strict=True)
    }
    return msgspec.convert(named, kind)

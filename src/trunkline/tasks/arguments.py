"""The checks of arguments that the tasks share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trunkline.errors import InvalidInputError

if TYPE_CHECKING:
    from trunkline.media import Wanted
    from trunkline.types.media import Blob


def text(value: Any, name: str) -> str:
    """Return a text; raises InvalidInputError for anything else."""
    if not isinstance(value, str):
        raise wrong(value, name, "a string is expected")
    return value


def texts(value: Any, name: str, *, alone: bool = False) -> list[str]:
    """Return a list of texts; raises InvalidInputError, saying which one is none.

    `alone` tells that a text alone would have done as well.
    """
    if isinstance(value, str):
        raise wrong(value, name, "a list of strings is expected", f"Write [{value!r:.40}] for one.")
    if isinstance(value, bytes) or not isinstance(value, Sequence):
        countable = isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping))
        hint = f"list({name}) makes one of it." if countable else None
        or_one = "a string, or " if alone else ""
        raise wrong(value, name, f"{or_one}a list of strings is expected", hint)
    if not value:
        raise InvalidInputError(f"{name} is empty.", hint="Give at least one string.")
    return [text(item, f"{name}[{place}]") for place, item in enumerate(value)]


def some_texts(value: Any, name: str) -> list[str] | None:
    """Return a list of texts, an empty one too, or None where none was given; raises as `texts`."""
    return value if value is None or value == [] else texts(value, name)


def wrong(value: Any, name: str, expected: str, hint: str | None = None) -> InvalidInputError:
    """Return the error for an argument of another type than expected."""
    kind = type(value).__name__
    what = "None" if value is None else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    return InvalidInputError(f"{name} is {what}; {expected}.", hint=hint)


def table(value: Any, name: str) -> dict[str, list[Any]]:
    """Return a table as columns: from a mapping of columns, rows as mappings, or a DataFrame.

    Raises InvalidInputError for anything else, and for columns of different lengths.
    """
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a DataFrame of any library
        value = {str(column): _values(value[column]) for column in value.columns}
    if isinstance(value, Sequence) and value and all(isinstance(row, Mapping) for row in value):
        names = list(dict.fromkeys(key for row in value for key in row))
        value = {key: [row.get(key) for row in value] for key in names}
    if not isinstance(value, Mapping) or not value:
        raise wrong(
            value, name, "columns ({name: [values]}), rows as dicts or a DataFrame are expected"
        )
    columns = {str(key): _column(column, str(key)) for key, column in value.items()}
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidInputError(f"{name}: its columns have different lengths: {lengths}.")
    if not any(lengths.values()):
        raise InvalidInputError(f"{name} has no rows.")
    return columns


def _column(column: Any, name: str) -> list[Any]:
    if hasattr(column, "tolist"):
        column = _values(column)
    if isinstance(column, (str, bytes)) or not isinstance(column, Sequence):
        raise wrong(column, f"Column {name!r}", "a list is expected")
    return list(column)


def _values(column: Any) -> list[Any]:
    """Return an array's or a Series' values; its own numbers are none that JSON knows."""
    return list(column.tolist() if hasattr(column, "tolist") else column)


def plain_table(value: Any, name: str) -> dict[str, list[Any]]:
    """Return a table of texts and finite numbers, with None for what is missing; raises as `table`."""
    columns = table(value, name)
    for key, column in columns.items():
        for place, cell in enumerate(column):
            at = f"Row {place} of column {key!r}"
            if not (cell is None or isinstance(cell, (str, int, float))):
                raise wrong(cell, at, "text or a number is expected")
            if isinstance(cell, float) and not math.isfinite(cell):
                raise InvalidInputError(
                    f"{at} is {cell}, which JSON cannot say.",
                    hint="Write None where a value is missing.",
                )
    return columns


def text_table(value: Any, name: str) -> dict[str, list[str]]:
    """Return a table of texts, empty where a value is missing; raises as `table`."""
    return {key: [_shown(cell) for cell in column] for key, column in table(value, name).items()}


def _shown(cell: Any) -> str:
    missing = cell is None or (isinstance(cell, float) and math.isnan(cell))
    return "" if missing else str(cell)


def size(value: Any, name: str) -> dict[str, int] | None:
    """Return a size in pixels as `{"width", "height"}`, from that, a pair or "640x360"."""
    if value is None:
        return None
    if isinstance(value, str):
        parts: Any = value.lower().split("x")
    elif isinstance(value, Mapping):
        parts = [value.get("width"), value.get("height")]
    else:
        parts = list(value) if isinstance(value, Sequence) else []
    try:
        width, height = (_pixels(part) for part in parts)
    except (TypeError, ValueError):
        width = height = 0
    if width < 1 or height < 1:
        raise InvalidInputError(f"{name} is {value!r:.60}; a size such as '640x360' is expected.")
    return {"width": width, "height": height}


def _pixels(part: Any) -> int:
    if isinstance(part, float) and not part.is_integer():
        raise ValueError(part)
    return int(part)


def blob(source: Any, wanted: Wanted, options: Mapping[str, Any], **how: Any) -> Blob:
    """Return a file from whatever the caller has; raises InvalidInputError before it is sent."""
    from trunkline.media import blob as make_blob  # loads what chats need none of

    most = options.get("max_bytes")
    return make_blob(source, wanted, **how, **({} if most is None else {"max_bytes": most}))

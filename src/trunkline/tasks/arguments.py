"""The checks of arguments that the tasks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trunkline.errors import InvalidInputError

if TYPE_CHECKING:
    from trunkline.media import Wanted
    from trunkline.types.media import Blob


def text(value: Any, name: str) -> str:
    """Return a text; raises InvalidInputError for anything else."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} is a {type(value).__name__}; a string is expected.")
    return value


def texts(value: Any, name: str, *, least: int = 1) -> list[str]:
    """Return a list of texts; raises InvalidInputError, saying which one is none."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise InvalidInputError(
            f"{name} is a {type(value).__name__}; a list of strings is expected."
        )
    if len(value) < least:
        raise InvalidInputError(f"{name} is empty.", hint="Give at least one string.")
    return [text(item, f"{name}[{place}]") for place, item in enumerate(value)]


def table(value: Any, name: str) -> dict[str, list[Any]]:
    """Return a table as columns: from a mapping of columns, rows as mappings, or a DataFrame.

    Raises InvalidInputError for anything else, and for columns of different lengths.
    """
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a DataFrame of any library
        value = {str(column): list(value[column]) for column in value.columns}
    if isinstance(value, Sequence) and value and all(isinstance(row, Mapping) for row in value):
        names = list(dict.fromkeys(key for row in value for key in row))
        value = {key: [row.get(key) for row in value] for key in names}
    if not isinstance(value, Mapping) or not value:
        raise InvalidInputError(
            f"{name} is a {type(value).__name__}; columns ({{name: [values]}}), rows as dicts or a "
            "DataFrame are expected."
        )
    columns = {str(key): _column(column, str(key)) for key, column in value.items()}
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidInputError(f"{name}: its columns have different lengths: {lengths}.")
    return columns


def _column(column: Any, name: str) -> list[Any]:
    if isinstance(column, (str, bytes)) or not isinstance(column, Sequence):
        raise InvalidInputError(
            f"Column {name!r} is a {type(column).__name__}; a list is expected."
        )
    return list(column)


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
        width, height = (int(part) for part in parts)
    except (TypeError, ValueError):
        width = height = 0
    if width < 1 or height < 1:
        raise InvalidInputError(f"{name} is {value!r:.60}; a size such as '640x360' is expected.")
    return {"width": width, "height": height}


def blob(source: Any, wanted: Wanted, options: Mapping[str, Any], **how: Any) -> Blob:
    """Return a file from whatever the caller has; raises InvalidInputError before it is sent."""
    from trunkline.media import blob as make_blob  # loads what chats need none of

    most = options.get("max_bytes")
    return make_blob(source, wanted, **how, **({} if most is None else {"max_bytes": most}))

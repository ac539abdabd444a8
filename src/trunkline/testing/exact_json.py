"""JSON read only where writing it again says the same, and written so that people can read it."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any, NoReturn

NOT_JSON: Any = type("NotJson", (), {"__repr__": lambda _: "NOT_JSON"})()
"""What a text is read as that is no JSON, or more than its value."""

_WIDTH = 96


class _InexactError(ValueError):
    """Something would be lost."""


def read_exact(text: str) -> Any:
    """Return the value of a JSON text, or NOT_JSON where anything but white space would be lost.

    Keys that are there twice, numbers beyond a float and halves of surrogate pairs would be.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse
        )
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return NOT_JSON
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _InexactError
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or Decimal(text) != Decimal(repr(value)):
        raise _InexactError
    return value


def _refuse(_: str) -> NoReturn:
    raise _InexactError


def pretty(value: Any, indent: int = 0) -> str:
    """Write a value: what fits into a line on one, and numbers side by side however many."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or _on_one_line(value, line, indent):
        return line
    inside = " " * (indent + 2)
    if isinstance(value, dict):
        rows = [
            f"{inside}{json.dumps(key, ensure_ascii=False)}: {pretty(inner, indent + 2)}"
            for key, inner in value.items()
        ]
        return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
    rows = [inside + pretty(inner, indent + 2) for inner in value]
    return "[\n" + ",\n".join(rows) + "\n" + " " * indent + "]"


def _on_one_line(value: Any, line: str, indent: int) -> bool:
    if isinstance(value, list) and all(isinstance(inner, (int, float)) for inner in value):
        return True
    return indent > 2 and len(line) + indent <= _WIDTH

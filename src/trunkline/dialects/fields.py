"""Optional fields of a decoded answer: taken out where they have their type, else left as extras.

For what a result can do without; what it cannot is read with `answer_parts`.
"""

from __future__ import annotations

import math
from typing import Any


def take_text(row: dict[str, Any], name: str) -> str | None:
    """Take a text out of `row`; a null goes, anything else stays there."""
    return row.pop(name, None) if isinstance(row.get(name), str | None) else None


def take_count(row: dict[str, Any], name: str) -> int | None:
    """Take a whole number from 0 out of `row`; a null goes, anything else stays there."""
    value = row.get(name)
    return row.pop(name, None) if value is None or is_count(value) else None


def take_number(row: dict[str, Any], name: str) -> float | None:
    """Take a finite number out of `row`; a null goes, anything else stays there."""
    value = row.get(name)
    return row.pop(name, None) if value is None or is_number(value) else None


def is_count(value: Any) -> bool:
    """Tell whether a decoded value is a whole number from 0."""
    return type(value) is int and value >= 0


def is_number(value: Any) -> bool:
    """Tell whether a decoded value is a finite number."""
    return type(value) is int or (type(value) is float and math.isfinite(value))

"""Values that are odd wherever they stand, and JSON in which one value is such a one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

ODD: tuple[Any, ...] = (
    *([], {}, [[]], [{}], {"type": []}, {"type": {}}, {"a": {}}, [None]),
    *(0, -1, 1e300, "", "x", True, None, "\ud800"),
)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the ways to all values within a value."""
    if way:
        yield way
    for key in value if isinstance(value, dict) else range(isinstance(value, list) and len(value)):
        yield from places(value[key], (*way, key))


def with_another(body: dict[str, Any], way: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = place = copy.deepcopy(body)
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = value
    return changed

"""Strings and numbers that fit their part of a JSON schema."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard

from trunkline.sandbox.patterns import text_for

Pick: TypeAlias = Callable[[int], int]
"""Chooses one of so many, always the same for the same seed and place."""

_LONGEST = 100_000

_FORMATS = {
    "date": "2026-10-1{}",
    "date-time": "2026-10-29T12:00:0{}Z",
    "duration": "PT{}H",
    "email": "someone{}@example.org",
    "hostname": "host{}.example.org",
    "idn-email": "someone{}@example.org",
    "idn-hostname": "host{}.example.org",
    "ipv4": "192.0.2.{}",
    "ipv6": "2001:db8::{}",
    "iri": "https://example.org/{}",
    "json-pointer": "/simulated/{}",
    "regex": "^simulated{}$",
    "time": "12:00:0{}Z",
    "uri": "https://example.org/{}",
    "uri-reference": "/simulated/{}",
    "url": "https://example.org/{}",
    "uuid": "00000000-0000-4000-8000-00000000000{}",
}


class Hints:
    """Words and numbers of a conversation, which values are made of first while they last."""

    def __init__(self, words: list[str] | None = None, numbers: list[float] | None = None) -> None:
        """Take them in the order in which they shall be used."""
        self.words = list(words or [])
        self.numbers = list(numbers or [])


def text(schema: dict[str, Any], name: str, pick: Pick, hints: Hints) -> str:
    """Return a string that fits `schema`; `name` is the property's."""
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        found = text_for(pattern, pick)
        if found is not None:
            return found
    formatted = _FORMATS.get(str(schema.get("format")))
    if formatted:
        return formatted.format(pick(10))
    said = hints.words.pop(0) if hints.words else f"simulated {name}"
    low = min(count(schema, "minLength", 0), _LONGEST)
    return (said + "." * (low - len(said)))[: count(schema, "maxLength", _LONGEST)]


def number(schema: dict[str, Any], pick: Pick, hints: Hints) -> float:
    """Return a number that fits `schema`."""
    step = _step(schema)
    if hints.numbers and _fits(hints.numbers[0], schema, step):
        hint = hints.numbers.pop(0)
        return int(hint) if step == int(step) and hint == int(hint) and step else hint
    low, high = _bounds(schema)
    if not step:
        return low if low == high else low + (high - low) * (pick(10) + 1) / 12
    first = math.ceil(low / step)
    last = math.floor(high / step)
    first += first * step == low and _excluded(schema, "exclusiveMinimum", "minimum")
    last -= last * step == high and _excluded(schema, "exclusiveMaximum", "maximum")
    found = (first + pick(max(min(last - first, 99), 0) + 1)) * step
    return int(found) if step == int(step) else round(found, 12)


def count(schema: dict[str, Any], name: str, default: int) -> int:
    """Return a whole number that `schema` gives under `name`."""
    told = schema.get(name)
    return int(told) if _is_number(told) and told >= 0 else default


def _step(schema: dict[str, Any]) -> float:
    """Return what the number is a multiple of, 0 for anything."""
    told = schema.get("multipleOf")
    step = told if _is_number(told) and told > 0 else 0
    if schema.get("type") != "integer":
        return step
    return step if step and step == int(step) else 1


def _bounds(schema: dict[str, Any]) -> tuple[float, float]:
    lows = [v for name in ("minimum", "exclusiveMinimum") if _is_number(v := schema.get(name))]
    highs = [v for name in ("maximum", "exclusiveMaximum") if _is_number(v := schema.get(name))]
    if not lows:
        return (min(highs) - 100, min(highs)) if highs else (0, 100)
    return max(lows), min(highs) if highs else max(lows) + 100


def _excluded(schema: dict[str, Any], name: str, plain: str) -> bool:
    """Tell whether a bound itself is out; older drafts say so with a flag."""
    bound, own = schema.get(name), schema.get(plain)
    if isinstance(bound, bool):
        return bound
    if not _is_number(bound):
        return False
    if not _is_number(own):
        return True
    return bound >= own if name == "exclusiveMinimum" else bound <= own


def _fits(value: float, schema: dict[str, Any], step: float) -> bool:
    low, high = _bounds(schema)
    open_low = not any(_is_number(schema.get(n)) for n in ("minimum", "exclusiveMinimum"))
    open_high = not any(_is_number(schema.get(n)) for n in ("maximum", "exclusiveMaximum"))
    inside = (open_low or low < value) and (open_high or value < high)
    return inside and (not step or value % step == 0)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

"""Which recorded request another one is, and in what they differ. Pure values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

Match = Literal["strict", "lenient"]
Written = dict[str, Any]
"""A request as a cassette has it."""

BODIES = ("json", "form", "text", "base64")
_MOST = 6
"""Differences that are told."""
_LONGEST = 120
_MISSING = object()


def same(recorded: Written, asked: Written) -> bool:
    """Tell whether two requests have the same method, URL and body; JSON counts by its value."""
    names = ("method", "url", *BODIES)
    return all(_equal(recorded.get(n, _MISSING), asked.get(n, _MISSING)) for n in names)


def alike(recorded: Written, asked: Written) -> bool:
    """Tell whether two requests have the same method, path and model."""
    return _likeness(recorded) == _likeness(asked)


def _likeness(request: Written) -> tuple[str, str, Any]:
    _, _, rest = request["url"].partition("://")
    path = rest.partition("/")[2].partition("?")[0]
    return request["method"], path, model_of(request)


def model_of(request: Written) -> Any:
    """Return the model that a request's body names; None where it names none."""
    body = request.get("json")
    if isinstance(body, dict):
        return body.get("model")
    fields = [part for part in request.get("form", ()) if part.get("name") == "model"]
    return fields[0].get("text") if fields else None


def _equal(one: Any, other: Any) -> bool:
    """Compare JSON values: 1 is 1.0, but true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_equal(a, b) for a, b in pairs)
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def differences(recorded: Written, asked: Written) -> list[tuple[str, Any, Any]]:
    """Return where two requests differ: the place, what was recorded, and what is asked."""
    found: list[tuple[str, Any, Any]] = []
    for name in ("method", "url", *BODIES):
        pair = recorded.get(name, _MISSING), asked.get(name, _MISSING)
        found += _differences("body" if name in BODIES else name, *pair)
    return found


def _differences(place: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            pair = one.get(key, _MISSING), other.get(key, _MISSING)
            yield from _differences(f"{place}.{key}", *pair)
    elif isinstance(one, list) and isinstance(other, list):
        for at in range(max(len(one), len(other))):
            here, there = (side[at] if at < len(side) else _MISSING for side in (one, other))
            yield from _differences(f"{place}[{at}]", here, there)
    elif not _equal(one, other):
        yield place, one, other


def told(found: list[tuple[str, Any, Any]]) -> tuple[str, ...]:
    """Return differences in words."""
    lines = [
        f"{place}: {_shown(one)} was recorded, {_shown(two)} is asked" for place, one, two in found
    ]
    if len(lines) > _MOST:
        lines[_MOST:] = [f"and {len(lines) - _MOST} more"]
    return tuple(lines)


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def line_of(request: Written) -> str:
    """Return a request in a line."""
    model = model_of(request)
    said = f"{request['method']} {request['url']}"
    return f"{said} (model {model!r})" if model is not None else said


def nearness(recorded: Written, asked: Written) -> tuple[bool, bool, int]:
    """Return how near two requests are, to be compared; the larger, the nearer."""
    return (
        alike(recorded, asked),
        recorded["method"] == asked["method"],
        -len(differences(recorded, asked)),
    )

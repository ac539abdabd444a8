"""JSON in and out, strictly: what cannot be said in JSON is an error and never a null."""

from __future__ import annotations

import math
import re
from typing import Any, TypeVar

import msgspec

MAX_DEPTH = 128

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class JsonError(ValueError):
    """The bytes are not JSON, or the value cannot be written as JSON."""


def encode(value: Any) -> bytes:
    """Write `value` as compact JSON.

    Raises JsonError, naming the place, for NaN, infinities and objects that JSON cannot hold.
    """
    try:
        text = _encoder.encode(value)
        # msgspec writes NaN as null; only then is it worth a walk
        place = _not_finite(value, "") if b"null" in text else None
    except (TypeError, ValueError, RecursionError) as error:
        raise JsonError(_reason(value, str(error))) from error
    if place:
        raise JsonError(f"{place} is not a finite number")
    return text


def decode(data: bytes | str) -> Any:
    """Read one JSON value; raises JsonError (too deep a nesting included)."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JsonError(str(error)) from error


_LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def decode_repaired(data: bytes) -> Any:
    """Read JSON whose text is damaged; raises JsonError where it is still no JSON.

    Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, NaN and infinities None.
    Only for what servers send; models do cut characters in half.
    """
    import json  # slow to load and rarely needed

    text = _LONE_SURROGATE.sub(r"\\ufffd", data.decode("utf-8", "replace"))
    try:
        return json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise JsonError(str(error)) from error


def decode_sent(data: bytes) -> Any:
    """Read JSON that a server sent, repaired where it is damaged; raises JsonError as `decode`."""
    try:
        return decode(data)
    except JsonError as error:
        try:
            return decode_repaired(data)
        except JsonError:
            raise error from None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_SHORT = 8192
"""Bytes up to which a value is written again, to see that it is the same."""
_FEW = 1000
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def decode_strict(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Read JSON that a client sent, refusing what parsers disagree about.

    Raises JsonError for bytes that are not UTF-8 (naming the offset), NaN and infinities, keys that
    are there twice, and a nesting deeper than `max_depth`.
    """
    try:
        value = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JsonError(_not_utf8(data) or str(error)) from error
    short = len(data) <= _SHORT and data.count(b"{") + data.count(b"[") <= max_depth
    if short and _encoder.encode(value) == data:
        # written again it is the same to the letter, so no key was dropped: most clients write so
        return value
    keys, texts = _walk(value, max_depth)
    # each pair has a colon, so one that was dropped for its key leaves a colon too many; only
    # where those in strings make the count unsure are the strings taken out first, which is slow
    colons = _colons(data, b":")
    in_texts = sum([_colons(text, ":") for text in texts if ":" in text])
    if colons == keys or (colons == keys + in_texts and not _may_escape_colons(data)):
        return value
    if _STRINGS.sub(b"", data).count(b":") != keys:
        raise JsonError(f"{_repeated_key(data)} is there twice")
    return value


_Sought = TypeVar("_Sought", bytes, str)


def _colons(data: _Sought, colon: _Sought) -> int:
    """Count colons; a few in a long text are found much faster than all of it is counted through."""
    if len(data) <= _SHORT:
        return data.count(colon)
    found, at = 0, data.find(colon)
    while at >= 0:
        found += 1
        if found > _FEW:
            return found + data.count(colon, at + 1)
        at = data.find(colon, at + 1)
    return found


def _not_utf8(data: bytes) -> str | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not UTF-8"
    return None


def _walk(value: Any, max_depth: int) -> tuple[int, list[str]]:
    """Return how many keys all objects in `value` have, and its texts.

    Raises JsonError where it is deeper than `max_depth`.
    """
    keys = 0
    texts: list[str] = []
    level: list[Any] = [[value]]
    for _ in range(max_depth + 1):
        deeper: list[Any] = []
        for item in level:
            values = item
            if type(item) is dict:
                keys += len(item)
                values = item.values()
            for inner in values:
                kind = type(inner)
                if kind is str:
                    texts.append(inner)
                elif kind is dict or kind is list:
                    deeper.append(inner)
        if not deeper:
            return keys, texts
        level = deeper
    raise JsonError(f"brackets nest deeper than {max_depth}")


def _may_escape_colons(data: bytes) -> bool:
    # each search is slower than the one before, and most texts are ruled out by the first two
    if b"\\" not in data or b"\\u003" not in data:
        return False
    return b"\\u003a" in data or b"\\u003A" in data


def _repeated_key(data: bytes) -> str:
    import json  # slow to load and rarely needed

    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found.append(key)
            seen.add(key)

    json.loads(data, object_pairs_hook=note)
    return f"the key {found[0]!r}" if found else "a key"


def _not_finite(value: Any, path: str) -> str | None:
    """Return the path of the first NaN or infinity in `value`."""
    if isinstance(value, float):
        return None if math.isfinite(value) else (path or "the value")
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, item in items:
        found = _not_finite(item, f"{path}.{key}" if path else str(key))
        if found:
            return found
    return None


def _reason(value: Any, text: str) -> str:
    if isinstance(value, dict):
        for key, item in value.items():
            try:
                _encoder.encode(item)
            except (TypeError, ValueError, RecursionError):
                return f"{key}: {text}"
    return text

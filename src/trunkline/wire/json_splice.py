"""A few keys of a JSON object exchanged in its bytes; every other byte stays as it was.

So numbers keep their digits and objects their order. Knows neither what keys mean nor who sent them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from trunkline.wire.strict_json import JsonError, encode

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = rb'[^"{}\[\]]*+(?:' + _TEXT + rb'[^"{}\[\]]*+)*+'
"""Anything without brackets, but for those in texts."""
_VALUE = rb"\s*:\s*(" + _TEXT + rb'|[^"{}\[\],\s]++)'
_TO_THE_END = _FLAT + rb"(?:[{\[]" + _FLAT + rb"[}\]]" + _FLAT + rb")*+\}\s*"

_PLAIN = re.compile(_VALUE, re.DOTALL)
"""What follows a key: a colon, and a text, a number or a word."""
_LAST = re.compile(_VALUE + _TO_THE_END, re.DOTALL)
"""The same, and all that follows up to the end of the object which the key belongs to."""
_NEAR = 4096
"""Bytes that are copied, or looked through, in no time."""

_KEY = re.compile(rb"\s*([{,])\s*" + _TEXT + rb"\s*:\s*", re.DOTALL)


def splice(body: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """Return the JSON object `body` with other values for some of its own keys.

    A value is JSON, and replaces the one that is there or is added at the end; None removes the
    key. `body` has been decoded strictly; raises JsonError where it is no object.
    """
    if len(changes) == 1:
        ((key, value),) = changes.items()
        span = None if value is None else span_of(body, key)
        if span and value is not None:
            view = _sliced(body)
            return b"".join((view[: span[0]], value, view[span[1] :]))
    return _edited(body, _edits(body, changes))


def span_of(body: bytes, key: str) -> tuple[int, int] | None:
    """Return where the value of a key of the JSON object `body` begins and ends; None without it.

    Keys within its values do not count. `body` has been decoded strictly; raises JsonError where it
    is no object.
    """
    span = _glance(body, key)
    if span is None:
        for member in _members(body):
            if member.key == key:
                return member.start, member.end
    return span


def _glance(body: bytes, key: str) -> tuple[int, int] | None:
    """Return the span of a plain value that stands first in `body`, or near its end; else None.

    A quote within a text has a backslash before it, and behind one that ends a text comes no
    letter: any other quote before a name begins a text. It is a key if a colon follows, and one of
    the outermost object if that ends where the brackets behind it say.
    """
    if not key.isidentifier():
        return None
    quoted = f'"{key}"'.encode()
    if body.startswith(quoted, 1):
        found = _PLAIN.match(body, len(quoted) + 1) if body[0] == ord("{") else None
    else:
        at = body.rfind(quoted, -_NEAR)
        if at < 1 or body[at - 1] == ord("\\"):
            return None
        found = _LAST.fullmatch(body, at + len(quoted))
    return found.span(1) if found else None


class _Member(msgspec.Struct, frozen=True, gc=False):
    """A key of the outermost object and its value."""

    key: str
    opening: int
    """Where the brace or the comma before it is."""
    start: int
    """Where its value begins and ends."""
    end: int


def _members(body: bytes) -> Iterator[_Member]:
    """Find the keys of `body` in order; raises JsonError where it is no object."""
    try:
        values = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JsonError(str(error)) from error
    end = 0
    for key, value in values.items():
        found = _KEY.match(body, end)
        if found is None:
            raise JsonError("a key is there twice")
        start = found.end()
        end = start + len(value)
        yield _Member(key, found.start(1), start, end)


_Edit = tuple[int, int, bytes]
"""Where a stretch begins and ends, and what takes its place."""


def _edits(body: bytes, changes: Mapping[str, bytes | None]) -> list[_Edit]:
    """Return what to do to `body`, from its beginning to its end."""
    members = list(_members(body))
    closing = body.rindex(b"}")
    borders = [*(member.opening for member in members), closing][1:]
    edits: list[_Edit] = []
    kept = False
    for member, border in zip(members, borders, strict=True):
        value = changes.get(member.key)
        if member.key not in changes:
            kept = True
        elif value is not None:
            kept = True
            edits.append((member.start, member.end, value))
        elif kept:  # a pair goes with the comma before it, or the one behind if it is the first
            edits.append((member.opening, border, b""))
        else:
            edits.append((member.opening + 1, border + (border != closing), b""))
    there = {member.key for member in members}
    added = [
        encode(key) + b":" + value
        for key, value in changes.items()
        if value is not None and key not in there
    ]
    if added:
        edits.append((closing, closing, b"," * kept + b",".join(added)))
    return edits


def _edited(body: bytes, edits: list[_Edit]) -> bytes:
    view = _sliced(body)
    pieces: list[bytes | memoryview] = []
    at = 0
    for start, end, text in edits:
        pieces += (view[at:start], text)
        at = end
    pieces.append(view[at:])
    return b"".join(pieces)


def _sliced(body: bytes) -> bytes | memoryview:
    """Return what is cheapest to take slices of: those of a view copy nothing, but take longer."""
    return body if len(body) < _NEAR else memoryview(body)

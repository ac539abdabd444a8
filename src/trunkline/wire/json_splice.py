"""A few keys of a JSON object exchanged in its bytes; every other byte stays as it was.

So numbers keep their digits and objects their order. Knows neither what keys mean nor who sent them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from trunkline.wire.strict_json import JsonError, encode

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = rb'[^"{}\[\]]*+(?:' + _TEXT + rb'[^"{}\[\]]*+)*+'
"""Anything without brackets but those in texts."""
_VALUE = rb"\s*:\s*(" + _TEXT + rb'|[^"{}\[\],\s]++)'
_PAIR = re.compile(_VALUE, re.DOTALL)
_LAST_PAIRS = re.compile(
    _VALUE + _FLAT + rb"(?:[{\[]" + _FLAT + rb"[}\]]" + _FLAT + rb")*+\}\s*", re.DOTALL
)
"""A pair's colon and value, and all behind it up to the end of the object that it belongs to."""
_NEAR_END = 4096

_KEY = re.compile(rb"[{,]\s*" + _TEXT + rb"\s*:\s*", re.DOTALL)
_SPACE = re.compile(rb"\s*")


def splice(body: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """Return the JSON object `body` with other values for some of its own keys.

    A value is JSON, and replaces the one that is there or is added at the end; None removes the
    key. `body` has been decoded strictly; raises JsonError where it is no object.
    """
    if len(changes) == 1:
        ((key, value),) = changes.items()
        span = _glance(body, key)
        if span is not None and value is not None:
            return _edited(body, [(*span, value)])
    return _edited(body, _edits(body, changes))


def span_of(body: bytes, key: str) -> tuple[int, int] | None:
    """Return where the value of a key of the JSON object `body` begins and ends; None without it.

    Keys within its values do not count. `body` has been decoded strictly; raises JsonError where it
    is no object.
    """
    span = _glance(body, key)
    if span is not None:
        return span
    found = (member for member in _members(body)[0] if member.key == key)
    return next(((member.start, member.end) for member in found), None)


def _glance(body: bytes, key: str) -> tuple[int, int] | None:
    """Return the span of a plain value that stands first in `body`, or near its end; else None.

    Within a text a quote has a backslash before it, and a quote that ends a text is followed by no
    letter. So what looks like a key is one; it belongs to the outermost object if that is where the
    brackets behind it end.
    """
    if not key.isidentifier():
        return None
    quoted = b'"%b"' % key.encode()
    if body.startswith(quoted, 1):
        found = _PAIR.match(body, len(quoted) + 1) if body[0] == ord("{") else None
    else:
        at = body.rfind(quoted, -_NEAR_END)
        if at < 1 or body[at - 1] == ord("\\"):
            return None
        found = _LAST_PAIRS.fullmatch(body, at + len(quoted))
    return found.span(1) if found else None


class _Member(msgspec.Struct, frozen=True, gc=False):
    """A pair of the outermost object."""

    key: str
    opening: int
    """Where the brace or comma before it is."""
    start: int
    """Where its value begins and ends."""
    end: int


def _members(body: bytes) -> tuple[list[_Member], int]:
    """Return all pairs of `body` in order, and where its closing brace is."""
    try:
        values = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JsonError(str(error)) from error
    members: list[_Member] = []
    at = body.index(b"{")
    for key, value in values.items():
        found = _KEY.match(body, at)
        if found is None:
            break
        start = found.end()
        end = start + len(value)
        members.append(_Member(key, at, start, end))
        at = _after_space(body, end)
    closing = at if members else _after_space(body, at + 1)
    if not body.startswith(b"}", closing) or _after_space(body, closing + 1) != len(body):
        raise JsonError("a key is there twice")
    return members, closing


def _after_space(body: bytes, at: int) -> int:
    return at + len(_SPACE.match(body, at)[0])


_Edit = tuple[int, int, bytes]
"""Where a stretch begins and ends, and what takes its place."""


def _edits(body: bytes, changes: Mapping[str, bytes | None]) -> list[_Edit]:
    """Return what to do to `body`, from its beginning to its end."""
    members, closing = _members(body)
    behind = [member.opening for member in members[1:]] + [closing]
    edits: list[_Edit] = []
    kept = 0
    for member, next_one in zip(members, behind, strict=True):
        value = changes.get(member.key, b"")
        if value is None:
            edits.append(_removal(member, next_one, first=not kept, last=next_one == closing))
            continue
        kept += 1
        if value:
            edits.append((member.start, member.end, value))
    known = {member.key for member in members}
    added = [
        encode(key) + b":" + value
        for key, value in changes.items()
        if value is not None and key not in known
    ]
    if added:
        edits.append((closing, closing, b"," * bool(kept) + b",".join(added)))
    return edits


def _removal(member: _Member, next_one: int, *, first: bool, last: bool) -> _Edit:
    """Take a pair out with the comma before it, or for lack of one with that behind it."""
    if not first:
        return member.opening, next_one, b""
    return member.opening + 1, next_one + (not last), b""


def _edited(body: bytes, edits: list[_Edit]) -> bytes:
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    at = 0
    for start, end, text in edits:
        pieces += (view[at:start], text)
        at = end
    pieces.append(view[at:])
    return b"".join(pieces)

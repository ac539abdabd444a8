"""What a response says of itself while its bytes go through: usage, the end, errors. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.gateway.tokens import Tokens, as_count
from trunkline.gateway.typed_tap import TypedTap
from trunkline.wire import strict_json

MOST_EVENT = 64 << 20
"""Bytes that one event may have: the last one holds the whole answer, images within it."""
_NO_RAW = msgspec.Raw()
_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "response.cancelled"})
_DEAD = ("failed", "cancelled")


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: str | None = None
    sequence_number: int | None = None
    response: msgspec.Raw = _NO_RAW
    error: msgspec.Raw = _NO_RAW


_decode = msgspec.json.Decoder(_Event).decode


class ResponseTap(TypedTap):
    """Follows a streamed response. There is no mark of the end: an event says that it is whole."""

    __slots__ = ("begun", "sequence")
    most_event = MOST_EVENT

    def __init__(self) -> None:
        """Start a stream."""
        super().__init__()
        self.sequence = -1
        """The number of the last event."""
        self.begun: bytes = b""
        """The response as it was told last."""

    def _typed(self, data: bytes, name: str) -> bool:
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._loose(data, name)
        return self._told(event, data, name)

    def _told(self, event: _Event, data: bytes, name: str) -> bool:
        if event.sequence_number is not None:
            self.sequence = event.sequence_number
        if event.delta is not None:
            self.events += 1
            self.said_bytes += len(event.delta.encode("utf-8", "replace"))
            return True
        kind = event.type or name
        if kind == "error" or (not event.type and len(event.error) > len(b"null")):
            self._fail(data)
            return False
        if not event.response:
            return True
        self.begun = bytes(event.response)
        if kind in _FAILURES:
            self._fail(_failure(self.begun))
            return False
        self.events += 1
        if kind in _ENDS:
            self._count(_usage(_decode_loosely(self.begun)))
            self.finished = self.done = True
        return True

    def _loose(self, data: bytes, name: str) -> bool:
        """Look at an event of which some field is of an unusual kind, or whose text is damaged."""
        try:
            body = strict_json.decode_sent(data)
        except strict_json.JsonError:
            self._break(data)
            return False
        event = _Event(body.get("type") if isinstance(body.get("type"), str) else "")
        number, delta = body.get("sequence_number"), body.get("delta")
        event.sequence_number = number if type(number) is int else None
        event.delta = delta if isinstance(delta, str) else None
        for field in ("response", "error"):
            if body.get(field) is not None:
                setattr(event, field, msgspec.Raw(strict_json.encode(body[field])))
        return self._told(event, data, name) and self._readable(data)


def _failure(response: bytes) -> bytes:
    """Return the error of a response that failed, as an error's own body has it."""
    body = strict_json.decode_sent(response)
    error = body.get("error") if isinstance(body, dict) else None
    return strict_json.encode(
        {"error": error or {"message": "The response failed, and its server does not say why."}}
    )


class _Whole(msgspec.Struct, gc=False):
    object: Any = None
    status: Any = None
    error: Any = None
    output: msgspec.Raw = _NO_RAW
    usage: Any = None


_decode_whole = msgspec.json.Decoder(_Whole).decode


def _decode_loosely(data: bytes) -> _Whole | None:
    """Decode a response, its text mended where it is damaged; None where it is no JSON object."""
    try:
        return _decode_whole(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        body = strict_json.decode_sent(data)
        return _decode_whole(strict_json.encode(body)) if isinstance(body, dict) else None
    except (strict_json.JsonError, msgspec.MsgspecError):
        return None


def _usage(whole: _Whole | None) -> Tokens:
    usage = whole.usage if whole is not None else None
    if not isinstance(usage, dict):
        return Tokens()
    details = usage.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    told = (usage.get("input_tokens"), usage.get("output_tokens"), cached)
    return Tokens(*[as_count(count) for count in told])


def read_response(data: bytes) -> Tokens | None:
    """Read a response that was not streamed; None where it is none: no JSON, or a failure."""
    whole = _decode_loosely(data)
    if whole is None or whole.error is not None or whole.status in _DEAD:
        return None
    return _usage(whole) if bytes(whole.output).startswith(b"[") else None

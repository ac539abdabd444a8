"""What a message says of itself while its bytes go through: usage, the end, errors. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.gateway.tokens import Tokens, as_count
from trunkline.gateway.typed_tap import TypedTap
from trunkline.wire import strict_json


class _Delta(msgspec.Struct, gc=False):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: _Delta | None = None
    message: Any = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class MessageTap(TypedTap):
    """Follows a streamed message. There is no mark of the end: an event says that it is whole."""

    __slots__ = ("_usage",)

    def __init__(self) -> None:
        """Start a stream."""
        super().__init__()
        self._usage: dict[str, Any] = {}

    def _typed(self, data: bytes, name: str) -> bool:
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._loose(data, name)
        return self._told(event, data, name)

    def _told(self, event: _Event, data: bytes, name: str) -> bool:
        kind, delta = event.type or name, event.delta
        if kind == "error" or (not event.type and event.error is not None):
            self._fail(data)
            return False
        if delta is not None:
            text = delta.text or delta.thinking or delta.partial_json
            if text:
                self.events += 1
                self.said_bytes += len(text.encode("utf-8", "replace"))
            if delta.stop_reason is not None:
                self.finished = True
        if event.message is not None or event.usage is not None:
            self.events += 1
            self._counted(kind, event)
        if kind == "message_stop":
            self.finished = self.done = True
        return True

    def _counted(self, kind: str, event: _Event) -> None:
        """Take counts: each event's are those of the whole message up to it."""
        told = event.usage
        if kind == "message_start":
            told = event.message.get("usage") if isinstance(event.message, dict) else None
        if not isinstance(told, dict):
            return
        self._usage |= {name: count for name, count in told.items() if count is not None}
        if kind == "message_start":
            self._usage.pop("output_tokens", None)  # what there was at the start is not the count
        else:
            self._count(_tokens(self._usage))

    def _loose(self, data: bytes, name: str) -> bool:
        """Look at an event of which some field is of an unusual kind, or whose text is damaged."""
        try:
            body = strict_json.decode_sent(data)
        except strict_json.JsonError:
            self._break(data)
            return False
        delta = body.get("delta")
        texts: dict[str, Any] = delta if isinstance(delta, dict) else {}
        told = _Event(
            _text(body.get("type")) or "",
            _Delta(*[_text(texts.get(field)) for field in _Delta.__struct_fields__]),
            *[body.get(field) for field in ("message", "usage", "error")],
        )
        return self._told(told, data, name) and self._readable(data)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _tokens(usage: dict[str, Any]) -> Tokens:
    """Return counts as a chat has them: of the prompt all, those from a cache among them."""
    prompt = as_count(usage.get("input_tokens"))
    cached = as_count(usage.get("cache_read_input_tokens"))
    if prompt is not None:
        prompt += (cached or 0) + (as_count(usage.get("cache_creation_input_tokens")) or 0)
    return Tokens(prompt, as_count(usage.get("output_tokens")), cached)


def read_message(data: bytes) -> Tokens | None:
    """Read a message that was not streamed; None where it is none: no JSON, or an error."""
    try:
        body = strict_json.decode_sent(data)
    except strict_json.JsonError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("content"), list):
        return None
    usage = body.get("usage")
    return _tokens(usage) if isinstance(usage, dict) else Tokens()

"""Streams of the Messages API: typed events, folded into the message that they spell out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.dialects import anthropic
from trunkline.dialects.answer_form import AnswerForm
from trunkline.dialects.anthropic import read_block, read_message, read_usage
from trunkline.dialects.event_reader import JsonEventReader
from trunkline.dialects.fields import take_text
from trunkline.errors import InvalidResponseError
from trunkline.types.anthropic import (
    AnthropicMessage,
    AnthropicUsage,
    BlockDelta,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageEvent,
    MessageStart,
    MessageStop,
    OtherDelta,
    OtherMessageEvent,
    Ping,
    SignatureDelta,
    Stopped,
    TextDelta,
    ThinkingDelta,
)
from trunkline.wire import strict_json

_DELTAS: dict[str, tuple[str, Callable[..., BlockDelta], str]] = {
    "text_delta": ("text", TextDelta, "text"),
    "input_json_delta": ("partial_json", InputJsonDelta, "input"),
    "thinking_delta": ("thinking", ThinkingDelta, "thinking"),
    "signature_delta": ("signature", SignatureDelta, "signature"),
}
"""A delta's own field, its class, and the field of the block that it grows."""


class _Block:
    """A block as its deltas arrive."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.pieces: dict[str, list[str]] = {}
        self.citations: list[Any] = []

    def add(self, delta: dict[str, Any]) -> None:
        """Take a delta; citations are gathered, what is not known changes nothing."""
        kind = delta.get("type")
        if kind in _DELTAS:
            name, _, field = _DELTAS[kind]
            self.pieces.setdefault(field, []).append(delta[name])
        elif kind == "citations_delta" and "citation" in delta:
            self.citations.append(delta["citation"])

    def whole(self) -> dict[str, Any]:
        body = dict(self.body)
        for field, pieces in self.pieces.items():
            grown = "".join(pieces)
            if field == "input":
                body |= _arguments(grown) if grown else {}
            else:
                before = body.get(field)
                body[field] = (before if isinstance(before, str) else "") + grown
        if self.citations:
            told = body.get("citations")
            body["citations"] = (told if isinstance(told, list) else []) + self.citations
        return body


def _arguments(text: str) -> dict[str, Any]:
    """Return a tool's arguments, or where they are no whole object (yet) their text."""
    try:
        value = strict_json.decode(text)
    except strict_json.JsonError:
        value = None
    return {"input": value} if isinstance(value, dict) else {"input": {}, "partial_json": text}


class MessageReader(JsonEventReader[MessageEvent, AnthropicMessage]):
    """Reads a streamed message."""

    def __init__(self) -> None:
        """Start a stream."""
        super().__init__()
        self._body: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, _Block] = {}
        self._ended = False

    def whole(self) -> AnthropicMessage:
        """Return the message so far; one that has not ended has no stop reason."""
        body = dict(self._body)
        if self._blocks:
            body["content"] = [self._blocks[i].whole() for i in sorted(self._blocks)]
        if self._usage:
            body["usage"] = self._usage
        return read_message(body)

    @property
    def finished(self) -> bool:
        """Whether `message_stop` has come, or at least a stop reason."""
        return self._ended or isinstance(self._body.get("stop_reason"), str)

    @property
    def text(self) -> str:
        """The text of the message so far."""
        return self.whole().text

    @property
    def usage(self) -> AnthropicUsage | None:
        """Token counts so far."""
        return read_usage(self._usage or None)

    def _read(self, body: dict[str, Any], events: list[MessageEvent]) -> None:
        kind = body.get("type")
        if not isinstance(kind, str):
            return  # a keep-alive
        row = dict(body)
        del row["type"]
        read = _EVENTS.get(kind)
        event = OtherMessageEvent(kind, row) if read is None else read(row)
        self._fold(event, body)
        if kind in ("message_start", "ping"):
            self._give_later(event, events)
        else:
            self._give(event, events)
        if kind == "message_stop":
            self._ended = True
            self._finish_well()

    def _fold(self, event: MessageEvent, body: dict[str, Any]) -> None:
        if isinstance(event, MessageStart):
            self._body = body["message"]
            self._count(self._body.get("usage"))
            self._usage.pop("output_tokens", None)  # what there was at the start is not the count
        elif isinstance(event, ContentBlockStart):
            self._blocks[event.index] = _Block(body["content_block"])
        elif isinstance(event, ContentBlockDelta):
            block = self._blocks.get(event.index)
            if block is None:
                block = self._blocks[event.index] = _Block(_unannounced(event.delta))
            block.add(body["delta"])
        elif isinstance(event, MessageDelta):
            known = {k: v for k, v in body["delta"].items() if v is not None}
            self._body = {**self._body, **event.extra, **known}
            self._count(body.get("usage"))

    def _count(self, told: Any) -> None:
        """Take counts: each event's are those of the whole message up to it."""
        if isinstance(told, dict):
            self._usage |= {k: v for k, v in told.items() if v is not None}


def _message_start(row: dict[str, Any]) -> MessageEvent:
    return MessageStart(read_message(_object(row, "message")), extra=row)


def _block_start(row: dict[str, Any]) -> MessageEvent:
    return ContentBlockStart(_index(row), read_block(_object(row, "content_block")), extra=row)


def _block_delta(row: dict[str, Any]) -> MessageEvent:
    return ContentBlockDelta(_index(row), _delta(_object(row, "delta")), extra=row)


def _message_delta(row: dict[str, Any]) -> MessageEvent:
    delta = dict(_object(row, "delta"))
    stopped = Stopped(take_text(delta, "stop_reason"), take_text(delta, "stop_sequence"), delta)
    return MessageDelta(stopped, read_usage(row.pop("usage", None)), extra=row)


_EVENTS: dict[str, Callable[[dict[str, Any]], MessageEvent]] = {
    "message_start": _message_start,
    "content_block_start": _block_start,
    "content_block_delta": _block_delta,
    "content_block_stop": lambda row: ContentBlockStop(_index(row), extra=row),
    "message_delta": _message_delta,
    "message_stop": lambda row: MessageStop(extra=row),
    "ping": lambda row: Ping(extra=row),
}


def _delta(body: dict[str, Any]) -> BlockDelta:
    row = dict(body)
    kind = take_text(row, "type")
    if kind not in _DELTAS:
        return OtherDelta(kind, row)
    name, made, _ = _DELTAS[kind]
    if not isinstance(row.get(name), str):
        raise InvalidResponseError(f"A {kind} of the stream has no {name}.", body=body)
    return made(row.pop(name), extra=row)


def _unannounced(delta: BlockDelta) -> dict[str, Any]:
    """Return the beginning of a block whose start never came."""
    if isinstance(delta, ThinkingDelta | SignatureDelta):
        return {"type": "thinking", "thinking": ""}
    if isinstance(delta, InputJsonDelta):
        return {"type": "tool_use", "input": {}}
    return {"type": "text", "text": ""}


def _object(row: dict[str, Any], name: str) -> dict[str, Any]:
    found = row.pop(name, None)
    if not isinstance(found, dict):
        raise InvalidResponseError(f"An event of the stream has no {name}.", body=row)
    return found


def _index(row: dict[str, Any]) -> int:
    index = row.pop("index", None)
    if type(index) is not int:
        raise InvalidResponseError("An event of the stream has no index.", body=row)
    return index


def text_of(event: MessageEvent) -> str:
    """Return the text that an event adds to the answer."""
    if isinstance(event, ContentBlockDelta) and isinstance(event.delta, TextDelta):
        return event.delta.text
    return ""


MESSAGES = AnswerForm(
    route="messages",
    write=anthropic.message_body,
    read=anthropic.read_answer,
    reader=MessageReader,
    text_of=text_of,
    asked=anthropic.asked,
    said=anthropic.said,
    headers=anthropic.VERSION,
)
"""Anthropic's Messages API."""

"""Streams of the Responses API: typed events, folded into the response that they spell out."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects import openai_responses as whole_form
from trunkline.dialects.answer_form import AnswerForm, objects
from trunkline.dialects.event_reader import JsonEventReader
from trunkline.dialects.openai_responses import (
    failed_response,
    read_item,
    read_part,
    read_response,
    read_usage,
)
from trunkline.errors import InvalidResponseError
from trunkline.types import response_events as kinds
from trunkline.types.response_events import OtherResponseEvent, ResponseEvent
from trunkline.types.responses import Response, ResponseUsage

_KINDS: dict[str, type[Any]] = {
    "response.created": kinds.ResponseCreated,
    "response.queued": kinds.ResponseQueued,
    "response.in_progress": kinds.ResponseInProgress,
    "response.completed": kinds.ResponseCompleted,
    "response.incomplete": kinds.ResponseIncomplete,
    "response.output_item.added": kinds.OutputItemAdded,
    "response.output_item.done": kinds.OutputItemDone,
    "response.content_part.added": kinds.ContentPartAdded,
    "response.content_part.done": kinds.ContentPartDone,
    "response.output_text.delta": kinds.OutputTextDelta,
    "response.output_text.done": kinds.OutputTextDone,
    "response.refusal.delta": kinds.RefusalDelta,
    "response.refusal.done": kinds.RefusalDone,
    "response.reasoning_text.delta": kinds.ReasoningTextDelta,
    "response.reasoning_text.done": kinds.ReasoningTextDone,
    "response.reasoning_summary_text.delta": kinds.ReasoningSummaryTextDelta,
    "response.reasoning_summary_text.done": kinds.ReasoningSummaryTextDone,
    "response.function_call_arguments.delta": kinds.FunctionCallArgumentsDelta,
    "response.function_call_arguments.done": kinds.FunctionCallArgumentsDone,
}
_ALL: list[type[Any]] = [*_KINDS.values(), OtherResponseEvent]
_FIELDS: dict[type[Any], list[tuple[str, bool]]] = {
    kind: [(f.name, f.required) for f in msgspec.structs.fields(kind) if f.name != "extra"]
    for kind in _ALL
}
"""An event's own fields, and whether it needs them."""
_OPENING = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDS = frozenset({"response.completed", "response.incomplete"})
_ITEM_EVENTS = frozenset({"response.output_item.added", "response.output_item.done"})
_FAILURES = frozenset({"response.failed", "response.cancelled"})

_TEXTS = frozenset({"type", "item_id", "delta", "text", "refusal", "arguments", "name"})
_COUNTS = frozenset({"sequence_number", "output_index", "content_index", "summary_index"})
_READ = {"response": read_response, "item": read_item, "part": read_part}

_DELTAS = {
    "response.output_text.delta": ("content", "content_index", "output_text", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal", "refusal"),
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text", "text"),
}
"""A delta's list within the item, its place in it, and the kind of part and field that it grows."""
_ITEM_OF_LIST = {"summary": "reasoning"}


class _Part:
    """A part of an item as its deltas arrive."""

    def __init__(self, body: dict[str, Any], field: str) -> None:
        self.body = body
        self.field = field
        self.pieces: list[str] = [body[field]] if isinstance(body.get(field), str) else []

    def whole(self) -> dict[str, Any]:
        return {**self.body, self.field: "".join(self.pieces)} if self.pieces else self.body


class _Item:
    """An item of the output as its events arrive."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.parts: dict[tuple[str, int], _Part] = {}
        self.arguments: list[str] = []
        for name in ("content", "summary"):
            for place, part in enumerate(objects(body.get(name))):
                self.put(name, place, part)

    def put(self, name: str, place: int, part: dict[str, Any]) -> None:
        """Take a part as it stands, begun or whole."""
        self.parts[name, place] = _Part(part, "refusal" if "refusal" in part else "text")

    def add(self, name: str, place: int, kind: str, field: str, delta: str) -> None:
        """Add a delta, to a part that need not have been announced."""
        part = self.parts.get((name, place))
        if part is None:
            part = self.parts[name, place] = _Part({"type": kind}, field)
        part.pieces.append(delta)

    def whole(self) -> dict[str, Any]:
        body = dict(self.body)
        for name in ("content", "summary"):
            parts = [self.parts[key].whole() for key in sorted(self.parts) if key[0] == name]
            if parts:
                body[name] = parts
        if self.arguments:
            body["arguments"] = "".join(self.arguments)
        return body


class ResponseReader(JsonEventReader[ResponseEvent, Response]):
    """Reads a streamed response. Its whole is the server's last word where that has come."""

    def __init__(self) -> None:
        """Start a stream."""
        super().__init__()
        self._body: dict[str, Any] = {}
        self._items: dict[int, _Item] = {}
        self._ended = False

    def whole(self) -> Response:
        """Return the response so far; one that has not ended keeps the status it was given."""
        body = self._body
        if self._items and not (self._ended and body.get("output")):
            body = {**body, "output": [self._items[i].whole() for i in sorted(self._items)]}
        return read_response(body)

    @property
    def finished(self) -> bool:
        """Whether `response.completed` or `response.incomplete` has come."""
        return self._ended

    @property
    def text(self) -> str:
        """The text of all messages so far."""
        return self.whole().output_text

    @property
    def usage(self) -> ResponseUsage | None:
        """Token counts, which come at the end."""
        return read_usage(self._body.get("usage"))

    def _read(self, body: dict[str, Any], events: list[ResponseEvent]) -> None:
        kind = body.get("type")
        if not isinstance(kind, str):
            return  # a keep-alive
        if kind in _FAILURES:
            told = body.get("response")
            self._body = told if isinstance(told, dict) else body
            self._fail(failed_response(self.whole(), self._body))
            return
        event = _event(kind, body)
        self._fold(kind, body)
        if kind in _OPENING:
            self._give_later(event, events)
        else:
            self._give(event, events)
        if kind in _ENDS:
            self._ended = True
            self._finish_well()

    def _fold(self, kind: str, body: dict[str, Any]) -> None:
        told = body.get("response")
        if isinstance(told, dict):
            self._body = told
        elif kind in _ITEM_EVENTS:
            self._items[self._place(body)] = _Item(body["item"])
        elif kind in _DELTAS:
            name, place, part, field = _DELTAS[kind]
            item = self._item(body, _ITEM_OF_LIST.get(name, "message"))
            item.add(name, _index(body, place), part, field, body["delta"])
        elif kind.startswith("response.content_part."):
            self._item(body, "message").put("content", _index(body, "content_index"), body["part"])
        elif kind == "response.function_call_arguments.delta":
            self._item(body, "function_call").arguments.append(body["delta"])
        elif kind == "response.function_call_arguments.done":
            self._item(body, "function_call").arguments[:] = [body["arguments"]]

    def _item(self, body: dict[str, Any], kind: str) -> _Item:
        """Return the item that an event is about, which need not have been announced."""
        place = self._place(body)
        if place not in self._items:
            self._items[place] = _Item({"type": kind, "id": body.get("item_id")})
        return self._items[place]

    def _place(self, body: dict[str, Any]) -> int:
        told = body.get("output_index")
        return told if isinstance(told, int) else max(self._items, default=0)


def _index(body: dict[str, Any], name: str) -> int:
    told = body.get(name)
    return told if isinstance(told, int) else 0


def _event(kind: str, body: dict[str, Any]) -> ResponseEvent:
    """Read one event; raises InvalidResponseError where it lacks what its type is for."""
    made = _KINDS.get(kind, OtherResponseEvent)
    rest = dict(body)
    fields: dict[str, Any] = {}
    for name, required in _FIELDS[made]:
        if name in rest and _fits(name, rest[name]):
            value = rest.pop(name)
            fields[name] = _READ[name](value) if name in _READ else value
        elif required:
            raise InvalidResponseError(f"An event {kind} of the stream has no {name}.", body=body)
    event: ResponseEvent = made(**fields, extra=rest)
    return event


def _fits(name: str, value: Any) -> bool:
    if name in _READ:
        return isinstance(value, dict)
    if name in _TEXTS:
        return isinstance(value, str)
    return type(value) is int if name in _COUNTS else True


def text_of(event: ResponseEvent) -> str:
    """Return the text that an event adds to the answer."""
    return event.delta if isinstance(event, kinds.OutputTextDelta) else ""


RESPONSES = AnswerForm(
    route="responses",
    write=whole_form.response_body,
    read=whole_form.read_answer,
    reader=ResponseReader,
    text_of=text_of,
    asked=whole_form.asked,
    said=whole_form.said,
    own=frozenset({"groq", "openai"}),
)
"""OpenAI's Responses API."""

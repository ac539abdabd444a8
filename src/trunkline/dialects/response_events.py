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
_OF_THE_ANSWER = frozenset({"added", "delta", "done"})
"""The last names of events that add to the answer."""
_FAILURES = frozenset({"response.failed", "response.cancelled"})

_TEXTS = frozenset({"type", "item_id", "delta", "text", "refusal", "arguments", "name"})
_COUNTS = frozenset({"sequence_number", "output_index", "content_index", "summary_index"})
_READ = {"response": read_response, "item": read_item, "part": read_part}

_PARTS = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}
"""The list within an item that has a part, and the part's place in it."""
_PART_TEXTS = {
    "response.output_text": (*_PARTS["response.content_part"], "output_text", "text"),
    "response.refusal": (*_PARTS["response.content_part"], "refusal", "refusal"),
    "response.reasoning_text": (*_PARTS["response.content_part"], "reasoning_text", "text"),
    "response.reasoning_summary_text": (
        *_PARTS["response.reasoning_summary_part"],
        "summary_text",
        "text",
    ),
}
"""A text's list within the item, its place in it, and the kind of part and field that it is."""
_ITEM_TEXTS = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.mcp_call_arguments": ("mcp_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
}
"""The kind of item that a text belongs to as a whole, and its field there."""
_THOUGHTS = frozenset({"reasoning_text", "summary_text"})


class _Part:
    """A part of an item as its deltas arrive."""

    def __init__(self, body: dict[str, Any], field: str) -> None:
        self.body = body
        self.field = field
        self.pieces: list[str] = [body[field]] if isinstance(body.get(field), str) else []
        self.annotations: list[Any] = []

    def whole(self) -> dict[str, Any]:
        body = self.body
        if self.pieces:
            body = {**body, self.field: "".join(self.pieces)}
        if self.annotations:
            told = body.get("annotations")
            before = told if isinstance(told, list) else []
            body = {**body, "annotations": before + self.annotations}
        return body


class _Item:
    """An item of the output as its events arrive."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.parts: dict[tuple[str, int], _Part] = {}
        self.texts: dict[str, list[str]] = {}
        for name in ("content", "summary"):
            for place, part in enumerate(objects(body.get(name))):
                self.put(name, place, part)

    def put(self, name: str, place: int, part: dict[str, Any]) -> None:
        """Take a part as it stands, begun or whole."""
        self.parts[name, place] = _Part(part, "refusal" if "refusal" in part else "text")

    def part(self, name: str, place: int, kind: str, field: str) -> _Part:
        """Return a part, which need not have been announced."""
        part = self.parts.get((name, place))
        if part is None:
            part = self.parts[name, place] = _Part({"type": kind}, field)
        return part

    def whole(self) -> dict[str, Any]:
        body = dict(self.body)
        for name in ("content", "summary"):
            parts = [self.parts[key].whole() for key in sorted(self.parts) if key[0] == name]
            if parts:
                body[name] = parts
        return body | {name: "".join(pieces) for name, pieces in self.texts.items() if pieces}


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
        stem, _, ending = kind.rpartition(".")
        if isinstance(told, dict):
            self._body = told
        elif ending not in _OF_THE_ANSWER:
            return
        elif kind in _ITEM_EVENTS:
            self._items[self._place(body, new=ending == "added")] = _Item(body["item"])
        elif stem in _PARTS and isinstance(body.get("part"), dict):
            self._take_part(stem, body, body["part"])
        elif kind == "response.output_text.annotation.added" and "annotation" in body:
            self._part("response.output_text", body).annotations.append(body["annotation"])
        elif stem in _PART_TEXTS:
            _take(self._part(stem, body).pieces, ending, body, _PART_TEXTS[stem][-1])
        elif stem in _ITEM_TEXTS:
            of, field = _ITEM_TEXTS[stem]
            _take(self._item(body, of).texts.setdefault(field, []), ending, body, field)

    def _take_part(self, stem: str, body: dict[str, Any], part: dict[str, Any]) -> None:
        name, place = _PARTS[stem]
        thought = part.get("type") in _THOUGHTS
        item = self._item(body, "reasoning" if thought else "message")
        item.put(name, _index(body, place), part)

    def _part(self, stem: str, body: dict[str, Any]) -> _Part:
        name, place, kind, field = _PART_TEXTS[stem]
        item = self._item(body, "reasoning" if kind in _THOUGHTS else "message")
        return item.part(name, _index(body, place), kind, field)

    def _item(self, body: dict[str, Any], kind: str) -> _Item:
        """Return the item that an event is about, which need not have been announced."""
        place = self._place(body)
        if place not in self._items:
            self._items[place] = _Item({"type": kind, "id": body.get("item_id")})
        return self._items[place]

    def _place(self, body: dict[str, Any], *, new: bool = False) -> int:
        """Return an item's place; where none is told it is the last one, or a new one's."""
        told = body.get("output_index")
        if type(told) is int:
            return told
        last = max(self._items, default=-1)
        return last + 1 if new else max(last, 0)


def _take(pieces: list[str], ending: str, body: dict[str, Any], field: str) -> None:
    """Add a delta; a `done` has the whole."""
    text = body.get({"delta": "delta", "done": field}.get(ending, ""))
    if isinstance(text, str):
        if ending == "done":
            pieces.clear()
        pieces.append(text)


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

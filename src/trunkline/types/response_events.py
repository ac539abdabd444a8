"""Events of a streamed response, a class for each well-known type; others keep all their fields.

`item_id`, `output_index` and `content_index` say which part of the answer an event is about.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.types.record import Record
from trunkline.types.responses import ContentPart, OutputItem, Response


class _Event(Record, msgspec.Struct, frozen=True, kw_only=True):
    type: str
    sequence_number: int | None = None
    """Counts the events of one stream."""
    extra: dict[str, Any] = {}


class _OfResponse(_Event, frozen=True, kw_only=True):
    response: Response
    """The response as it stands."""


class ResponseCreated(_OfResponse, frozen=True, kw_only=True):
    """`response.created`: the request was taken."""


class ResponseQueued(_OfResponse, frozen=True, kw_only=True):
    """`response.queued`: it waits for its turn."""


class ResponseInProgress(_OfResponse, frozen=True, kw_only=True):
    """`response.in_progress`: the model is at work."""


class ResponseCompleted(_OfResponse, frozen=True, kw_only=True):
    """`response.completed`: the end, with the whole."""


class ResponseIncomplete(_OfResponse, frozen=True, kw_only=True):
    """`response.incomplete`: the end before its time; `response.incomplete_details` says why."""


class _OfItem(_Event, frozen=True, kw_only=True):
    item: OutputItem
    output_index: int | None = None


class OutputItemAdded(_OfItem, frozen=True, kw_only=True):
    """`response.output_item.added`: an item begins."""


class OutputItemDone(_OfItem, frozen=True, kw_only=True):
    """`response.output_item.done`: an item is whole."""


class _Placed(_Event, frozen=True, kw_only=True):
    item_id: str | None = None
    output_index: int | None = None


class _InContent(_Placed, frozen=True, kw_only=True):
    content_index: int | None = None


class ContentPartAdded(_InContent, frozen=True, kw_only=True):
    """`response.content_part.added`: a part of a message begins."""

    part: ContentPart


class ContentPartDone(_InContent, frozen=True, kw_only=True):
    """`response.content_part.done`: a part of a message is whole."""

    part: ContentPart


class OutputTextDelta(_InContent, frozen=True, kw_only=True):
    """`response.output_text.delta`: more text of the answer."""

    delta: str
    logprobs: Any = None


class OutputTextDone(_InContent, frozen=True, kw_only=True):
    """`response.output_text.done`: a text of the answer, whole."""

    text: str
    logprobs: Any = None


class RefusalDelta(_InContent, frozen=True, kw_only=True):
    """`response.refusal.delta`: more of a refusal."""

    delta: str


class RefusalDone(_InContent, frozen=True, kw_only=True):
    """`response.refusal.done`: a refusal, whole."""

    refusal: str


class ReasoningTextDelta(_InContent, frozen=True, kw_only=True):
    """`response.reasoning_text.delta`: more of what the model thinks."""

    delta: str


class ReasoningTextDone(_InContent, frozen=True, kw_only=True):
    """`response.reasoning_text.done`: a thought, whole."""

    text: str


class ReasoningSummaryTextDelta(_Placed, frozen=True, kw_only=True):
    """`response.reasoning_summary_text.delta`: more of a thought's summary."""

    delta: str
    summary_index: int | None = None


class ReasoningSummaryTextDone(_Placed, frozen=True, kw_only=True):
    """`response.reasoning_summary_text.done`: a thought's summary, whole."""

    text: str
    summary_index: int | None = None


class FunctionCallArgumentsDelta(_Placed, frozen=True, kw_only=True):
    """`response.function_call_arguments.delta`: more of a call's arguments."""

    delta: str


class FunctionCallArgumentsDone(_Placed, frozen=True, kw_only=True):
    """`response.function_call_arguments.done`: a call's arguments, whole."""

    arguments: str
    name: str | None = None


class OtherResponseEvent(_Event, frozen=True, kw_only=True):
    """An event of a type that is not declared here; its fields are there by their names."""


ResponseEvent = (
    ResponseCreated
    | ResponseQueued
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextDone
    | RefusalDelta
    | RefusalDone
    | ReasoningTextDelta
    | ReasoningTextDone
    | ReasoningSummaryTextDelta
    | ReasoningSummaryTextDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | OtherResponseEvent
)

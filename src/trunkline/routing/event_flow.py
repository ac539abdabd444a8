"""The flows of answers other than chats that come in events: responses, messages, streamed texts.

They open no socket and read no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from trunkline.dialects.answer_form import AnswerForm
from trunkline.dialects.event_reader import JsonEventReader
from trunkline.dialects.text_streams import TextStreamForm, stream_form, streamed_wish
from trunkline.errors import (
    APIError,
    InvalidInputError,
    InvalidResponseError,
    ModelNotSupportedError,
)
from trunkline.providers.answer_targets import answer_target
from trunkline.providers.engines import Seekers
from trunkline.providers.spec import Target
from trunkline.routing import record
from trunkline.routing.ask import Ask
from trunkline.routing.carry import Flow, Journey, carry, checked, headers_for, placed
from trunkline.routing.flow import named
from trunkline.routing.holding import Hold
from trunkline.routing.needs import Reply, Send
from trunkline.routing.task_flow import fitted, wish_for
from trunkline.routing.where import find_target
from trunkline.types import Attempt, AttemptRole, Receipt, Timeouts, TokenCount
from trunkline.types.results import TextCompletion
from trunkline.types.route import RouteReport
from trunkline.types.tasks import TaskCall
from trunkline.wire import strict_json
from trunkline.wire.message import HttpRequest

EventT = TypeVar("EventT")
WholeT = TypeVar("WholeT")


class _Manner(msgspec.Struct, Generic[EventT, WholeT], frozen=True):
    """What a stream needs of its API once it is open."""

    text_of: Callable[[EventT], str]
    asked: Callable[[TaskCall], list[str]]
    said: Callable[[WholeT], list[str]]


class OpenedEvents(msgspec.Struct, Generic[EventT, WholeT], frozen=True):
    """A stream whose first event has arrived."""

    reader: JsonEventReader[EventT, WholeT]
    manner: _Manner[EventT, WholeT]
    send: Send
    reply: Reply
    """Holds the open exchange and the first events."""
    before: tuple[Attempt, ...]
    """The attempts that failed first."""
    call: TaskCall
    began: float
    route: RouteReport | None = None
    role: AttemptRole | None = None

    @property
    def limits(self) -> Timeouts:
        """The limits of each stage."""
        return self.call.timeouts

    @property
    def deadline(self) -> float | None:
        """Seconds that the whole call may take."""
        return self.call.deadline

    @property
    def usage(self) -> Any:
        """Token counts, once they have come."""
        return self.reader.usage

    @property
    def hold(self) -> Hold | None:
        """Nothing is kept back."""
        return None

    def mend(
        self,
        failure: APIError,  # noqa: ARG002 - as chats have it
        ended: float,  # noqa: ARG002
        *,
        delivered: bool,  # noqa: ARG002
    ) -> Flow[OpenedEvents[EventT, WholeT]] | None:
        """Return None: what breaks such a stream ends the call."""
        return None

    def over(self, ended: float, error: APIError | None) -> None:
        """Take that the stream ended."""

    def text_of(self, event: EventT, /) -> str:
        """Return the text of the answer that an event adds."""
        return self.manner.text_of(event)

    def attempts(self, ended: float, error: APIError | None) -> tuple[Attempt, ...]:
        """Return every attempt, the stream's own last."""
        reply = msgspec.structs.replace(self.reply, ended=ended)
        number = len(self.before) + 1
        last = record.attempt(number, self.send, reply, error, self.began, role=self.role)
        return (*self.before, last)

    def whole(self, ended: float, error: APIError | None = None) -> WholeT:
        """Return the whole so far with its receipt."""
        whole: Any = self.reader.whole()
        times = _Times(self.began, ended, self.reply.ended)
        attempts = self.attempts(ended, error)
        receipt = _receipt(attempts, self.call, whole, self.manner, times)
        receipt = msgspec.structs.replace(receipt, route=self.route)
        made: WholeT = msgspec.structs.replace(whole, receipt=receipt)
        return made

    def explain(self, error: APIError, ended: float) -> APIError:
        """Say on an error of this stream where it happened."""
        return placed(error, self.send, self.reply, self.attempts(ended, error))


def answer_flow(ask: Ask[Any], form: AnswerForm[Any, WholeT]) -> Flow[WholeT]:
    """Carry one call of an API to its target and bring its whole answer; raises APIError."""
    manner = _manner(form)

    def accept(
        journey: Journey[TaskCall], send: Send, reply: Reply, before: tuple[Attempt, ...]
    ) -> WholeT:
        checked(reply)
        whole: Any = form.read(reply.body)
        last = record.attempt(len(before) + 1, send, reply, None, journey.began)
        times = _Times(journey.began, reply.ended)
        receipt = _receipt((*before, last), journey.call, whole, manner, times)
        made: WholeT = msgspec.structs.replace(whole, receipt=receipt)
        return made

    return _carried(ask, form, accept, stream=False)


def answer_stream_flow(
    ask: Ask[Any], form: AnswerForm[EventT, WholeT]
) -> Flow[OpenedEvents[EventT, WholeT]]:
    """Carry one call of an API to its target and open its streamed answer; raises APIError."""
    return _carried(ask, form, _opens(_manner(form)), stream=True)


def text_stream_flow(
    ask: Ask[Any], seekers: Seekers
) -> Flow[OpenedEvents[TextCompletion, TextCompletion]]:
    """Carry a text completion to its target and open its streamed answer; raises APIError."""
    journey = ask.journey
    target, now = yield from find_target(journey, ask.places, seekers)
    form = stream_form(target.route.shape) if target.route else None
    if form is None:
        raise ModelNotSupportedError(
            f"{target.provider or 'This server'} streams no text completions.",
            provider=target.provider,
            model=str(journey.call.model),
            hint="Leave stream=True out, or use completion() with a model that chats.",
        )
    journey = msgspec.structs.replace(journey, call=fitted(journey.call, target))
    target = msgspec.structs.replace(target, url=_streamed_url(target, form))

    def write(journey: Journey[TaskCall], target: Target, now: float) -> Send:
        wish = streamed_wish(form, wish_for(journey.call, target))
        return _sending(journey, target, now, form.shape.write(wish).data, form.reader())

    return (yield from carry(journey, target, write, _opens(_TEXTS), now))


def _streamed_url(target: Target, form: TextStreamForm) -> Any:
    ending, streamed = form.path
    path, mark, query = target.url.target.partition("?")
    if ending and path.endswith(ending):
        path = path.removesuffix(ending) + streamed
    return msgspec.structs.replace(target.url, target=path + mark + query)


def _carried(ask: Ask[Any], form: AnswerForm[Any, Any], accept: Any, *, stream: bool) -> Flow[Any]:
    journey = ask.journey
    call = journey.call
    target = answer_target(form.route, call.model, ask.places, form.own, form.headers)
    now = journey.start
    if target.look_up is not None:
        target, now = yield from named(journey, target, target.look_up)

    def write(journey: Journey[TaskCall], target: Target, now: float) -> Send:
        try:
            data = strict_json.encode(form.write(journey.call, target.model, stream))
        except strict_json.JsonError as error:
            raise InvalidInputError(f"The request cannot be written as JSON: {error}.") from error
        return _sending(journey, target, now, data, form.reader() if stream else None)

    return (yield from carry(journey, target, write, accept, now))


def _sending(
    journey: Journey[TaskCall],
    target: Target,
    now: float,
    data: bytes,
    reader: JsonEventReader[Any, Any] | None,
) -> Send:
    call = journey.call
    own = {
        "accept": "application/json" if reader is None else "text/event-stream",
        "content-type": "application/json",
    }
    request = HttpRequest("POST", target.url, headers_for(target, own, call.extra_headers), data)
    until = min(now + call.timeouts.total, journey.end)
    return Send(target, request, call.timeouts, until, reader)


def _opens(manner: _Manner[EventT, WholeT]) -> Callable[..., OpenedEvents[EventT, WholeT]]:
    def accept(
        journey: Journey[TaskCall], send: Send, reply: Reply, before: tuple[Attempt, ...]
    ) -> OpenedEvents[EventT, WholeT]:
        checked(reply)
        reader = send.reader
        if not isinstance(reader, JsonEventReader):
            raise InvalidResponseError("No stream was asked for.")
        return OpenedEvents(reader, manner, send, reply, before, journey.call, journey.began)

    return accept


def _manner(form: AnswerForm[EventT, WholeT]) -> _Manner[EventT, WholeT]:
    return _Manner(form.text_of, form.asked, form.said)


_TEXTS: _Manner[TextCompletion, TextCompletion] = _Manner(
    text_of=lambda piece: "".join(c.text for c in piece.choices if c.index == 0),
    asked=lambda call: [call.inputs],
    said=lambda whole: [choice.text for choice in whole.choices],
)


class _Times(msgspec.Struct, frozen=True):
    """Monotonic times of a call."""

    began: float
    ended: float
    first: float | None = None
    """When the first event came, of a stream."""


def _receipt(
    attempts: tuple[Attempt, ...],
    call: TaskCall,
    whole: Any,
    manner: _Manner[Any, Any],
    times: _Times,
) -> Receipt:
    last = attempts[-1]
    first = times.first
    return Receipt(
        provider=last.provider,
        model=whole.model,
        request_id=last.request_id,
        attempts=attempts,
        time_to_first_token=None if first is None else first - times.began,
        total_time=times.ended - times.began,
        tokens=_tokens(whole, call, manner),
        called=str(call.model),
    )


def _tokens(whole: Any, call: TaskCall, manner: _Manner[Any, Any]) -> TokenCount:
    """Return the provider's counts; without them an estimate from the text, marked as one."""
    usage = whole.usage
    if usage is not None and (usage.prompt_tokens, usage.completion_tokens) != (None, None):
        return TokenCount(usage.prompt_tokens, usage.completion_tokens, "provider")
    return TokenCount(
        record.estimated(manner.asked(call)), record.estimated(manner.said(whole)), "estimated"
    )

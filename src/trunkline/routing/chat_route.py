"""A chat with a route: its legs, and what is done where a stream breaks after it has begun.

Whole answers are read as streams too, kept back until their end: only so can a silent place be told from
one that is at work, and an answer that breaks off be asked for elsewhere before the caller has any of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import APIError, BadRequestError, UnprocessableEntityError
from trunkline.providers.spec import Target
from trunkline.routing.carry import Flow, Journey, carry
from trunkline.routing.flow import Opened, accept_stream, named, write_chat
from trunkline.routing.hedging import Stage
from trunkline.routing.holding import Hold
from trunkline.routing.moving import underlying
from trunkline.routing.needs import Send
from trunkline.routing.pricing import priced
from trunkline.routing.ranking import Option
from trunkline.routing.record import count_tokens
from trunkline.routing.restart import Delivered, RestartReader, delivered_of
from trunkline.routing.traffic import Facts
from trunkline.routing.travel import Travel, Trip
from trunkline.types import Attempt, Chat, Chunk, ChunkChoice, Completion, Delta
from trunkline.types.route import RouteReport

Make = Callable[[Option], tuple[Journey[Chat], Target]]
"""Writes the call as a place takes it; raises UnsupportedParamsError for what it does not take."""

_MEASURABLE = 0.05
"""Seconds that a stream has to last for its speed to mean anything."""


class Cut(msgspec.Struct, frozen=True):
    """An answer that broke off after some of it was delivered."""

    there: Delivered
    cause: APIError
    rest: bool
    """Whether only what is missing is asked for; else the whole answer once more."""


class RoutedStream(Opened, frozen=True, kw_only=True):
    """A stream on a route: it knows how to go on from where it broke."""

    travel: Travel[Opened]

    @property
    def report(self) -> RouteReport:
        """How the route came about."""
        return self.travel.report

    def whole(self, ended: float, error: APIError | None = None) -> Completion:
        """Return the whole so far with its receipt. Of a whole in two parts nobody counted the tokens."""
        completion = super().whole(ended, error)
        receipt = completion.receipt
        if receipt is None:
            return completion
        *before, last = receipt.attempts
        last = msgspec.structs.replace(last, tokens=receipt.tokens)
        attempts = priced((*before, last), self.travel.asked)
        receipt = msgspec.structs.replace(receipt, attempts=attempts)
        if not self.rest:
            return msgspec.structs.replace(completion, receipt=receipt)
        tokens = count_tokens(None, completion, self.chat.messages)
        receipt = msgspec.structs.replace(receipt, tokens=tokens)
        return msgspec.structs.replace(completion, usage=None, receipt=receipt)

    def mend(self, failure: APIError, ended: float, *, delivered: bool) -> Flow[Opened] | None:
        """Return how to go on; None where the route ends the call with an error instead."""
        travel, policy = self.travel, self.travel.trip.policy
        if not delivered:
            failure = underlying(failure)
        partial = self.reader.fold.completion()
        attempts = self.attempts(ended, failure)
        used = count_tokens(self.reader.fold.usage, partial, self.chat.messages)
        last = msgspec.structs.replace(attempts[-1], tokens=used)
        attempts = (*attempts[:-1], last)
        if not delivered:
            return travel.go_on(failure, attempts)
        reader = self.reader
        begun = isinstance(reader, RestartReader)
        there = reader.delivered if isinstance(reader, RestartReader) else delivered_of(partial)
        cause = reader.cause if isinstance(reader, RestartReader) else failure
        if policy.on_cut not in ("restart", "continue"):
            return None
        if there.more:
            travel.note(
                "the stream broke off in what cannot be gone on from: tool calls, or its end"
            )
            return None
        rest = policy.on_cut == "continue" and not begun
        return _mended(travel, Cut(there, cause, rest), failure, attempts)

    def explain(self, error: APIError, ended: float) -> APIError:
        """Say on an error where it happened: the one that broke the first answer, where there are two."""
        told = super().explain(error, ended)
        reader = self.reader
        if not isinstance(reader, RestartReader):
            told.route = self.report
            return told
        return _first_cause(reader.cause, told, self.travel)

    def over(self, ended: float, error: APIError | None) -> None:
        """Note what was seen of the answer, or that it broke off."""
        if error is not None:
            same = not isinstance(self.reader, RestartReader) or error.should_retry is not False
            self.travel.over(ended, error if same else None, Facts(whole=same))
            return
        usage = self.reader.fold.usage
        output = None if usage is None or self.rest else usage.completion_tokens
        seconds = ended - self.reply.ended
        fast = output / seconds if output and seconds > _MEASURABLE else None
        self.travel.over(ended, None, Facts(throughput=fast, output=output))


def routed(trip: Trip[Opened]) -> Flow[Opened]:
    """Carry a chat along its route and open its streamed answer; raises APIError."""
    travel = Travel(trip)
    return (yield from travel.go())


def leg_of(make: Make, hold: Hold | None) -> Callable[[Option, Stage], Flow[Opened]]:
    """Return what asks one place for a streamed answer."""

    def leg(option: Option, stage: Stage) -> Flow[Opened]:
        journey, target = make(option)
        cut: Cut | None = stage.after
        if cut is not None and cut.rest:
            journey = _prefixed(journey, cut.there.content, target)
        opened = yield from _asked(journey, target, stage, cut)
        kept = hold if cut is None else None
        rest = cut is not None and cut.rest
        return msgspec.structs.replace(opened, hold=kept, rest=rest)

    return leg


class Streams:
    """What there is to know of streams that have opened."""

    @staticmethod
    def attempts(opened: Opened) -> tuple[Attempt, ...]:
        """Return the attempts of a stream, its own last."""
        return opened.attempts(opened.reply.ended, None)

    @staticmethod
    def facts(opened: Opened) -> Facts:
        """Return what was seen of a stream when its first event came."""
        return Facts(first_token=opened.reply.ended - opened.reply.started, whole=False)

    @staticmethod
    def placed(opened: Opened, attempts: tuple[Attempt, ...], travel: Travel[Opened]) -> Opened:
        """Return the stream as one that knows its route."""
        fields = {name: getattr(opened, name) for name in Opened.__struct_fields__}
        fields |= {"before": attempts[:-1], "role": attempts[-1].role}
        return RoutedStream(**fields, travel=travel)


def _mended(
    travel: Travel[Opened], cut: Cut, failure: APIError, attempts: tuple[Attempt, ...]
) -> Flow[Opened]:
    """Ask on, for the rest or for the whole; raises the first cause where neither comes."""
    try:
        if cut.rest:
            opened = yield from _continued(travel, cut, attempts)
            if opened is not None:
                return opened
            attempts = travel.attempts
            cut = msgspec.structs.replace(cut, rest=False)
        travel.note("the stream broke off; the whole answer was asked for once more")
        return (yield from travel.go_on(failure, attempts, "restart", cut))
    except APIError as error:
        error.attempts = error.attempts or travel.attempts
        raise _first_cause(cut.cause, error, travel) from cut.cause.__cause__


def _first_cause(cause: APIError, error: APIError, travel: Travel[Opened]) -> APIError:
    """Return what broke an answer that could not be gone on with because of `error`."""
    cause.attempts = error.attempts
    cause.route = travel.report
    if error is not cause:
        last = error.__cause__ if isinstance(error.__cause__, APIError) else error
        cause.hint = f"The route tried to go on, and could not: {last.message}"
    return cause


def _continued(
    travel: Travel[Opened], cut: Cut, attempts: tuple[Attempt, ...]
) -> Flow[Opened | None]:
    """Ask for the rest where a place is known to go on from a beginning; None where none does."""
    places = travel.trip.policy.takes_prefix
    if not places or not cut.there.content:
        travel.attempts = attempts
        travel.note("no place of the route is known to go on from a beginning")
        return None
    try:
        opened = yield from travel.go_on(cut.cause, attempts, "continue", cut, places)
    except (BadRequestError, UnprocessableEntityError) as refusal:
        travel.note(f"{travel.option.name} did not go on from the beginning: {refusal.message}")
        travel.back()
        return None
    except APIError as error:
        travel.note(f"the rest of the answer could not be had: {error.message.splitlines()[0]}")
        return None
    travel.note(f"the stream broke off; {travel.option.name} went on from where it was")
    return opened


def _prefixed(journey: Journey[Chat], content: str, target: Target) -> Journey[Chat]:
    """Return the chat with what was delivered as the beginning of its answer."""
    call = journey.call
    messages = [*call.messages, {"role": "assistant", "content": content}]
    extra = call.extra_body
    if target.via == "served":  # as vLLM, SGLang and TGI have it
        extra = {"add_generation_prompt": False, "continue_final_message": True, **extra}
    call = msgspec.structs.replace(call, messages=messages, extra_body=extra)
    return msgspec.structs.replace(journey, call=call)


def _asked(journey: Journey[Chat], target: Target, stage: Stage, cut: Cut | None) -> Flow[Opened]:
    call = journey.call
    if stage.silence < call.timeouts.total:
        timeouts = msgspec.structs.replace(call.timeouts, total=stage.silence)
        call = msgspec.structs.replace(call, timeouts=timeouts)
    journey = msgspec.structs.replace(journey, call=call, starts=stage.now)
    now = stage.now
    if target.look_up is not None:
        target, now = yield from named(journey, target, target.look_up)

    def write(journey: Journey[Chat], target: Target, now: float) -> Send:
        send = write_chat(journey, target, now)
        if cut is None:
            return send
        return msgspec.structs.replace(send, reader=_reader_after(cut, send.reader))

    return (yield from carry(journey, target, write, accept_stream, now, stage.before))


def _reader_after(cut: Cut, reader: Any) -> ChunkReader:
    """Return what reads an answer after one that broke off."""
    made: ChunkReader = reader
    if not cut.rest:
        return RestartReader(cut.there, cut.cause, made)
    there = cut.there
    delta = Delta(
        role="assistant", content=there.content or None, reasoning=there.reasoning or None
    )
    made.fold.add(Chunk(None, None, [ChunkChoice(0, delta)]))
    return made

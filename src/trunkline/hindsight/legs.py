"""Streamed chats of which only the times are made up: the kernel carries them as it carries real ones.

Where a call goes, how often and when it ends is decided by `routing.travel` and `routing.carry`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from trunkline import errors
from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import APIError
from trunkline.hindsight.virtual import World, answered
from trunkline.model_id import ModelId
from trunkline.providers.mapping import ModelMaps
from trunkline.providers.spec import Target
from trunkline.routing import record
from trunkline.routing.carry import Flow, Journey, carry, checked
from trunkline.routing.hedging import Stage
from trunkline.routing.needs import Reply, Send, Wait
from trunkline.routing.ranking import Option
from trunkline.routing.retry import Retry
from trunkline.routing.traffic import Facts
from trunkline.routing.travel import Travel, Trip
from trunkline.types import Attempt, Chat, Timeouts
from trunkline.wire.message import HttpRequest, ResponseHead, parse_url

_MAPS = ModelMaps("https://hub.invalid")
_URL = parse_url("https://router.invalid/v1/chat/completions")
_REQUEST = HttpRequest("POST", _URL, ())
_READER: Any = ChunkReader()
"""Says that the answer is streamed; nothing is read."""
_MEASURABLE = 0.05
"""Seconds that a stream has to last for its speed to mean anything."""


class Happening(msgspec.Struct, frozen=True):
    """What becomes of one request."""

    seconds: float
    """Until its first token, or until it fails."""
    status: int | None = 200
    """None where no answer comes: the connection breaks, or `silent`."""
    silent: bool = False
    """Whether nothing comes for as long as anybody waits."""
    retry_after: float | None = None
    rest: float = 0.0
    """Seconds from the first token to the last."""
    output: int | None = None
    """Tokens of the answer; None is unknown."""
    cut: float | None = None
    """Seconds from the first token after which it breaks off; None where it does not."""
    unseen: bool = False
    """Whether nobody saw when its first token came: the rest is then all of it."""


Happens = Callable[[str, float], Happening]
"""Says what becomes of a call's next request, to the place of a name at a time."""


class Spent(msgspec.Struct, frozen=True):
    """What an attempt used before it ended, and where."""

    option: Option
    output: int | None


class Opened(msgspec.Struct, frozen=True):
    """An answer whose first token is there."""

    option: Option
    reply: Reply
    attempts: tuple[Attempt, ...]

    @property
    def happening(self) -> Happening:
        """What becomes of it."""
        found: Happening = self.reply.exchange
        return found


class Ended(msgspec.Struct, frozen=True):
    """How a call ended. Times are those of the clock."""

    began: float
    ended: float
    attempts: tuple[Attempt, ...]
    spent: tuple[Spent, ...] = ()
    first: float | None = None
    """When its caller got the first token; None where none came."""
    option: Option | None = None
    """Who answered; None where nobody did."""
    error: str | None = None


class Answers:
    """What there is to know of answers that have begun."""

    @staticmethod
    def attempts(opened: Opened) -> tuple[Attempt, ...]:
        """Return the attempts, its own last."""
        return opened.attempts

    @staticmethod
    def facts(opened: Opened) -> Facts:
        """Return what was seen when the first token came."""
        if opened.happening.unseen:
            return Facts(whole=False)
        return Facts(first_token=opened.reply.ended - opened.reply.started, whole=False)

    @staticmethod
    def placed(opened: Opened, attempts: tuple[Attempt, ...], travel: Travel[Opened]) -> Opened:
        """Return it with all attempts of the call."""
        del travel
        return msgspec.structs.replace(opened, attempts=attempts)


def reply_of(happening: Happening, send: Send, now: float) -> Reply:
    """Return what comes of a request that is sent now."""
    if happening.silent or now + happening.seconds > send.until:
        silence = errors.Timeout("Nothing came in time.")
        silence.sent = True
        return Reply(now, max(now, send.until), error=silence)
    ended = now + happening.seconds
    if happening.status is None:
        broken = errors.APIConnectionError("The connection broke.")
        broken.sent = True
        return Reply(now, ended, error=broken)
    after = happening.retry_after
    headers = {} if after is None else {"retry-after": f"{after:g}"}
    return Reply(now, ended, ResponseHead(happening.status, headers), exchange=happening)


def leg_for(
    journey: Journey[Chat], retry: Retry | None = None
) -> Callable[[Option, Stage], Flow[Opened]]:
    """Return what asks one place, as chats on routes do; without a route `retry` asks it again."""
    chat = journey.call

    def leg(option: Option, stage: Stage) -> Flow[Opened]:
        timeouts = chat.timeouts
        if stage.silence < timeouts.total:
            timeouts = msgspec.structs.replace(timeouts, total=stage.silence)

        def write(journey: Journey[Chat], target: Target, now: float) -> Send:
            until = min(now + timeouts.total, journey.end)
            return Send(target, _REQUEST, timeouts, until, _READER)

        def accept(
            journey: Journey[Chat], send: Send, reply: Reply, before: tuple[Attempt, ...]
        ) -> Opened:
            checked(reply)
            last = record.attempt(len(before) + 1, send, reply, None, journey.began)
            return Opened(option, reply, (*before, last))

        asked = journey if retry is None else msgspec.structs.replace(journey, retry=retry)
        target = _target(option.name, option.model)
        return carry(asked, target, write, accept, stage.now, stage.before)

    return leg


def journey_of(began: float, deadline: float | None, chance: Callable[[], float]) -> Journey[Chat]:
    """Return a call that begins now."""
    return Journey(_chat(deadline), Retry(0, chance), began, _MAPS)


def travelled(trip: Trip[Opened], happens: Happens, *, whole: bool = False) -> Flow[Ended]:
    """Carry a call along its route to its end. `whole`: nothing is delivered before that.

    A stream that breaks off ends the call; a whole answer that does is asked for elsewhere.
    """
    spent: list[Spent] = []
    flow = _travelled(trip, spent, whole=whole)
    ended = yield from answered(flow, _world(happens), trip.began)
    options = {option.name: option for option in trip.options}
    spent += [
        Spent(options[one.provider], 0)
        for one in ended.attempts
        if one.error == "cancelled"
        and one.provider in options  # hung up on: it has read the prompt
    ]
    return msgspec.structs.replace(ended, spent=tuple(spent))


def _travelled(trip: Trip[Opened], spent: list[Spent], *, whole: bool) -> Flow[Ended]:
    began = trip.began
    first, now = None, began
    try:
        travel = Travel(trip)
        opened = yield from travel.go()
        while True:
            first = None if whole else opened.reply.ended
            now, broke = yield from _read(opened, trip.end, spent)
            if broke is None:
                travel.over(now, None, _facts(opened))
                return Ended(began, now, travel.attempts, (), first or now, opened.option)
            travel.over(now, broke, Facts())
            broke.attempts = _broken(travel.attempts, broke)
            if not whole:
                raise broke
            opened = yield from travel.go_on(broke, broke.attempts)
    except APIError as error:
        return _failed(began, now, first, error)


def alone(
    journey: Journey[Chat], option: Option, happens: Happens, retry: Retry | None = None
) -> Flow[Ended]:
    """Carry a call without a route: one place is asked, a few times with `retry`."""
    spent: list[Spent] = []
    flow = _alone(journey, option, retry, spent)
    ended = yield from answered(flow, _world(happens), journey.began)
    return msgspec.structs.replace(ended, spent=tuple(spent))


def _alone(
    journey: Journey[Chat], option: Option, retry: Retry | None, spent: list[Spent]
) -> Flow[Ended]:
    began = journey.began
    first, now = None, began
    try:
        stage = Stage(began, (), "first", math.inf)
        opened = yield from leg_for(journey, retry)(option, stage)
        first = opened.reply.ended
        now, broke = yield from _read(opened, journey.end, spent)
        if broke is None:
            return Ended(began, now, opened.attempts, (), first, option)
        broke.attempts = _broken(opened.attempts, broke)
        raise broke
    except APIError as error:
        return _failed(began, now, first, error)


def _world(happens: Happens) -> World:
    def world(send: Send, now: float) -> Reply:
        return reply_of(happens(str(send.target.provider), now), send, now)

    return world


def _read(opened: Opened, end: float, spent: list[Spent]) -> Flow[tuple[float, APIError | None]]:
    """Let an answer come to its end; return when that is, and what broke it off."""
    happening, begun = opened.happening, opened.reply.ended
    lasts = happening.rest if happening.cut is None else happening.cut
    now: float = yield Wait(max(0.0, min(lasts, end - begun)))
    if begun + lasts > end:
        broke: APIError | None = errors.DeadlineExceeded("The call's deadline passed.")
    elif happening.cut is not None:
        broke = errors.StreamTruncated("The stream broke off.")
    else:
        spent.append(Spent(opened.option, happening.output))
        return now, None
    part = (now - begun) / happening.rest if happening.rest > 0 else 1.0
    output = happening.output
    spent.append(Spent(opened.option, None if output is None else math.floor(output * part)))
    return now, broke


def _facts(opened: Opened) -> Facts:
    happening = opened.happening
    output, seconds = happening.output, happening.rest
    known = seconds > _MEASURABLE and not happening.unseen
    fast = output / seconds if output and known else None
    return Facts(throughput=fast, output=output)


def _broken(attempts: tuple[Attempt, ...], error: APIError) -> tuple[Attempt, ...]:
    last = msgspec.structs.replace(attempts[-1], error=type(error).__name__)
    return (*attempts[:-1], last)


def _failed(began: float, now: float, first: float | None, error: APIError) -> Ended:
    attempts = error.attempts
    last = began + attempts[-1].started + attempts[-1].seconds if attempts else began
    return Ended(began, max(now, last), attempts, (), first, error=type(error).__name__)


@cache
def _target(name: str, model: str) -> Target:
    return Target(_URL, model, "router", name)


@cache
def _chat(deadline: float | None) -> Chat:
    return Chat(ModelId("huggingface", "org/model"), [], stream=True, deadline=deadline,
                timeouts=Timeouts())  # fmt: skip

"""Transports that answer from a cassette, and flows whose waits take no time.

A flow's clock goes on by what it would have waited and by what its answers took when they were
recorded, so that limits and deadlines pass where they passed then.
"""

from __future__ import annotations

import math
import time
from typing import Any, Protocol, TypeVar

import msgspec

from trunkline import errors
from trunkline.errors import APIConnectionError, APIError
from trunkline.routing.carry import Flow
from trunkline.routing.event_flow import OpenedEvents
from trunkline.routing.flow import Opened
from trunkline.routing.needs import Race, Raced, Reply, Send, Wait
from trunkline.testing.errors import CassetteError
from trunkline.testing.interactions import Answer, Fault, Interaction, head_of
from trunkline.transport.seam import AsyncExchange, AsyncTransport, Exchange, Transport
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest

T = TypeVar("T")

SHORT = 0.1
"""Seconds of a wait that is none: for another call of the same program, which needs its turn."""


class Deck(Protocol):
    """Where answers come from."""

    def draw(self, request: HttpRequest) -> Interaction | None:
        """Return what answers `request`; None where it may be sent. Raises NoMatchError."""
        ...


class _Played:
    """What both exchanges have in common: the answer, and how far it has been read."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.head = head_of(answer)
        self.started = time.monotonic() - _before(answer)
        self._left = list(reversed(answer.pieces))

    def next(self, until: float) -> bytes:
        """Return the next piece; raises what the recorded connection failed with."""
        if self._left:
            return self._left.pop()
        if self._answer.error is not None:
            raise error_of(self._answer.error, self.started, until)
        if self._answer.left:
            raise CassetteError(_GONE)
        return b""

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _before(answer: Answer) -> float:
    """Return how long ago a request began whose answer is now told at once.

    A stream on which a limit passed has to be as old as it was when its last event came.
    """
    error = answer.error
    return error.seconds - error.silent if error is not None and error.silent else answer.seconds


_GONE = (
    "When this was recorded, the program went away before the answer was whole; now it wants more "
    "than it had then.\nRecord it anew, or leave at the same place."
)


class PlayedExchange(_Played):
    """An exchange with a cassette."""

    def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as seam.Exchange."""
        return self.next(until)


class AsyncPlayedExchange(_Played):
    """PlayedExchange, awaited."""

    async def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as seam.Exchange."""
        await _turn()
        return self.next(until)


class Replaying:
    """Answers from a deck; what that lets through goes to a transport."""

    def __init__(self, deck: Deck, transport: Transport) -> None:
        """Ask `deck` first."""
        self._deck = deck
        self._transport = transport

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> Exchange:
        """Return the recorded answer; raises as seam.Transport, and NoMatchError."""
        found = self._deck.draw(request)
        if found is None:
            return self._transport.open(request, timeouts, until)
        return PlayedExchange(_opened(found.answer, until))

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()


class AsyncReplaying:
    """Replaying, awaited."""

    def __init__(self, deck: Deck, transport: AsyncTransport) -> None:
        """Ask `deck` first."""
        self._deck = deck
        self._transport = transport

    async def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> AsyncExchange:
        """Return the recorded answer; raises as seam.AsyncTransport, and NoMatchError."""
        found = self._deck.draw(request)
        if found is None:
            return await self._transport.open(request, timeouts, until)
        await _turn()
        return AsyncPlayedExchange(_opened(found.answer, until))

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()


def _opened(answer: Answer, until: float) -> Answer:
    if answer.status is not None:
        return answer
    if answer.error is not None:
        raise error_of(answer.error, time.monotonic(), until)
    raise CassetteError(_GONE)


async def _turn() -> None:
    """Let others have a turn, as they have where bytes come from a socket."""
    import asyncio  # slow to load, and the blocking twin needs none of it

    await asyncio.sleep(0)


def error_of(fault: Fault, began: float, until: float) -> APIError:
    """Return the error that a connection failed with, of a request that began at `began`.

    What was late then is late now, by the limit `until` that is set now.
    """
    kind: Any = getattr(errors, fault.type, None)
    known = isinstance(kind, type) and issubclass(kind, APIError)
    error: APIError = (kind if known else APIConnectionError)(
        fault.message, hint=fault.hint, should_retry=fault.should_retry
    )
    if isinstance(error, APIConnectionError):
        error.sent, error.received = fault.sent, fault.received
        at = time.monotonic() + fault.silent if fault.silent else began + fault.seconds
        error.at = max(at, until) if fault.late and until < math.inf else at
    return error


def without_races(flow: Flow[T]) -> Flow[T]:
    """Drive `flow` without a second place beside the first: whoever is sooner would differ each time."""
    try:
        need = next(flow)
        while True:
            if isinstance(need, Race):
                need = flow.send(Raced(0, (yield need.first)))
            else:
                need = flow.send((yield need))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()


def without_waits(flow: Flow[T]) -> Flow[T]:
    """Drive `flow` on a clock of its own, which waits move on at once."""
    ahead = 0.0  # how far its clock is before the real one
    try:
        need = next(flow)
        while True:
            if isinstance(need, Wait) and need.seconds > SHORT:
                ahead += need.seconds
                need = flow.send((yield Wait(0.0)) + ahead)
            elif isinstance(need, Wait):
                need = flow.send((yield need) + ahead)
            elif isinstance(need, Send):
                sent = time.monotonic()
                reply = yield msgspec.structs.replace(need, until=need.until - ahead)
                moved = _moved(reply, sent + ahead)
                ahead = moved.ended - reply.ended
                need = flow.send(moved)
            else:
                need = flow.send((yield need))
    except StopIteration as end:
        result: T = _brought_back(end.value, ahead)
        return result
    finally:
        flow.close()


def _moved(reply: Reply, started: float) -> Reply:
    """Return a reply with its times on the flow's clock, by which its request `started`."""
    ended = reply.ended
    if isinstance(reply.error, APIConnectionError) and reply.error.at is not None:
        ended = max(ended, reply.error.at)
    return msgspec.structs.replace(
        reply, started=started, ended=started + max(ended - reply.started, 0.0)
    )


def _brought_back(result: Any, ahead: float) -> Any:
    """Return a result; the times of a stream, which goes on by the real clock, moved back to it."""
    if not isinstance(result, (Opened, OpenedEvents)):
        return result
    reply = msgspec.structs.replace(
        result.reply, started=result.reply.started - ahead, ended=result.reply.ended - ahead
    )
    return msgspec.structs.replace(result, reply=reply, began=result.began - ahead)

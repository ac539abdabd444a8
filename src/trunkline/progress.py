"""How far a streamed answer has come, and how long it may still take. It has a clock; no I/O."""

from __future__ import annotations

import time
from typing import Any, Generic, Protocol, TypeVar

from trunkline.dialects.reader import Reader
from trunkline.errors import APIConnectionError, APIError, DeadlineExceeded, Timeout
from trunkline.routing.carry import Flow
from trunkline.routing.holding import Hold, Holding
from trunkline.routing.needs import Reply
from trunkline.types import Timeouts

EventT = TypeVar("EventT")
WholeT = TypeVar("WholeT")
WholeT_co = TypeVar("WholeT_co", covariant=True)

_EARLY = 0.01
"""Seconds by which a loop's alarm may come too soon."""


class Ending(Protocol):
    """What is told how a stream ended, and gives its receipt the call's id."""

    @property
    def is_open(self) -> bool:
        """Whether it was told nothing yet."""
        ...

    def marked(self, result: WholeT) -> WholeT:
        """Return a whole, or a part, whose receipt says the call's id."""
        ...

    def done(self, result: WholeT) -> WholeT:
        """Hear of a good end."""
        ...

    def failed(self, error: BaseException) -> None:
        """Hear of a bad one."""
        ...

    def left(self, partial: Any) -> None:
        """Hear that nobody reads on."""
        ...


class Open(Protocol[EventT, WholeT_co]):
    """A stream whose first events have arrived, as a flow hands it over."""

    @property
    def reader(self) -> Reader[EventT]:
        """What reads the rest of it."""
        ...

    @property
    def reply(self) -> Reply:
        """The open exchange, and the first events."""
        ...

    @property
    def began(self) -> float:
        """Monotonic time at which the call began."""
        ...

    @property
    def limits(self) -> Timeouts:
        """The limits of each stage."""
        ...

    @property
    def deadline(self) -> float | None:
        """Seconds that the whole call may take."""
        ...

    @property
    def usage(self) -> Any:
        """Token counts, once they have come."""
        ...

    def text_of(self, event: EventT, /) -> str:
        """Return the text of the answer that an event adds."""
        ...

    def whole(self, ended: float, error: APIError | None = None) -> WholeT_co:
        """Return the whole so far, with its receipt."""
        ...

    def explain(self, error: APIError, ended: float) -> APIError:
        """Say on an error of this stream where it happened."""
        ...

    @property
    def hold(self) -> Hold | None:
        """How much of it is kept back before any is delivered."""
        ...

    def mend(
        self, failure: APIError, ended: float, *, delivered: bool
    ) -> Flow[Open[EventT, WholeT_co]] | None:
        """Return how to go on after a failure; None where it ends the call."""
        ...

    def over(self, ended: float, error: APIError | None) -> None:
        """Take that it ended, or was broken off by `error`."""
        ...


class Progress(Generic[EventT, WholeT]):
    """What both streams know of the one that they read. No I/O."""

    def __init__(self, opened: Open[EventT, WholeT], ending: Ending | None = None) -> None:
        self.ending = ending
        self.ended: float | None = None
        self._whole: WholeT | None = None
        self._delivered = False
        self._take(opened)

    def _take(self, opened: Open[EventT, WholeT]) -> None:
        self.opened = opened
        self.reader = opened.reader
        self.last_event = opened.reply.ended
        self._holding = Holding(opened.hold, opened.reply.ended)
        self.waiting = self._passed_on(opened.reply.chunks)
        """Events that are to be delivered."""

    def mending(self) -> Flow[Open[EventT, WholeT]] | None:
        """Return how to go on after the stream failed; None where it has not, or that ends it."""
        failure = self.reader.failure
        if failure is None:
            return None
        now = time.monotonic()
        self.opened.over(now, failure)
        if not self._delivered:
            self._holding.dropped()
        flow = self.opened.mend(failure, now, delivered=self._delivered)
        return flow if flow is None or self.ending is None else _told(flow, self.ending)

    def mended(self, opened: Open[EventT, WholeT]) -> None:
        """Go on with another stream."""
        self._take(opened)

    def broken(self, error: APIError) -> None:
        """Give an error that ends the call in place of another stream what was delivered before."""
        self.left()
        if self._delivered and error.partial is None:
            error.partial = self.so_far()

    def let_go(self) -> list[EventT]:
        """Return what was still kept back when the stream had ended."""
        return self._sent(self._holding.release()) if self._holding.holds else []

    def _passed_on(self, events: list[EventT]) -> list[EventT]:
        if not self._holding.holds:
            return self._sent(events)
        return self._sent(self._holding.passed(events, time.monotonic()))

    def _sent(self, events: list[EventT]) -> list[EventT]:
        self._delivered = self._delivered or bool(events)
        return events

    def until(self) -> float:
        """Return the moment at which waiting for more becomes too long."""
        opened = self.opened
        timeouts = opened.limits
        deadline = opened.deadline
        return min(
            time.monotonic() + timeouts.idle,
            self.last_event + timeouts.quiet,
            opened.reply.started + timeouts.stream,
            float("inf") if deadline is None else opened.began + deadline,
            float("inf") if self._holding.until is None else self._holding.until,
        )

    def arrived(self, data: bytes) -> list[EventT]:
        """Return the events that `data` completes; none at all is the end."""
        if not data:
            return self._passed_on(self.reader.finish())
        events = self.reader.feed(data)
        if events:
            self.last_event = time.monotonic()
        return self._passed_on(events)

    def cut_off(self, cut: APIConnectionError) -> list[EventT]:
        """Return the last events of a stream whose connection broke, or was too slow."""
        if isinstance(cut, Timeout):
            now = (time.monotonic() if cut.at is None else cut.at) + _EARLY
            if self._holding.until is not None and now >= self._holding.until:
                return self._sent(self._holding.release())  # it was only held for so long
            cut = self._passed(now) or cut
        return self._passed_on(self.reader.finish(cut))

    def _passed(self, now: float) -> Timeout | None:
        """Return which limit of the stream as a whole has passed, if one has."""
        opened = self.opened
        timeouts = opened.limits
        if opened.deadline is not None and now >= opened.began + opened.deadline:
            return DeadlineExceeded("The call's deadline passed.")
        if now >= self.last_event + timeouts.quiet:
            return Timeout(f"No event came for {timeouts.quiet:g} s, only keep-alives.")
        if now >= opened.reply.started + timeouts.stream:
            return Timeout(f"It lasted longer than {timeouts.stream:g} s.")
        return None

    def left(self) -> None:
        """Note when the stream ended, or was left."""
        if self.ended is None:
            self.ended = time.monotonic()

    def settle(self) -> None:
        """Make the whole, or raise what ended the stream."""
        self.left()
        failure = self.reader.failure
        whole = self.so_far()
        if failure is None:
            self._whole = whole
            self.opened.over(self.ended or time.monotonic(), None)
            if self.ending is not None:
                self.ending.done(whole)
            return
        failure.partial = whole
        ended = self.ended or time.monotonic()
        error = self.opened.explain(failure, ended)
        if self.ending is not None:
            self.ending.failed(error)
        raise error from failure.__cause__

    def dropped(self) -> None:
        """Note that nobody reads on, where that is news. Called from finalizers, it raises nothing."""
        if self.ending is not None and self.ending.is_open:
            try:
                partial = self.so_far()
            except Exception:  # another thread is in the middle of reading
                partial = None
            self.ending.left(partial)

    def whole(self) -> WholeT:
        """Return the whole answer; raises what ended the stream before it was one."""
        if self._whole is None:
            self.reader.finish(APIConnectionError("It was closed before its end."))
            self.settle()
        return self.so_far()

    def so_far(self) -> WholeT:
        """Return the whole if the stream has ended, else what has come of it."""
        if self._whole is not None:
            return self._whole
        whole = self.opened.whole(self.ended or time.monotonic(), self.reader.failure)
        return whole if self.ending is None else self.ending.marked(whole)


def _told(flow: Flow[Open[EventT, WholeT]], ending: Ending) -> Flow[Open[EventT, WholeT]]:
    """Go on as `flow` does; where it cannot, that is the stream's end."""
    try:
        return (yield from flow)
    except BaseException as error:
        ending.failed(error)
        raise

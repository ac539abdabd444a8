"""One call from its beginning to its row in the log. What is noted here never makes a call fail."""

from __future__ import annotations

import secrets
import time
from typing import Any, Literal, TypeVar

import msgspec

from trunkline.errors import APIError
from trunkline.logbook.writer import LogWriter
from trunkline.routing.carry import Flow, Journey
from trunkline.routing.needs import Need, Race, Send
from trunkline.types import Attempt, Chat, Receipt
from trunkline.types.job import Job
from trunkline.types.results import Items
from trunkline.types.route import RouteReport

T = TypeVar("T")

Outcome = Literal["ok", "failed", "broken", "left", "cancelled"]
"""`broken`: a stream's error after it had begun. `left`: a stream that its caller did not read to
its end. `cancelled`: the caller did not wait for the answer."""


class Trouble(msgspec.Struct, frozen=True):
    """What is kept of an error: it itself holds on to all that it was raised through."""

    kind: str
    message: str
    status: int | None = None
    request_id: str | None = None
    provider: str | None = None


class Ended(msgspec.Struct, frozen=True, gc=False):
    """How a call ended: what its row is made of, by whoever writes it."""

    id: str
    started: float
    """Seconds since 1970."""
    seconds: float
    journey: Journey[Any]
    stream: bool
    outcome: Outcome
    receipt: Receipt | None
    usage: Any
    attempts: tuple[Attempt, ...]
    error: Trouble | None
    job: str | None
    route: RouteReport | None
    content: bool
    """Whether content is kept."""
    result: Any
    """The answer, if it is."""


class Note:
    """What is known of one call until it ends; the first end counts."""

    def __init__(self, writer: LogWriter[Ended], journey: Journey[Any], *, content: bool) -> None:
        """Begin now."""
        self._began = time.time()
        self._writer = writer
        self._journey = journey
        self._content = content
        self._ended = False
        self._opened = False
        self._under_way: Send | None = None
        self._sent_at = 0.0
        self._count = 0
        self.id = new_id(self._began)

    def watch(self, flow: Flow[T], *, opens: bool = False) -> Flow[T]:
        """Return a flow that does the same, and notes how it ends; or, if it `opens` a stream, begins."""
        try:
            result = yield from self._looking(flow)
        except BaseException as error:
            self.failed(error)
            raise
        if opens:
            self._opened = True
            self._under_way = None
            return result
        return self.done(result)

    def _looking(self, flow: Flow[T]) -> Flow[T]:
        """Carry a flow and look at what it asks for: nobody else can tell what was broken off."""
        try:
            need = next(flow)
            while True:
                self._sends(need)
                try:
                    answer = yield need
                except Exception as error:
                    need = flow.throw(error)
                else:
                    need = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    def marked(self, result: T) -> T:
        """Return a result whose receipt says the call's id."""
        found = getattr(result, "receipt", None)
        if not isinstance(found, Receipt):
            return result
        receipt = msgspec.structs.replace(found, call_id=self.id)
        made: Any = result
        if isinstance(made, Items):
            made = Items(made, receipt)
        else:
            made = msgspec.structs.replace(made, receipt=receipt)
        same: T = made
        return same

    def done(self, result: T) -> T:
        """Note a good end, and return the result with the call's id."""
        result = self.marked(result)
        self._end("ok", result)
        return result

    def failed(self, error: BaseException) -> None:
        """Note a bad end, and give the error the call's id."""
        if isinstance(error, APIError):
            error.call_id = self.id
        if not isinstance(error, Exception):
            self._end("cancelled", None)
        else:
            broken = self._opened and self._streams
            self._end("broken" if broken else "failed", getattr(error, "partial", None), error)

    def left(self, partial: Any) -> None:
        """Note that a stream was left before its end."""
        self._end("left", partial)

    @property
    def _streams(self) -> bool:
        """Whether its caller reads it as a stream. Whole answers on routes are opened as streams, too."""
        call = self._journey.call
        return call.stream if isinstance(call, Chat) else self._opened

    @property
    def is_open(self) -> bool:
        """Whether no end was noted yet."""
        return not self._ended

    def _sends(self, need: Need) -> None:
        if isinstance(need, (Send, Race)):
            self._under_way = need.first if isinstance(need, Race) else need
            self._sent_at = time.monotonic()
            self._count += 1
        else:
            self._under_way = None

    def _end(self, outcome: Outcome, result: Any, error: Exception | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        found = getattr(result, "receipt", None)
        receipt = found if isinstance(found, Receipt) else None
        attempts = _of(error, "attempts") or (receipt.attempts if receipt else ())
        if outcome == "cancelled":
            attempts = (*attempts, *self._broken_off())
        job = next((j for j in (_of(error, "job"), _of(result, "job")) if isinstance(j, Job)), None)
        route = receipt.route if receipt else _of(error, "route")
        self._writer.put(
            Ended(
                id=self.id,
                started=self._began,
                seconds=time.monotonic() - self._journey.began,
                journey=self._journey,
                stream=self._streams,
                outcome=outcome,
                receipt=receipt,
                usage=_of(result, "usage"),
                attempts=attempts,
                error=None if error is None else _told(error),
                job=None if job is None else str(job),
                route=route if isinstance(route, RouteReport) else None,
                content=self._content,
                result=result if self._content else None,
            )
        )

    def _broken_off(self) -> tuple[Attempt, ...]:
        """Return the request that nobody waits for any more, as an attempt."""
        send = self._under_way
        if send is None:
            return ()
        return (
            Attempt(
                number=self._count,
                provider=send.target.provider,
                model=send.target.model,
                url=str(send.request.url).partition("?")[0],
                status=None,
                error="cancelled",
                request_id=None,
                started=self._sent_at - self._journey.began,
                seconds=time.monotonic() - self._sent_at,
            ),
        )


def new_id(now: float) -> str:
    """Return an id that grows with time and that nobody else has."""
    return f"call_{int(now * 1000):011x}{secrets.token_hex(5)}"


def _told(error: Exception) -> Trouble:
    kind = type(error).__name__
    if isinstance(error, APIError):
        told = error.status, error.request_id, error.provider
        return Trouble(kind, error.message, *told)
    return Trouble(kind, str(error))


def _of(value: Any, name: str) -> Any:
    return getattr(value, name, None)

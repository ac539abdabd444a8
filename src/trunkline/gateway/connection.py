"""One client's connection: requests read strictly and in time, answers written with back-pressure.

It knows no route and no key; the edge's application decides what becomes of a request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from trunkline.gateway.exchange import HELD_BACK, Exchange
from trunkline.gateway.refusals import of_bytes, tell
from trunkline.gateway.slow_client import SlowClient
from trunkline.gateway.writing_side import PARTING, WritingSide
from trunkline.wire.http1_read import HttpError, too_large
from trunkline.wire.http1_serve import Head, Repeat, RequestStream, repeat_of

if TYPE_CHECKING:
    from trunkline.gateway.edge import Edge

_AHEAD = 32
"""Requests that a client may send before its first is answered."""
_AHEAD_BYTES = 64 * 1024
"""Of their bodies, before no more is read until it is their turn."""
_AHEAD_MOST = 1024 * 1024
"""What of them may come in spite of that, in one read."""


class Connection(WritingSide):
    """Reads requests, hands them over one after the other, and writes the answers."""

    __slots__ = (
        "_continued",
        "_current",
        "_failure",
        "_limit",
        "_paused_reading",
        "_promised",
        "_repeat",
        "_stream",
        "_waiting",
        "closing",
        "peer",
        "secure",
    )

    def __init__(self, edge: Edge, *, secure: bool) -> None:
        """Belongs to `edge`."""
        super().__init__(edge)
        self._stream = RequestStream(edge.http, self)
        self.secure = secure
        self.peer: tuple[str, int] | None = None
        self.closing = False
        """Whether the present answer is the connection's last."""
        self._repeat: Repeat | None = None
        self._current: Exchange | None = None
        """The request whose body is arriving, or that is being answered."""
        self._waiting: deque[Exchange] | None = None
        """Requests behind the one that is being answered."""
        self._limit = 0  # bytes that the present request's body may have
        self._failure: HttpError | None = None
        self._continued = False
        self._promised = False
        """Whether the client was told, before a drain began, that another request may follow."""
        self._paused_reading = False

    # called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        edge = self.edge
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HELD_BACK)
        peer = transport.get_extra_info("peername")
        self.peer = peer[:2] if isinstance(peer, tuple) else None
        edge.connections.add(self)
        self.until = edge.leave_until if edge.draining else edge.head_until
        if len(edge.connections) > edge.most:
            edge.application.refused("overload")
            self._refuse(HttpError("the gateway has as many connections as it takes", 503))

    def data_received(self, data: bytes) -> None:
        """Read on."""
        repeat = self._repeat
        if self._current is not None or self._stream.reading:
            self._feed(data)
        elif repeat is not None and (body := repeat.body_of(data)) is not None:
            self._take_repeated(repeat.head, body)
        else:
            self._feed(data)
            self._remember(data)

    def _remember(self, data: bytes) -> None:
        """Learn to recognise a request that came alone and whole; or give its head its time."""
        current, stream = self._current, self._stream
        if current is None:
            if stream.reading:
                self.until = self.edge.head_until
        elif current.whole and not (self._waiting or stream.reading):
            self._repeat = repeat_of(data, current.head)

    def _take_repeated(self, head: Head, body: bytes) -> None:
        """Take a whole request whose head is the last one's."""
        if self._discarding:
            return
        edge = self.edge
        exchange = self._current = Exchange(self, head, edge.now)
        limit = edge.application.admit(exchange)
        exchange.whole = True
        if limit is None:
            exchange.body = body
            exchange.size = len(body)
            self._hold(exchange)
        elif exchange.done:
            self.next()
        elif len(body) > limit:
            edge.application.refused("body")
            self._refuse(too_large(limit), exchange)
        else:
            exchange.body = body
            exchange.size = len(body)
            self.until = edge.total_until
            edge.application.call(exchange)

    def _feed(self, data: bytes) -> None:
        if self._discarding:
            return
        stream = self._stream
        try:
            stream.feed(data)
        except HttpError as error:
            self._failed(error)
            return
        if stream.reading:
            self._go_on(stream)

    def _go_on(self, stream: RequestStream) -> None:
        """See that a request that has begun, and is not whole, goes on in time."""
        current = self._current
        if current is None or current.whole or stream.in_head or self._continued:
            return
        if self._waiting:  # it is held
            return
        if self.closing:  # refused by its head; what follows is nothing that anybody reads
            self._part(unread=self._stream.reading)
            return
        self._continued = True
        self.until = self.edge.after(self.edge.limits.body_seconds)
        current.invite()

    def eof_received(self) -> bool:
        """Take a client that stops sending for one that is gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's
        """Tell whoever is answering."""
        self.edge.connections.discard(self)
        self._stream.close()
        self._discarding = True
        exchanges = (self._current, *(self._waiting or ()))
        self._transport = self._repeat = self._current = self._waiting = None
        for exchange in exchanges:
            if exchange is not None and not exchange.done:
                exchange.gone = True
                on_gone, exchange.on_gone, exchange.on_flow = exchange.on_gone, None, None
                if on_gone is not None:
                    on_gone()

    def pause_writing(self) -> None:
        """Hold back: the client reads slowly. Until it has caught up, nothing more is read of it."""
        self.writable = False
        if self._transport is not None:
            self._slow = SlowClient(self._transport, self.edge.now)
        self.until = self.edge.after(self.edge.limits.stall_seconds)
        current = self._current
        if current is not None and current.on_flow is not None:
            current.on_flow(False)
        self._look_at_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self.writable = True
        edge, current = self.edge, self._current
        if self._discarding:
            self.until = edge.after(PARTING)
        elif current is None:
            self.until = edge.idle_until
        elif current.done and current.whole:
            self._take_waiting()
        elif current.whole:
            self.until = edge.after(edge.limits.total_seconds + current.began - edge.now)
        else:
            self.until = edge.after(edge.limits.body_seconds)
        if current is not None and current.on_flow is not None:
            current.on_flow(True)
        self._look_at_reading()

    def _look_at_reading(self) -> None:
        """Read on, or do not: a slow client's next requests would only be more to hold."""
        waiting = self._waiting
        pause = not self.writable or (
            bool(waiting) and sum([exchange.size for exchange in waiting or ()]) > _AHEAD_BYTES
        )
        transport = self._transport
        if pause is not self._paused_reading and transport is not None:
            self._paused_reading = pause
            (transport.pause_reading if pause else transport.resume_reading)()

    # called by the stream of requests

    def head_arrived(self, head: Head) -> None:
        """Have the application look at a request before its body is read."""
        if self._discarding:
            return
        exchange = Exchange(self, head, self.edge.now)
        exchange.parts = []
        if self._current is None:
            self._current = exchange
            self._continued = False
            if not self._admit(exchange):
                self._hold(exchange)
            return
        waiting = self._waiting = self._waiting or deque()
        waiting.append(exchange)
        if len(waiting) > _AHEAD:
            raise HttpError("too many requests were sent ahead of their answers", 429)

    def body_arrived(self, data: bytes) -> None:
        """Keep a piece of a body, within its limit."""
        waiting = self._waiting
        exchange = waiting[-1] if waiting else self._current
        if exchange is None or self._discarding:
            return
        exchange.size += len(data)
        if exchange.size > (limit := _AHEAD_MOST if waiting else self._limit):
            raise too_large(limit)
        if not exchange.done:
            exchange.parts.append(data)
        if waiting:
            self._look_at_reading()

    def request_arrived(self) -> None:
        """Hand a whole request over, if it is its turn."""
        waiting = self._waiting
        exchange = waiting[-1] if waiting else self._current
        if exchange is None or self._discarding:
            return
        exchange.gather()
        if not waiting:
            self._call(exchange)

    def _admit(self, exchange: Exchange) -> bool:
        """Have a request admitted; False where it is to be held."""
        limit = self.edge.application.admit(exchange)
        if limit is None:
            return False
        self._limit = limit
        if not exchange.done and max(exchange.size, exchange.head.length or 0) > limit:
            raise too_large(limit)
        return True

    def _hold(self, exchange: Exchange) -> None:
        """Have a request wait as those do that were sent ahead, behind itself."""
        waiting = self._waiting = self._waiting or deque()
        waiting.appendleft(exchange)
        self.until = self.edge.after(self.edge.limits.body_seconds)
        self._look_at_reading()

    def release(self, exchange: Exchange) -> None:
        """Go on with a request that was held."""
        waiting = self._waiting
        if not self._discarding and waiting and waiting[0] is exchange is self._current:
            exchange.labels = b""  # it is dispatched anew
            self._begin(waiting.popleft())

    def _call(self, exchange: Exchange) -> None:
        if exchange.done:
            self.next()
        else:
            self.until = self.edge.total_until
            self.edge.application.call(exchange)

    # answering

    def next(self) -> None:
        """Go on to the next request, or part, after an answer has ended."""
        current, self._current = self._current, None
        edge = self.edge
        if self._waiting or self._failure is not None or self._stream.reading or edge.draining:
            self._next_waiting(current)
        elif self.closing or (current is not None and not current.head.keep_alive):
            self._part(unread=self._stream.reading)
        elif self.writable:
            self.until = edge.idle_until

    def _next_waiting(self, current: Exchange | None) -> None:
        if self.closing or (current is not None and not current.head.keep_alive):
            self._part(unread=self._stream.reading)
        elif self._waiting:
            self._current = current  # nothing that arrives meanwhile may go before what waits
            asyncio.get_running_loop().call_soon(self._take_waiting)
        elif self._failure is not None:
            self._refuse(self._failure)
        elif self._stream.reading:
            self.until = self.edge.head_until
        elif self._promised:  # the answer did not say that it is the last: the edge drains since
            self._promised = False
            self.until = self.edge.leave_until
        else:
            self._part(unread=self._stream.reading)

    def _take_waiting(self) -> None:
        """Begin with the next of the requests that were sent ahead."""
        current, waiting = self._current, self._waiting
        if self._discarding or not self.writable or current is None or not current.done:
            return
        if not waiting:
            if self._failure is not None:
                self._refuse(self._failure)
            return
        self._begin(waiting.popleft())

    def _begin(self, exchange: Exchange) -> None:
        """Begin with a request whose turn it is."""
        self._current = exchange
        self._continued = False
        try:
            admitted = self._admit(exchange)
        except HttpError as error:
            self.edge.application.refused("body")
            self._refuse(error, exchange)
            return
        if not admitted:
            self._hold(exchange)
        elif exchange.whole:
            self._call(exchange)
        else:
            self._go_on(self._stream)
        self._look_at_reading()

    def leave_when_idle(self) -> None:
        """Close soon if nothing is being read or answered: a request may be on its way."""
        if self._current is not None:
            self._promised = self._current.begun
        elif not (self._stream.reading or self._discarding):
            self.until = min(self.until, self.edge.leave_until)

    def late(self) -> None:
        """End a stage that took too long."""
        current = self._current
        if self._slow is not None and (self._discarding or not self.writable):
            self.until = self._slow.late(self.edge)
        elif current is None and not self._stream.reading:
            self._part(unread=self._stream.reading)
        elif current is None or not (current.whole or current.begun):
            self._failed(HttpError("the request did not arrive in time", 408))
        else:
            self.edge.application.refused("late")
            self.abort()

    def _failed(self, error: HttpError) -> None:
        """Answer what is no request, once what came before it is answered."""
        if self._discarding:
            return
        self.edge.application.refused({408: "late", 413: "body"}.get(error.status, "http"))
        current = self._current
        if current is None:
            self._refuse(error)
        elif current.whole:
            self._failure = error
            self._waiting = deque(e for e in self._waiting or () if e.whole)
        elif current.begun:  # it is answered already, and the connection is no use any more
            self._part(unread=True)
        else:
            self._refuse(error, current)

    def _refuse(self, error: HttpError, exchange: Exchange | None = None) -> None:
        """Answer with an error as the last thing."""
        if exchange is None:
            exchange = self._current = Exchange(self, Head(), self.edge.now)
        tell(exchange, of_bytes(error), keep=False)
        self._part(unread=True)

"""Where clients connect: requests read strictly and in time, answers written with back-pressure.

It knows no route and no key; `Application` decides what becomes of a request.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections import deque
from email.utils import formatdate
from typing import Protocol, cast

from trunkline.dialects.openai_server import error_body
from trunkline.gateway.config import Edge as Limits
from trunkline.gateway.exchange import HELD_BACK, Exchange
from trunkline.wire.http1_read import HttpError, HttpLimits, too_large
from trunkline.wire.http1_serve import AHEAD, Head, Repeat, RequestStream, repeat_of

TURN = 0.25
"""Seconds between two looks at the clock: how exact time limits are."""
_AHEAD = 8
"""Requests that a client may send before its first is answered."""
_PARTING = 2.0
"""Seconds that a client which is refused early has to read why."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Application(Protocol):
    """What the edge hands requests to."""

    def admit(self, exchange: Exchange) -> int:
        """Look at a request's head: answer it now, or return how many bytes its body may have."""
        ...

    def call(self, exchange: Exchange) -> None:
        """Take a request that is whole and was admitted."""
        ...

    def refused(self, reason: str) -> None:
        """Count what the edge refused itself."""
        ...


class Edge:
    """The listening side: its connections, their limits and its clock."""

    def __init__(self, application: Application, limits: Limits, *, most: int = 20_000) -> None:
        """Open nothing yet; `most` connections are served at the same time."""
        self.application = application
        self.limits = limits
        self.http = HttpLimits(
            head=limits.head_bytes, headers=limits.headers, body=limits.body_bytes
        )
        self.most = most
        self.connections: set[Connection] = set()
        self.draining = False
        self.now = time.monotonic()
        self.wall = time.time()
        self.idle_until = self.total_until = self.head_until = 0.0
        """When what begins in this turn is late."""
        self.standing = b""
        """Header lines of every answer."""
        self.patience = 0.0
        """Seconds that a drain waits; may be lowered meanwhile."""
        self.lag = 0.0
        """Seconds that the last turn of the clock came late."""
        self._boot = secrets.token_hex(3)
        self._count = 0
        self._prefix = ""
        self._clock: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None

    async def listen(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, backlog: int = 4096
    ) -> int:
        """Begin to listen and return the port; raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, secure=tls is not None), host, port, ssl=tls, backlog=backlog
        )
        self._turn()
        port = self._server.sockets[0].getsockname()[1]
        return port

    def request_id(self) -> str:
        """Return a new request id; ids grow with time."""
        self._count += 1
        return f"{self._prefix}{self._count:07x}"

    async def drain(self, seconds: float) -> None:
        """Stop accepting, let answers end for `seconds`, then break off what is left."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.leave_when_idle()
        self.patience = seconds
        began = time.monotonic()
        while self.connections and time.monotonic() < began + self.patience:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Close every connection at once."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _turn(self) -> None:
        """Look at the clock, and at who is late."""
        now = time.monotonic()
        self.lag = max(now - self.now - TURN, 0.0) if self._clock else 0.0
        self.now = now
        self.wall = time.time()
        self._prefix = f"req_{int(self.wall * 1000):011x}{self._boot}"
        limits = self.limits
        self.idle_until = now + limits.idle_seconds + TURN
        self.total_until = now + limits.total_seconds + TURN
        self.head_until = now + limits.head_seconds + TURN
        self.standing = b"date: %b\r\n" % formatdate(self.wall, usegmt=True).encode()
        for connection in [c for c in self.connections if c.until < now]:
            connection.late()
        self._clock = asyncio.get_running_loop().call_later(TURN, self._turn)


class Connection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_continued",
        "_current",
        "_discarding",
        "_failure",
        "_limit",
        "_paused_reading",
        "_repeat",
        "_stream",
        "_transport",
        "_waiting",
        "closing",
        "edge",
        "peer",
        "secure",
        "until",
        "writable",
    )

    def __init__(self, edge: Edge, *, secure: bool) -> None:
        """Belongs to `edge`."""
        self.edge = edge
        self.secure = secure
        self.until = 0.0
        """Monotonic time at which the present stage is late."""
        self.peer: tuple[str, int] | None = None
        self.writable = True
        self.closing = False
        """Whether the present answer is the connection's last."""
        self._stream = RequestStream(edge.http, self)
        self._repeat: Repeat | None = None
        self._current: Exchange | None = None
        """The request whose body is arriving, or that is being answered."""
        self._waiting: deque[Exchange] | None = None
        """Requests behind the one that is being answered."""
        self._limit = AHEAD
        self._failure: HttpError | None = None
        self._discarding = False
        self._continued = False
        self._paused_reading = False
        self._transport: asyncio.Transport | None = None

    # called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        edge = self.edge
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HELD_BACK)
        peer = transport.get_extra_info("peername")
        self.peer = peer[:2] if isinstance(peer, tuple) else None
        edge.connections.add(self)
        self.until = edge.head_until
        if edge.draining or len(edge.connections) > edge.most:
            edge.application.refused("overload")
            self._refuse(HttpError("the gateway has as many connections as it takes", 503))

    def data_received(self, data: bytes) -> None:
        """Read on."""
        stream = self._stream
        if self._current is None and not stream.reading:
            repeat = self._repeat
            if repeat is not None and (body := repeat.body_of(data)) is not None:
                self._take_repeated(repeat.head, body)
                return
            self.until = self.edge.head_until
            self._feed(data)
            current = self._current
            if current is not None and current.whole and not (self._waiting or stream.reading):
                self._repeat = repeat_of(data, current.head)
            return
        if not self._discarding:
            self._feed(data)

    def _take_repeated(self, head: Head, body: bytes) -> None:
        """Take a whole request whose head is the last one's."""
        if self._discarding:
            return
        edge = self.edge
        exchange = self._current = Exchange(self, head, edge.now)
        limit = edge.application.admit(exchange)
        exchange.whole = True
        if exchange.done:
            self.next()
        elif len(body) > limit:
            self._refuse_exchange(exchange, too_large(limit))
        else:
            exchange.body = body
            exchange.size = len(body)
            self.until = edge.total_until
            edge.application.call(exchange)

    def _feed(self, data: bytes) -> None:
        stream = self._stream
        try:
            stream.feed(data)
        except HttpError as error:
            self._failed(error)
            return
        if stream.reading:
            self._go_on(stream)

    def _go_on(self, stream: RequestStream) -> None:
        """See that a request that has begun, and is not whole, goes on, or is over already."""
        current = self._current
        if stream.in_head or current is None or current.whole:
            return
        if current.done:  # refused by its head; what follows is nothing that anybody reads
            self._part()
        elif not self._continued:
            self._continued = True
            self.until = self.edge.now + self.edge.limits.body_seconds + TURN
            if current.head.headers.get(b"expect", b"").lower() == b"100-continue":
                self.write(_CONTINUE)

    def eof_received(self) -> bool:
        """Take a client that stops sending for one that is gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's
        """Tell whoever is answering."""
        self.edge.connections.discard(self)
        self._stream.close()
        self._discarding = True
        self._transport = self._repeat = None
        current, waiting = self._current, self._waiting
        self._current = self._waiting = None
        for exchange in (current, *(waiting or ())):
            if exchange is not None and not exchange.done:
                exchange.gone = True
                on_gone, exchange.on_gone, exchange.on_flow = exchange.on_gone, None, None
                if on_gone is not None:
                    on_gone()

    def pause_writing(self) -> None:
        """Hold back: the client reads slowly."""
        self.writable = False
        self.until = self.edge.now + self.edge.limits.stall_seconds + TURN
        current = self._current
        if current is not None and current.on_flow is not None:
            current.on_flow(False)

    def resume_writing(self) -> None:
        """Go on."""
        self.writable = True
        current = self._current
        if current is not None:
            self.until = current.began + self.edge.limits.total_seconds + TURN
            if current.on_flow is not None:
                current.on_flow(True)
        else:
            self.until = self.edge.idle_until

    # called by the stream of requests

    def head_arrived(self, head: Head) -> None:
        """Have the application look at a request before its body is read."""
        exchange = Exchange(self, head, self.edge.now)
        exchange.parts = []
        if self._current is None:
            self._current = exchange
            self._continued = False
            self._admit(exchange)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(exchange)
        self._limit = AHEAD
        if len(self._waiting) > _AHEAD:
            raise HttpError("too many requests were sent ahead of their answers", 429)

    def body_arrived(self, data: bytes) -> None:
        """Keep a piece of a body, within its limit."""
        exchange = self._waiting[-1] if self._waiting else self._current
        if exchange is None:
            return
        exchange.size += len(data)
        if exchange.size > self._limit:
            raise too_large(self._limit)
        exchange.parts.append(data)

    def request_arrived(self) -> None:
        """Hand a whole request over, if it is its turn."""
        waiting = self._waiting
        exchange = waiting[-1] if waiting else self._current
        if exchange is None:
            return
        parts, exchange.parts = exchange.parts, []
        exchange.body = parts[0] if len(parts) == 1 else b"".join(parts)
        exchange.whole = True
        if not waiting:
            self._call(exchange)
        elif not self._paused_reading and self._transport is not None:
            self._paused_reading = True
            self._transport.pause_reading()

    def _admit(self, exchange: Exchange) -> None:
        limit = self._limit = self.edge.application.admit(exchange)
        if not exchange.done and max(exchange.size, exchange.head.length or 0) > limit:
            raise too_large(limit)

    def _call(self, exchange: Exchange) -> None:
        if exchange.done:
            self.next()
        else:
            self.until = exchange.began + self.edge.limits.total_seconds + TURN
            self.edge.application.call(exchange)

    # answering

    def write(self, data: bytes) -> None:
        """Write to the client."""
        if self._transport is not None:
            self._transport.write(data)

    def next(self) -> None:
        """Go on to the next request, or part, after an answer has ended."""
        current, self._current = self._current, None
        edge = self.edge
        if self._waiting or self._failure is not None or self._stream.reading or edge.draining:
            self._next_waiting(current)
        elif self.closing or (current is not None and not current.head.keep_alive):
            self._part()
        else:
            self.until = edge.idle_until

    def _next_waiting(self, current: Exchange | None) -> None:
        if self.closing or (current is not None and not current.head.keep_alive):
            self._part()
        elif self._waiting:
            asyncio.get_running_loop().call_soon(self._take_waiting)
        elif self._failure is not None:
            self._refuse(self._failure)
        elif self._stream.reading:
            self.until = self.edge.head_until
        else:
            self._part()  # the edge is draining

    def _take_waiting(self) -> None:
        """Begin with the next of the requests that were sent ahead."""
        if not self._waiting or self._current is not None:
            return
        exchange = self._current = self._waiting.popleft()
        if self._paused_reading and not self._waiting and self._transport is not None:
            self._paused_reading = False
            self._transport.resume_reading()
        self._continued = False
        try:
            self._admit(exchange)
        except HttpError as error:
            self._failed(error)
            return
        if exchange.whole:
            self._call(exchange)

    def leave_when_idle(self) -> None:
        """Close if nothing is being read or answered."""
        if self._current is None and not self._stream.reading:
            self._part()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def late(self) -> None:
        """End a stage that took too long."""
        current = self._current
        if self._discarding or not self.writable:
            self.abort()
        elif current is None and not self._stream.reading:
            self._part()
        elif current is None or not (current.whole or current.begun):
            self.edge.application.refused("late")
            self._failed(HttpError("the request did not arrive in time", 408))
        else:
            self.edge.application.refused("late")
            self.abort()

    def _failed(self, error: HttpError) -> None:
        """Answer what is no request, once what came before it is answered."""
        self.edge.application.refused("body" if error.status == 413 else "http")
        current = self._current
        if current is None or current.done:
            self._refuse(error)
        elif not current.whole or not current.begun and current.page is None:
            self._refuse_exchange(current, error)
        elif error.status == 413 and not self._waiting and current.body == b"":
            self._refuse_exchange(current, error)
        else:
            self._failure = error
            if self._waiting:
                self._waiting = deque(e for e in self._waiting if e.whole)

    def _refuse(self, error: HttpError) -> None:
        exchange = self._current = Exchange(self, Head(), self.edge.now)
        self._refuse_exchange(exchange, error)

    def _refuse_exchange(self, exchange: Exchange, error: HttpError) -> None:
        body = error_body(
            f"The request cannot be read: {error}.",
            code=_CODES.get(error.status, "bad_http"),
            request_id=exchange.id,
        )
        exchange.answer(error.status, (("content-type", "application/json"),), body, keep=False)
        self._part(unread=True)

    def _part(self, *, unread: bool = False) -> None:
        """Close, so that the client can still read what was written."""
        transport = self._transport
        if transport is None or self._discarding:
            return
        self._discarding = True
        self.until = self.edge.now + _PARTING
        if (unread or self._stream.reading) and transport.can_write_eof():
            transport.write_eof()  # to close with bytes unread could reset the answer on its way
        else:
            transport.close()


_CODES = {
    408: "request_timeout",
    413: "request_too_large",
    429: "too_many_requests",
    503: "overloaded",
}

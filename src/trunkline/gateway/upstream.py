"""Connections to one upstream: pooled, parsed as bytes come, each serving one relay at a time.

The relay is called back at each step instead of awaiting it: a coroutine, its task and its timer would
cost as much again as all else that relaying a small answer takes (`bench/gateway`).
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, cast

import httptools

from trunkline.errors import APIConnectionError, ServiceUnavailableError
from trunkline.gateway.outbox import Outbox
from trunkline.gateway.receiving import Receiver, at_fault, end
from trunkline.transport.aio import AioTransport
from trunkline.transport.trouble import Step, closed_early, trouble
from trunkline.types import Timeouts
from trunkline.wire.http1_read import Body, HttpError, HttpLimits, complaint
from trunkline.wire.message import Url

_ENCODING, _ENCODING_TITLED = b"content-encoding", b"Content-Encoding"
_PARTING = 1.0
"""Seconds that an upstream has to end a body whose end it has marked."""


class UpstreamConnection(asyncio.Protocol):
    """A connection to an upstream, idle or bringing one answer.

    The parser only gathers: headers and pieces go into a dictionary and a list without a call of ours,
    and are handed over once for each read.
    """

    __slots__ = (
        "_headers",
        "_keep",
        "_packed",
        "_parser",
        "_parting",
        "_paused",
        "_pieces",
        "_pool",
        "_receiver",
        "_size",
        "_status",
        "_told",
        "_transport",
        "_whole",
        "closed",
        "idle_since",
        "most",
        "on_body",
        "on_header",
        "received",
        "used",
    )

    def __init__(self, pool: Upstream) -> None:
        """Belongs to `pool`."""
        self._pool = pool
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self.on_header = self._headers.__setitem__
        self.on_body = self._pieces.append
        self._parser: Any = httptools.HttpResponseParser(self)
        self._receiver: Receiver | None = None
        self._parting: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._size = 0
        self.most: float = pool.limits.body
        """Bytes that the present answer may have."""
        self._status = 0
        self._told = False
        self._whole = False
        self._keep = False
        self._paused = False
        self._packed: Body | None = None
        """Unpacks an answer that is compressed, though nobody asked for it."""
        self.closed = False
        self.received = False
        """Whether anything of the present answer has come."""
        self.used = False
        """Whether it has brought an answer before."""
        self.idle_since = 0.0

    def send(self, receiver: Receiver, data: bytes) -> None:
        """Send a request whose answer `receiver` takes."""
        self._receiver = receiver
        if self._transport is not None:
            self._pool.outbox.post(self._transport, data)

    def send_large(self, receiver: Receiver, head: bytes, body: bytes) -> None:
        """Send a request whose body is too large to be copied once more."""
        self._receiver = receiver
        if self._transport is not None:
            self._pool.outbox.flush()
            self._transport.writelines((head, body))

    def flow(self, go_on: bool) -> None:  # noqa: FBT001 - the two ways of one callback
        """Stop or go on reading: the client is slow, or has caught up."""
        if self._transport is not None and not self.closed:
            self._paused = not go_on
            if go_on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def let_end(self) -> None:
        """Wait a moment for the end of an answer of which enough has come, to keep the connection."""
        if self._receiver is not None:
            self._receiver = None
            if self._paused:
                self.flow(True)
            self._parting = asyncio.get_running_loop().call_later(_PARTING, self.hang_up)

    def hang_up(self) -> None:
        """Close at once, whatever is still to come."""
        self._receiver = None
        if not self.closed and self._transport is not None:
            self._transport.abort()
        self._forget()

    # called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None and self._parting is None:
            self.hang_up()  # nobody asked for anything
            return
        self.received = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._broken(HttpError("the server wants to change the protocol"))
            return
        except httptools.HttpParserError as error:
            if self._whole:  # what follows a whole answer is none of it
                self._end(receiver, keep=False)
            else:
                self._broken(complaint(error, "the server's answer"))
            return
        self._size += len(data)
        if self._packed is not None and not self._unpacked(self._packed):
            return
        if self._whole:
            self._end(receiver)
        elif self._size > self.most or (self._status == 0 and self._size > self._pool.limits.head):
            self._broken(HttpError("the answer is too large"))
        elif receiver is not None and self._status:
            self._hand_over(receiver)

    def _unpacked(self, packed: Body) -> bool:
        """Put the plain bytes in the place of those that came; tells whether they can be had."""
        try:
            packed.plain(self._pieces, last=self._whole)
        except HttpError as error:
            self._broken(error)
            return False
        return True

    def _hand_over(self, receiver: Receiver) -> None:
        """Hand over what a read has brought of an answer that goes on."""
        try:
            if not self._told:
                self._told = True
                receiver.head(self._status, self._headers)
            pieces = self._pieces
            if pieces:
                data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                pieces.clear()
                receiver.piece(data)
        except Exception as error:
            self.hang_up()
            at_fault(receiver, error)

    def _end(self, receiver: Receiver | None, *, keep: bool = True) -> None:
        """Hand over the last of an answer, and become idle: first, so that it can be used again."""
        pieces, status = self._pieces, self._status
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        headers = self._headers.copy()
        if self._parting is not None:
            self._parting.cancel()
            self._parting = None
        self._receiver = None
        if keep and self._keep:
            pieces.clear()
            self._headers.clear()
            self._size = self._status = 0
            self.most = self._pool.limits.body
            self._told = self._whole = self.received = False
            self._packed = None
            self.used = True
            self._pool.rest(self)
        else:
            self.hang_up()
        if receiver is not None:
            end(receiver, status, headers, data)

    def connection_lost(self, exc: Exception | None) -> None:
        receiver, self._receiver = self._receiver, None
        status, received = self._status, self.received
        self._forget()
        if receiver is None:
            return
        url = self._pool.url
        if status and exc is None and not _framed(self._headers):
            try:
                (self._packed or Body(0)).check_whole()
            except HttpError as error:
                receiver.broken(trouble(error, url, "body", received=True))
            else:
                end(receiver, status, self._headers, b"".join(self._pieces))
            return
        step: Step = "body" if status else "head"
        if exc is not None:
            receiver.broken(trouble(exc, url, step, received=received))
        else:
            receiver.broken(closed_early(url, step, received=received))

    def _broken(self, error: HttpError) -> None:
        step: Step = "body" if self._status else "head"
        if self._receiver is not None and self._status and self._pieces:
            self._hand_over(self._receiver)  # what came before is not lost
        receiver = self._receiver
        self.hang_up()
        if receiver is not None:
            receiver.broken(trouble(error, self._pool.url, step, received=True))

    def _forget(self) -> None:
        if self._parting is not None:
            self._parting.cancel()
            self._parting = None
        if not self.closed:
            self.closed = True
            self._parser = None  # they hold each other
            self._pool.gone(self)

    # called by the parser

    def on_message_begin(self) -> None:
        if self._whole:
            raise HttpError("bytes arrived after the answer was complete")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self._status = status
            told = self._headers.get(_ENCODING) or self._headers.get(_ENCODING_TITLED)
            if told is not None:
                self._packed = Body(self._pool.limits.body)
                self._packed.unpack(told.decode("latin-1"))
        else:
            self._headers.clear()  # an interim answer; the real one follows

    def on_message_complete(self) -> None:
        if self._status:
            self._whole = True
            self._keep = self._parser.should_keep_alive()


def _framed(headers: dict[bytes, bytes]) -> bool:
    """Tell whether an answer says how long it is; else its end is the connection's."""
    names = {name.lower() for name in headers}
    return b"content-length" in names or b"transfer-encoding" in names


class Upstream:
    """One server and the connections to it."""

    def __init__(  # noqa: PLR0913 - keywords, each a setting of its own
        self,
        url: Url,
        *,
        transport: AioTransport,
        outbox: Outbox | None = None,
        connect_seconds: float = 5.0,
        most: int = 10_000,
        idle_seconds: float = 50.0,
        limits: HttpLimits | None = None,
    ) -> None:
        """Open nothing yet; at most `most` connections are open at the same time."""
        self.url = url
        self.limits = limits or HttpLimits()
        self.outbox = outbox or Outbox()
        self.names_without: tuple[bytes, ...] = ()
        """Names of headers, as an answer had them, none of which says who answers."""
        self.turn = time.monotonic()
        """When the last sweep was."""
        self.opened = 0
        """Connections that are open or being opened."""
        self._transport = transport
        self._timeouts = Timeouts(connect=connect_seconds)
        self._most = most
        self._idle_seconds = idle_seconds
        self._idle: list[UpstreamConnection] = []
        self._opening: set[asyncio.Task[None]] = set()

    def take(self) -> UpstreamConnection | None:
        """Return an idle connection, the one that was used last."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    def open(self, receiver: Receiver) -> asyncio.Task[None] | None:
        """Open a connection; `receiver` is told. None where there are too many already."""
        if self.opened >= self._most:
            receiver.broken(_crowded(self.url, self._most))
            return None
        self.opened += 1
        task = asyncio.get_running_loop().create_task(self._open(receiver))
        self._opening.add(task)
        task.add_done_callback(self._tried)
        return task

    def rest(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request."""
        connection.idle_since = self.turn
        self._idle.append(connection)

    def gone(self, connection: UpstreamConnection) -> None:
        """Forget a connection that has closed."""
        self.opened -= 1
        if connection in self._idle[-1:]:
            self._idle.pop()

    def sweep(self) -> None:
        """Close connections that have been idle for long; the oldest are in front."""
        self.turn = time.monotonic()
        oldest = self.turn - self._idle_seconds
        kept = [c for c in self._idle if not c.closed]
        late = [c for c in kept if c.idle_since < oldest]
        self._idle = [c for c in kept if c.idle_since >= oldest]
        for connection in late:
            connection.hang_up()

    def close(self) -> None:
        """Close the idle connections and give up those that are being opened."""
        for task in list(self._opening):
            task.cancel()
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.hang_up()

    def _tried(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if task.cancelled():  # perhaps before it had begun
            self.opened -= 1

    async def _open(self, receiver: Receiver) -> None:
        connection = UpstreamConnection(self)
        try:
            await self._transport.dial(connection, self.url, self._timeouts, math.inf)
        except APIConnectionError as error:
            self.opened -= 1
            receiver.broken(error)
            return
        except Exception as error:  # not a fault of the network, but nobody may wait for it
            self.opened -= 1
            receiver.broken(APIConnectionError(f"No connection: {type(error).__name__}."))
            raise
        try:
            receiver.connected(connection)
        except Exception as error:
            connection.hang_up()
            at_fault(receiver, error)


def _crowded(url: Url, most: int) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"{most} connections to {url.authority} are open, as many as are allowed.",
        status=503,
        code="upstream_busy",
        hint="Raise the upstream's `connections`, or try again.",
    )

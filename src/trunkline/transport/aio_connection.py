"""One connection of the asynchronous transport: an asyncio protocol that feeds a reader."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any, cast

from trunkline.wire.http1_read import HttpError, ResponseReader

Place = tuple[str, str, int]
HIGH_WATER = 256 * 1024
"""Bytes of a body that may wait for a slow caller before the peer is told to stop."""


class Connection(asyncio.BufferedProtocol):
    """A connection, idle or serving one exchange at a time."""

    def __init__(self, place: Place, arriving: memoryview) -> None:
        """Serve the server at `place`.

        `arriving` is where the loop puts what it reads. It is used up before the next read, so
        all connections of a loop share one.
        """
        self.place = place
        self._arriving = arriving
        self.idle_since = 0.0
        self.closed = False
        self.received = False
        """Whether anything has come back in this exchange."""
        self.failure: Exception | None = None
        self._reader: ResponseReader | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pending = 0
        self._paused = False

    def send(self, reader: ResponseReader, *data: bytes) -> None:
        """Send a request, in pieces, whose response `reader` will read."""
        self._reader = reader
        self.received = False
        self._pending = 0
        for piece in data:
            if self._transport is not None and not self.closed:
                self._transport.write(piece)

    @property
    def sent(self) -> bool:
        """Whether all of the request has been handed to the system."""
        return self._transport is None or not self._transport.get_write_buffer_size()

    @property
    def peer(self) -> Any:
        """The address of the other side, as its socket gives it."""
        return self._transport.get_extra_info("peername") if self._transport else None

    async def wait(self, until: float) -> None:
        """Wait until something arrives or the connection ends; raises TimeoutError at `until`."""
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        alarm = loop.call_later(left, _expire, waiter)
        try:
            await waiter
        finally:
            alarm.cancel()
            self._waiter = None

    def taken(self) -> None:
        """Note that the caller has taken what had arrived."""
        self._pending = 0
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    def rest(self) -> None:
        """Become idle."""
        self.taken()
        self._reader = None
        self.idle_since = time.monotonic()

    def hang_up(self) -> None:
        """Close at once, whatever is still to be sent or read."""
        if not self.closed and self._transport is not None:
            self._transport.abort()
        self.closed = True
        self._wake()

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Let another protocol have the connection, which is new, from now on."""
        transport = self._transport
        if transport is None or self.closed:
            raise ConnectionResetError
        self._transport = None
        self.closed = True
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    async def start_tls(
        self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext, host: str
    ) -> None:
        """Turn the plain connection into a TLS one; raises OSError."""
        if self._transport is None or self.closed:  # the peer left, or spoke before its turn
            raise ConnectionResetError
        transport = await loop.start_tls(self._transport, self, context, server_hostname=host)
        if transport is None:
            raise ConnectionResetError
        self._transport = transport

    # called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint  # the loop may always fill the whole buffer
        return self._arriving

    def buffer_updated(self, nbytes: int) -> None:
        reader = self._reader
        if reader is None:
            self.hang_up()  # nobody asked for anything
            return
        self.received = True
        try:
            reader.feed(self._arriving[:nbytes])
        except HttpError as error:
            self.failure = error
            self.hang_up()
            return
        self._pending += nbytes
        if self._pending > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)

    def _ended(self, error: Exception | None) -> None:
        reader = self._reader
        if reader is not None and not reader.end_of_input() and self.failure is None:
            self.failure = error
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())

"""Transports that let requests through and note what came of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from trunkline.errors import APIConnectionError, APIError, Timeout
from trunkline.testing.interactions import Answer, Fault
from trunkline.transport.seam import AsyncExchange, AsyncTransport, Exchange, Transport
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest, ResponseHead

_EARLY = 0.01
"""Seconds by which a loop's alarm may come too soon."""


class Note:
    """What is known so far of one request; written by whoever carries it."""

    def __init__(self, request: HttpRequest) -> None:
        """Begin with nothing."""
        self.request = request
        self.began = time.monotonic()
        self.head: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._seconds = 0.0
        self._last: float | None = None
        """When the last event of a stream came."""
        self._error: Fault | None = None
        self._over = False

    def opened(self, head: ResponseHead) -> None:
        """Note the head."""
        self.head = head
        self._seconds = time.monotonic() - self.began

    def arrived(self, data: bytes) -> None:
        """Note a piece of the body, or its end."""
        self._error = None  # a limit may pass of which the program thinks nothing
        self._over = not data
        if data:
            self._pieces.append(data)
        now = time.monotonic()
        if not (self.head and self.head.content_type == "text/event-stream"):
            self._seconds = now - self.began
        elif b"data" in data:
            self._last = now

    def failed(self, error: BaseException, until: float) -> None:
        """Note what a connection failed with, which had until then.

        That somebody gave up is not the connection's.
        """
        if not isinstance(error, APIError):
            return
        self._over = True
        told = error if isinstance(error, APIConnectionError) else None
        now = time.monotonic()
        self._error = Fault(
            type=type(error).__name__,
            message=error.message,
            hint=error.hint,
            sent=bool(told and told.sent),
            received=bool(told and told.received),
            should_retry=error.should_retry,
            seconds=now - self.began,
            late=isinstance(error, Timeout) and now >= until - _EARLY,
            silent=0.0 if self._last is None else now - self._last,
        )

    def answer(self) -> Answer:
        """Return what came."""
        head = self.head
        return Answer(
            status=head.status if head else None,
            headers=dict(head.headers) if head else {},
            seconds=self._seconds,
            pieces=tuple(self._pieces),
            error=self._error,
            left=not self._over,
        )


class Tape:
    """The notes of a recording, in the order in which the requests began."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._notes: list[Note] = []

    def note(self, request: HttpRequest) -> Note:
        """Return the note for a request that begins now."""
        note = Note(request)
        with self._lock:
            self._notes.append(note)
        return note

    @property
    def notes(self) -> list[Note]:
        """All notes, also of what is not over."""
        with self._lock:
            return list(self._notes)


class _Noted:
    """What both exchanges have in common."""

    def __init__(self, exchange: Exchange | AsyncExchange, note: Note) -> None:
        self.head = exchange.head
        self.started = exchange.started
        self._close: Callable[[], Any] = exchange.close
        self._note = note
        note.opened(exchange.head)

    def close(self) -> None:
        """End the exchange; what has not come by now never came."""
        self._close()


class RecordedExchange(_Noted):
    """An exchange whose answer is noted as it is read."""

    def __init__(self, exchange: Exchange, note: Note) -> None:
        """Note what `exchange` brings."""
        super().__init__(exchange, note)
        self._exchange = exchange

    def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as seam.Exchange."""
        try:
            data = self._exchange.read(until)
        except BaseException as error:
            self._note.failed(error, until)
            raise
        self._note.arrived(data)
        return data


class AsyncRecordedExchange(_Noted):
    """RecordedExchange, awaited."""

    def __init__(self, exchange: AsyncExchange, note: Note) -> None:
        """Note what `exchange` brings."""
        super().__init__(exchange, note)
        self._exchange = exchange

    async def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as seam.Exchange."""
        try:
            data = await self._exchange.read(until)
        except BaseException as error:
            self._note.failed(error, until)
            raise
        self._note.arrived(data)
        return data


class Recording:
    """Lets requests through a transport, noted on a tape."""

    def __init__(self, transport: Transport, tape: Tape) -> None:
        """Ask `transport`."""
        self._transport = transport
        self._tape = tape

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> Exchange:
        """Send `request` and wait for the response's head; raises as seam.Transport."""
        note = self._tape.note(request)
        try:
            exchange = self._transport.open(request, timeouts, until)
        except BaseException as error:
            note.failed(error, until)
            raise
        return RecordedExchange(exchange, note)

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()


class AsyncRecording:
    """Recording, awaited."""

    def __init__(self, transport: AsyncTransport, tape: Tape) -> None:
        """Ask `transport`."""
        self._transport = transport
        self._tape = tape

    async def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> AsyncExchange:
        """Send `request` and wait for the response's head; raises as seam.AsyncTransport."""
        note = self._tape.note(request)
        try:
            exchange = await self._transport.open(request, timeouts, until)
        except BaseException as error:
            note.failed(error, until)
            raise
        return AsyncRecordedExchange(exchange, note)

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

"""The sandbox as a transport: no socket, no thread, and the same bytes through the same readers."""

from __future__ import annotations

import time

from trunkline.errors import APIConnectionError
from trunkline.sandbox.app import Sandbox
from trunkline.sandbox.reply import Cut, Pause, Reset, wire_steps
from trunkline.sandbox.seen import Log
from trunkline.transport.trouble import Step, closed_early, trouble
from trunkline.types import Timeouts
from trunkline.wire.http1 import write_request
from trunkline.wire.http1_read import HttpError, RequestReader, ResponseReader
from trunkline.wire.message import HttpRequest, ResponseHead


class InProcessTransport:
    """Answers requests to `sandbox/...` models in this process; `requests` are the last ones."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        """Ask `sandbox`, or a new one."""
        self.sandbox = sandbox or Sandbox()
        self.requests = Log()

    def open(
        self,
        request: HttpRequest,
        timeouts: Timeouts,  # noqa: ARG002  # the seam's; there is nothing to connect to
        until: float,
    ) -> InProcessExchange:
        """Send `request` and wait for the response's head; raises as seam.Transport."""
        exchange = InProcessExchange(_Performance(self.sandbox, self.requests, request))
        exchange.await_head(until)
        return exchange

    def close(self) -> None:
        """Do nothing: there is no connection."""


class AsyncInProcessTransport:
    """InProcessTransport, awaited."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        """Ask `sandbox`, or a new one."""
        self.sandbox = sandbox or Sandbox()
        self.requests = Log()

    async def open(
        self,
        request: HttpRequest,
        timeouts: Timeouts,  # noqa: ARG002  # as above
        until: float,
    ) -> AsyncInProcessExchange:
        """Send `request` and wait for the response's head; raises as seam.Transport."""
        exchange = AsyncInProcessExchange(_Performance(self.sandbox, self.requests, request))
        await exchange.await_head(until)
        return exchange

    def close(self) -> None:
        """Do nothing: there is no connection."""


class _Performance:
    """A reply's steps, fed to the wire's reader one by one; whoever owns it does the waiting."""

    __slots__ = ("_received", "_steps", "_url", "reader", "seen", "started")

    def __init__(self, sandbox: Sandbox, log: Log, request: HttpRequest) -> None:
        self.started = time.monotonic()
        arrived = RequestReader()
        arrived.feed(write_request(request))
        if arrived.head is None or not arrived.complete:
            raise APIConnectionError("The sandbox could not read the request.")
        body = arrived.take()
        reply = sandbox.answer(arrived.head, body, inside=True)
        self.seen = log.add(arrived.head, body)
        self.seen.status = reply.status
        self.reader = ResponseReader()
        self._steps = wire_steps(reply)
        self._url = request.url
        self._received = False

    @property
    def _stage(self) -> Step:
        return "head" if self.reader.head is None else "body"

    def advance(self) -> float:
        """Take one step; returns how long to wait before the next. Raises APIConnectionError."""
        step = next(self._steps, Cut())
        if isinstance(step, Pause):
            return step.seconds
        if isinstance(step, Reset):
            raise self.failure(ConnectionResetError())
        if isinstance(step, Cut):
            if not self.reader.end_of_input():
                raise closed_early(self._url, self._stage, received=self._received)
            return 0.0
        self._received = True
        try:
            self.reader.feed(step)
        except HttpError as error:
            raise self.failure(error) from error
        return 0.0

    def take(self) -> bytes:
        """Return the body bytes that have arrived; raises APIConnectionError after the last."""
        try:
            return self.reader.take()
        except HttpError as error:
            raise self.failure(error) from error

    def allowed(self, wait: float, until: float) -> float:
        """Return how long to wait: `wait`, or up to the limit where that comes first."""
        return max(min(wait, until - time.monotonic()), 0.0)

    def check(self, until: float) -> None:
        """Raise Timeout once the limit has passed."""
        if time.monotonic() >= until:
            raise self.failure(TimeoutError())

    def failure(self, error: Exception) -> APIConnectionError:
        """Return `error` as a transport with sockets would raise it."""
        return trouble(error, self._url, self._stage, received=self._received)

    def close(self) -> None:
        """Note when it ended, and whether the client went first."""
        seen = self.seen
        if seen.answered is None and seen.hung_up is None:
            if self.reader.complete:
                seen.answered = time.monotonic()
            else:
                seen.hung_up = time.monotonic()


class _Exchange:
    """What both exchanges have in common: the head, when it began and the end."""

    def __init__(self, performance: _Performance) -> None:
        self._performance = performance
        self.head = ResponseHead(0)
        self.started = performance.started

    def close(self) -> None:
        """End the exchange."""
        self._performance.close()

    def _has_head(self) -> bool:
        head = self._performance.reader.head
        if head is None:
            return False
        self.head = head
        return True


class InProcessExchange(_Exchange):
    """One request to the sandbox in this process."""

    def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as seam.Exchange."""
        reader = self._performance.reader
        while True:
            data = self._performance.take()
            if data or reader.complete:
                return data
            self._advance(until)

    def await_head(self, until: float) -> None:
        """Play up to the head; raises as seam.Transport."""
        try:
            while not self._has_head():
                self._advance(until)
        except BaseException:
            self.close()
            raise

    def _advance(self, until: float) -> None:
        wait = self._performance.advance()
        if wait:
            time.sleep(self._performance.allowed(wait, until))
        self._performance.check(until)


class AsyncInProcessExchange(_Exchange):
    """InProcessExchange, awaited."""

    async def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as seam.Exchange."""
        reader = self._performance.reader
        while True:
            data = self._performance.take()
            if data or reader.complete:
                return data
            await self._advance(until)

    async def await_head(self, until: float) -> None:
        """Play up to the head; raises as seam.Transport."""
        try:
            while not self._has_head():
                await self._advance(until)
        except BaseException:
            self.close()
            raise

    async def _advance(self, until: float) -> None:
        import asyncio  # slow to load, and the blocking twin needs none of it

        wait = self._performance.advance()
        # without a wait, too, others get a turn, as they do where bytes come from a socket
        await asyncio.sleep(self._performance.allowed(wait, until))
        self._performance.check(until)

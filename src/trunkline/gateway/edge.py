"""Where clients connect: the listening socket, its connections, and the clock that finds who is late.

It knows no route and no key; `Application` decides what becomes of a request.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

from trunkline.gateway.config import Edge as Limits
from trunkline.gateway.connection import Connection
from trunkline.gateway.descriptors import allow_descriptors
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.listening import Listener
from trunkline.gateway.outbox import Outbox
from trunkline.wire.http1_read import HttpLimits

TURN = 0.25
"""Seconds between two looks at the clock: how exact time limits are."""
_LEAVING = 0.5
"""Seconds that clients without a request have to send one that is on its way, once a drain begins."""
_log = logging.getLogger(__name__)


class Application(Protocol):
    """What the edge hands requests to."""

    def admit(self, exchange: Exchange) -> int | None:
        """Look at a request's head: answer it now, or return how many bytes its body may have.

        None holds it, and reads no more of it: its connection's `release` has it admitted anew.
        """
        ...

    def call(self, exchange: Exchange) -> None:
        """Take a request that is whole and was admitted."""
        ...

    def refused(self, reason: str) -> None:
        """Count what the edge refused itself."""
        ...


class Edge:
    """The listening side: its connections, their limits and its clock."""

    def __init__(
        self,
        application: Application,
        limits: Limits,
        *,
        most: int = 20_000,
        outbox: Outbox | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open nothing yet; `most` connections are served at the same time."""
        self.application = application
        self.limits = limits
        self.http = HttpLimits(
            head=limits.head_bytes, headers=limits.headers, body=limits.body_bytes
        )
        self.most = most
        self.connections: set[Connection] = set()
        self.outbox = outbox or Outbox()
        self.listeners: list[Listener] = []
        self.draining = False
        self.now = time.monotonic()
        self.clock = clock
        """What time it is by the calendar: the store's, where several processes share one."""
        self.wall = clock()
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
        self._tls: ssl.SSLContext | None = None

    def begin(self, tls: ssl.SSLContext | None = None) -> None:
        """Start the clock; what is accepted will be encrypted by `tls`."""
        few = allow_descriptors(self.most)
        if few is not None:
            _log.warning(few)
        self._tls = tls
        self._turn()

    async def accept_from(self, sock: socket.socket) -> Listener:
        """Accept from one more socket; raises OSError."""
        secure = self._tls is not None
        listener = Listener(
            sock,
            lambda: Connection(self, secure=secure),
            tls=self._tls,
            handshake_seconds=self.limits.head_seconds,
        )
        await listener.begin()
        self.listeners.append(listener)
        return listener

    def request_id(self) -> str:
        """Return a new request id; ids grow with time."""
        self._count = count = self._count + 1
        return f"{self._prefix}{count:07x}"

    def after(self, seconds: float) -> float:
        """Return when what begins now, and may take `seconds`, is late."""
        return self.now + seconds + TURN

    def hand_on(self, listener: Listener) -> None:
        """Accept no more from a socket that others accept from."""
        listener.hand_on()
        self.listeners.remove(listener)

    async def drain(self, seconds: float, *, handed_on: bool = False) -> None:
        """Stop accepting, let answers end for `seconds`, then break off what is left.

        Whoever had connected is served once more. `handed_on`, others accept from the sockets.
        """
        began = time.monotonic()
        self.patience = seconds
        self.draining = True
        self._stand()
        for connection in list(self.connections):
            connection.leave_when_idle()
        await self._stop_listening(handed_on=handed_on)
        while self.connections and time.monotonic() < began + self.patience:  # noqa: ASYNC110 - it may be lowered meanwhile
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Close every connection at once."""
        await self._stop_listening(handed_on=True)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    async def _stop_listening(self, *, handed_on: bool) -> None:
        listeners, self.listeners = self.listeners, []
        if handed_on:
            for listener in listeners:
                listener.hand_on()
        else:
            await asyncio.gather(*(listener.close() for listener in listeners))

    @property
    def leave_until(self) -> float:
        """Monotonic time until which a client without a request may send one, while draining."""
        return self.after(min(_LEAVING, self.patience))

    def _turn(self) -> None:
        """Look at the clock, and at who is late."""
        now = time.monotonic()
        self.lag = max(now - self.now - TURN, 0.0) if self._clock else 0.0
        self.now = now
        self.wall = self.clock()
        self._prefix = f"req_{int(self.wall * 1000):011x}{self._boot}"
        limits = self.limits
        self.idle_until = now + limits.idle_seconds + TURN
        self.total_until = now + limits.total_seconds + TURN
        self.head_until = now + limits.head_seconds + TURN
        self._stand()
        self._clock = asyncio.get_running_loop().call_later(TURN, self._turn)
        for connection in [c for c in self.connections if c.until < now]:
            connection.late()

    def _stand(self) -> None:
        """Write the header lines that every answer has."""
        lines = b"date: %b\r\n" % formatdate(self.wall, usegmt=True).encode()
        self.standing = lines + b"connection: close\r\n" if self.draining else lines

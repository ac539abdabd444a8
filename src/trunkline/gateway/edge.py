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
from email.utils import formatdate
from typing import Protocol

from trunkline.gateway.config import Edge as Limits
from trunkline.gateway.connection import Connection
from trunkline.gateway.descriptors import allow_descriptors
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.outbox import Outbox
from trunkline.wire.http1_read import HttpLimits

TURN = 0.25
"""Seconds between two looks at the clock: how exact time limits are."""
_KERNEL_HOLDS = 128 * 1024
"""Bytes of answers that the kernel may hold for a client that does not read; it doubles the number."""
_GOODBYE = 5.0
"""Seconds that a client has to end its TLS."""
_log = logging.getLogger(__name__)


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

    def __init__(
        self,
        application: Application,
        limits: Limits,
        *,
        most: int = 20_000,
        outbox: Outbox | None = None,
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
        few = allow_descriptors(self.most)
        if few is not None:
            _log.warning(few)
        secure = tls is not None
        self._server = await loop.create_server(
            lambda: Connection(self, secure=secure),
            host,
            port,
            ssl=tls,
            backlog=backlog,
            ssl_handshake_timeout=self.limits.head_seconds if secure else None,
            ssl_shutdown_timeout=_GOODBYE if secure else None,
        )
        self._turn()
        for listening in self._server.sockets:  # those that are accepted have the same
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_HOLDS)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def request_id(self) -> str:
        """Return a new request id; ids grow with time."""
        self._count = count = self._count + 1
        return f"{self._prefix}{count:07x}"

    def after(self, seconds: float) -> float:
        """Return when what begins now, and may take `seconds`, is late."""
        return self.now + seconds + TURN

    async def drain(self, seconds: float) -> None:
        """Stop accepting, let answers end for `seconds`, then break off what is left."""
        self.draining = True
        self._stand()
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.leave_when_idle()
        self.patience = seconds
        began = time.monotonic()
        while self.connections and time.monotonic() < began + self.patience:  # noqa: ASYNC110 - it may be lowered meanwhile
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
        self._stand()
        self._clock = asyncio.get_running_loop().call_later(TURN, self._turn)
        for connection in [c for c in self.connections if c.until < now]:
            connection.late()

    def _stand(self) -> None:
        """Write the header lines that every answer has."""
        lines = b"date: %b\r\n" % formatdate(self.wall, usegmt=True).encode()
        self.standing = lines + b"connection: close\r\n" if self.draining else lines

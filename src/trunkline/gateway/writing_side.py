"""The side of a client's connection that is written to: together what is small, and closed with care."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trunkline.gateway.slow_client import SlowClient

if TYPE_CHECKING:
    from trunkline.gateway.edge import Edge

_SMALL = 16 * 1024
"""Bytes of a write that waits for others of its turn; larger ones are work enough by themselves."""
PARTING = 2.0
"""Seconds that a client which is refused early has to read why."""


class WritingSide(asyncio.Protocol):
    """Writes, and closes."""

    __slots__ = ("_discarding", "_slow", "_transport", "edge", "until", "writable")

    def __init__(self, edge: Edge) -> None:
        """Belongs to `edge`."""
        self.edge = edge
        self.until = 0.0
        """Monotonic time at which the present stage is late."""
        self.writable = True
        self._discarding = False
        """Whether nothing more is read or answered: the connection is being closed."""
        self._slow: SlowClient | None = None
        self._transport: asyncio.Transport | None = None

    def write(self, data: bytes) -> None:
        """Write to the client."""
        transport = self._transport
        if transport is None:
            return
        if len(data) < _SMALL and self.writable:
            self.edge.outbox.post(transport, data)
        else:
            self.edge.outbox.flush()
            transport.write(data)

    def abort(self) -> None:
        """Close at once, though not before what was written is on its way."""
        if self._transport is not None:
            self.edge.outbox.flush()
            self._transport.abort()

    def _part(self, *, unread: bool) -> None:
        """Close, so that the client can still read what was written, even where what it sent is `unread`."""
        transport = self._transport
        if transport is None or self._discarding:
            return
        self._discarding = True
        self.edge.outbox.flush()
        self._slow = SlowClient(transport, self.edge.now)
        self.until = self.edge.after(PARTING)
        if unread and transport.can_write_eof():
            transport.write_eof()  # to close with bytes unread could reset the answer on its way
        else:
            transport.close()

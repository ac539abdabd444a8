"""A client that has not taken what was written to it: whether it reads on, and how it is let go.

It knows the transport, and how long the edge says that a client has.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.gateway.edge import Edge

_FORGET = struct.pack("ii", 1, 0)
"""To linger for no time: closing is a reset."""


class SlowClient:
    """What a client has not taken, as of the last look."""

    __slots__ = ("_since", "_transport", "_unread")

    def __init__(self, transport: asyncio.WriteTransport, now: float) -> None:
        """Begin to watch; any less than is unread now is progress."""
        self._transport = transport
        self._since = now
        self._unread = transport.get_write_buffer_size() + 1

    def reads_on(self, now: float, most: float) -> bool:
        """Tell whether it has taken some since the last look; never after `most` seconds in all."""
        unread = self._transport.get_write_buffer_size()
        if not 0 < unread < self._unread or self._since + most < now:
            return False
        self._unread = unread
        return True

    def drop(self) -> None:
        """Close at once, and let the kernel forget what it holds for it."""
        transport = self._transport
        if transport.get_write_buffer_size():
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _FORGET)
        transport.abort()

    def late(self, edge: Edge) -> float:
        """Give a client that reads on, if slowly, more time, and drop another; returns until when."""
        if self.reads_on(edge.now, edge.limits.total_seconds):
            return edge.after(edge.limits.stall_seconds)
        self.drop()
        return edge.now

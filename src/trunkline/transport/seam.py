"""The one seam between drivers and whatever moves their bytes.

Times are seconds of `time.monotonic`; limits are moments on that clock, never spans.
"""

from __future__ import annotations

from typing import Protocol

from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest, ResponseHead


class Exchange(Protocol):
    """One request whose response head has arrived."""

    head: ResponseHead
    started: float
    """When sending began."""

    def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end.

        Raises Timeout when `until` passes and APIConnectionError when the connection breaks.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the response is complete, else hang up at once."""
        ...


class Transport(Protocol):
    """Opens exchanges, blocking."""

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> Exchange:
        """Send `request` and wait for the response's head, until `until` at the latest.

        Raises Timeout or APIConnectionError; `received` on it says whether any byte came back.
        """
        ...

    def close(self) -> None:
        """Close every connection, those in use included."""
        ...


class AsyncExchange(Protocol):
    """Exchange, awaited."""

    head: ResponseHead
    started: float

    async def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as Exchange.read."""
        ...

    def close(self) -> None:
        """Give the connection back if the response is complete, else hang up at once."""
        ...


class AsyncTransport(Protocol):
    """Transport, awaited. A cancelled `open` or `read` leaves no connection behind."""

    async def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> AsyncExchange:
        """Send `request` and wait for the response's head; raises as Transport.open."""
        ...

    def close(self) -> None:
        """Close every connection, those in use included."""
        ...

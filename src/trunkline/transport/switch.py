"""Several transports as one: which of them takes a request, its URL says."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trunkline.transport.seam import AsyncExchange, AsyncTransport, Exchange, Transport
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest, Url


class Switch(msgspec.Struct, frozen=True):
    """Hands each request to the transport that is chosen for it; owns none of them."""

    choose: Callable[[Url], Transport]

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> Exchange:
        """Send `request` and wait for the response's head; raises as seam.Transport."""
        return self.choose(request.url).open(request, timeouts, until)

    def abandon(self, request: HttpRequest) -> None:
        """Give up what another thread opens with `request`, where its transport can."""
        abandon = getattr(self.choose(request.url), "abandon", None)
        if abandon is not None:
            abandon(request)

    def close(self) -> None:
        """Do nothing: the transports are somebody else's."""


class AsyncSwitch(msgspec.Struct, frozen=True):
    """Switch, awaited."""

    choose: Callable[[Url], AsyncTransport]

    async def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> AsyncExchange:
        """Send `request` and wait for the response's head; raises as seam.AsyncTransport."""
        return await self.choose(request.url).open(request, timeouts, until)

    def close(self) -> None:
        """Do nothing: the transports are somebody else's."""

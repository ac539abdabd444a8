"""Work that lasts as long as the gateway does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from trunkline.gateway.call import Call
from trunkline.gateway.edge import TURN, Edge
from trunkline.gateway.upstream import Upstream
from trunkline.gateway.upstreams import Place

_log = logging.getLogger(__name__)


async def sweep(edge: Edge, live: set[Call], pools: Mapping[Place, Upstream]) -> None:
    """Find, four times a second, the calls whose present step is late, and connections that lie idle."""
    while True:
        await asyncio.sleep(TURN)
        now = edge.now
        for call in [c for c in live if c.until < now]:
            call.late()
        for pool in pools.values():
            pool.sweep()


async def lasting(work: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
    """Do work again and again, `pause` seconds apart; a failure is told and does not end it."""
    while True:
        try:
            await work()
        except Exception:
            _log.exception("work in the background failed, and begins again")
        await asyncio.sleep(pause)

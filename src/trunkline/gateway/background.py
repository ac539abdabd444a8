"""Work that lasts as long as the gateway does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)


async def lasting(work: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
    """Do work again and again, `pause` seconds apart; a failure is told and does not end it."""
    while True:
        try:
            await work()
        except Exception:
            _log.exception("work in the background failed, and begins again")
        await asyncio.sleep(pause)

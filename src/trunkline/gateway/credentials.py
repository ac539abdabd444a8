"""What is done when an upstream does not accept the gateway's own credential.

The reason goes into the log, not to clients; and the credential is looked for again where it was found,
since browser logins are renewed and keys are replaced.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

PAUSE = 10.0
"""Seconds before one upstream's refusal is told, and its credential looked for, again."""
_log = logging.getLogger(__name__)


class Refusals:
    """Takes note of refusals; a flood of them is one line and one look."""

    def __init__(
        self, renew: Callable[[], Awaitable[bool]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Look again with `renew`, which tells whether anything has changed."""
        self._renew = renew
        self._clock = clock
        self._told: dict[str, float] = {}
        self._looking: asyncio.Task[None] | None = None

    def note(self, upstream: str, said: str) -> None:
        """Note that an upstream has refused, and what it said."""
        now = self._clock()
        if now - self._told.get(upstream, -PAUSE) < PAUSE:
            return
        self._told[upstream] = now
        _log.warning(
            "an upstream does not accept its credential",
            extra={"upstream": upstream, "reason": said},
        )
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        if await self._renew():
            _log.info("a credential was replaced by the one that is there now")

"""Keys as the store has them: read again when they have changed, at once for one that nobody here knows.

A request with such a key is held for one look at the store. Looks are a few a second, however many ask,
so that strangers can make neither the store nor the gateway work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from trunkline.gateway.access import Directory, Reading
from trunkline.gateway.exchange import Exchange
from trunkline.store.seam import Store, StoreError

_PAUSE = 0.2
"""Seconds between two looks for keys that are unknown."""
_PATIENCE = 2.0
"""Seconds that a request is held while the store does not answer."""
_MOST = 1000
"""Requests that are held at a time."""
_log = logging.getLogger(__name__)


class Lookout:
    """Keeps a directory up to date with its store."""

    def __init__(self, store: Store, directory: Directory, clock: Callable[[], float]) -> None:
        """Read nothing yet."""
        self._store = store
        self._directory = directory
        self._clock = clock
        self._held: list[Exchange] = []
        self._task: asyncio.Task[None] | None = None
        self._deaf = False

    async def look(self) -> None:
        """Take over keys that another process has changed."""
        try:
            await self._look()
        except StoreError as error:
            _log.warning("the keys cannot be read again", extra={"reason": str(error)})

    async def take(self) -> None:
        """Read all keys again; raises StoreError."""
        reading = await asyncio.to_thread(Reading, self._store)
        if reading.version >= self._directory.version:  # of two readings at once the later counts
            self._directory.use(reading, self._clock())

    def hold(self, exchange: Exchange) -> bool:
        """Hold a request until the store was looked at, once; its connection then goes on with it.

        False where it is not held: it is known to be a stranger's, or the store does not answer.
        """
        if exchange.looked or self._deaf or len(self._held) >= _MOST:
            return False
        exchange.looked = True
        self._held.append(exchange)
        if self._task is None:
            self._task = asyncio.create_task(self._look_for_held())
        return True

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        if await asyncio.to_thread(self._store.version) != self._directory.version:
            await self.take()

    async def _look_for_held(self) -> None:
        try:
            while self._held:
                await self._look_once()
                await asyncio.sleep(_PAUSE)
        finally:
            self._task = None

    async def _look_once(self) -> None:
        held, self._held = self._held, []
        look = asyncio.create_task(self._look())
        try:
            await asyncio.wait({look}, timeout=_PATIENCE)
            _release(held)
            if not look.done():  # nobody waits for a store that is silent
                self._deaf = True
                held, self._held = self._held, []
                _release(held)
                await asyncio.wait({look})
            _tell(look)
        finally:
            self._deaf = False
            look.cancel()


def _release(held: list[Exchange]) -> None:
    for exchange in held:
        exchange.connection.release(exchange)


def _tell(look: asyncio.Task[None]) -> None:
    error = look.exception()
    if error is not None and not isinstance(error, StoreError):  # `look` tells of the store
        _log.error("keys cannot be looked for", exc_info=error)

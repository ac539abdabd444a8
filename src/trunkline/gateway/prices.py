"""What the router serves and at what price, kept fresh in the background: no call waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from trunkline.catalog import Catalog, Catalogs
from trunkline.catalog.cache import LIFETIME, PAUSE
from trunkline.settings import Settings
from trunkline.transport.seam import AsyncTransport
from trunkline.types import Secret


class Prices:
    """The catalog at hand, and the task that renews it."""

    def __init__(
        self,
        catalogs: Catalogs,
        settings: Callable[[], Settings],
        transport: AsyncTransport,
        secret: Callable[[], Secret | None],
    ) -> None:
        """Begin with what is known without asking anybody.

        `settings` name the router, which is another one once the configuration says so.
        """
        self.catalog: Catalog = catalogs.offline(settings())
        self._catalogs = catalogs
        self._settings = settings
        self._transport = transport
        self._secret = secret
        self.renewed: Callable[[], None] = lambda: None
        """Called when the catalog is another."""
        self._sooner = asyncio.Event()
        self._asked = 0.0

    def current(self) -> Catalog:
        """Return the catalog."""
        return self.catalog

    def age(self) -> float:
        """Return how old the prices are, in seconds."""
        return self.catalog.age(datetime.now(UTC)).total_seconds()

    def missed(self) -> None:
        """Take note that a model was asked for that is not there: it may be new."""
        if time.monotonic() - self._asked > PAUSE:
            self._sooner.set()

    def look_again(self) -> None:
        """Ask at once: the router may be another one."""
        self._sooner.set()

    async def keep_fresh(self) -> None:
        """Ask the router for its list now and then, until cancelled."""
        while True:
            self._asked = time.monotonic()
            settings = self._settings()
            fresh = await self._catalogs.aread(self._transport, settings, self._secret())
            if fresh.as_of != self.catalog.as_of or fresh.source != self.catalog.source:
                self.catalog = fresh
                self.renewed()
            wait = LIFETIME if fresh.source == "router" else PAUSE
            self._sooner.clear()
            try:
                await asyncio.wait_for(self._sooner.wait(), wait)
            except TimeoutError:
                continue
            self._catalogs.forget(self._settings())

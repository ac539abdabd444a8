"""What follows from the configuration, and is made anew when it is read again: upstreams, plans, prices.

It changes nothing that serves; whoever uses it is told by `renewed`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trunkline.catalog import Catalogs
from trunkline.errors import ConfigurationError, TrunklineError
from trunkline.gateway.admin.parts import ReloadReport
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.config_changes import changes, for_restart
from trunkline.gateway.config_environment import check_environment
from trunkline.gateway.config_file import Loaded
from trunkline.gateway.gates import Gates
from trunkline.gateway.hf_hub import Hub
from trunkline.gateway.hf_pages import Sources
from trunkline.gateway.log import Log
from trunkline.gateway.outbox import Outbox
from trunkline.gateway.plans import Plans
from trunkline.gateway.prices import Prices
from trunkline.gateway.upstream import Upstream
from trunkline.gateway.upstreams import Place, Upstreams
from trunkline.settings import Settings
from trunkline.transport.aio import AioTransport

_log = logging.getLogger(__name__)


class Configured:
    """The configuration in force, and what leads to upstreams by it."""

    def __init__(
        self,
        loaded: Loaded,
        environment: Mapping[str, str],
        settings: Settings,
        log: Log,
        read: Callable[[], Loaded],
    ) -> None:
        """Connect to nobody yet; `read` reads the configuration again. Raises ConfigurationError."""
        self.loaded = loaded
        self.environment = environment
        self.renewed: Callable[[], None] = lambda: None
        """Called when plans, and perhaps settings, are others."""
        self.gates: Callable[[str, UpstreamConfig, str | None], Gates] = lambda *_: ()
        """Gives the gates of an upstream and its provider."""
        self.pools: dict[Place, Upstream] = {}
        self.outbox = Outbox()
        self._settings = settings
        self._log = log
        self._read = read
        missing = check_environment(loaded.config, environment)
        if missing:
            raise ConfigurationError(" ".join(missing))
        self._transport = AioTransport(proxies=settings.proxies)
        self._upstreams = self._connected(loaded)
        self._hide_credentials()
        self.prices = Prices(
            Catalogs(self._catalog_file),
            lambda: self._upstreams.router_settings(),  # noqa: PLW0108 - a reload replaces them
            self._transport,
            lambda: self._upstreams.router_secret(),  # noqa: PLW0108
        )

    def plans(self) -> Plans:
        """Return new plans, which ask for prices as they are."""
        upstreams, prices = self._upstreams, self.prices
        return Plans(
            self.loaded.config,
            upstreams.connected,
            upstreams.pool,
            prices.current,
            prices.missed,
            self.gates,
        )

    def client(self, name: str) -> Any:
        """Return the SDK's client for an upstream."""
        return self._upstreams.client(name)

    def sources(self) -> Sources:
        """Return what requests below `/hf` lead to, whatever is in force by then."""
        hub = Hub(self._settings, self._transport, lambda: self._upstreams.router_secret())  # noqa: PLW0108
        return Sources(
            upstreams=lambda: self._upstreams.connected,
            default=lambda: self.loaded.config.default_upstream,
            pool=lambda upstream: self._upstreams.pool(upstream),  # noqa: PLW0108
            catalog=self.prices.current,
            hub=hub,
            gates=lambda *upstream: self.gates(*upstream),  # noqa: PLW0108 - they come later
            public=lambda: self.loaded.config.listen.public_url or "",
        )

    def client_of(self, name: str) -> Any:
        """Return the SDK's client for an upstream; None where none has that name any more."""
        return self._upstreams.client(name) if name in self._upstreams.connected else None

    def secrets(self) -> tuple[str, ...]:
        """Return the upstreams' credentials."""
        return self._upstreams.secrets()

    async def reload(self) -> ReloadReport:
        """Read the configuration again; one that is wrong leaves the old one running."""
        try:
            loaded = await asyncio.to_thread(self._read)
            missing = check_environment(loaded.config, self.environment)
            if missing:
                raise ConfigurationError(" ".join(missing))
            upstreams = self._connected(loaded)
        except (TrunklineError, OSError) as error:
            _log.error("the configuration was not reloaded", extra={"reason": str(error)})
            return ReloadReport(applied=False, error=str(error))
        changed = changes(self.loaded, loaded)
        restart = for_restart(changed)
        self.loaded = loaded
        self._use(upstreams)
        self.prices.look_again()
        _log.info("the configuration was reloaded", extra={"changed": changed, "restart": restart})
        return ReloadReport(applied=True, changed=tuple(changed), restart=restart)

    async def renew(self) -> bool:
        """Look for the upstreams' credentials again; tells whether one is another."""
        before = self._upstreams.secrets()
        try:
            upstreams = await asyncio.to_thread(self._connected, self.loaded)
        except (TrunklineError, OSError) as error:
            _log.warning("a credential is not to be found", extra={"reason": str(error)})
            return False
        if upstreams.secrets() == before:
            return False
        self._use(upstreams)
        return True

    async def keep_prices(self) -> None:
        """Keep the router's prices fresh, where it is asked at all."""
        if (
            self._upstreams.router_secret() is None
            and self.loaded.config.default_upstream != "huggingface"
        ):
            await asyncio.sleep(60.0)
            return
        await self.prices.keep_fresh()

    def close(self) -> None:
        """Close every connection to an upstream."""
        for pool in self.pools.values():
            pool.close()
        self._transport.close()

    def _use(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._hide_credentials()
        self.renewed()

    def _connected(self, loaded: Loaded) -> Upstreams:
        return Upstreams(
            loaded.config,
            self.environment,
            self._settings,
            self._transport,
            self.pools,
            self.outbox,
        )

    def _hide_credentials(self) -> None:
        for secret in self.secrets():
            self._log.hide(secret)

    @property
    def _catalog_file(self) -> Path | None:
        value = self._settings.catalog_file.value
        return None if value is None else Path(value)

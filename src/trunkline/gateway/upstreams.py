"""The configured upstreams as they are used: addresses, credentials, connections, SDK clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from trunkline.errors import AuthenticationError, ConfigurationError
from trunkline.gateway.config import Config
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.connected import Connected, read_base
from trunkline.gateway.outbox import Outbox
from trunkline.gateway.upstream import Upstream
from trunkline.providers.targets import placeholder
from trunkline.settings import Settings, checked_secret, find_token
from trunkline.transport.aio import AioTransport
from trunkline.types import Secret, Timeouts
from trunkline.wire.http1_read import HttpLimits
from trunkline.wire.message import Url

if TYPE_CHECKING:
    from trunkline.client import AsyncClient

ROUTER = "huggingface"
Place = tuple[str, str, int, float, int]


class Upstreams:
    """Every upstream of one configuration; connections outlive it where the next has them too."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        settings: Settings,
        transport: AioTransport,
        pools: dict[Place, Upstream],
        outbox: Outbox,
    ) -> None:
        """Find the credentials; raises ConfigurationError where one is not fit to be sent."""
        self._outbox = outbox
        self._settings = settings
        self._transport = transport
        self._pools = pools
        self._clients: dict[str, AsyncClient] = {}
        rows = dict(config.upstreams)
        if config.default_upstream == ROUTER and ROUTER not in rows:
            rows[ROUTER] = UpstreamConfig(kind="huggingface")
        self.connected = {
            name: Connected(
                name,
                row,
                read_base(row, settings.router_url),
                credential(name, row, environment, settings.router_url),
            )
            for name, row in rows.items()
        }

    def secrets(self) -> tuple[str, ...]:
        """Return the credentials, so that no message repeats them."""
        return tuple(c.secret.value for c in self.connected.values() if c.secret is not None)

    def router_secret(self) -> Secret | None:
        """Return the credential of Hugging Face's router, where it is one of the upstreams."""
        found = [c for c in self.connected.values() if c.config.kind == "huggingface"]
        return found[0].secret if found else None

    def router_settings(self) -> Settings:
        """Return settings whose router is the configured one."""
        rows = [c.config for c in self.connected.values() if c.config.kind == "huggingface"]
        told = next((row.base_url for row in rows if row.base_url), None)
        if told is None:
            return self._settings
        router = msgspec.structs.replace(self._settings.router, value=told)
        return msgspec.structs.replace(self._settings, router=router)

    def pool(self, upstream: Connected) -> Upstream:
        """Return the connections to an upstream's server."""
        url, config = upstream.base, upstream.config
        place = (url.scheme, url.host, url.port, config.connect_seconds, config.connections)
        pool = self._pools.get(place)
        if pool is None:
            pool = self._pools[place] = Upstream(
                Url(url.scheme, url.host, url.port, "/"),
                transport=self._transport,
                outbox=self._outbox,
                connect_seconds=config.connect_seconds,
                most=config.connections,
                limits=HttpLimits(),
            )
        return pool

    def client(self, name: str) -> AsyncClient:
        """Return the SDK's client for an upstream, for calls in its providers' own dialects."""
        client = self._clients.get(name)
        if client is None:
            from trunkline.client import AsyncClient  # slow to load; relays do without it

            upstream = self.connected[name]
            settings, config = self._settings, upstream.config
            if config.kind == "huggingface" and config.base_url:
                router = msgspec.structs.replace(settings.router, value=config.base_url)
                settings = msgspec.structs.replace(settings, router=router)
            client = self._clients[name] = AsyncClient(
                token=None if upstream.secret is None else upstream.secret.value,
                settings=settings,
                api_base=config.base_url if config.kind == "openai" else None,
                direct=config.kind == "provider",
                bill_to=config.bill_to,
                timeout=Timeouts(
                    config.connect_seconds, config.first_byte_seconds, config.idle_seconds
                ),
                max_retries=0,
                log=False,  # the ledger has these calls
            )
        return client


def credential(
    name: str, upstream: UpstreamConfig, environment: Mapping[str, str], router: str
) -> Secret | None:
    """Find an upstream's credential; raises ConfigurationError where there is none in its variable.

    Hugging Face's is the user's own login where no variable is named.
    """
    variable = upstream.key_env
    if variable is None:
        if upstream.kind != "huggingface":
            return None
        return find_token(environment) or placeholder(upstream.base_url or router)
    value = environment.get(variable, "").strip()
    if not value:
        raise ConfigurationError(
            f"The environment variable {variable}, which upstreams.{name}.key_env names, is not set."
        )
    try:
        return checked_secret(value, f"the environment variable {variable}")
    except AuthenticationError as error:
        raise ConfigurationError(error.message) from error

"""What the admin API is made from, and what it is told by the gateway: values and callables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from trunkline.store.seam import Store


class ReloadReport(msgspec.Struct, frozen=True):
    """How a reload of the configuration went."""

    applied: bool
    changed: tuple[str, ...] = ()
    """Names of the settings that are others now."""
    restart: tuple[str, ...] = ()
    """Names of those that change with a restart only."""
    error: str | None = None
    """Why the old configuration stays, where it does."""
    others: str | None = None
    """Why other replicas were not asked to reload theirs, where they were not."""


class ConfigSetting(msgspec.Struct, frozen=True):
    """One setting of the running configuration; a secret has only its origin."""

    name: str
    """`listen.port`."""
    value: Any
    origin: str
    """In words: `default`, `the file gateway.toml, line 3`, an environment variable."""


class ReplicaView(msgspec.Struct, frozen=True):
    """One process that serves from the store. Times are by the store's clock."""

    boot: str
    """Its name in the ledger."""
    host: str
    """Where it runs, and its process id."""
    started: float
    """By its own clock."""
    seen: float
    config: str
    """A digest of its configuration: replicas with the same have the same settings."""
    version: str
    state: str
    """`live`, `silent` without a sign of life for some seconds, or `lost` when it was given up."""
    trouble: str | None
    """Why it did not take the configuration that it was asked to read."""
    this: bool
    """Whether it is the one that answers."""


class PlaceView(msgspec.Struct, frozen=True):
    """How a target of routes does, as the process knows that answers; null is unknown."""

    upstream: str
    provider: str
    """Of one's own servers the upstream once more."""
    model: str
    state: str
    """`closed`: it is asked. `open`: it is given up for now. `half-open`: one call tries it."""
    why: str | None
    """Why it is not asked just now."""
    seconds: float
    """In how many it may be asked again; 0 where it may be."""
    error_rate: float | None
    first_token: float | None
    """Seconds, the median of streams."""
    slow_first_token: float | None
    """Seconds that nineteen of twenty do not exceed."""
    throughput: float | None
    """Tokens a second, the median of streams."""


class AdminParts(msgspec.Struct, frozen=True):
    """All that the admin API needs."""

    store: Store
    reload: Callable[[], Awaitable[ReloadReport]]
    status: Callable[[], Awaitable[dict[str, Any]]]
    """On the event loop's thread, as are `replicas`, `config`, `places` and `changed`."""
    replicas: Callable[[], Sequence[ReplicaView]]
    config: Callable[[], Sequence[ConfigSetting]]
    places: Callable[[], Sequence[PlaceView]]
    changed: Callable[[], Awaitable[None]]
    """Awaited after keys or accounts changed: when the answer comes, the gateway knows."""
    clock: Callable[[], float]
    """Seconds since 1970."""

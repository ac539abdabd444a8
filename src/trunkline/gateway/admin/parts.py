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


class ConfigSetting(msgspec.Struct, frozen=True):
    """One setting of the running configuration; a secret has only its origin."""

    name: str
    """`listen.port`."""
    value: Any
    origin: str
    """In words: `default`, `the file gateway.toml, line 3`, an environment variable."""


class AdminParts(msgspec.Struct, frozen=True):
    """All that the admin API needs."""

    store: Store
    reload: Callable[[], Awaitable[ReloadReport]]
    status: Callable[[], dict[str, Any]]
    """On the event loop's thread, as are `config` and `changed`."""
    config: Callable[[], Sequence[ConfigSetting]]
    changed: Callable[[], Awaitable[None]]
    """Awaited after keys or accounts changed: when the answer comes, the gateway knows."""
    clock: Callable[[], float]
    """Seconds since 1970."""

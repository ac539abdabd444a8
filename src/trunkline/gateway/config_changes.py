"""In what two configurations differ, and which of it only a restart brings about."""

from __future__ import annotations

from trunkline.gateway.config_file import Loaded
from trunkline.gateway.config_problems import dotted
from trunkline.gateway.config_values import leaves

RESTART = (
    "listen.",
    "store.",
    "content.",
    "idempotency.",
    "cors.",
    "edge.head_bytes",
    "edge.headers",
    "edge.body_bytes",
    "edge.upload_bytes",
    "edge.drain_seconds",
)
"""Settings that only a restart changes."""


def changes(before: Loaded, after: Loaded) -> list[str]:
    """Return the dotted names of the settings in which two configurations differ."""
    old = {dotted(where): value for where, value in leaves(before.config)}
    new = {dotted(where): value for where, value in leaves(after.config)}
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def for_restart(changed: list[str]) -> tuple[str, ...]:
    """Return those of the settings that only a restart changes."""
    return tuple(name for name in changed if name.startswith(RESTART))

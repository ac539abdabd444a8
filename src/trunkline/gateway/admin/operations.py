"""What the routes about the gateway itself do. They run on the event loop, where its state lives."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.gateway.admin.openapi import document
from trunkline.gateway.admin.parts import ConfigSetting, PlaceView, ReloadReport, ReplicaView
from trunkline.gateway.admin.table import Visit
from trunkline.gateway.wishes import RefusedError


class ConfigView(msgspec.Struct, frozen=True):
    """The running configuration, setting by setting, without secrets."""

    data: list[ConfigSetting]


class PlaceList(msgspec.Struct, frozen=True):
    """Targets of routes that were asked, or of which other processes told."""

    data: list[PlaceView]


class ReplicaList(msgspec.Struct, frozen=True):
    """The processes that serve from the store, the one that answers first."""

    data: list[ReplicaView]


async def reload(visit: Visit) -> ReloadReport:
    """Read the configuration again."""
    made = await visit.parts.reload()
    if not made.applied:
        why = made.error or "it did not say why"
        raise RefusedError(
            f"The configuration in use stays; the new one was refused: {why}",
            status=409,
            code="configuration_refused",
        )
    return made


async def config(visit: Visit) -> ConfigView:
    """Show the configuration."""
    return ConfigView(list(visit.parts.config()))


async def status(visit: Visit) -> dict[str, Any]:
    """Tell how the gateway is."""
    return await visit.parts.status()


async def places(visit: Visit) -> PlaceList:
    """Tell how the targets of routes do."""
    return PlaceList(list(visit.parts.places()))


async def replicas(visit: Visit) -> ReplicaList:
    """List the processes on the store."""
    return ReplicaList(list(visit.parts.replicas()))


async def openapi(visit: Visit) -> dict[str, Any]:
    """Describe this API."""
    return document(visit.rows)

"""How a running gateway is: ready or not and why, its gauges, its settings; for pages that tell it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.gateway.admin.parts import ConfigSetting
from trunkline.gateway.call import Call
from trunkline.gateway.config_file import Loaded
from trunkline.gateway.config_problems import dotted
from trunkline.gateway.config_show import without_passwords
from trunkline.gateway.config_values import leaves
from trunkline.gateway.content import ContentKeeper
from trunkline.gateway.doorkeeper import Waits
from trunkline.gateway.edge import Edge
from trunkline.gateway.journal import Journal
from trunkline.gateway.ledger import Ledger
from trunkline.gateway.listing import Readiness
from trunkline.gateway.once import Once
from trunkline.gateway.prices import Prices
from trunkline.gateway.queue import Queue
from trunkline.gateway.replicas import SKEW_SECONDS, Replicas
from trunkline.gateway.sharing import Sharing
from trunkline.gateway.telemetry import Telemetry


class Parts(msgspec.Struct, frozen=True):
    """What is looked at."""

    live: set[Call]
    edge: Edge
    journal: Journal
    ledger: Ledger
    keeper: ContentKeeper
    prices: Prices
    telemetry: Telemetry
    once: Once
    replicas: Replicas
    sharing: Sharing
    queue: Queue[Waits]


class State:
    """Looks at a gateway's parts when it is asked, and changes none."""

    _parts: Parts

    def __init__(self, loaded: Callable[[], Loaded]) -> None:
        """Ask `loaded` for the configuration in force. Has nothing to tell before `watch`."""
        self.draining = False
        self._loaded = loaded
        self._began = time.time()

    def readiness(self) -> Readiness:
        """Tell whether calls can be served, and what stands in the way."""
        parts = self._parts
        troubles: list[str] = []
        if self.draining:
            troubles.append("the gateway is being stopped")
        if parts.replicas.lost:
            troubles.append("other replicas have given this process up, and it ends")
        if parts.replicas.trouble and self._loaded().config.store.on_down == "refuse":
            troubles.append(f"the store cannot be used: {parts.replicas.trouble}")
        if parts.ledger.complaint:
            troubles.append(f"the ledger cannot be written: {parts.ledger.complaint}")
        if parts.journal.trouble is not None:
            troubles.append(f"the journal cannot be written: {parts.journal.trouble.strerror}")
        notes = (parts.sharing.note,) if parts.sharing.note else ()
        return Readiness(not troubles, tuple(troubles), notes)

    def status(self) -> dict[str, Any]:
        """Return what the admin API tells first."""
        parts = self._parts
        catalog = parts.prices.catalog
        readiness = self.readiness()
        return {
            "since": self._began,
            "ready": readiness.ready,
            "troubles": list(readiness.troubles),
            "notes": list(readiness.notes),
            "in_flight": len(parts.live),
            "connections": len(parts.edge.connections),
            "ledger_waiting": parts.ledger.waiting,
            "replicas": self._replicas(parts.replicas),
            "prices": {"source": catalog.source, "as_of": catalog.as_of.isoformat()},
            "counts": parts.telemetry.snapshot(),
        }

    @staticmethod
    def _replicas(replicas: Replicas) -> dict[str, Any]:
        told: dict[str, Any] = {
            "count": replicas.count,
            "config_differs": replicas.differs,
            "clock_skew_seconds": round(replicas.skew, 3),
        }
        warnings = [
            f"{one.host} did not reload: {one.trouble}" for one in replicas.seen if one.trouble
        ]
        if replicas.differs:
            warnings.append("replicas have different configurations")
        if abs(replicas.skew) > SKEW_SECONDS:
            warnings.append("this machine's clock differs from the store's")
        return told | {"warnings": warnings}

    def settings(self) -> list[ConfigSetting]:
        """Return every setting, and where it is from."""
        loaded = self._loaded()
        return [
            ConfigSetting(dotted(where), value, loaded.origins.get(dotted(where), "default"))
            for where, value in leaves(without_passwords(loaded.config))
        ]

    def watch(self, parts: Parts) -> None:
        """Tell of these parts, and have the metrics show what only a look can tell."""
        self._parts = parts
        gauge = parts.telemetry.gauge
        gauge("inflight_requests", lambda: len(parts.live))
        gauge("queued_interactive", lambda: parts.queue.counts["interactive"])
        gauge("queued_batch", lambda: parts.queue.counts["batch"])
        gauge("open_connections", lambda: len(parts.edge.connections))
        gauge("ledger_pending_entries", lambda: parts.ledger.waiting)
        gauge("journal_bytes", lambda: parts.journal.size)
        gauge("spool_bytes", lambda: parts.ledger.behind)
        gauge("store_up", lambda: float(parts.ledger.trouble is None))
        gauge("price_age_seconds", parts.prices.age)
        gauge("eventloop_lag_seconds", lambda: parts.edge.lag)
        gauge("workers", lambda: 1)
        gauge("replicas", lambda: parts.replicas.count)
        gauge("replicas_config_differs", lambda: parts.replicas.differs)
        gauge("clock_skew_seconds", lambda: parts.replicas.skew)
        gauge("contents_dropped_total", lambda: parts.keeper.dropped)
        leases = parts.sharing.leases  # None has asked for nothing
        gauge("money_rounds_total", lambda: leases.money.count if leases else 0)
        gauge("rate_rounds_total", lambda: leases.rates.count if leases else 0)
        gauge("lease_waits_total", lambda: leases.waited if leases else 0)
        gauge("limits_by_shares", lambda: leases.rates.by_shares if leases else 0)
        gauge("answers_replayed_total", lambda: parts.once.replayed)

"""A process's place among those on its store: joined, told of reloads, and ended when it was given up."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable

import msgspec

from trunkline._version import __version__
from trunkline.gateway.admin.parts import ReloadReport, ReplicaView
from trunkline.gateway.configured import Configured
from trunkline.gateway.recovery import end
from trunkline.gateway.replicas import Hooks, Joined, Replicas, digest_of, state_of
from trunkline.store.records import Replica
from trunkline.store.seam import SharedStore, StoreError

_log = logging.getLogger(__name__)


class Membership:
    """This process, as the others on its store see it."""

    replicas: Replicas

    def __init__(
        self, store: SharedStore, configured: Configured, recovered: Callable[[int], None]
    ) -> None:
        """Join nobody yet; `recovered` is told of calls that were settled for others."""
        self.own = Replica(
            secrets.token_hex(6),
            f"{socket.gethostname()[:200]} {os.getpid()}",
            time.time(),
            digest_of(configured.loaded),
            __version__,
        )
        self.lost = asyncio.Event()
        """Set when others have given this process up."""
        self._store = store
        self._configured = configured
        self._recovered = recovered
        self.skewed: Callable[[float], None] = lambda _: None
        """Told, on another thread, how far the store's clock is ahead of this process's."""
        self._missed: dict[str, float] = {}
        """Processes that were asked about and not seen, and the time of the beat before."""
        self._reloading: set[asyncio.Task[ReloadReport]] = set()

    def begin(self, joined: Joined) -> None:
        """Live, having joined."""
        loop = asyncio.get_running_loop()
        hooks = Hooks(
            give_up=self._give_up,
            lost=lambda: _tell(loop, self.lost.set),
            reload=lambda: _tell(loop, self._reload_as_asked),
            skew=self.skewed,
        )
        lost_seconds = self._configured.loaded.config.store.lost_seconds
        self.replicas = Replicas(self._store, joined, hooks, lost_seconds=lost_seconds)
        self.replicas.begin()

    async def reload(self) -> ReloadReport:
        """Read the configuration again, this process alone."""
        report = await self._configured.reload()
        self.replicas.say(digest_of(self._configured.loaded), report.error or "")
        return report

    async def reload_all(self) -> ReloadReport:
        """Read the configuration again, and ask all others to, if it is sound here."""
        report = await self.reload()
        if not report.applied:
            return report
        try:
            self.replicas.asked(await asyncio.to_thread(self._store.ask_reload))
        except StoreError as error:
            _log.warning("other replicas were not asked to reload", extra={"reason": str(error)})
            return msgspec.structs.replace(report, others=str(error))
        return report

    def lives(self, boot: str) -> bool:
        """Tell whether a process serves from the store.

        One that is not among those of the last beat may have begun since: the next beat tells.
        """
        replicas = self.replicas
        if any(one.boot == boot for one in replicas.seen):
            return not any(one.boot == boot and one.lost for one in replicas.seen)
        return self._missed.setdefault(boot, replicas.at) >= replicas.at

    def views(self) -> list[ReplicaView]:
        """Return all processes on the store, as of the last beat."""
        replicas = self.replicas
        return [
            ReplicaView(
                boot=one.boot,
                host=one.host,
                started=one.started,
                seen=one.seen,
                config=one.config,
                version=one.version,
                state=state_of(one, replicas.at),
                trouble=one.trouble or None,
                this=one.boot == self.own.boot,
            )
            for one in replicas.seen
        ]

    def end(self) -> None:
        """Beat no more. Blocking."""
        self.replicas.end()

    def leave(self) -> None:
        """Be forgotten, when nothing is in flight and all is committed; raises StoreError."""
        if not self.replicas.lost:
            self.replicas.leave()

    def _give_up(self, boot: str, now: float) -> None:
        self._recovered(end(self._store, boot, now))

    def _reload_as_asked(self) -> None:
        task = asyncio.create_task(self.reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what)

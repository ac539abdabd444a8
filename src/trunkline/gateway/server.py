"""The gateway put together: store, keys, journal, ledger, upstreams, pages and edge, in their order.

The only place of the gateway that knows all of its rooms.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trunkline.gateway.access import Directory, Reading
from trunkline.gateway.admin.app import AdminApp
from trunkline.gateway.admin.parts import AdminParts, ReloadReport
from trunkline.gateway.admission import Counters
from trunkline.gateway.background import lasting
from trunkline.gateway.booking import drop_segment
from trunkline.gateway.bridge import Bridge, serve
from trunkline.gateway.call import Call, Desk
from trunkline.gateway.config_file import Loaded
from trunkline.gateway.config_rules import is_loopback
from trunkline.gateway.configured import Configured
from trunkline.gateway.content import ContentKeeper
from trunkline.gateway.cors import open_pages
from trunkline.gateway.credentials import Refusals
from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.edge import TURN, Edge
from trunkline.gateway.gates import UpstreamGates
from trunkline.gateway.guard import Guard
from trunkline.gateway.hf_pages import HfPages
from trunkline.gateway.journal import Journal
from trunkline.gateway.journal_files import boot_of, segments
from trunkline.gateway.ledger import Ledger
from trunkline.gateway.listening import bound
from trunkline.gateway.listing import Listing
from trunkline.gateway.log import Log
from trunkline.gateway.once import Once
from trunkline.gateway.opening import Opened, open_store, tls_context
from trunkline.gateway.pages import Pages, Rule
from trunkline.gateway.recovery import Recovered
from trunkline.gateway.state import Parts, State
from trunkline.gateway.stores import store_at, store_place
from trunkline.gateway.table import Sizes, page_table
from trunkline.gateway.telemetry import Telemetry
from trunkline.settings import Settings
from trunkline.store.records import Entry
from trunkline.store.seam import StoreError

_LOOK_SECONDS = 0.5
"""Between two looks whether keys have changed in the store."""
_PURGE_SECONDS = 60.0
"""Between two looks whether kept answers have had their time."""
_log = logging.getLogger(__name__)


class Started(msgspec.Struct, frozen=True):
    """What a start has to tell."""

    url: str
    admin_secret: str | None
    """Of the admin key that was made, to be shown once."""
    recovered: Recovered


class Gateway:
    """One process that serves."""

    def __init__(
        self,
        loaded: Loaded,
        environment: Mapping[str, str],
        settings: Settings,
        log: Log,
        read: Callable[[], Loaded],
    ) -> None:
        """Open nothing yet; `read` reads the configuration again. Raises ConfigurationError."""
        self._configured = Configured(loaded, environment, settings, log, read)
        self._environment = environment
        self._log = log
        config = loaded.config
        self._telemetry = Telemetry(config.routes)
        self._guard = Guard()
        self._configured.gates = UpstreamGates(self._guard).of
        self._directory = Directory(self._guard)
        self._live: set[Call] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._hurried = False
        self._state = State(lambda: self.loaded)
        place = store_place(config, environment)
        self._store = store_at(place, config.store)
        self._folder = place.journal
        spool = config.store.spool_bytes if config.store.on_down == "spool" else 0
        self._ledger = Ledger(
            self._store, self._folder, spool_bytes=spool, committed=self._committed
        )

    @property
    def loaded(self) -> Loaded:
        """The configuration in force."""
        return self._configured.loaded

    async def start(self) -> Started:
        """Open the store, bring in what dead processes left, and listen.

        Raises ConfigurationError, StoreError and OSError.
        """
        opened = await asyncio.to_thread(self._open_store)
        self._lock = opened.lock
        config = self.loaded.config
        self._journal = Journal(
            self._folder,
            secrets.token_hex(6),
            self._ledger.take,
            durable=config.store.durability == "power",
            released=self._configured.outbox.flush,
        )
        self._ledger.start()
        self._keeper = ContentKeeper(self._store, config.content, time.time)
        self._dispatch = self._dispatching()
        self._once = self._doing_once()
        self._configured.renewed = self._renewed
        self._configured.prices.renewed = self._forget_plans
        self._bridge: Bridge = serve(AdminApp(self._admin_parts()))
        self._edge = Edge(
            self._application(),
            config.edge,
            most=config.listen.connections,
            outbox=self._configured.outbox,
        )
        self._directory.use(opened.reading, time.time())
        self._state.watch(self._parts())
        listen = config.listen
        tls = tls_context(listen.tls_certificate, listen.tls_key)
        sockets = await asyncio.to_thread(bound, listen.host, listen.port)
        port = sockets[0].getsockname()[1]
        await self._edge.listen(sockets, tls=tls)
        self._tasks = self._background()
        scheme = "http" if tls is None else "https"
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        return Started(f"{scheme}://{host}:{port}", opened.admin_secret, opened.recovered)

    async def stop(self, patience: float) -> bool:
        """Stop: not ready at once, then answers end within `patience` seconds, or are told so.

        Tells whether all that happened is in the store; what is not is in the journal.
        """
        self._state.draining = True
        await self._edge.drain(0.0 if self._hurried else patience)
        self._break_off()
        await self._once.finish()
        await asyncio.sleep(0)
        await self._edge.close()
        self._break_off()  # requests that were sent ahead, and had begun just now
        await self._once.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bridge.close()
        self._configured.close()
        self._journal.close()
        done = await asyncio.to_thread(self._close_books)
        self._store.close()
        self._lock.release()
        return done

    def hurry(self) -> None:
        """Stop waiting for answers to end."""
        self._hurried = True
        self._edge.patience = 0.0

    def _break_off(self) -> None:
        for call in list(self._live):
            call.drained()

    def _close_books(self) -> bool:
        """Commit the rest; tells whether all is in the store, and no journal is needed."""
        done = self._ledger.close()
        self._keeper.close()
        if done:
            try:
                for path in segments(self._folder):
                    if boot_of(path) == self._journal.boot:
                        drop_segment(self._store, path)
            except StoreError as error:
                _log.warning("a journal's position was not forgotten", extra={"reason": str(error)})
        return done

    async def reload(self) -> ReloadReport:
        """Read the configuration again; one that is wrong leaves the old one running."""
        return await self._configured.reload()

    def _renewed(self) -> None:
        """Serve by the configuration in force."""
        config = self.loaded.config
        self._dispatch.plans = self._configured.plans()
        self._dispatch.money = config.money
        self._edge.limits = config.edge

    # putting together

    def _open_store(self) -> Opened:
        given = self._environment.get("TRUNKLINE_ADMIN_KEY") or None
        opened = open_store(self._store, self._folder, given, time.time())
        self._telemetry.recovered(opened.recovered.replayed + opened.recovered.unknown)
        self._guard.load(opened.spend)
        return opened

    def _parts(self) -> Parts:
        return Parts(
            self._live,
            self._edge,
            self._journal,
            self._ledger,
            self._keeper,
            self._configured.prices,
            self._telemetry,
            self._once,
        )

    def _dispatching(self) -> Dispatch:
        kept = self._keeper.add if self.loaded.config.content.store else None
        desk = Desk(
            journal=self._journal,
            counted=self._counted if self._log.log_requests else self._telemetry.ended,
            attempted=self._telemetry.attempted,
            refused=Refusals(self._configured.renew).note,
            kept=kept,
            live=self._live,
            hide=self._configured.secrets,
            wait=lambda *wish: self._dispatch.admission.wait(*wish),  # noqa: PLW0108 - it comes later
        )
        counters = Counters(self._telemetry.refused, self._telemetry.rate_limited)
        return Dispatch(
            desk,
            self._configured.plans(),
            self._journal,
            self._ledger,
            self.loaded.config.money,
            counters,
            self._translated,
        )

    def _doing_once(self) -> Once:
        return Once(
            self._store,
            self.loaded.config.idempotency,
            self._journal.boot,
            lives=lambda boot: boot == self._journal.boot,
            refused=self._telemetry.refused,
        )

    def _translated(self, *call: Any) -> Call:
        from trunkline.gateway.carriers import carry  # loads the SDK; chats do without it

        return carry(call, self._configured)

    def _forget_plans(self) -> None:
        self._dispatch.plans.forget()

    def _application(self) -> Pages:
        dispatch = self._dispatch
        listing = Listing(lambda: dispatch.plans, self._state.readiness, self._telemetry.exposition)
        config = self.loaded.config
        metrics: Rule = "public" if is_loopback(config.listen.host) else "viewer"
        hf = HfPages(dispatch, self._configured.sources())
        edge = config.edge
        dispatch.upload_bytes = edge.upload_bytes
        rows = page_table(
            dispatch,
            listing,
            self._bridge,
            hf.serve,
            sizes=Sizes(edge.body_bytes, edge.upload_bytes),
            metrics=metrics,
        )
        refused, once = self._telemetry.refused, self._once.admit
        return open_pages(rows, self._directory, refused, once, config.cors)

    def _admin_parts(self) -> AdminParts:
        return AdminParts(
            store=self._store,
            reload=self.reload,
            status=self._state.status,
            config=self._state.settings,
            changed=self._take_changes,
            clock=time.time,
        )

    def _counted(self, entry: Entry) -> None:
        self._telemetry.ended(entry)
        self._log.ended(entry)

    def _committed(self, seconds: float, entries: int) -> None:  # noqa: ARG002 - counted elsewhere
        self._telemetry.committed(seconds)

    # in the background

    def _background(self) -> list[asyncio.Task[None]]:
        work = (
            (self._look_for_changes, _LOOK_SECONDS),
            (self._sweep, _LOOK_SECONDS),
            (self._configured.keep_prices, _LOOK_SECONDS),
            (self._once.purge, _PURGE_SECONDS),
        )
        return [asyncio.create_task(lasting(each, pause)) for each, pause in work]

    async def _look_for_changes(self) -> None:
        """Take over keys that another process has changed, within a second."""
        try:
            if await asyncio.to_thread(self._store.version) != self._directory.version:
                await self._take_changes()
        except StoreError as error:
            _log.warning("the keys cannot be read again", extra={"reason": str(error)})

    async def _take_changes(self) -> None:
        reading = await asyncio.to_thread(Reading, self._store)
        if reading.version >= self._directory.version:  # of two readings at once the later counts
            self._directory.use(reading, time.time())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(TURN)
            now = self._edge.now
            for call in [c for c in self._live if c.until < now]:
                call.late()
            for pool in self._configured.pools.values():
                pool.sweep()

"""The gateway put together: store, keys, journal, ledger, upstreams, pages and edge, in their order.

The only place of the gateway that knows all of its rooms.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from trunkline.gateway.access import Directory
from trunkline.gateway.admin.app import AdminApp
from trunkline.gateway.admin.parts import AdminParts, ReloadReport
from trunkline.gateway.admission import Admission
from trunkline.gateway.background import lasting, sweep
from trunkline.gateway.booking import drop_segments_of
from trunkline.gateway.bridge import Bridge, serve
from trunkline.gateway.call import Call, Desk
from trunkline.gateway.config_file import Loaded
from trunkline.gateway.config_rules import is_loopback
from trunkline.gateway.configured import Configured
from trunkline.gateway.content import ContentKeeper
from trunkline.gateway.control import Place
from trunkline.gateway.cors import open_pages
from trunkline.gateway.credentials import Refusals
from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.edge import Edge
from trunkline.gateway.hf_pages import HfPages
from trunkline.gateway.journal import Journal
from trunkline.gateway.ledger import Ledger
from trunkline.gateway.listening import bound
from trunkline.gateway.listing import Listing
from trunkline.gateway.log import Log
from trunkline.gateway.lookout import Lookout
from trunkline.gateway.marking import LOOK, Marking
from trunkline.gateway.membership import Membership
from trunkline.gateway.once import Once
from trunkline.gateway.opening import Opened, Standing, open_store, standing_of, tls_context
from trunkline.gateway.pages import Pages, Rule
from trunkline.gateway.recovery import Recovered
from trunkline.gateway.roads import ROUND_SECONDS, Roads
from trunkline.gateway.sdk_parts import SdkParts
from trunkline.gateway.sharing import Sharing
from trunkline.gateway.siblings import Siblings
from trunkline.gateway.slots import address
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

    boot: str
    """The process's name in the ledger."""
    admin_secret: str | None
    """Of the admin key that was made, to be shown once."""
    recovered: Recovered
    url: str = ""


class Gateway:
    """One process that serves."""

    edge: Edge

    def __init__(
        self,
        loaded: Loaded,
        environment: Mapping[str, str],
        settings: Settings,
        log: Log,
        read: Callable[[], Loaded],
        place: Place | None = None,
    ) -> None:
        """Open nothing yet; `read` reads the configuration again. Raises ConfigurationError.

        `place` is given to one of several workers.
        """
        self._configured = Configured(loaded, environment, settings, log, read)
        self._environment = environment
        self._log = log
        config = loaded.config
        self._telemetry = Telemetry(config.routes)
        self._live: set[Call] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._hurried, self._sdk = False, SdkParts(self._configured)
        self._marking = Marking(lambda: self.loaded.config.marks_file)
        self._roads = Roads(moved=self._telemetry.moved, marks=self._marking.standing)
        self._state = State(lambda: self.loaded)
        at = store_place(config, environment)
        self._store = store_at(at, config.store)
        self._folder = at.journal
        self._member = Membership(self._store, self._configured, self._telemetry.recovered)
        self._sharing = Sharing(config, environment, self._store, self._member)
        self._configured.gates = self._sharing.gates.of
        self._directory = Directory(self._sharing.guard)
        self._roads.join(self._store, self._member.own.boot, self._telemetry)
        self._lookout = Lookout(self._store, self._directory, self._sharing.clock)
        self._standing: Standing = standing_of(at, place)
        self._siblings: Siblings | None = None
        if place is not None:
            self._siblings = Siblings(place.room, place.slot, self._member.own.boot)

    @property
    def loaded(self) -> Loaded:
        """The configuration in force."""
        return self._configured.loaded

    @property
    def lost(self) -> asyncio.Event:
        """Set when other processes on the store have given this one up: it has to end."""
        return self._member.lost

    async def start(self) -> Started:
        """Open the store, bring in what dead processes left, and listen.

        Raises ConfigurationError, StoreError and OSError.
        """
        listen = self.loaded.config.listen
        sockets = await asyncio.to_thread(bound, listen.host, listen.port)
        started = await self.open()
        for sock in sockets:
            await self.edge.accept_from(sock)
        url = address(listen, sockets[0].getsockname()[1])
        return msgspec.structs.replace(started, url=url)

    async def open(self) -> Started:
        """Do all of a start but listen."""
        config = self.loaded.config
        listen = config.listen
        tls = tls_context(listen.tls_certificate, listen.tls_key)
        opened = await asyncio.to_thread(self._open_store)
        self._lock = opened.lock
        self._keep_books(opened.folder)
        self._ledger.start()
        self._keeper = ContentKeeper(self._store, config.content, self._sharing.clock)
        self._dispatch = self._dispatching()
        self._once = self._doing_once()
        self._configured.renewed = self._renewed
        self._configured.prices.renewed = self._forget_plans
        self._bridge: Bridge = serve(AdminApp(self._admin_parts()))
        self.edge = Edge(
            self._application(),
            config.edge,
            most=listen.connections,
            outbox=self._configured.outbox,
            clock=self._sharing.clock,
        )
        self._directory.use(opened.reading, self._sharing.clock())
        self._sharing.begin()
        self._member.begin(opened.joined)
        self._state.watch(self._parts())
        if self._siblings is not None:
            await self._siblings.begin(
                self._state.readiness, self._state.status, self._telemetry, self._lookout.take
            )
        self.edge.begin(tls)
        self._tasks = self._background()
        return Started(self._member.own.boot, opened.admin_secret, opened.recovered)

    def expect(self, slots: tuple[int, ...]) -> None:
        """Be ready only when workers of all these slots are."""
        if self._siblings is not None:
            self._siblings.expected = slots

    async def stop(self, patience: float, *, handed_on: bool = False) -> bool:
        """Stop: not ready at once, then answers end within `patience` seconds, or are told so.

        `handed_on`, another process accepts from the same sockets. Tells whether all that happened is in the store; what is not is in the journal.
        """
        self._state.draining = True
        await self.edge.drain(0.0 if self._hurried else patience, handed_on=handed_on)
        self._break_off()
        await self._once.finish()
        await asyncio.sleep(0)
        await self.edge.close()
        self._break_off()  # requests that were sent ahead, and had begun just now
        await self._once.close()
        self._lookout.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bridge.close()
        self._configured.close()
        self._journal.close()
        done = await asyncio.to_thread(self._close_books)
        if self._siblings is not None:
            self._siblings.end()
        self._store.close()
        self._lock.release()
        return done

    def hurry(self) -> None:
        """Stop waiting for answers to end."""
        self._hurried = True
        self.edge.patience = 0.0

    def _break_off(self) -> None:
        self._sharing.stop()
        self._dispatch.admission.door.stop()
        for call in list(self._live):
            call.drained()

    def _close_books(self) -> bool:
        """Commit the rest; tells whether all is in the store, and no journal is needed."""
        done = self._ledger.close()
        self._keeper.close()
        self._member.end()
        self._sharing.release()
        self._roads.close()
        if done:
            try:
                self._member.leave()
                drop_segments_of(self._store, self._folder, self._journal.boot)
            except StoreError as error:
                _log.warning(
                    "what is over was not forgotten in the store", extra={"reason": str(error)}
                )
        return done

    async def reload(self) -> ReloadReport:
        """Read the configuration again; one that is wrong leaves the old one running."""
        return await self._member.reload()

    def _renewed(self) -> None:
        """Serve by the configuration in force."""
        config = self.loaded.config
        self._sharing.gates.use(config)
        self._dispatch.admission.door.use(config.queue)
        self._dispatch.plans = self._configured.plans()
        self._dispatch.money = config.money
        self.edge.limits = config.edge

    # putting together

    def _open_store(self) -> Opened:
        given = self._environment.get("TRUNKLINE_ADMIN_KEY") or None
        opened = open_store(
            self._store,
            self._folder,
            self._member.own,
            given,
            standing=self._standing,
            clock=self._sharing.clock,
        )
        self._sdk.open(self._store)
        self._telemetry.recovered(opened.recovered.replayed + opened.recovered.unknown)
        self._sharing.load(opened.spend)
        if opened.joined.skew is not None:
            self._member.skewed(opened.joined.skew)
        return opened

    def _keep_books(self, folder: Path) -> None:
        self._folder, store = folder, self.loaded.config.store
        count = self._telemetry.committed
        spool = store.spool_bytes if store.on_down == "spool" else 0
        self._ledger = Ledger(self._store, folder, spool_bytes=spool, committed=count)
        self._journal = Journal(
            folder,
            self._member.own.boot,
            self._ledger.take,
            durable=store.durability == "power",
            released=self._configured.outbox.flush,
        )

    def _parts(self) -> Parts:
        return Parts(
            self._live,
            self.edge,
            self._journal,
            self._ledger,
            self._keeper,
            self._configured.prices,
            self._telemetry,
            self._once,
            self._member.replicas,
            self._sharing,
            self._dispatch.admission.door.queue,
        )

    def _dispatching(self) -> Dispatch:
        count, limited = self._telemetry.refused, self._telemetry.rate_limited
        rules = self.loaded.config.queue
        admission = Admission(count, limited, self._sharing.leases, rules)
        admission.door.ended = self._telemetry.waited
        kept = self._keeper.add if self.loaded.config.content.store else None
        desk = Desk(
            journal=self._journal,
            counted=self._counted if self._log.log_requests else self._telemetry.ended,
            attempted=self._telemetry.attempted,
            refused=Refusals(self._configured.renew).note,
            kept=kept,
            live=self._live,
            hide=self._configured.secrets,
            wait=admission.wait,
            left=admission.door.look_soon,
        )
        return Dispatch(
            desk,
            self._configured.plans(),
            self._journal,
            self._ledger,
            self.loaded.config.money,
            admission,
            self._sdk.carry,
            self._roads,
        )

    def _doing_once(self) -> Once:
        return Once(
            self._store,
            self.loaded.config.idempotency,
            self._journal.boot,
            lives=self._member.lives,
            refused=self._telemetry.refused,
            told=self._log.replayed,
        )

    def _forget_plans(self) -> None:
        self._dispatch.plans.forget()

    def _application(self) -> Pages:
        dispatch = self._dispatch
        listing = Listing(
            lambda: dispatch.plans,
            self._state.readiness,
            self._telemetry.exposition,
            self._siblings,
        )
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
            partial(self._sdk.videos, dispatch),
            sizes=Sizes(edge.body_bytes, edge.upload_bytes),
            metrics=metrics,
        )
        refused, once = self._telemetry.refused, self._once.admit
        return open_pages(rows, self._directory, refused, once, self._lookout.hold, config.cors)

    def _admin_parts(self) -> AdminParts:
        return AdminParts(
            store=self._store,
            reload=self._member.reload_all,
            status=self._status,
            replicas=self._member.views,
            config=self._state.settings,
            places=self._roads.places,
            changed=self._changed,
            clock=self._sharing.clock,
        )

    async def _status(self) -> dict[str, Any]:
        return self._state.status() if self._siblings is None else await self._siblings.status()

    def _counted(self, entry: Entry) -> None:
        self._telemetry.ended(entry)
        self._log.ended(entry)

    # in the background

    def _background(self) -> list[asyncio.Task[None]]:
        work = (
            (self._lookout.look, _LOOK_SECONDS),
            (partial(sweep, self.edge, self._live, self._configured.pools), _LOOK_SECONDS),
            (self._configured.keep_prices, _LOOK_SECONDS),
            (self._once.purge, _PURGE_SECONDS),
            (self._marking.look, LOOK),
            (self._roads.round, ROUND_SECONDS),
        )
        return [asyncio.create_task(lasting(each, pause)) for each, pause in work]

    async def _changed(self) -> None:
        """Have all workers know what the admin API has changed."""
        await self._lookout.take()
        if self._siblings is not None:
            await self._siblings.tell_changes()

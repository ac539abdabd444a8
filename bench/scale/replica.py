"""One simulated replica: the real guard and the real leases, calls that take their time, and a ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
from events import Clock, SimTimes
from shared_store import SharedStore

from trunkline.gateway.guard import LATER, Refusal
from trunkline.gateway.lease_rounds import Waiting
from trunkline.gateway.leased import LeasedGuard, LeasedHolder
from trunkline.gateway.leases import Leases
from trunkline.gateway.ledger import GROUP_SECONDS
from trunkline.store.records import Entry, Key

Ended = Callable[["Call"], None]


class Call(msgspec.Struct, eq=False):
    """A call from its arrival to its end."""

    key: Key
    reserved: int
    charged: int
    tokens: int
    used: int
    seconds: float
    arrived: float
    sent: float | None = None
    refusal: str = ""
    waited: bool = False


class Replica:
    """One process that serves."""

    def __init__(
        self,
        boot: str,
        clock: Clock,
        store: SharedStore,
        replicas: int,
        round_trips: dict[str, float],
        ended: Ended,
    ) -> None:
        self.boot = boot
        self.inflight = 0
        self._clock = clock
        self._store = store
        self._ended = ended
        shared: Any = store
        self.leases = Leases(
            shared, boot, lambda: replicas, rates=shared, times=SimTimes(clock, round_trips)
        )
        self._guard = LeasedGuard(self.leases.money.want, self.leases.rates.want)
        self._holders: dict[str, LeasedHolder] = {}
        self._rows = 0
        self._charged: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._committing = False

    def take(self, call: Call) -> None:
        """Hold for a call, or have it wait, as the gateway's dispatch does."""
        holder = self._holders.get(call.key.id)
        if holder is None:  # the others are the same until they are asked for anything
            holder = self._guard.holder(call.key, {}, self._clock.wall())
            self._holders[call.key.id] = holder
        self._hold(call, holder)

    def _hold(self, call: Call, holder: LeasedHolder) -> None:
        clock = self._clock
        refusal = holder.hold(call.reserved, call.tokens, clock.now, clock.wall())
        if refusal is LATER:
            call.waited = True
            again = lambda: self._hold(call, holder)  # noqa: E731 - what a call waits with
            refuse = lambda why: self._refuse(call, why)  # noqa: E731
            self.leases.park(Waiting(holder, call.reserved, call.tokens, again, refuse))
        elif refusal is not None:
            self._refuse(call, refusal)
        else:
            call.sent = clock.now
            self.inflight += 1
            self._note()
            clock.later(call.seconds, self._end, call, holder)

    def _refuse(self, call: Call, why: Refusal) -> None:
        call.refusal = why.code
        self._ended(call)

    def _end(self, call: Call, holder: LeasedHolder) -> None:
        started = self._clock.wall() - call.seconds
        key = call.key
        entry = Entry("", self.boot, key.id, None, None, "chat", "m", False, started, call.reserved)
        entry.charged = call.charged
        holder.settle(entry, call.tokens, call.used)
        self.inflight -= 1
        self._charged["key", call.key.id] += call.charged
        self._note()
        self._ended(call)

    def _note(self) -> None:
        """Have a row committed with the others of its group."""
        self._rows += 1
        if not self._committing:
            self._committing = True
            self._clock.later(GROUP_SECONDS, self._commit)

    def _commit(self) -> None:
        self._committing = False
        rows, self._rows = self._rows, 0
        charged, self._charged = dict(self._charged), defaultdict(int)
        self._store.commit(self.boot, rows, charged)

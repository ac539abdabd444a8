"""Has calls wait that no target lets in, and lets them in when one does: the queue and what moves it.

A call that waits has nothing held for it and is no entry. All on the event loop's thread.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol

import msgspec

from trunkline.gateway.asker import Timer, Times
from trunkline.gateway.config import Queue as Rules
from trunkline.gateway.entrant import Entrant
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.gates import Gates, blocked, crowded, opens, soonest
from trunkline.gateway.guard import LATER, Meter, Refusal
from trunkline.gateway.leases import STOPPING
from trunkline.gateway.plans import Plan
from trunkline.gateway.queue import Queue, Ticket
from trunkline.gateway.urgency import patience, too_late
from trunkline.store.records import Priority

LOOK = 0.25
"""Seconds between two looks at gates of which nobody tells that they have opened."""
_SCOUTS = 16
"""Leases that are asked for at a time on behalf of those who wait for the same gates."""
End = Literal["let in", "full", "shed", "late", "deadline", "left", "stopping"]
"""How waiting ends. `full`: there was no room; `shed`: it made room; `late`: it waited long enough."""
Place = frozenset[Gates]
_log = logging.getLogger(__name__)


class Ask(Protocol):
    """Asks for gates that are shared with other processes, and then calls one of two."""

    def __call__(
        self, gates: Gates, again: Callable[[], None], refuse: Callable[[Refusal], None], /
    ) -> object:
        """Begin to ask."""
        ...


class Waits(msgspec.Struct, frozen=True, eq=False):
    """A call that waits, and where it may go."""

    entrant: Entrant
    plan: Plan


def place_of(plan: Plan) -> Place:
    """Return what the calls of a plan wait for, in whichever order it would ask."""
    return frozenset([target.gates for target in plan.targets])


def _nobody(kind: Priority, end: End, seconds: float) -> None:
    """Count nothing."""


class Doorkeeper:
    """The queue of one process."""

    def __init__(self, ask: Ask, refuse: Callable[[Exchange, Refusal], None], rules: Rules) -> None:
        """`ask` asks for leases, `refuse` tells a client that its call is not sent."""
        self.queue: Queue[Waits] = Queue(rules.size)
        self.ended: Callable[[Priority, End, float], None] = _nobody
        """Told how a call's waiting ended, and after how many seconds."""
        self._seconds = rules.seconds
        self._ask = ask
        self._refuse = refuse
        self._times = Times()
        self._of: Counter[Meter] = Counter()
        """Calls that wait, by the meters that they will count against."""
        self._scouts: Counter[Gates] = Counter()
        self._timer: Timer | None = None
        self._called = False
        self._closed = False

    def use(self, rules: Rules) -> None:
        """Keep to other rules from now on; who waits, waits on by the last ones."""
        self.queue.size, self._seconds = rules.size, rules.seconds

    def line_up(self, entrant: Entrant, plan: Plan) -> None:
        """Have a call wait; or refuse it, where that would be in vain."""
        exchange = entrant.exchange
        now = self._times.now()
        refusal = self._hopeless(entrant, plan, now)
        if refusal is not None:
            self._refuse(exchange, refusal)
            return
        until = min(now + self._most(exchange), exchange.urgency.deadline)
        ticket = Ticket(place_of(plan), entrant.kind, now, until, Waits(entrant, plan))
        for meter in entrant.holder.meters:
            self._of[meter] += 1
        gone = self.queue.join(ticket, now)
        if gone is not ticket:
            exchange.on_gone = partial(self._left, ticket)
            self.look_soon()
        if gone is not None:
            self._give_up(gone, "full" if gone is ticket else "shed", self._full(gone, now), now)

    def look_soon(self) -> None:
        """Let calls in at the end of this turn of the loop: a gate may have opened."""
        if self.queue.total and not self._called:
            self._called = True
            self._times.later(0.0, self._look)

    def stop(self) -> None:
        """Refuse all that wait, and whoever comes: the gateway ends."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        now = self._times.now()
        for ticket in list(self.queue):
            self.queue.leave(ticket, now)
            self._give_up(ticket, "stopping", STOPPING, now)

    # who comes

    def _most(self, exchange: Exchange) -> float:
        """Return for how many seconds a call may wait, its deadline apart."""
        return min(self._seconds, patience(exchange.head.headers))

    def _hopeless(self, entrant: Entrant, plan: Plan, now: float) -> Refusal | None:
        """Return why a call need not wait: it may not be sent, or would not be let in in time."""
        if self._closed:
            return STOPPING
        if not self.queue.size:
            return soonest(plan.targets, now)
        refusal = entrant.lacks(plan) or crowded(entrant.holder.meters, self._of)
        if refusal is not None:
            return refusal
        exchange = entrant.exchange
        opening = _opening(plan, now)
        told = self.queue.estimate(place_of(plan), entrant.kind, now)
        wait = max(opening, told or 0.0)
        if now + wait >= exchange.urgency.deadline:
            return too_late(exchange.urgency, wait=wait)
        return soonest(plan.targets, now) if opening > self._most(exchange) else None

    def _full(self, ticket: Ticket[Waits], now: float) -> Refusal:
        """Say that there is no room, and when there may be."""
        plan, batch = ticket.call.plan, ticket.kind == "batch"
        return Refusal(
            503,
            "queue_full",
            f"{self.queue.size} calls wait for an upstream of {plan.name[:200]!r}, as many as may.",
            "Batch calls give way to interactive ones." if batch else "Try again later.",
            retry_after=max(self._drained(ticket, now), _opening(plan, now)),
            scope="upstream",
        )

    def _drained(self, ticket: Ticket[Waits], now: float) -> float:
        """Return after about how many seconds nobody is left who stood in front; or has given up."""
        told = self.queue.drained(ticket.place, ticket.kind, now) or 1.0
        return max(min(told, self._seconds), 1.0)

    # who waits

    def _left(self, ticket: Ticket[Waits]) -> None:
        """Forget a call whose client has left."""
        now = self._times.now()
        if self.queue.leave(ticket, now):
            self._over(ticket, "left", now)

    def _look(self) -> None:
        """Let in who can be, and tell those who have waited long enough."""
        self._called = False
        if self._closed:
            return
        now = self._times.now()
        for ticket in self.queue.late(now):
            self._late(ticket, now)
        while any(self._let_in(ticket, now) for ticket in self.queue.heads()):
            pass  # the next in that line may have come before the first of another
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(self.queue):
            pause = min(self.queue.until - now, LOOK)
            self._timer = self._times.later(max(pause, 0.0), self._look)

    def _let_in(self, ticket: Ticket[Waits], now: float) -> bool:
        """Let a call in if one of its targets does; tells whether it did."""
        for at, target in enumerate(ticket.call.plan.targets):
            refusal = blocked(target.gates, now)
            if refusal is None:
                self._go_in(ticket, at, now)
                return True
            if refusal is LATER:
                self._send_scouts(target.gates, self.queue.waits(ticket.place))
        return False

    def _go_in(self, ticket: Ticket[Waits], at: int, now: float) -> None:
        entrant = ticket.call.entrant
        exchange = entrant.exchange
        self.queue.let_in(ticket, now)
        self._over(ticket, "let in", now)
        exchange.on_gone = None
        exchange.queued = (exchange.queued or 0.0) + now - ticket.since
        try:
            entrant.hold(ticket.call.plan.after(at))
        except Exception:  # a fault of one call must not strand the others
            _log.exception("a call that waited could not go on", extra={"request_id": exchange.id})
            exchange.abort()

    def _send_scouts(self, gates: Gates, wanted: int) -> None:
        """Ask for leases on behalf of those who wait, whoever of them will have one."""
        for _ in range(min(wanted, _SCOUTS) - self._scouts[gates]):
            self._scouts[gates] += 1
            back = partial(self._back, gates)
            self._ask(gates, back, back)

    def _back(self, gates: Gates, _refusal: Refusal | None = None) -> None:
        self._scouts[gates] -= 1
        if not self._scouts[gates]:
            del self._scouts[gates]
        self.look_soon()

    def _late(self, ticket: Ticket[Waits], now: float) -> None:
        urgency = ticket.call.entrant.exchange.urgency
        if urgency.deadline <= now:
            self._give_up(ticket, "deadline", too_late(urgency), now)
            return
        busy = soonest(ticket.call.plan.targets, now)
        said = f"{busy.message} This call waited for {now - ticket.since:.0f} s."
        after = max(self._drained(ticket, now), _opening(ticket.call.plan, now))
        refusal = msgspec.structs.replace(busy, message=said, retry_after=after)
        self._give_up(ticket, "late", refusal, now)

    def _give_up(self, ticket: Ticket[Waits], end: End, refusal: Refusal, now: float) -> None:
        exchange = ticket.call.entrant.exchange
        exchange.on_gone = None
        self._over(ticket, end, now)
        self._refuse(exchange, refusal)

    def _over(self, ticket: Ticket[Waits], end: End, now: float) -> None:
        for meter in ticket.call.entrant.holder.meters:
            self._of[meter] -= 1
            if not self._of[meter]:
                del self._of[meter]
        self.ended(ticket.kind, end, now - ticket.since)


def _opening(plan: Plan, now: float) -> float:
    """Return after how many seconds a target may let a call in; 0 where nobody can know."""
    return min(opens(target.gates, now) for target in plan.targets)

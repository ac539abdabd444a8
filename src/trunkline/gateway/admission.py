"""What becomes of a call that is not let in at once: it is refused, or waits for leases, or goes elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from trunkline.gateway.asker import Timer, Times
from trunkline.gateway.config import Queue as Rules
from trunkline.gateway.doorkeeper import Doorkeeper, place_of
from trunkline.gateway.entrant import Entrant
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.gates import Gates, as_busy, blocked
from trunkline.gateway.guard import LATER, Holder, Refusal
from trunkline.gateway.lease_rounds import Waiting
from trunkline.gateway.leased import LeasedHolder
from trunkline.gateway.leased_rates import LeasedMeter
from trunkline.gateway.leases import Leases
from trunkline.gateway.plans import Plan
from trunkline.gateway.refusals import of_refusal, tell
from trunkline.gateway.urgency import PASSED, seconds_left, too_late

_REASONS = {402: "budget", 429: "rate"}
_REASONS_BY_CODE = {
    PASSED: "deadline",
    "queue_full": "queue",
    "gateway_busy": "upstream",
    "upstream_busy": "upstream",
    "budget_unavailable": "leases",
    "limits_unavailable": "leases",
    "gateway_stopping": "stopping",
}


class Admission:
    """Refuses calls, and has them wait."""

    def __init__(
        self,
        count: Callable[[str], None],
        rate_limited: Callable[[str], None],
        leases: Leases | None,
        rules: Rules,
    ) -> None:
        """Have each refusal counted by its reason, and by whose limit it was.

        `leases` is where calls wait, if budgets and limits are shared with other processes;
        `rules` say how many may wait for an upstream.
        """
        self.count = count
        self._rate_limited = rate_limited
        self._leases = leases
        self.door = Doorkeeper(self.wait, self.refuse, rules)
        """Where calls wait that no target lets in."""

    def let_in(self, entrant: Entrant, plan: Plan) -> Plan | None:
        """Return the plan from the first target on that lets a call in; None where it waits, or ends."""
        at = self._open(entrant, plan, 0)
        return None if at is None else plan.after(at)

    def _open(self, entrant: Entrant, plan: Plan, start: int) -> int | None:
        """Return the first target from `start` that lets a call in; None where it waits, or ends."""
        exchange, door = entrant.exchange, self.door
        others = door.queue.total
        if others and exchange.queued is None and entrant.kind == "batch":
            door.line_up(entrant, plan)  # a gate that is open may be another one's
            return None
        standing = others and door.queue.waits(place_of(plan))
        now = exchange.connection.edge.now
        for at in range(start, len(plan.targets)):
            gates = plan.targets[at].gates
            refusal = blocked(gates, now)
            if refusal is None:
                return at
            if refusal is LATER and not standing:  # else it is asked for already
                again = partial(entrant.hold, plan)
                shut = partial(self._shut, entrant, plan, at + 1)
                exchange.on_gone = self.wait(gates, again, shut, exchange)
                return None
        door.line_up(entrant, plan)
        return None

    def _shut(self, entrant: Entrant, plan: Plan, at: int, refusal: Refusal) -> None:
        """Try the other targets of a call that was not let in."""
        if refusal.status != 429:
            self.refuse(entrant.exchange, as_busy(refusal))
            return
        found = self._open(entrant, plan, at)
        if found is not None:
            entrant.hold(plan.after(found))

    def wait(
        self,
        gates: Gates,
        again: Callable[[], None],
        refuse: Callable[[Refusal], None],
        exchange: Exchange | None = None,
    ) -> Callable[[], None]:
        """Have a call wait for gates that are shared with other processes; returns what ends that.

        An `exchange` is refused when its deadline passes; without one, somebody else sees to it.
        """
        rates = tuple(gate for gate in gates if isinstance(gate, LeasedMeter))
        return self._wait(LeasedHolder((), rates), 0, 0, again, refuse, exchange)

    def not_held(
        self,
        exchange: Exchange,
        holder: Holder,
        refusal: Refusal,
        amount: int,
        tokens: int,
        again: Callable[[], None],
    ) -> None:
        """Refuse a call, or have it wait for what is shared with other processes, and try `again`."""
        if refusal is not LATER:
            self.refuse(exchange, refusal)
            return
        if not isinstance(holder, LeasedHolder):
            raise TypeError("a call waits for leases where there are none")
        refuse = partial(self.refuse, exchange)
        exchange.on_gone = self._wait(holder, amount, tokens, again, refuse, exchange)

    def _wait(
        self,
        holder: LeasedHolder,
        amount: int,
        tokens: int,
        again: Callable[[], None],
        refuse: Callable[[Refusal], None],
        exchange: Exchange | None,
    ) -> Callable[[], None]:
        leases = self._leases
        if leases is None:
            raise TypeError("a call waits for leases, and nobody asks for them")
        waiting = Waiting(holder, amount, tokens, again, refuse)
        drop = partial(leases.drop, waiting)
        if exchange is not None and math.isfinite(exchange.urgency.deadline):
            alarm = self._alarm(exchange, drop)
            waiting.resume = partial(_quietly, alarm, again)
            waiting.refuse = partial(_quietly, alarm, refuse)
            leases.park(waiting)
            return partial(_quietly, alarm, drop)
        leases.park(waiting)
        return drop

    def _alarm(self, exchange: Exchange, drop: Callable[[], None]) -> Timer:
        """Refuse a call that waits when its deadline passes."""
        urgency = exchange.urgency

        def ring() -> None:
            drop()
            self.refuse(exchange, too_late(urgency))

        return Times().later(seconds_left(urgency) or 0.0, ring)

    def refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        """Say why a call is not sent, and count it."""
        reason = _REASONS_BY_CODE.get(refusal.code) or _REASONS.get(refusal.status, "scope")
        self.count(reason)
        if refusal.status == 429:
            self._rate_limited(refusal.scope)
            if exchange.caller is not None:
                exchange.labels += exchange.caller.holder.labels(exchange.connection.edge.now)
        tell(exchange, of_refusal(refusal))


def _quietly(alarm: Timer, go_on: Callable[..., None], *given: Refusal) -> None:
    """Go on, and do not ring."""
    alarm.cancel()
    go_on(*given)

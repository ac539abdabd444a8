"""What becomes of a call that is not let in at once: it is refused, or waits for leases, or goes elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from trunkline.gateway.exchange import Exchange
from trunkline.gateway.gates import Gates, as_busy, blocked, soonest
from trunkline.gateway.guard import LATER, Holder, Refusal
from trunkline.gateway.lease_rounds import Waiting
from trunkline.gateway.leased import LeasedHolder
from trunkline.gateway.leased_rates import LeasedMeter
from trunkline.gateway.leases import Leases
from trunkline.gateway.plans import Plan
from trunkline.gateway.refusals import of_refusal, tell

_REASONS = {402: "budget", 429: "rate"}
_REASONS_BY_CODE = {
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
    ) -> None:
        """Have each refusal counted by its reason, and by whose limit it was.

        `leases` is where calls wait, if budgets and limits are shared with other processes.
        """
        self.count = count
        self._rate_limited = rate_limited
        self._leases = leases

    def let_in(self, exchange: Exchange, plan: Plan, hold: Callable[[Plan], None]) -> Plan | None:
        """Return the plan from the first target on that lets a call in; None where it waits, or ends."""
        now = exchange.connection.edge.now
        for at, target in enumerate(plan.targets):
            refusal = blocked(target.gates, now)
            if refusal is None:
                return plan.after(at)
            if refusal is LATER:
                shut = partial(self._shut, exchange, plan.after(at + 1), hold)
                exchange.on_gone = self.wait(target.gates, partial(hold, plan), shut)
                return None
        self.refuse(exchange, soonest(plan.targets, now))
        return None

    def _shut(
        self,
        exchange: Exchange,
        others: Plan,
        hold: Callable[[Plan], None],
        refusal: Refusal,
    ) -> None:
        """Try the other targets of a call that was not let in."""
        if others.targets and refusal.status == 429:
            hold(others)
        else:
            self.refuse(exchange, as_busy(refusal))

    def wait(
        self, gates: Gates, again: Callable[[], None], refuse: Callable[[Refusal], None]
    ) -> Callable[[], None]:
        """Have a call wait for gates that are shared with other processes; returns what ends that."""
        rates = tuple(gate for gate in gates if isinstance(gate, LeasedMeter))
        return self._wait(LeasedHolder((), rates), 0, 0, again, refuse)

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
        exchange.on_gone = self._wait(holder, amount, tokens, again, refuse)

    def _wait(
        self,
        holder: LeasedHolder,
        amount: int,
        tokens: int,
        again: Callable[[], None],
        refuse: Callable[[Refusal], None],
    ) -> Callable[[], None]:
        leases = self._leases
        if leases is None:
            raise TypeError("a call waits for leases, and nobody asks for them")
        waiting = Waiting(holder, amount, tokens, again, refuse)
        leases.park(waiting)
        return partial(leases.drop, waiting)

    def refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        """Say why a call is not sent, and count it."""
        reason = _REASONS_BY_CODE.get(refusal.code) or _REASONS.get(refusal.status, "scope")
        self.count(reason)
        if refusal.status == 429:
            self._rate_limited(refusal.scope)
            if exchange.caller is not None:
                exchange.labels += exchange.caller.holder.labels(exchange.connection.edge.now)
        tell(exchange, of_refusal(refusal))

"""Leases of one process: the rounds that ask for them, and the calls that wait meanwhile.

Everything but the asking itself happens on the event loop's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from trunkline.gateway.asker import Timer, Times
from trunkline.gateway.guard import LATER, Refusal
from trunkline.gateway.lease_rounds import LOOK, Waiting
from trunkline.gateway.money_rounds import MoneyRounds
from trunkline.gateway.rate_rounds import RateRounds
from trunkline.store.seam import Rates, SharedStore

WAIT = 2.0
"""Seconds that a call waits at most."""
_TRIES = 2
"""Rounds that may fail before a call is refused that waits for money."""
STOPPING = Refusal(
    503, "gateway_stopping", "The gateway is being stopped. Try again.", retry_after=1.0
)
UNAVAILABLE = Refusal(
    503,
    "budget_unavailable",
    "The store cannot be asked now what is left of a budget, and nothing is sent that could pass it.",
    "Try again.",
    retry_after=1.0,
)
NO_LIMITS = Refusal(
    503,
    "limits_unavailable",
    "It could not be found out in time whether a limit allows this call.",
    "Try again.",
    retry_after=1.0,
)
_log = logging.getLogger(__name__)


class Leases:
    """The rounds of one process, and the calls that wait for them."""

    def __init__(
        self,
        store: SharedStore,
        boot: str,
        replicas: Callable[[], int],
        *,
        rates: Rates | None = None,
        patience: float = 0.25,
        times: Times | None = None,
    ) -> None:
        """`replicas` tells how many processes share; `rates` shares limits out, or the store does."""
        self.times = times or Times()
        self.replicas = replicas
        self.parked: dict[Waiting, None] = {}
        self.waited = 0
        """Calls that had to wait."""
        self.closed = False
        self.money = MoneyRounds(self, store, boot)
        self.rates = RateRounds(self, rates or store, boot, patience)
        self._looking: Timer | None = None

    def park(self, waiting: Waiting) -> None:
        """Have a call wait for what it lacks."""
        if self.closed:
            waiting.refuse(STOPPING)
            return
        waiting.since = now = self.times.now()
        self.waited += 1
        if self.money.running_for(now) > WAIT and waiting.holder.lacks_money(waiting.amount):
            waiting.refuse(UNAVAILABLE)  # others have waited in vain already
            return
        self.parked[waiting] = None
        self.money.schedule()
        self.rates.schedule()
        self._look_soon()

    def drop(self, waiting: Waiting) -> None:
        """Forget a call whose client has left."""
        self.parked.pop(waiting, None)

    def close(self) -> None:
        """Tell calls that wait that the gateway ends, and ask for nothing any more."""
        self.closed = True
        self.money.stop()
        self.rates.stop()
        if self._looking is not None:
            self._looking.cancel()
        parked, self.parked = self.parked, {}
        for waiting in parked:
            waiting.refuse(STOPPING)

    def look_again(self) -> None:
        """Let the calls go on that can now, and refuse those that never will."""
        now, wall = self.times.now(), self.times.wall()
        for waiting in list(self.parked):
            if waiting not in self.parked:
                continue  # another one's answer took it away
            refusal = self._verdict(waiting, now, wall)
            if refusal is LATER:
                continue
            del self.parked[waiting]
            try:
                waiting.resume() if refusal is None else waiting.refuse(refusal)
            except Exception:  # a fault of one call must not strand the others
                _log.exception("a call that waited could not go on")
        self._look_soon()

    def _verdict(self, waiting: Waiting, now: float, wall: float) -> Refusal | None:
        """Return what becomes of a call that waits; LATER where it waits longer."""
        holder, amount = waiting.holder, waiting.amount
        refusal = holder.lacking(amount, waiting.tokens, now, wall)
        if refusal is not LATER:
            return refusal
        waited = now - waiting.since
        found: Refusal | None = None
        if waiting.money_asked and not waiting.failed:
            found = holder.no_money(amount, waited, wall)
        if found is None and waiting.rates_asked:
            found = holder.no_rate(waiting.tokens, waited, now)
        if found is None and (waiting.failed >= _TRIES or waited >= WAIT):
            found = UNAVAILABLE if holder.lacks_money(amount) else NO_LIMITS
        return found or LATER

    def _look_soon(self) -> None:
        if self._looking is None and not self.closed:
            self._looking = self.times.later(LOOK, self._look)

    def _look(self) -> None:
        """Look at what lies idle and who waits; stops by itself where there is nothing."""
        self._looking = None
        now = self.times.now()
        more = self.money.look(now) | self.rates.look(now)
        if self.parked:
            self.look_again()
        if self.parked:
            self.money.schedule()
            self.rates.schedule()
        if more or self.parked:
            self._look_soon()

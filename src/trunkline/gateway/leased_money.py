"""What this process may spend of a budget that it shares with others: its lease, as it stands here.

Pure state of the event loop's thread: `leases` asks the store by `wish`, and hands its answer to `take`.
Money is whole picodollars.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trunkline.gateway.guard import LATER, Refusal, period_of
from trunkline.store.records import Budget, MoneyLease, MoneyWish
from trunkline.types.money import shown

IDLE = 1.0
"""Seconds after which money that nobody spends here is given back."""
FRESH = 1.0
"""Seconds for which what the store said of spend is believed without asking again."""
PATIENCE = 1.5
"""Seconds that a call waits for money which others hold and may give back."""
_SOON = 1.0
_LONG = 4.0
"""A slice that is used up sooner than the first is too small, one that lasts the second too large."""


class LeasedCharges(msgspec.Struct, eq=False):
    """What one key, owner or team was granted here, was charged, and holds for its calls in flight.

    Counted from this process's beginning, whatever budgets there were when calls began.
    """

    scope: str
    whose: str
    wanting: Callable[[LeasedCharges], None]
    """Told that a lease is wanted soon."""
    budgets: tuple[Budget, ...] = ()
    granted: int = 0
    charged: int = 0
    held: int = 0
    low: int = 0
    """What may be used before the store is asked again."""
    slice: int = 0
    """How much is asked for beyond what is needed at once."""
    parked: int = 0
    """What calls that wait need; set when a round begins."""
    used_at: float = 0.0
    grown_at: float = 0.0
    answered_at: float = float("-inf")
    told: int = 0
    """The most that the store may have granted, where answers were lost."""
    short: bool = False
    """Whether the store gave all that there was."""
    wished: int = 0
    """What the last wish was for that was answered."""
    revising: bool = False
    """Whether budgets are others, and what was granted under the last ones is to be given back."""
    spent: tuple[int, ...] = ()
    elsewhere: int = 0

    @property
    def used(self) -> int:
        """What was charged and is held."""
        return self.charged + self.held

    def use(self, budgets: tuple[Budget, ...]) -> None:
        """Keep to these budgets from now on; what was granted under others is asked for anew."""
        if budgets == self.budgets:
            return
        self.budgets = budgets
        self.granted = min(self.granted, self.used)
        self.low = self.granted
        self.revising = self.told > self.granted
        self.spent, self.elsewhere, self.answered_at = (), 0, float("-inf")
        self.wanting(self)

    def lacks(self, amount: int) -> bool:
        """Tell whether a call of so much needs more than was granted."""
        return bool(self.budgets) and self.charged + self.held + amount > self.granted

    def lacking(self, amount: int, now: float, wall: float) -> Refusal:
        """Return what becomes of a call that lacks its amount: LATER, or why it is refused at once."""
        if now - self.answered_at < FRESH and self._hopeless(amount):
            return self.refusal(amount, wall)
        return LATER

    def verdict(self, amount: int, waited: float, wall: float) -> Refusal | None:
        """Return why a call is refused that the store was asked for; None where it waits longer."""
        if self.used + amount > self.wished and not self._hopeless(amount):
            return None  # it was not asked for so much yet
        if not self._hopeless(amount) and self.elsewhere > 0 and waited < PATIENCE:
            return None  # what others hold may come back, unspent
        return self.refusal(amount, wall)

    def hold(self, amount: int, now: float) -> None:
        """Hold money that was granted."""
        self.held += amount
        self.used_at = now
        if self.budgets and self.charged + self.held > self.low:
            self.wanting(self)

    def settle(self, reserved: int, charged: int) -> None:
        """Take what a call was charged in place of what it held."""
        self.held -= reserved
        self.charged += charged
        if charged > reserved and self.budgets and self.used > self.granted:
            self.wanting(self)  # what other calls hold here is to be covered still

    @property
    def spare(self) -> bool:
        """Whether something was granted that may have to be given back."""
        return self.granted > self.charged

    def due(self, now: float) -> bool:
        """Tell whether what is granted has lain idle, and is to be given back."""
        return self.granted > self.used and now - self.used_at >= IDLE

    def wish(self, now: float, replicas: int) -> MoneyWish | None:
        """Return what to ask the store for, None for nothing; what is given back is gone at once."""
        need = self.used + self.parked
        if not self.budgets:
            if self.told <= self.charged:
                return None
            wished = 0
        elif self.revising or (not self.parked and self.due(now)):
            wished = self.used
        else:
            slice_ = min(self._slice(now, need), self._share(replicas))
            wished = need + slice_
            excess = self.granted - wished > slice_
            if need <= self.low and self.told == self.granted and not excess:
                return None
        self.granted = min(self.granted, wished)
        self.low = min(self.low, self.granted)
        self.told = max(self.told, wished)
        return MoneyWish(self.scope, self.whose, wished, self.budgets)

    def take(self, wish: MoneyWish, lease: MoneyLease, now: float) -> None:
        """Take the store's answer to a wish."""
        self.told, self.wished = lease.granted, wish.granted
        if wish.budgets != self.budgets:  # they have changed meanwhile
            self.granted = min(self.granted, lease.granted)
            self.wanting(self)
            return
        if self.revising:
            self.revising = False
            self.wanting(self)  # now for what is needed under the new ones
        if lease.granted > self.granted:
            self.grown_at = now
        self.granted = lease.granted
        self.low = self.granted - max(self.granted - self.used, 0) // 2
        self.short = lease.granted < wish.granted
        self.spent, self.elsewhere, self.answered_at = lease.spent, lease.elsewhere, now

    def refusal(self, amount: int, wall: float) -> Refusal:
        """Say why `amount` cannot be spent, in numbers of all processes."""
        budget, spent = min(
            zip(self.budgets, self.spent or (0,) * len(self.budgets), strict=True),
            key=lambda row: row[0].amount - row[1],
        )
        left = budget.amount - spent - self.elsewhere - self.held
        if self.short:
            # Of all that there was this is left here; what the store does not know of yet is spent.
            left = min(self.granted - self.used, left)
            spent = max(spent, budget.amount - self.elsewhere - self.held - max(left, 0))
        period = budget.period
        ends = period_of(period, wall)[1]
        return Refusal(
            402,
            "budget_exceeded",
            f"This call could cost {shown(amount)}, and of the {period}'s budget of the {self.scope} "
            f"({shown(budget.amount)}) {shown(max(left, 0))} is left: {shown(spent)} is spent, {shown(self.held)} "
            f"is held for calls in flight and {shown(self.elsewhere)} by other processes of the gateway.",
            f"Lower max_tokens, wait until the {period} ends (UTC), or ask for a larger budget.",
            retry_after=max(ends - wall, 1.0),
            scope=self.scope,
        )

    def _hopeless(self, amount: int) -> bool:
        """Tell whether a budget would be passed even if nobody else held anything."""
        return any(
            spent + self.held + amount > budget.amount
            for budget, spent in zip(self.budgets, self.spent, strict=False)
        )

    def _slice(self, now: float, need: int) -> int:
        """Return how much to ask for ahead, so that it lasts for a second or two."""
        lasted = now - self.grown_at
        if need > self.low and lasted < _SOON:
            self.slice *= 2
        elif lasted > _LONG:
            self.slice //= 2
        self.slice = max(self.slice, self.parked)
        return self.slice

    def _share(self, replicas: int) -> int:
        """Return this process's fair share of what nobody has spent or holds."""
        spent = self.spent or (0,) * len(self.budgets)
        left = min(b.amount - s for b, s in zip(self.budgets, spent, strict=True))
        return max(left - self.elsewhere - self.held - self.parked, 0) // (2 * max(replicas, 1))

"""The store that replicas share, in memory: it counts what it is asked, and grants by the real functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from events import Clock

from trunkline.store.leasing import MINUTE, Meter, Purse, grant_money, grant_rates
from trunkline.store.records import MoneyLease, MoneyWish, RateLease, RateWish


@dataclass
class Grant:
    """What one replica has of one budget."""

    granted: int = 0
    settled: int = 0

    @property
    def open(self) -> int:
        """What it may still spend."""
        return max(self.granted - self.settled, 0)


@dataclass
class Money:
    """One scope's money: what was charged, and what each replica was granted."""

    spent: int = 0
    open: int = 0
    """What all replicas together were granted and not charged yet."""
    grants: defaultdict[str, Grant] = field(default_factory=lambda: defaultdict(Grant))


class SharedStore:
    """Money, rates and the ledger's sums."""

    def __init__(self, clock: Clock) -> None:
        self.asked: Counter[str] = Counter()
        """Round trips and rows, by what they were for."""
        self.money: defaultdict[tuple[str, str], Money] = defaultdict(Money)
        self._clock = clock
        self._minutes: dict[tuple[str, str], tuple[int, Meter]] = {}

    def lease_money(self, boot: str, wishes: Sequence[MoneyWish]) -> list[MoneyLease]:
        """Grant what budgets allow."""
        self.asked["money round trips"] += 1
        self.asked["money wishes"] += len(wishes)
        return [self._lease_money(boot, wish) for wish in wishes]

    def _lease_money(self, boot: str, wish: MoneyWish) -> MoneyLease:
        money = self.money[wish.scope, wish.whose]
        grant = money.grants[boot]
        purse = Purse(grant.granted, grant.settled, money.open - grant.open)
        lease = grant_money(wish, purse, [money.spent] * len(wish.budgets))
        money.open -= grant.open
        grant.granted = lease.granted
        money.open += grant.open
        return lease

    def lease_rates(
        self,
        boot: str,
        wishes: Sequence[RateWish],
        *,
        slot_seconds: float,
    ) -> list[RateLease]:
        """Grant what limits allow in the present minute."""
        self.asked["rate round trips"] += 1
        self.asked["rate wishes"] += len(wishes)
        now = self._clock.wall()
        return [grant_rates(wish, self._meter(wish, now), now) for wish in wishes]

    def _meter(self, wish: RateWish, now: float) -> Meter:
        place, minute = (wish.scope, wish.whose), int(now // MINUTE)
        known = self._minutes.get(place)
        if known is None or known[0] != minute:
            known = self._minutes[place] = (minute, Meter())
        return known[1]

    def commit(self, boot: str, rows: int, charged: dict[tuple[str, str], int]) -> None:
        """Book what calls were charged: from a replica's grant to what is spent."""
        self.asked["commits"] += 1
        self.asked["rows committed"] += rows
        for place, amount in charged.items():
            money = self.money[place]
            grant = money.grants[boot]
            money.open -= grant.open
            grant.settled += amount
            grant.granted = max(grant.granted, grant.settled)
            money.open += grant.open
            money.spent += amount

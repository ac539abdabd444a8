"""Rounds for money: the store alone grants it, and without its answer there is none."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from trunkline.gateway.asker import Asker
from trunkline.gateway.lease_rounds import LOOK, Hall, Rounds, Waiting
from trunkline.gateway.leased_money import LeasedCharges
from trunkline.store.records import MoneyLease, MoneyWish
from trunkline.store.seam import SharedStore, StoreError

_log = logging.getLogger(__name__)


class MoneyRounds(Rounds[LeasedCharges, MoneyWish, MoneyLease]):
    """Rounds for money: from the store alone, and none without its answer."""

    def __init__(self, hall: Hall, store: SharedStore, boot: str) -> None:
        """Ask `store` in the name of `boot`."""
        super().__init__(hall)
        self._asker: Asker[list[MoneyWish], list[MoneyLease]] = hall.times.asker(
            "trunkline-money", lambda wishes: store.lease_money(boot, wishes)
        )

    def stop(self) -> None:
        """Begin no more rounds, and end the thread."""
        super().stop()
        self._asker.close()

    def _ask(
        self,
        wishes: list[tuple[LeasedCharges, MoneyWish]],
        parked: list[Waiting],
        now: float,
    ) -> None:
        self.count += 1
        told = partial(self._told, wishes, parked, now)
        self._asker.ask([wish for _, wish in wishes], told)

    def _told(
        self,
        wishes: list[tuple[LeasedCharges, MoneyWish]],
        parked: list[Waiting],
        began: float,
        answer: list[MoneyLease] | StoreError,
    ) -> None:
        if not isinstance(answer, StoreError):
            if self.trouble is not None:
                _log.warning("the store grants money again")
            self.trouble = None
            self._over(wishes, parked, began, answer)
            return
        if self.trouble is None:
            _log.error("the store does not grant money", extra={"reason": str(answer)})
        self.trouble = answer
        self._running = False
        for lease, _ in wishes:
            self._wanting[lease] = None  # it may have granted without our knowing
        for waiting in parked:
            waiting.failed += waiting.holder.lacks_money(waiting.amount)
        self._hall.look_again()
        self.schedule(LOOK)

    def _wish(self, lease: LeasedCharges, now: float, replicas: int) -> MoneyWish | None:
        return lease.wish(now, replicas)

    def _take(
        self,
        lease: LeasedCharges,
        wish: MoneyWish,
        answer: MoneyLease,
        began: float,  # noqa: ARG002 - of rates alone
        now: float,
    ) -> None:
        lease.take(wish, answer, now)

    def _add(self, waiting: Waiting) -> Iterable[LeasedCharges]:
        for lease in waiting.holder.money:
            if lease.budgets:
                lease.parked += waiting.amount
                yield lease

    def _clear(self, lease: LeasedCharges) -> None:
        lease.parked = 0

    def _mark(self, waiting: Waiting) -> None:
        waiting.money_asked = True
        waiting.failed = 0

"""Rounds for rates: where they are not answered in time, each process keeps to its share of a limit."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from trunkline.gateway.asker import Asker, Timer
from trunkline.gateway.lease_rounds import Hall, Rounds, Waiting
from trunkline.gateway.leased_rates import SLOT_SECONDS, LeasedMeter
from trunkline.gateway.shares import Breaker, Shares
from trunkline.store.records import RateLease, RateWish
from trunkline.store.seam import Rates, StoreError

PROBE_SECONDS = 5.0
"""After an answer that did not come, when it is asked again though nobody needs it."""
_TOO_LATE = StoreError("There was no answer in time.")
_log = logging.getLogger(__name__)


class RateRounds(Rounds[LeasedMeter, RateWish, RateLease]):
    """Rounds for rates: where they are not answered in time, each process keeps to its share."""

    def __init__(self, hall: Hall, rates: Rates, boot: str, patience: float) -> None:
        """Wait `patience` seconds for an answer, and no call longer."""
        super().__init__(hall)
        self.by_shares = False
        """Whether the last round was answered by this process's shares."""
        self._patience = patience
        self._rates = rates
        self._boot = boot
        self._shares = Shares(hall.replicas)
        self._breaker = Breaker()
        self._alone: dict[LeasedMeter, None] = {}
        """Those that took shares: whoever shares limits out may take them to have other slots."""
        self._late: Timer | None = None
        self._probing: Timer | None = None
        self._asker: Asker[list[RateWish], list[RateLease]] = hall.times.asker(
            "trunkline-rates",
            lambda wishes: rates.lease_rates(boot, wishes, slot_seconds=SLOT_SECONDS),
        )

    def stop(self) -> None:
        """Begin no more rounds, and end the thread."""
        super().stop()
        for timer in (self._late, self._probing):
            if timer is not None:
                timer.cancel()
        self._asker.close()

    def probe(self) -> None:
        """Ask for nothing, to see whether there is an answer."""
        self._probing = None
        if not self._running and not self._hall.closed:
            self._running = True
            self._ask([], [], self._hall.times.now())

    def release(self) -> None:
        """Give back all slots; raises StoreError. Blocking."""
        if self.count:
            self._rates.release_rates(self._boot)

    def _ask(
        self, wishes: list[tuple[LeasedMeter, RateWish]], parked: list[Waiting], now: float
    ) -> None:
        if self._asker.busy or not self._breaker.may_ask(now):
            self._share_out(wishes, parked, now)
            return
        self.count += 1
        number = self.count
        self._asker.ask(
            [wish for _, wish in wishes], partial(self._told, wishes, parked, now, number)
        )
        self._late = self._hall.times.later(
            self._patience, self._told, wishes, parked, now, number, _TOO_LATE
        )

    def _told(
        self,
        wishes: list[tuple[LeasedMeter, RateWish]],
        parked: list[Waiting],
        began: float,
        number: int,
        answer: list[RateLease] | StoreError,
    ) -> None:
        late, self._late = self._late, None
        if late is None or number != self.count:
            self._late = late
            return  # it comes after the round was given up
        late.cancel()
        if isinstance(answer, StoreError):
            if self.trouble is None:
                reason = {"reason": str(answer)}
                _log.warning("limits are kept by shares: they cannot be shared now", extra=reason)
            self.trouble = answer
            self._breaker.failed(self._hall.times.now())
            self._share_out(wishes, parked, began)
            return
        if self.trouble is not None:
            _log.warning("limits are shared again")
        self.trouble, self.by_shares = None, False
        self._breaker.answered()
        for (_, wish), lease in zip(wishes, answer, strict=True):
            self._shares.note(wish, lease, began)
        self._over(wishes, parked, began, answer)
        alone, self._alone = self._alone, {}
        for meter in alone:
            self.want(meter)

    def _share_out(
        self, wishes: list[tuple[LeasedMeter, RateWish]], parked: list[Waiting], began: float
    ) -> None:
        self.by_shares = True
        if self._probing is None:
            self._probing = self._hall.times.later(PROBE_SECONDS, self.probe)
        self._over(wishes, parked, began, [self._shares.lease(wish, began) for _, wish in wishes])

    def _wish(self, lease: LeasedMeter, now: float, replicas: int) -> RateWish | None:
        return lease.wish(now, replicas)

    def _take(
        self, lease: LeasedMeter, wish: RateWish, answer: RateLease, began: float, now: float
    ) -> None:
        lease.take(wish, answer, began, now, by_share=self.by_shares)
        if self.by_shares:
            self._alone[lease] = None
        else:
            self._alone.pop(lease, None)

    def _add(self, waiting: Waiting) -> Iterable[LeasedMeter]:
        for meter in waiting.holder.rates:
            meter.parked += 1
            meter.requests.parked += 1
            meter.text.parked += waiting.tokens
            yield meter

    def _clear(self, lease: LeasedMeter) -> None:
        lease.parked = lease.requests.parked = lease.text.parked = 0

    def _mark(self, waiting: Waiting) -> None:
        waiting.rates_asked = True

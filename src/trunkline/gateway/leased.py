"""Budgets and limits of a process that shares them with others: the guard, by leases.

A call is held for from what was granted here, without asking anybody. What was not granted is asked
for by `leases`, and the call waits meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trunkline.gateway.guard import LATER, MINUTE, Guard, Holder, Refusal
from trunkline.gateway.leased_money import LeasedCharges
from trunkline.gateway.leased_rates import LeasedMeter
from trunkline.store.records import Account, Budget, Entry, Key, Limits, Spend


class LeasedHolder(Holder):
    """What one key's calls count against, where it is shared with other processes."""

    __slots__ = ("money", "rates")

    def __init__(self, money: tuple[LeasedCharges, ...], rates: tuple[LeasedMeter, ...]) -> None:
        """Share what belongs to owners and teams with other keys."""
        super().__init__((), (), rates)
        self.money = money
        self.rates = rates

    @property
    def budgeted(self) -> bool:
        """Whether there is a budget to keep to."""
        return any(charges.budgets for charges in self.money)

    def rates_only(self) -> LeasedHolder:
        """Return what calls count against that cost nothing."""
        return LeasedHolder((), self.rates)

    def hold(self, amount: int, tokens: int, now: float, wall: float) -> Refusal | None:
        """Hold money and rate for a call, all or nothing; returns why not, or LATER."""
        for charges in self.money:
            if charges.budgets and charges.charged + charges.held + amount > charges.granted:
                return self.lacking(amount, tokens, now, wall)
        for meter in self.rates:
            if not meter.free(tokens, now):
                refusal = self.lacking(amount, tokens, now, wall)
                if refusal is not None:
                    return refusal
        for charges in self.money:
            charges.hold(amount, now)
        for meter in self.rates:
            meter.hold(tokens, now)
        return None

    def lacking(self, amount: int, tokens: int, now: float, wall: float) -> Refusal | None:
        """Return what stands in a call's way: LATER for leases to be asked for, or a refusal."""
        found: Refusal | None = None
        for charges in self.money:
            if charges.lacks(amount):
                found = charges.lacking(amount, now, wall)
                if found is not LATER:
                    return found
        for meter in self.rates:
            refusal = meter.refusal(tokens, now)
            if refusal is not None and refusal is not LATER:
                return refusal
            found = found or refusal
        return found

    def no_money(self, amount: int, waited: float, wall: float) -> Refusal | None:
        """Return why a call is refused for which money was asked; None where it waits longer."""
        for charges in self.money:
            if charges.lacks(amount):
                refusal = charges.verdict(amount, waited, wall)
                if refusal is not None:
                    return refusal
        return None

    def no_rate(self, tokens: int, waited: float, now: float) -> Refusal | None:
        """Return why a call is refused for which rates were asked; None where it waits longer."""
        for meter in self.rates:
            refusal = meter.verdict(tokens, waited, now)
            if refusal is not None:
                return refusal
        return None

    def lacks_money(self, amount: int) -> bool:
        """Tell whether it is money that a call waits for."""
        return any(charges.lacks(amount) for charges in self.money)

    def settle(self, entry: Entry, tokens: int, used: int | None) -> None:
        """Give back what was held for a call and take what it was charged."""
        for charges in self.money:
            charges.settle(entry.reserved, entry.charged)
        minute = int(entry.started // MINUTE)
        for meter in self.rates:
            # What a call of an earlier minute did not use is no part of this one.
            meter.settle(tokens, used if meter.minute == minute else None)

    def labels(self, now: float) -> bytes:
        """Return `x-ratelimit-*` header lines of the tightest meter, of what is left for anybody."""
        rates = self.rates
        meter = rates[0] if len(rates) == 1 else min(rates, key=_room)
        reset = meter.until - now
        if reset < 0:
            reset = 0.0
        limits = meter.limits
        calls, tokens = meter.remaining()
        if limits.requests_per_minute is None:
            return b"" if limits.tokens_per_minute is None else meter.lines % (tokens, reset)
        if limits.tokens_per_minute is None:
            return meter.lines % (calls, reset)
        return meter.lines % (calls, reset, tokens, reset)


def _room(meter: LeasedMeter) -> float:
    """Return the share of a meter's minute that is left, of requests or of tokens."""
    limits = meter.limits
    most = (limits.requests_per_minute, limits.tokens_per_minute)
    shares = [left / of for left, of in zip(meter.remaining(), most, strict=True) if of]
    return min(shares, default=1.0)


class LeasedGuard(Guard):
    """Every holder, and the leases that they share."""

    def __init__(
        self,
        money_wanting: Callable[[LeasedCharges], None],
        rate_wanting: Callable[[LeasedMeter], None],
    ) -> None:
        """Know nobody; what wants to be asked for soon is told."""
        super().__init__()
        self._money_wanting = money_wanting
        self._rate_wanting = rate_wanting
        self._money: dict[tuple[str, str], LeasedCharges] = {}
        """By scope and name."""
        self._rates: dict[tuple[str, str], LeasedMeter] = {}

    def load(self, spend: Iterable[Spend]) -> None:
        """Take nothing: the store counts for all."""

    def holder(
        self,
        key: Key,
        accounts: dict[tuple[str, str], Account],
        wall: float,  # noqa: ARG002 - periods are the store's
    ) -> LeasedHolder:
        """Return the holder of a key; what is held and granted stays when keys are read again."""
        money = [self._charge_of("key", key.id, key.budgets)]
        rates = [self._meter(key.limits, "key", key.id)] if key.limits != Limits() else []
        for scope, whose in (("owner", key.owner), ("team", key.team)):
            if not whose:
                continue
            account = accounts.get((scope, whose))
            money.append(self._charge_of(scope, whose, account.budgets if account else ()))
            if account is not None and account.limits != Limits():
                rates.append(self._meter(account.limits, scope, whose))
        return LeasedHolder(tuple(money), tuple(rates))

    def forget(self, keys: Iterable[str]) -> None:
        """Let go of keys that were revoked for good, and give back what they were granted."""
        for key in keys:
            charges = self._money.pop(("key", key), None)
            if charges is not None:
                charges.use(())
            self._rates.pop(("key", key), None)

    def _charge_of(self, scope: str, whose: str, budgets: tuple[Budget, ...]) -> LeasedCharges:
        charges = self._money.get((scope, whose))
        if charges is None:
            charges = self._money[scope, whose] = LeasedCharges(scope, whose, self._money_wanting)
        charges.use(budgets)
        return charges

    def _meter(self, limits: Limits, scope: str, whose: str) -> LeasedMeter:
        meter = self._rates.get((scope, whose))
        if meter is None:
            meter = self._rates[scope, whose] = LeasedMeter(
                limits, scope, whose, self._rate_wanting
            )
        elif meter.limits != limits:
            meter.change(limits)
        return meter

"""Budgets and limits: what a call may still spend and use is held before it is sent.

A `Purse` and a `Meter` are this process's leases on a budget and on a rate: with one process they hold
all of it. Everything happens on the event loop's thread, so that nothing can come between the question
and the hold. Money is whole picodollars.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable

import msgspec

from trunkline.store.records import Account, Budget, Entry, Key, Limits, Period, Spend
from trunkline.types.money import shown

MINUTE = 60.0
PERIODS: tuple[Period, ...] = ("day", "month")
DAY = 86400.0
_DAYS_KEPT = 62
"""Enough for a month, and for a clock that was wrong meanwhile."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a call is not sent."""

    status: int
    code: str
    message: str
    hint: str = ""
    retry_after: float | None = None
    """Seconds."""
    scope: str = ""
    """Whose budget or limit it is: `key`, `owner` or `team`."""


LATER = Refusal(503, "lease_wanted", "This call waits until it is known whether it may be sent.")
"""No refusal: what the call needs has to be asked for, where several processes share it."""


def period_of(period: Period, wall: float) -> tuple[float, float]:
    """Return when the present day or month began and when it ends, UTC."""
    now = time.gmtime(wall)
    if period == "day":
        began = calendar.timegm((now.tm_year, now.tm_mon, now.tm_mday, 0, 0, 0))
        return float(began), began + 86400.0
    began = calendar.timegm((now.tm_year, now.tm_mon, 1, 0, 0, 0))
    year, month = divmod(now.tm_year * 12 + now.tm_mon, 12)
    return float(began), float(calendar.timegm((year, month + 1, 1, 0, 0, 0)))


class Charges:
    """What one key, owner or team was charged on each day, and what is held for its calls in flight.

    All of its calls count, whatever budgets it had when they began.
    """

    __slots__ = ("began", "days", "ends", "held", "purses", "today")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.began = self.ends = 0.0
        """The day that was charged last, and what it was charged."""
        self.today = 0
        self.days: dict[float, int] = {}
        """Other days, by their beginnings; days are those of the calls' starts."""
        self.held = 0
        self.purses: list[Purse] = []

    def add(self, started: float, amount: int) -> None:
        """Count what a call was charged."""
        if not self.began <= started < self.ends:
            self._turn(started)
        self.today += amount
        for purse in self.purses:
            if purse.began <= started < purse.ends:
                purse.spent += amount

    def within(self, began: float, ends: float) -> int:
        """Return what was charged for calls that began within whole days."""
        days = ((self.began, self.today), *self.days.items())
        return sum(amount for day, amount in days if began <= day < ends)

    def _turn(self, started: float) -> None:
        """Put the day away that was charged last, and take out the one of `started`."""
        if self.today:
            self.days[self.began] = self.today
            if len(self.days) > _DAYS_KEPT:
                del self.days[min(self.days)]
        self.began = started // DAY * DAY
        self.ends = self.began + DAY
        self.today = self.days.pop(self.began, 0)


class Purse:
    """One budget in its present period."""

    __slots__ = ("began", "charges", "ends", "limit", "period", "scope", "spent")

    def __init__(self, budget: Budget, scope: str, charges: Charges, wall: float) -> None:
        """Counts what is in `charges`; `scope` is `key`, `owner` or `team`."""
        self.limit = budget.amount
        self.period: Period = budget.period
        self.scope = scope
        self.charges = charges
        self.spent = 0
        self.began = self.ends = 0.0
        self.turn(wall)
        charges.purses.append(self)

    def turn(self, wall: float) -> None:
        """Begin the present period: the next one, or, where a clock was set back, an earlier one."""
        self.began, self.ends = period_of(self.period, wall)
        self.spent = self.charges.within(self.began, self.ends)

    def refusal(self, amount: int, wall: float) -> Refusal:
        """Say why `amount` cannot be spent."""
        held = self.charges.held
        left = max(self.limit - self.spent - held, 0)
        return Refusal(
            402,
            "budget_exceeded",
            f"This call could cost {shown(amount)}, and of the {self.period}'s budget of the "
            f"{self.scope} ({shown(self.limit)}) {shown(left)} is left: {shown(self.spent)} is spent and "
            f"{shown(held)} is held for calls in flight.",
            f"Lower max_tokens, wait until the {self.period} ends (UTC), or ask for a larger budget.",
            retry_after=max(self.ends - wall, 1.0),
            scope=self.scope,
        )


class Meter:
    """One scope's rates in the present minute, and its calls in flight."""

    __slots__ = (
        "called",
        "calls",
        "inflight",
        "limits",
        "lines",
        "scope",
        "tokens",
        "until",
        "whose",
    )

    def __init__(self, limits: Limits, scope: str, whose: str) -> None:
        """Count from zero."""
        self.use(limits)
        self.scope = scope
        self.whose = whose
        self.called = scope
        """What messages call it."""
        self.calls = 0
        self.tokens = 0
        self.inflight = 0
        self.until = 0.0

    def use(self, limits: Limits) -> None:
        """Keep to these limits from now on."""
        self.limits = limits
        self.lines = _lines_of(limits)

    def refusal(self, tokens: int, now: float) -> Refusal | None:
        """Return why another call of so many tokens may not be sent now; None where it may."""
        limits = self.limits
        if now >= self.until:
            self.until = now + MINUTE
            self.calls = self.tokens = 0
        left = self.until - now
        if limits.concurrency is not None and self.inflight >= limits.concurrency:
            return self._no("concurrency", limits.concurrency, "calls at the same time", 1.0)
        if limits.requests_per_minute is not None and self.calls >= limits.requests_per_minute:
            return self._no("requests", limits.requests_per_minute, "requests a minute", left)
        most = limits.tokens_per_minute
        if most is not None and self.tokens and self.tokens + tokens > most:
            return self._no("tokens", most, "tokens a minute", left)
        if most is not None and tokens > most:
            return self._too_many(tokens, most)
        return None

    def hold(self, tokens: int, now: float) -> None:  # noqa: ARG002 - where it is shared
        """Count a call that is sent."""
        self.calls += 1
        self.tokens += tokens
        self.inflight += 1

    def settle(self, tokens: int, used: int | None) -> None:
        """Count that a call has ended, and what it used in truth in place of what was likely."""
        self.inflight -= 1
        if used is not None:
            self.tokens = max(self.tokens + used - tokens, 0)

    def _too_many(self, tokens: int, most: int) -> Refusal:
        return Refusal(
            429,
            "tokens_exceeded",
            f"This call may use {tokens} tokens, more than the {self.scope} may in a minute ({most}).",
            "Shorten the prompt or lower max_tokens.",
            scope=self.scope,
        )

    def _no(self, what: str, most: int, said: str, wait: float) -> Refusal:
        return Refusal(
            429,
            f"{what}_exceeded",
            f"The {self.called} may have {most} {said}, and has.",
            f"Try again in {wait:.0f} s." if wait > 1 else "Try again when one has ended.",
            retry_after=max(wait, 1.0),
            scope=self.scope,
        )


class Holder:
    """The charges, purses and meters that one key's calls count against.

    Calls keep the one they began with.
    """

    __slots__ = ("charges", "meters", "purses")

    def __init__(
        self,
        charges: tuple[Charges, ...],
        purses: tuple[Purse, ...],
        meters: tuple[Meter, ...],
    ) -> None:
        """Share what belongs to owners and teams with other keys."""
        self.charges = charges
        self.purses = purses
        self.meters = meters

    @property
    def budgeted(self) -> bool:
        """Whether there is a budget to keep to."""
        return bool(self.purses)

    def rates_only(self) -> Holder:
        """Return what calls count against that cost nothing."""
        return Holder((), (), self.meters)

    def hold(self, amount: int, tokens: int, now: float, wall: float) -> Refusal | None:
        """Hold money and rate for a call, all or nothing; returns why not."""
        for purse in self.purses:
            if not purse.began <= wall < purse.ends:
                purse.turn(wall)
            if purse.spent + purse.charges.held + amount > purse.limit:
                return purse.refusal(amount, wall)
        for meter in self.meters:
            refusal = meter.refusal(tokens, now)
            if refusal is not None:
                return refusal
        for charges in self.charges:
            charges.held += amount
        for meter in self.meters:
            meter.calls += 1
            meter.tokens += tokens
            meter.inflight += 1
        return None

    def settle(self, entry: Entry, tokens: int, used: int | None) -> None:
        """Give back what was held for a call and take what it was charged.

        `tokens` were counted when it was sent; `used` were used in truth, None where nobody knows.
        """
        reserved, charged = entry.reserved, entry.charged
        for charges in self.charges:
            charges.held -= reserved
            if charged:
                charges.add(entry.started, charged)
        for meter in self.meters:
            meter.inflight -= 1
            if used is not None:
                meter.tokens = max(meter.tokens + used - tokens, 0)

    def labels(self, now: float) -> bytes:
        """Return `x-ratelimit-*` header lines of the tightest meter, as OpenAI names them."""
        meters = self.meters
        meter = meters[0] if len(meters) == 1 else min(meters, key=_room)
        reset = meter.until - now
        if reset < 0:
            reset = 0.0
        limits = meter.limits
        most, tokens = limits.requests_per_minute, limits.tokens_per_minute
        if most is None:
            if tokens is None:
                return b""
            return meter.lines % (max(tokens - meter.tokens, 0), reset)
        if tokens is None:
            return meter.lines % (max(most - meter.calls, 0), reset)
        left, tokens_left = most - meter.calls, tokens - meter.tokens
        if left < 0 or tokens_left < 0:
            left, tokens_left = max(left, 0), max(tokens_left, 0)
        return meter.lines % (left, reset, tokens_left, reset)


def _room(meter: Meter) -> float:
    """Return the share of a meter's minute that is left, of requests or of tokens."""
    limits = meter.limits
    shares = [
        1 - used / most
        for used, most in (
            (meter.calls, limits.requests_per_minute),
            (meter.tokens, limits.tokens_per_minute),
        )
        if most
    ]
    return min(shares, default=1.0)


def _lines_of(limits: Limits) -> bytes:
    """Return the header lines of a meter, with places for what is left and for the seconds."""
    told = ((b"requests", limits.requests_per_minute), (b"tokens", limits.tokens_per_minute))
    return b"".join(
        b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%ds\r\n"
        % (what, most, what, what)
        for what, most in told
        if most is not None
    )


class Guard:
    """Every holder, and what they share."""

    def __init__(self) -> None:
        """Know nobody."""
        self._charges: dict[tuple[str, str], Charges] = {}
        """By scope and name."""
        self._purses: dict[tuple[str, str, Period], Purse] = {}
        self._meters: dict[tuple[str, str], Meter] = {}

    def load(self, spend: Iterable[Spend]) -> None:
        """Take what was charged before this process began, as the store has it. Once."""
        days: dict[str, float] = {}
        for row in spend:
            started = days.get(row.day)
            if started is None:
                started = days[row.day] = float(calendar.timegm(time.strptime(row.day, "%Y-%m-%d")))
            for scope, whose in (("key", row.key), ("owner", row.owner), ("team", row.team)):
                if whose:
                    self._charged(scope, whose).add(started, row.charged)

    def holder(self, key: Key, accounts: dict[tuple[str, str], Account], wall: float) -> Holder:
        """Return the holder of a key; what is held and spent stays when keys are read again."""
        charges = [self._charged("key", key.id)]
        purses = [self._purse(budget, "key", key.id, wall) for budget in key.budgets]
        meters = [self._meter(key.limits, "key", key.id)] if key.limits != Limits() else []
        for scope, whose in (("owner", key.owner), ("team", key.team)):
            if not whose:
                continue
            charges.append(self._charged(scope, whose))
            account = accounts.get((scope, whose))
            if account is not None:
                purses += [self._purse(b, scope, whose, wall) for b in account.budgets]
                if account.limits != Limits():
                    meters.append(self._meter(account.limits, scope, whose))
        return Holder(tuple(charges), tuple(purses), tuple(meters))

    def gate(self, whose: str, limits: Limits, called: str) -> Meter:
        """Return the meter of an upstream, or of one of its providers."""
        meter = self._meter(limits, "upstream", whose)
        meter.called = called
        return meter

    def forget(self, keys: Iterable[str]) -> None:
        """Let go of keys that were revoked for good; calls in flight keep what they hold."""
        for key in keys:
            self._charges.pop(("key", key), None)
            self._meters.pop(("key", key), None)
            for period in PERIODS:
                self._purses.pop(("key", key, period), None)

    def _charged(self, scope: str, whose: str) -> Charges:
        charges = self._charges.get((scope, whose))
        if charges is None:
            charges = self._charges[scope, whose] = Charges()
        return charges

    def _purse(self, budget: Budget, scope: str, whose: str, wall: float) -> Purse:
        place = (scope, whose, budget.period)
        purse = self._purses.get(place)
        if purse is None:
            charges = self._charged(scope, whose)
            purse = self._purses[place] = Purse(budget, scope, charges, wall)
        purse.limit = budget.amount
        return purse

    def _meter(self, limits: Limits, scope: str, whose: str) -> Meter:
        meter = self._meters.get((scope, whose))
        if meter is None:
            meter = self._meters[scope, whose] = Meter(limits, scope, whose)
        meter.use(limits)
        return meter

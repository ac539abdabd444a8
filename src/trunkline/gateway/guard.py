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


def period_of(period: Period, wall: float) -> tuple[float, float]:
    """Return when the present day or month began and when it ends, UTC."""
    now = time.gmtime(wall)
    if period == "day":
        began = calendar.timegm((now.tm_year, now.tm_mon, now.tm_mday, 0, 0, 0))
        return float(began), began + 86400.0
    began = calendar.timegm((now.tm_year, now.tm_mon, 1, 0, 0, 0))
    year, month = divmod(now.tm_year * 12 + now.tm_mon, 12)
    return float(began), float(calendar.timegm((year, month + 1, 1, 0, 0, 0)))


class Purse:
    """One budget in its present period: what was spent, and what is held for calls in flight."""

    __slots__ = ("began", "ends", "held", "limit", "period", "scope", "spent", "whose")

    def __init__(self, budget: Budget, scope: str, whose: str) -> None:
        """Hold nothing; `scope` is `key`, `owner` or `team`, and `whose` its name."""
        self.limit = budget.amount
        self.period = budget.period
        self.scope = scope
        self.whose = whose
        self.spent = 0
        self.held = 0
        self.began = self.ends = 0.0

    def turn(self, wall: float) -> None:
        """Begin the present period, where the last one has ended."""
        if not self.began <= wall < self.ends:
            self.began, self.ends = period_of(self.period, wall)
            self.spent = 0

    def refusal(self, amount: int, wall: float) -> Refusal:
        """Say why `amount` cannot be spent."""
        left = max(self.limit - self.spent - self.held, 0)
        return Refusal(
            402,
            "budget_exceeded",
            f"This call could cost {shown(amount)}, and of the {self.period}'s budget of the "
            f"{self.scope} ({shown(self.limit)}) {shown(left)} is left: {shown(self.spent)} is spent and "
            f"{shown(self.held)} is held for calls in flight.",
            f"Lower max_tokens, wait until the {self.period} ends (UTC), or ask for a larger budget.",
            retry_after=max(self.ends - wall, 1.0),
            scope=self.scope,
        )


class Meter:
    """One scope's rates in the present minute, and its calls in flight."""

    __slots__ = ("calls", "inflight", "limits", "scope", "tokens", "until", "whose")

    def __init__(self, limits: Limits, scope: str, whose: str) -> None:
        """Count from zero."""
        self.limits = limits
        self.scope = scope
        self.whose = whose
        self.calls = 0
        self.tokens = 0
        self.inflight = 0
        self.until = 0.0

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
            return Refusal(
                429,
                "tokens_exceeded",
                f"This call may use {tokens} tokens, more than the {self.scope} may in a minute ({most}).",
                "Shorten the prompt or lower max_tokens.",
                scope=self.scope,
            )
        return None

    def _no(self, what: str, most: int, said: str, wait: float) -> Refusal:
        return Refusal(
            429,
            f"{what}_exceeded",
            f"The {self.scope} may have {most} {said}, and has.",
            f"Try again in {wait:.0f} s." if wait > 1 else "Try again when one has ended.",
            retry_after=max(wait, 1.0),
            scope=self.scope,
        )


class Tally:
    """What one key was charged since the store was last read."""

    __slots__ = ("charged", "names")

    def __init__(self, names: tuple[tuple[str, str], ...]) -> None:
        """Count for scopes and names: `("key", "key_1"), ("team", "red")`."""
        self.names = names
        self.charged = 0


class Holder:
    """The purses and meters that one key's calls count against. Calls keep the one they began with."""

    __slots__ = ("meters", "purses", "tally")

    def __init__(self, purses: tuple[Purse, ...], meters: tuple[Meter, ...], tally: Tally) -> None:
        """Share purses and meters of owners and teams with other keys."""
        self.purses = purses
        self.meters = meters
        self.tally = tally

    def hold(self, amount: int, tokens: int, now: float, wall: float) -> Refusal | None:
        """Hold money and rate for a call, all or nothing; returns why not."""
        for purse in self.purses:
            purse.turn(wall)
            if purse.spent + purse.held + amount > purse.limit:
                return purse.refusal(amount, wall)
        for meter in self.meters:
            refusal = meter.refusal(tokens, now)
            if refusal is not None:
                return refusal
        for purse in self.purses:
            purse.held += amount
        for meter in self.meters:
            meter.calls += 1
            meter.tokens += tokens
            meter.inflight += 1
        return None

    def settle(self, entry: Entry, tokens: int, used: int | None) -> None:
        """Give back what was held for a call and take what it was charged.

        `tokens` were counted when it was sent; `used` were used in truth, None where nobody knows.
        """
        self.tally.charged += entry.charged
        for purse in self.purses:
            purse.held -= entry.reserved
            if entry.started >= purse.began:
                purse.spent += entry.charged
        for meter in self.meters:
            meter.inflight -= 1
            if used is not None:
                meter.tokens = max(meter.tokens + used - tokens, 0)

    def labels(self, now: float) -> bytes:
        """Return `x-ratelimit-*` header lines of the tightest meter, as OpenAI names them."""
        meters = self.meters
        meter = meters[0] if len(meters) == 1 else min(meters, key=_room)
        limits, reset = meter.limits, max(meter.until - now, 0.0)
        most, tokens = limits.requests_per_minute, limits.tokens_per_minute
        lines = b""
        if most is not None:
            lines = _REQUESTS % (most, max(most - meter.calls, 0), reset)
        if tokens is not None:
            lines += _TOKENS % (tokens, max(tokens - meter.tokens, 0), reset)
        return lines


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


_LINES = (
    b"x-ratelimit-limit-%b: %%d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%ds\r\n"
)
_REQUESTS = _LINES % ((b"requests",) * 3)
_TOKENS = _LINES % ((b"tokens",) * 3)


class Guard:
    """Every holder, and the purses and meters that they share."""

    def __init__(self) -> None:
        """Know nobody."""
        self._purses: dict[tuple[str, str, Period], Purse] = {}
        self._meters: dict[tuple[str, str], Meter] = {}
        self._tallies: dict[str, Tally] = {}
        self._charged: dict[tuple[str, str, str], int] = {}
        """By scope, name and day."""

    def load(self, spend: Iterable[Spend]) -> None:
        """Take what was charged on the days of this month, as the store has it."""
        charged = self._charged = {}
        for row in spend:
            for scope, whose in (("key", row.key), ("owner", row.owner), ("team", row.team)):
                if whose:
                    place = (scope, whose, row.day)
                    charged[place] = charged.get(place, 0) + row.charged

    def fold(self, wall: float) -> None:
        """Note what was charged since the last time as charged today."""
        day = time.strftime("%Y-%m-%d", time.gmtime(wall))
        for tally in self._tallies.values():
            amount, tally.charged = tally.charged, 0
            for scope, whose in tally.names if amount else ():
                place = (scope, whose, day)
                self._charged[place] = self._charged.get(place, 0) + amount

    def holder(self, key: Key, accounts: dict[tuple[str, str], Account], wall: float) -> Holder:
        """Return the holder of a key; what is held and spent stays when keys are read again."""
        rows: list[tuple[str, str, Limits, tuple[Budget, ...]]] = [
            ("key", key.id, key.limits, key.budgets)
        ]
        for scope, whose in (("owner", key.owner), ("team", key.team)):
            account = accounts.get((scope, whose)) if whose else None
            if account is not None:
                rows.append((scope, account.name, account.limits, account.budgets))
        names = [
            (s, n) for s, n in (("key", key.id), ("owner", key.owner), ("team", key.team)) if n
        ]
        tally = self._tallies.get(key.id)
        if tally is None:
            tally = self._tallies[key.id] = Tally(tuple(names))
        elif tally.names != tuple(names):
            self.fold(wall)
            tally.names = tuple(names)
        purses = [self._purse(b, scope, whose, wall) for scope, whose, _, bs in rows for b in bs]
        meters = [
            self._meter(limits, scope, whose)
            for scope, whose, limits, _ in rows
            if limits != Limits()
        ]
        return Holder(tuple(purses), tuple(meters), tally)

    def _purse(self, budget: Budget, scope: str, whose: str, wall: float) -> Purse:
        place = (scope, whose, budget.period)
        purse = self._purses.get(place)
        if purse is None:
            self.fold(wall)
            purse = self._purses[place] = Purse(budget, scope, whose)
            purse.turn(wall)
            purse.spent = self._charged_since(scope, whose, purse.began)
        purse.limit = budget.amount
        return purse

    def _charged_since(self, scope: str, whose: str, began: float) -> int:
        first = time.strftime("%Y-%m-%d", time.gmtime(began))
        return sum(
            amount
            for (of, name, day), amount in self._charged.items()
            if of == scope and name == whose and day >= first
        )

    def _meter(self, limits: Limits, scope: str, whose: str) -> Meter:
        meter = self._meters.get((scope, whose))
        if meter is None:
            meter = self._meters[scope, whose] = Meter(limits, scope, whose)
        meter.limits = limits
        return meter

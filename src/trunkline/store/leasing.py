"""What a process that asks is granted of budgets and limits that it shares with others. Pure.

A store reads where a budget or a limit stands, asks here, and writes what it is told, in a
transaction that no other grant of the same scope can come between.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from trunkline.store.records import MoneyLease, MoneyWish, Period, RateLease, RateWish

MINUTE = 60


class Purse(msgspec.Struct):
    """Where a scope's money stands, as one process sees it."""

    granted: int = 0
    settled: int = 0
    """Of what it was granted, what it was charged."""
    elsewhere: int = 0
    """What others were granted and not charged yet."""


def first_day(period: Period, now: float) -> str:
    """Return the day on which the present period began, UTC."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d" if period == "day" else "%Y-%m-01")


def grant_money(wish: MoneyWish, purse: Purse, spent: Sequence[int]) -> MoneyLease:
    """Answer a wish; `spent` is what was charged in the present period of each of its budgets.

    What was granted is never taken back, only given back: the process may have spent it.
    """
    had = max(purse.granted, purse.settled)
    wanted = max(wish.granted, purse.settled)
    if wanted > had and wish.budgets:
        left = min(one.amount - gone for one, gone in zip(wish.budgets, spent, strict=True))
        room = left - purse.elsewhere - (had - purse.settled)
        wanted = had + min(wanted - had, max(room, 0))
    return MoneyLease(wish.scope, wish.whose, wanted, tuple(spent), purse.elsewhere)


class Meter(msgspec.Struct):
    """Where a scope's rates stand."""

    calls: int = 0
    tokens: int = 0
    """Of the present minute."""
    elsewhere: int = 0
    """Slots that others have."""


def grant_rates(wish: RateWish, meter: Meter, now: float) -> RateLease:
    """Answer a wish, and count in `meter` what it is granted."""
    limits = wish.limits
    calls = _share(wish.calls, limits.requests_per_minute, meter.calls)
    tokens = _share(wish.tokens, limits.tokens_per_minute, meter.tokens)
    meter.calls = max(meter.calls + calls, 0)
    meter.tokens = max(meter.tokens + tokens, 0)
    minute, gone = divmod(now, MINUTE)
    return RateLease(
        wish.scope,
        wish.whose,
        int(minute),
        MINUTE - gone,
        calls,
        tokens,
        _share(max(wish.slots, 0), limits.concurrency, meter.elsewhere),
        _left(limits.requests_per_minute, meter.calls),
        _left(limits.tokens_per_minute, meter.tokens),
    )


def _share(wanted: int, limit: int | None, used: int) -> int:
    if limit is None or wanted <= 0:
        return wanted
    return min(wanted, max(limit - used, 0))


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(limit - used, 0)

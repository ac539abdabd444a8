"""Limits while nobody can be asked: each process keeps to its share, and none is unlimited.

Also when to ask again: a breaker, so that calls do not wait for what does not answer.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trunkline.gateway.guard import MINUTE
from trunkline.store.records import RateLease, RateWish

FAILURES = 5
"""In a row, after which nobody is asked for a while."""
PAUSE = 1.0
_MOST = 10_000
"""Windows that are kept before those that are over are dropped."""


class Breaker:
    """Says whether to ask: not for a while after failures in a row, then once to see."""

    def __init__(self) -> None:
        """Begin closed."""
        self.failures = 0
        self._open_until = float("-inf")

    def may_ask(self, now: float) -> bool:
        """Tell whether to ask now."""
        return now >= self._open_until

    def answered(self) -> None:
        """Take note of an answer."""
        self.failures = 0
        self._open_until = float("-inf")

    def failed(self, now: float) -> None:
        """Take note of an error, or of no answer in time."""
        self.failures += 1
        if self.failures >= FAILURES:
            self._open_until = now + PAUSE


class _Window(msgspec.Struct):
    """What this process was granted of one limit in the present minute, by whomever."""

    until: float
    calls: int = 0
    tokens: int = 0


class Shares:
    """Grants this process's share of each limit: the limit by the number of processes, at least 1."""

    def __init__(self, replicas: Callable[[], int]) -> None:
        """`replicas` tells how many processes share."""
        self._replicas = replicas
        self._windows: dict[tuple[str, str], _Window] = {}

    def note(self, wish: RateWish, lease: RateLease, asked_at: float) -> None:
        """Count what the others' clock granted: it is part of this minute's share."""
        window = self._window(wish, asked_at)
        window.until = asked_at + lease.minute_left
        window.calls += lease.calls
        window.tokens = max(window.tokens + lease.tokens, 0)

    def lease(self, wish: RateWish, now: float) -> RateLease:
        """Grant what the share has left."""
        window = self._window(wish, now)
        limits = wish.limits
        calls, calls_left = self._part(limits.requests_per_minute, window.calls, wish.calls)
        tokens, tokens_left = self._part(limits.tokens_per_minute, window.tokens, wish.tokens)
        window.calls += calls
        window.tokens = max(window.tokens + tokens, 0)
        slots = wish.slots
        if limits.concurrency is not None:
            slots = min(slots, self._share(limits.concurrency))
        return RateLease(
            wish.scope,
            wish.whose,
            int(window.until),  # a number that changes with the minute, and no other's
            window.until - now,
            calls,
            tokens,
            slots,
            calls_left,
            tokens_left,
        )

    def _share(self, most: int) -> int:
        return max(most // max(self._replicas(), 1), 1)

    def _part(self, most: int | None, used: int, wished: int) -> tuple[int, int | None]:
        if most is None:
            return wished, None
        left = max(self._share(most) - used, 0)
        granted = min(wished, left)
        return granted, left - granted

    def _window(self, wish: RateWish, now: float) -> _Window:
        place = (wish.scope, wish.whose)
        window = self._windows.get(place)
        if window is None:
            if len(self._windows) >= _MOST:
                self._windows = {p: w for p, w in self._windows.items() if w.until > now}
            window = self._windows[place] = _Window(now + MINUTE)
        elif now >= window.until:
            # Minutes go on as the others' clock had them.
            ends = window.until + ((now - window.until) // MINUTE + 1) * MINUTE
            window = self._windows[place] = _Window(ends)
        return window

"""Budgets of what is sent beyond the calls themselves: retries, and second places asked too. Pure.

When everything fails, everybody's retries are what keeps it down: so they are a part of the calls, not a
number per call.
"""

from __future__ import annotations

_SECONDS = 10
"""Over which calls and what was spent on them are added up."""
_HEDGE_SECONDS = 300
"""The same for hedges: one in fifty of the calls of ten seconds would be none where calls are few."""


class Spare:
    """A share of the calls of the last seconds, or so many a second where that is more."""

    def __init__(self, share: float, floor: float = 0.0, seconds: int = _SECONDS) -> None:
        """`share` is a part of the calls (0.2 is one in five), `floor` a number a second."""
        self.share = share
        self.floor = floor
        self._seconds = seconds
        self._calls = [0] * seconds
        self._spent = [0] * seconds
        self._first: int | None = None
        """The second of the first call of these; None before it."""
        self._last = 0

    def called(self, now: float) -> None:
        """Count a call; `now` is monotonic seconds."""
        self._turn(now)
        self._calls[self._last % self._seconds] += 1

    def left(self, now: float) -> int:
        """Return how many may be spent now."""
        self._turn(now)
        begun = self._last if self._first is None else self._first
        seconds = min(self._seconds, self._last - begun + 1)
        most = max(self.share * sum(self._calls), self.floor * seconds)
        return max(0, int(most + 1e-9) - sum(self._spent))

    def spend(self, now: float) -> bool:
        """Take one, if one is left."""
        if self.left(now) < 1:
            return False
        self._spent[self._last % self._seconds] += 1
        return True

    def _turn(self, now: float) -> None:
        """Forget the seconds that are over."""
        second = int(now)
        if self._first is None:
            self._first = self._last = second
            return
        over = second - self._last
        if over <= 0:  # a clock of another thread may be a moment behind
            return
        for at in range(1, min(over, self._seconds) + 1):
            self._calls[(self._last + at) % self._seconds] = 0
            self._spent[(self._last + at) % self._seconds] = 0
        if over >= self._seconds:
            self._first = second
        self._last = second


def retries() -> Spare:
    """Return a budget of retries: one in five calls, or ten a second."""
    return Spare(0.2, 10.0)


def hedges() -> Spare:
    """Return a budget of second places asked too: one in fifty calls."""
    return Spare(0.02, seconds=_HEDGE_SECONDS)

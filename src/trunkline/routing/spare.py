"""Budgets of what is sent beyond the calls themselves: retries, and second places asked too. Pure.

When everything fails, everybody's retries are what keeps it down: so they are a part of the calls, not a
number per call.
"""

from __future__ import annotations

_SECONDS = 10
"""Over which calls and what was spent on them are added up."""


class Spare:
    """A share of the calls of the last ten seconds, or so many a second where that is more."""

    def __init__(self, share: float, floor: float = 0.0) -> None:
        """`share` is a part of the calls (0.2 is one in five), `floor` a number a second."""
        self.share = share
        self.floor = floor
        self._calls = [0] * _SECONDS
        self._spent = [0] * _SECONDS
        self._first: int | None = None
        """The second of the first call of these; None before it."""
        self._last = 0

    def called(self, now: float) -> None:
        """Count a call; `now` is monotonic seconds."""
        self._turn(now)
        self._calls[self._last % _SECONDS] += 1

    def left(self, now: float) -> int:
        """Return how many may be spent now."""
        self._turn(now)
        begun = self._last if self._first is None else self._first
        seconds = min(_SECONDS, self._last - begun + 1)
        most = max(self.share * sum(self._calls), self.floor * seconds)
        return max(0, int(most + 1e-9) - sum(self._spent))

    def spend(self, now: float) -> bool:
        """Take one, if one is left."""
        if self.left(now) < 1:
            return False
        self._spent[self._last % _SECONDS] += 1
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
        for at in range(1, min(over, _SECONDS) + 1):
            self._calls[(self._last + at) % _SECONDS] = 0
            self._spent[(self._last + at) % _SECONDS] = 0
        if over >= _SECONDS:
            self._first = second
        self._last = second


def retries() -> Spare:
    """Return a budget of retries: one in five calls, or ten a second."""
    return Spare(0.2, 10.0)


def hedges() -> Spare:
    """Return a budget of second places asked too: one in fifty calls."""
    return Spare(0.02)

"""Simulated time: what happens in its order, and nothing waits. The leases' own clock and timers."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from trunkline.gateway.asker import Asker, Times


class Timer:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("cancelled", "do", "given")

    def __init__(self, do: Callable[..., Any], given: tuple[Any, ...]) -> None:
        self.do = do
        self.given = given
        self.cancelled = False

    def cancel(self) -> None:
        """Do not do it."""
        self.cancelled = True


class Clock:
    """What time it is, and all that is due."""

    def __init__(self, wall: float) -> None:
        self.now = 0.0
        self.happened = 0
        self._wall = wall
        self._due: list[tuple[float, int, Timer]] = []
        self._number = 0

    def wall(self) -> float:
        """Return the seconds since 1970, the same everywhere."""
        return self._wall + self.now

    def later(self, seconds: float, do: Callable[..., Any], *given: Any) -> Timer:
        """Do something in so many seconds; what is due at the same moment keeps its order."""
        timer = Timer(do, given)
        self._number += 1
        heapq.heappush(self._due, (self.now + seconds, self._number, timer))
        return timer

    def run(self, until: float) -> None:
        """Let everything happen that is due until then."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, timer = heapq.heappop(due)
            if not timer.cancelled:
                self.happened += 1
                timer.do(*timer.given)
        self.now = until


class SimAsker(Asker[Any, Any]):
    """Asks without a thread: the question arrives half a round trip later, the answer another half."""

    def __init__(self, clock: Clock, seconds: float, ask: Callable[[Any], Any]) -> None:
        super().__init__("simulated", ask)
        self._clock = clock
        self._half = seconds / 2

    def ask(self, asked: Any, told: Callable[[Any], None]) -> None:
        self.busy = True
        self._clock.later(self._half, self._arrive, asked, told)

    def _arrive(self, asked: Any, told: Callable[[Any], None]) -> None:
        self._clock.later(self._half, self._done, told, self._ask(asked))

    def close(self) -> None:
        pass


class SimTimes(Times):
    """The clock as leases see it."""

    def __init__(self, clock: Clock, round_trips: dict[str, float]) -> None:
        self._clock = clock
        self._round_trips = round_trips

    def now(self) -> float:
        return self._clock.now

    def wall(self) -> float:
        return self._clock.wall()

    def later(self, seconds: float, do: Callable[..., Any], *given: Any) -> Timer:
        return self._clock.later(seconds, do, *given)

    def asker(self, name: str, ask: Callable[[Any], Any]) -> Asker[Any, Any]:
        return SimAsker(self._clock, self._round_trips[name], ask)

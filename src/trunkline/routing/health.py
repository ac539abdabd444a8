"""How places on routes do: who fails, who asked to be left alone, who is tried again. Pure.

A place is a provider, a model and an account, for each of which something else may be wrong. Times are
monotonic seconds and are given; no clock is read. What one process finds out, others can be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

Outcome = Literal["good", "bad", "busy", "left"]
"""`good`: it answered, if only to refuse the caller. `bad`: it failed. `busy`: it asked to be left alone.
`left`: nobody waited for it, so nothing is known."""

HALF_LIFE = 10.0
"""Seconds in which a call comes to count half."""
ENOUGH = 5.0
"""Calls of which half have to fail, or failures in a row, before a place is given up."""
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 10.0
"""Seconds that a place is not asked: what has recovered is found within them and one call."""
REST = 2.0
"""Seconds between the end of a probe and the next one, however long the first had waited."""
BUSY_PAUSE = 1.0
"""Seconds, after a 429 that does not say how many."""
LONGEST_COOL_DOWN = 600.0
PROBE_SECONDS = 60.0
"""After which a probe that nobody has heard of again is given up."""
_MULTIPLIER = 2.0
"""Requests for each accepted one that the throttle lets through."""
_MOST_PLACES = 10_000


class Place(NamedTuple):
    """What does well or badly."""

    provider: str
    model: str
    account: str = ""
    """Whose calls they are, in a form that is no secret."""


class Breaker(msgspec.Struct):
    """What is known of one place."""

    good: float = 0.0
    bad: float = 0.0
    refused: float = 0.0
    """Calls that it was too busy for."""
    streak: int = 0
    """Failures since its last good answer."""
    at: float = 0.0
    """Time up to which the counts have decayed."""
    shut_until: float | None = None
    """When it may be tried again; None where it is not given up."""
    pause: float = FIRST_PAUSE
    cool_until: float = 0.0
    probing: float | None = None
    """Since when one call tries it; None where none does."""

    def decay(self, now: float) -> None:
        """Let time pass."""
        passed = now - self.at
        self.at = max(self.at, now)
        if passed > 0:
            factor = 0.5 ** (passed / HALF_LIFE)
            self.good *= factor
            self.bad *= factor
            self.refused *= factor

    @property
    def failing(self) -> bool:
        """Whether enough went wrong to give it up."""
        total = self.good + self.bad
        return self.streak >= ENOUGH or (total >= ENOUGH and self.bad >= total / 2)


class Standing(msgspec.Struct, frozen=True):
    """How one place stands now."""

    state: Literal["closed", "open", "half-open"]
    why: str | None = None
    """Why it is not to be asked; None where it may be."""
    seconds: float = 0.0
    """In how many it may be asked again, where that is known."""


class Bad(msgspec.Struct, frozen=True):
    """What other processes are told of a place: seconds from now, since clocks differ."""

    provider: str
    model: str
    account: str
    shut: float
    """Seconds for which it is given up."""
    cool: float
    """Seconds for which it asked to be left alone."""


_FINE = Standing("closed")


class Health:
    """How every place does."""

    def __init__(self) -> None:
        """Begin with nothing known, so that all may be asked."""
        self._breakers: dict[Place, Breaker] = {}

    def standing(self, place: Place, now: float, chance: float = 1.0) -> Standing:
        """Return whether a place may be asked now, and why not.

        `chance`, a number from 0 up to 1, decides where a part of the calls is held back because the
        place refuses many; with 1 none is.
        """
        found = self._breakers.get(place)
        if found is None:
            return _FINE
        if now < found.cool_until:
            left = found.cool_until - now
            return Standing("closed", f"it asked for {left:.1f} s without calls", left)
        if found.shut_until is not None:
            return _shut(found, now)
        return _throttled(found, now, chance)

    def does_well(self, place: Place) -> bool:
        """Tell whether nothing has failed at a place since it last answered well."""
        found = self._breakers.get(place)
        return found is None or (found.streak == 0 and found.shut_until is None)

    def begun(self, place: Place, now: float) -> bool:
        """Note that a place is asked; tells whether this call finds out if it does well again."""
        found = self._breakers.get(place)
        if found is None or found.shut_until is None:
            return False
        if found.probing is not None and now - found.probing < PROBE_SECONDS:
            return False
        found.probing = now
        return True

    def ended(
        self,
        place: Place,
        now: float,
        outcome: Outcome,
        *,
        probe: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """Note how a call to a place ended. `retry_after` are the seconds that it asked for."""
        found = self._breakers.get(place)
        if found is None:
            if outcome in ("good", "left") and retry_after is None:
                if outcome == "good":
                    self._made(place).good = 1.0
                    self._breakers[place].at = now
                return
            found = self._made(place)
        began, found.probing = found.probing, None if probe else found.probing
        found.decay(now)
        if outcome == "busy" or (outcome == "bad" and retry_after is not None):
            self._cool(found, now, retry_after)
        if outcome == "good":
            self._did_well(found, probe=probe)
        elif outcome == "bad":
            self._failed(found, now, (began or now) if probe else None)
        elif outcome == "busy":
            found.refused += 1
            if probe:  # it is alive, if only to say so
                found.shut_until = None
                found.streak = 0

    def standings(self, now: float) -> list[tuple[Place, Standing]]:
        """Return how every place stands of which something is known."""
        return [(place, self.standing(place, now)) for place in list(self._breakers)]

    def told(self, now: float) -> list[Bad]:
        """Return what other processes should know."""
        rows = [
            Bad(*place, max(0.0, (b.shut_until or now) - now), max(0.0, b.cool_until - now))
            for place, b in self._breakers.items()
        ]
        return [row for row in rows if row.shut > 0 or row.cool > 0]

    def hear(self, rows: Iterable[Bad], now: float) -> None:
        """Take what another process found out. What this one saw to do well a moment ago stays."""
        for row in rows:
            found = self._made(Place(row.provider, row.model, row.account))
            found.decay(now)
            if row.cool > 0:
                found.cool_until = max(found.cool_until, now + min(row.cool, LONGEST_COOL_DOWN))
            doing_well = found.good >= 1.0 and found.streak == 0
            if row.shut > 0 and found.shut_until is None and not doing_well:
                found.shut_until = now + min(row.shut, LONGEST_PAUSE)

    def _made(self, place: Place) -> Breaker:
        found = self._breakers.get(place)
        if found is None:
            if len(self._breakers) >= _MOST_PLACES:
                del self._breakers[min(self._breakers, key=lambda p: self._breakers[p].at)]
            found = self._breakers[place] = Breaker()
        return found

    @staticmethod
    def _cool(found: Breaker, now: float, seconds: float | None) -> None:
        wanted = BUSY_PAUSE if seconds is None else min(seconds, LONGEST_COOL_DOWN)
        found.cool_until = max(found.cool_until, now + wanted)

    @staticmethod
    def _did_well(found: Breaker, *, probe: bool) -> None:
        found.good += 1
        found.streak = 0
        if probe or found.shut_until is None:
            if found.shut_until is not None:  # the past is over
                found.bad = found.refused = 0.0
            found.shut_until = None
            found.pause = FIRST_PAUSE

    @staticmethod
    def _failed(found: Breaker, now: float, probe: float | None) -> None:
        """Note a failure; `probe` is when it began, if it was one.

        The pause counts from there: a probe that waits long for nothing has been a part of it.
        """
        found.bad += 1
        found.streak += 1
        if probe is not None:
            found.pause = min(LONGEST_PAUSE, found.pause * 2)
            found.shut_until = max(probe + found.pause, now + REST)
        elif found.shut_until is None and found.failing:
            found.shut_until = now + found.pause


def _shut(found: Breaker, now: float) -> Standing:
    until = found.shut_until or now
    failed = f"{found.streak} calls in a row failed" if found.streak > 1 else "it failed lately"
    if now < until:
        return Standing("open", f"{failed}; it is tried again in {until - now:.1f} s", until - now)
    if found.probing is not None and now - found.probing < PROBE_SECONDS:
        return Standing("half-open", f"{failed}; another call is trying it", 1.0)
    return Standing("half-open")


def _throttled(found: Breaker, now: float, chance: float) -> Standing:
    found.decay(now)
    asked = found.good + found.bad + found.refused
    part = (asked - _MULTIPLIER * found.good) / (asked + 1)
    if found.refused < 1 or chance >= part:
        return _FINE
    return Standing("closed", f"it is too busy for {found.refused / asked:.0%} of the calls", 1.0)

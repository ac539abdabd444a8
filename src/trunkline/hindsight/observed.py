"""What a log itself saw of each place, hour by hour, and what is drawn from that. Pure.

Nothing is made up: of a place that the log never saw there is nothing to draw.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from trunkline.hindsight.legs import Happening
from trunkline.hindsight.past import Past

ENOUGH = 5
"""Attempts that an hour has to have for it to be drawn from; else all hours are."""
_HOUR = 3600.0
Place: TypeAlias = tuple[str, str]
"""A provider and a model, in small letters."""
Grain = Literal["as it was", "that hour", "other hours"]
"""How close what a call is given is to the call itself."""


class UnknownPlaceError(Exception):
    """A call would have gone to a place that the log saw nothing of."""

    def __init__(self, place: Place) -> None:
        """Keep which."""
        super().__init__(f"{place[0]} {place[1]}")
        self.place = place


class Observed:
    """Attempts by place and hour."""

    def __init__(self, calls: Iterable[Past]) -> None:
        """Sort them."""
        self._all: dict[Place, list[Happening]] = {}
        self._hours: dict[tuple[Place, int], list[Happening]] = {}
        for call in calls:
            for one in call.tried:
                place = (one.provider, call.model.lower())
                self._all.setdefault(place, []).append(one.happening)
                self._hours.setdefault((place, _hour(call.at)), []).append(one.happening)

    def count(self, place: Place) -> int:
        """Return how many attempts were seen there."""
        return len(self._all.get(place, ()))

    def draw(
        self, place: Place, call: Past, chance: random.Random, now: float
    ) -> tuple[Happening, Grain]:
        """Return what becomes of a call there; raises UnknownPlaceError."""
        hour = self._hours.get((place, _hour(now)), [])
        if len(hour) >= ENOUGH:
            return _fitted(chance.choice(hour), call), "that hour"
        seen = self._all.get(place)
        if not seen:
            raise UnknownPlaceError(place)
        return _fitted(chance.choice(seen), call), "other hours"


def _fitted(seen: Happening, call: Past) -> Happening:
    """Return what was seen with a call's own length, where both are known: at the speed that was seen."""
    scaled = seen.rest and seen.cut is None and not seen.unseen
    if not seen.output or call.output is None or not scaled:
        return msgspec.structs.replace(seen, output=call.output if seen.output else None)
    rest = seen.rest * call.output / seen.output
    return msgspec.structs.replace(seen, rest=rest, output=call.output)


def _hour(at: float) -> int:
    return int(at // _HOUR)

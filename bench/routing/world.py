"""A day of six providers that is made up: how soon and how fast each answers, and when each has a bad time.

All of it comes from a seed: load that follows the hours of the day, times that are lognormal, slow
spells, outages of three kinds, storms of 429, and one trouble that several have at once. Prices are those that the
snapshot of the catalog has of one model at its six providers, the dearest for the fastest.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Literal

import msgspec

from trunkline.catalog import shipped
from trunkline.catalog.options import option_of
from trunkline.hindsight.legs import Happening
from trunkline.routing.ranking import Option

DAY = 86_400.0
HOUR = 3_600.0
PRICED_AS = "meta-llama/Llama-3.3-70B-Instruct"
"""The model whose six prices these are."""
Kind = Literal["slow", "down", "refusing", "silent", "storm", "partial"]


class Profile(msgspec.Struct, frozen=True):
    """One provider on a good day."""

    name: str
    first_token: float
    """Seconds, the median at night."""
    throughput: float
    """Tokens a second, the median at night."""
    load: float
    """How much slower it is at the busiest hour: 1.0 is twice as slow."""
    faults: float
    """Part of its calls that fail on a good day."""
    price: int
    """Which of the six prices it has: 0 is the dearest."""


PROFILES = (
    Profile("A", 0.22, 260.0, 0.4, 0.003, 0),
    Profile("B", 0.35, 120.0, 0.8, 0.004, 1),
    Profile("C", 0.50, 90.0, 0.6, 0.002, 2),
    Profile("D", 0.60, 70.0, 1.2, 0.005, 3),
    Profile("E", 0.80, 55.0, 0.8, 0.004, 4),
    Profile("F", 1.10, 45.0, 1.0, 0.008, 5),
)
SPREAD = 0.45
"""The sigma of the lognormal times to the first token; that of speeds is half of it."""
SPELLS: tuple[tuple[Kind, int, float, float], ...] = (
    ("slow", 3, 10 * 60, 45 * 60),
    ("down", 1, 5 * 60, 30 * 60),
    ("refusing", 1, 2 * 60, 10 * 60),
    ("silent", 1, 3 * 60, 15 * 60),
    ("storm", 2, 5 * 60, 20 * 60),
)
"""What each provider has in a day, how often, and how long it lasts, from and to."""
TOGETHER = (3, 25 * 60.0)
"""How many providers have one trouble at the same time, and for how long."""
CUT = 0.001
"""Part of the streams that break off."""


class Spell(msgspec.Struct, frozen=True):
    """A bad time of a provider."""

    kind: Kind
    start: float
    end: float
    force: float
    """How bad: times as slow, or the part of its calls that is refused."""


class Call(msgspec.Struct, frozen=True):
    """One call of the day."""

    at: float
    input: int
    output: int
    session: str
    chance: int
    """The seed of what becomes of it at each place: the same whoever is asked first."""


class Day:
    """The providers of one day."""

    def __init__(self, seed: int) -> None:
        """Make it up."""
        chance = random.Random(f"day {seed}")  # noqa: S311 - no secret
        self.seed = seed
        self.spells = {profile.name: _spells(chance) for profile in PROFILES}
        start = chance.uniform(8 * HOUR, 20 * HOUR)
        for name in chance.sample([profile.name for profile in PROFILES], TOGETHER[0]):
            self.spells[name].append(Spell("partial", start, start + TOGETHER[1], 0.5))
        self.options = _priced()

    def calls(self, a_second: float) -> Iterator[Call]:
        """Return the calls of the day, so many a second on average."""
        chance = random.Random(f"calls {self.seed}")  # noqa: S311 - no secret
        at = 0.0
        while True:
            at += chance.expovariate(a_second * 1.8)
            if at >= DAY:
                return
            if chance.random() * 1.8 > 0.2 + 1.6 * _busy(at):  # thinned by the hour
                continue
            yield Call(
                at,
                round(chance.lognormvariate(math.log(900), 0.8)),
                max(1, round(chance.lognormvariate(math.log(220), 0.7))),
                f"session {chance.randrange(2_000)}",
                chance.getrandbits(48),
            )

    def happening(self, name: str, call: Call, attempt: int, now: float) -> Happening:
        """Return what becomes of a call's attempt at a place."""
        profile = next(profile for profile in PROFILES if profile.name == name)
        chance = random.Random(call.chance ^ (PROFILES.index(profile) << 48) ^ (attempt << 52))  # noqa: S311 - no secret
        load = 1.0 + profile.load * _busy(now)
        slow = 1.0
        for spell in self.spells[name]:
            if not spell.start <= now < spell.end:
                continue
            found = _in_spell(spell, chance)
            if found is not None:
                return found
            slow *= spell.force if spell.kind == "slow" else 2.0 if spell.kind == "partial" else 1.0
        if chance.random() < profile.faults:
            return Happening(chance.uniform(0.05, 2.0), chance.choice((500, 502, 503, None)))
        first = chance.lognormvariate(math.log(profile.first_token), SPREAD) * load * slow
        fast = chance.lognormvariate(math.log(profile.throughput), SPREAD / 2) / load / slow
        rest = call.output / fast
        cut = rest * chance.random() if chance.random() < CUT else None
        return Happening(first, rest=rest, output=call.output, cut=cut)


def _busy(at: float) -> float:
    """Return how busy an hour is: 0 at three in the morning, 1 twelve hours later."""
    return 0.5 - 0.5 * math.cos(2 * math.pi * (at / DAY - 0.125))


def _in_spell(spell: Spell, chance: random.Random) -> Happening | None:
    """Return what a bad time makes of a call; None where it is answered none the less."""
    if chance.random() >= (1.0 if spell.kind == "slow" else spell.force):
        return None
    if spell.kind == "storm":
        return Happening(0.05, 429, retry_after=chance.choice((1.0, 2.0, 5.0, 20.0)))
    if spell.kind in ("down", "partial"):
        return Happening(chance.uniform(0.05, 1.0), 503)
    if spell.kind == "refusing":
        return Happening(0.02, None)
    return Happening(0.0, silent=True) if spell.kind == "silent" else None


def _spells(chance: random.Random) -> list[Spell]:
    found: list[Spell] = []
    for kind, count, least, most in SPELLS:
        for _ in range(count):
            start = chance.uniform(0, DAY - most)
            force = {"slow": chance.uniform(3, 12), "storm": chance.uniform(0.6, 0.95)}.get(
                kind, 1.0
            )
            found.append(Spell(kind, start, start + chance.uniform(least, most), force))
    return found


def _priced() -> dict[str, Option]:
    """Return the places, with the snapshot's prices."""
    entry = shipped().find(PRICED_AS)
    if entry is None or len(entry.providers) != len(PROFILES):
        raise SystemExit(f"The snapshot does not have {len(PROFILES)} offers of {PRICED_AS}.")
    told = sorted(
        [option_of(entry, offer) for offer in entry.providers],
        key=lambda o: -sum(p or 0 for p in (o.pricing.input, o.pricing.output)),
    )
    return {
        profile.name: msgspec.structs.replace(
            told[profile.price], name=profile.name, provider=profile.name.lower()
        )
        for profile in PROFILES
    }

"""How the calls of a day are sent: to one provider, to any, or along a route; and what comes of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from world import HOUR, PROFILES, Call, Day

from trunkline.hindsight.legs import (
    Answers,
    Ended,
    Happening,
    alone,
    journey_of,
    leg_for,
    travelled,
)
from trunkline.hindsight.virtual import Begun, Clock
from trunkline.providers.prices import price_of
from trunkline.routing.carry import Flow
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Wanted
from trunkline.routing.retry import Retry
from trunkline.routing.traffic import Traffic
from trunkline.routing.travel import Trip

DEADLINE = 120.0
"""Seconds that each call has, whoever carries it."""
_WALL = 1_000_000_000.0
Happens = Callable[[str, Call, int, float], Happening]


class Strategy(msgspec.Struct, frozen=True):
    """One way to send calls."""

    name: str
    pinned: str | None = None
    """The one provider that is asked."""
    retries: int = 0
    """How often it is asked again."""
    policy: Policy | None = None
    """The route; with neither, any provider is asked by chance."""
    whole: bool = False
    """Whether answers are wanted whole, so that one that breaks off may be asked for elsewhere."""


def _strategies() -> Iterator[Strategy]:
    for profile in PROFILES:
        yield Strategy(f"pinned to {profile.name}", pinned=profile.name)
    yield Strategy("any, by chance")
    yield Strategy("pinned to A, 2 retries", pinned="A", retries=2)
    yield Strategy("pinned to F, 2 retries", pinned="F", retries=2)
    places = tuple(profile.name for profile in PROFILES)
    yield Strategy("fixed, A to F", policy=Policy(places=places))
    yield Strategy("fixed, F to A", policy=Policy(places=places[::-1]))
    for order in ("fastest", "cheapest", "balanced", "weighted", "sticky"):
        yield Strategy(order, policy=Policy(order=order))  # type: ignore[arg-type]  # those it has
    yield Strategy("fastest by throughput", policy=Policy(order="fastest", by="throughput"))
    yield Strategy(
        "balanced, silence of 3 s", policy=Policy(order="balanced", first_token_seconds=3.0)
    )
    yield Strategy("fastest, hedged", policy=Policy(order="fastest", hedge=True))
    yield Strategy("balanced, hedged", policy=Policy(order="balanced", hedge=True))
    yield Strategy("balanced, whole answers", policy=Policy(order="balanced"), whole=True)


STRATEGIES = tuple(_strategies())


class Found(msgspec.Struct):
    """What came of a day's calls."""

    name: str
    calls: int
    succeeded: int
    first_token: dict[str, float]
    """Seconds to the first token of calls that succeeded, p50 and p99."""
    total: dict[str, float]
    """Seconds to their ends."""
    cost: float
    """Dollars for 1,000 calls that succeeded, what failed attempts cost included."""
    attempts: float
    """A call."""
    most_attempts: int
    worst_hour: float
    """The least part of an hour's calls that succeeded."""
    errors: dict[str, int]


def carried(strategy: Strategy, day: Day, calls: Iterator[Call], happens: Happens) -> Found:
    """Send a day's calls, and add up what comes of them."""
    chance = random.Random(f"{strategy.name} {day.seed}").random  # noqa: S311 - no secret
    traffic = Traffic(chance)
    ended: list[tuple[Call, Ended]] = []

    def begun(call: Call) -> Begun:
        def flow(now: float) -> Flow[None]:
            found = yield from _sent(strategy, day, call, now, traffic, happens)
            ended.append((call, found))

        return call.at, flow

    Clock().run(begun(call) for call in calls)
    return _added(strategy.name, ended)


def _sent(
    strategy: Strategy, day: Day, call: Call, now: float, traffic: Traffic, happens: Happens
) -> Flow[Ended]:
    asked = 0

    def happening(place: str, moment: float) -> Happening:
        nonlocal asked
        asked += 1
        return happens(place, call, asked, moment)

    journey = journey_of(now, DEADLINE, traffic.chance)
    if strategy.policy is None:
        names = [profile.name for profile in PROFILES]
        name = strategy.pinned or names[int(traffic.chance() * len(names))]
        retry = Retry(strategy.retries, traffic.chance)
        return alone(journey, day.options[name], happening, retry)
    trip = Trip(
        policy=strategy.policy,
        options=tuple(day.options[p] for p in strategy.policy.places)
        or tuple(day.options.values()),
        wanted=Wanted(call.input, call.output, session=call.session),
        traffic=traffic,
        leg=leg_for(journey),
        result=Answers(),
        began=now,
        starts=now,
        end=now + DEADLINE,
        wall=_WALL,
    )
    return travelled(trip, happening, whole=strategy.whole)


def _added(name: str, ended: list[tuple[Call, Ended]]) -> Found:
    good = [one for _, one in ended if one.error is None]
    errors: dict[str, int] = {}
    hours: dict[int, list[bool]] = {}
    for call, one in ended:
        hours.setdefault(int(call.at // HOUR), []).append(one.error is None)
        if one.error is not None:
            errors[one.error] = errors.get(one.error, 0) + 1
    counts = [len(one.attempts) for _, one in ended]
    return Found(
        name=name,
        calls=len(ended),
        succeeded=len(good),
        first_token=_quantiles([(one.first or one.ended) - one.began for one in good]),
        total=_quantiles([one.ended - one.began for one in good]),
        cost=1000 * sum(_cost(call, one) for call, one in ended) / max(1, len(good)),
        attempts=sum(counts) / max(1, len(counts)),
        most_attempts=max(counts, default=0),
        worst_hour=min((sum(part) / len(part) for part in hours.values()), default=0.0),
        errors=errors,
    )


def _cost(call: Call, one: Ended) -> float:
    """Return what a call cost: its input at each place that began to answer, and what that wrote."""
    prices: list[Any] = [price_of(call.input, s.output, s.option.pricing) for s in one.spent]
    return float(sum(prices))


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        f"p{part}": ordered[min(len(ordered) - 1, len(ordered) * part // 100)] for part in (50, 99)
    }


def failing(rate: float, seconds: float, policy: Policy) -> tuple[int, int]:
    """Return calls and attempts where every provider fails every call, so many a second."""
    day = Day(1)
    calls = (Call(n / rate, 900, 220, "", n) for n in range(round(rate * seconds)))
    strategy = Strategy("all fail", policy=policy)
    found = carried(strategy, day, calls, lambda *_: Happening(0.02, 503))
    return found.calls, round(found.attempts * found.calls)

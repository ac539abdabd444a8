"""A log's calls carried anew, along another route: the kernel decides where, the log what comes of it. Pure.

A call that is asked where it was asked gets what it got; anywhere else, what others got there.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from trunkline.catalog.entries import Catalog
from trunkline.catalog.options import option_of
from trunkline.errors import InvalidInputError
from trunkline.hindsight.legs import (
    Answers,
    Ended,
    Happening,
    Opened,
    journey_of,
    leg_for,
    travelled,
)
from trunkline.hindsight.observed import Grain, Observed, Place, UnknownPlaceError
from trunkline.hindsight.past import Past
from trunkline.hindsight.virtual import Begun, Clock
from trunkline.model_id import ModelId
from trunkline.providers.prices import Pricing, price_of, total
from trunkline.routes import Asked, stops
from trunkline.routing.carry import Flow
from trunkline.routing.measures import place_of
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Option, Wanted
from trunkline.routing.traffic import Traffic
from trunkline.routing.travel import Trip

_WARM = 20
"""Attempts of each place, the log's first, that rankings begin with."""
PriceList = dict[str, dict[str, Pricing]]
"""Prices by model and provider, in small letters; `*` is every provider that is not named."""


class Wish(msgspec.Struct, frozen=True):
    """What is to be carried anew, and how."""

    calls: Sequence[Past]
    policy: Policy | None
    """None leaves calls where they were."""
    catalog: Catalog
    prices: PriceList = {}
    seen_only: bool = False
    """Whether places that the log saw nothing of are left out."""


class Redone(msgspec.Struct, frozen=True):
    """One call, as it would have been."""

    past: Past
    ok: bool
    first_token: float | None
    seconds: float
    cost: Decimal | None
    attempts: int
    place: Place | None
    """Who would have answered; None where nobody would have."""
    grains: frozenset[Grain]
    unknown: Place | None = None
    """The place of which nothing is known, where it would have gone there; all else is then void."""


class Places:
    """The places of each model, at the prices that are to count."""

    def __init__(self, wish: Wish, observed: Observed) -> None:
        """Look up nothing yet."""
        self._wish = wish
        self._observed = observed
        self._found: dict[str, tuple[Option, ...]] = {}

    def of(self, model: str) -> tuple[Option, ...]:
        """Return the places that the wished route has for a model; raises InvalidInputError."""
        if model not in self._found:
            self._found[model] = tuple(self._priced(option) for option in self._options(model))
        return self._found[model]

    def price(self, place: Place) -> Pricing:
        """Return what a place takes."""
        provider, model = place
        listed = self._listed(provider, model)
        if listed is not None:
            return listed
        entry = self._wish.catalog.find(model)
        offer = None if entry is None else entry.offer(provider)
        if entry is None or offer is None:
            return Pricing()
        return option_of(entry, offer).pricing

    def _options(self, model: str) -> list[Option]:
        policy = self._wish.policy or Policy()
        asked = Asked(model, ModelId("huggingface", model), policy, None, "", own_key=False)
        return [stop.option for stop in stops(asked, self._wish.catalog)[0]]

    def _priced(self, option: Option) -> Option:
        listed = self._listed(option.provider or "", option.model)
        if listed is not None:
            option = msgspec.structs.replace(option, pricing=listed)
        if self._wish.seen_only and not self._observed.count(
            place_of(option.provider, option.model)
        ):
            option = msgspec.structs.replace(option, barred="the log saw nothing of it")
        return option

    def _listed(self, provider: str, model: str) -> Pricing | None:
        rows = self._wish.prices.get(model.lower(), {})
        return rows.get(provider.lower()) or rows.get("*")


def redo(wish: Wish, observed: Observed, seed: int) -> list[Redone]:
    """Carry the calls anew in the order in which they began; the same seed gives the same."""
    places = Places(wish, observed)
    if wish.policy is None:
        return [_repriced(call, places, new_prices=bool(wish.prices)) for call in wish.calls]
    chance = random.Random(f"route {seed}").random  # noqa: S311 - no secret
    traffic = Traffic(chance)
    calls = sorted(wish.calls, key=lambda call: call.at)
    _warm(traffic, calls)
    found: list[Redone] = []
    policy = wish.policy

    def begun(call: Past) -> Begun:
        anew = _Anew(call, places, observed, seed, new_prices=bool(wish.prices))

        def flow(now: float) -> Flow[None]:
            found.append((yield from anew.carried(policy, traffic, now)))

        return call.at, flow

    Clock().run(begun(call) for call in calls)
    return found


def _warm(traffic: Traffic, calls: Sequence[Past]) -> None:
    """Let rankings begin with what the log saw of each place first, as if measured just before."""
    counts: Counter[Place] = Counter()
    for call in calls:
        for one in call.tried:
            place = (one.provider, call.model.lower())
            counts[place] += 1
            seen = one.happening
            if counts[place] > _WARM:
                continue
            good = seen.status is not None and seen.status < 400 and seen.cut is None
            known = good and not seen.unseen
            traffic.measures.note(
                place,
                calls[0].at,
                failed=not good,
                first_token=seen.seconds if known else None,
                throughput=seen.output / seen.rest if known and seen.output and seen.rest else None,
                output=seen.output if good else None,
            )


class _Anew:
    """One call that is carried anew."""

    def __init__(
        self, past: Past, places: Places, observed: Observed, seed: int, *, new_prices: bool
    ) -> None:
        self._past = past
        self._places = places
        self._observed = observed
        self._seed = seed
        self._new_prices = new_prices
        self._grains: set[Grain] = set()
        self._asked: list[Place] = []

    def carried(self, policy: Policy, traffic: Traffic, now: float) -> Flow[Redone]:
        """Carry it along a route."""
        past = self._past
        options = self._places.of(past.model)
        where = {option.name: place_of(option.provider, option.model) for option in options}
        trip: Trip[Opened] = Trip(
            policy=policy,
            options=options,
            wanted=Wanted(past.input or 0, past.output, session=past.id),
            traffic=traffic,
            leg=leg_for(journey_of(now, None, traffic.chance)),
            result=Answers(),
            began=now,
            starts=now,
            end=math.inf,
            wall=0.0,
        )
        try:
            happens = self._happens(where)
            ended = yield from travelled(trip, happens, whole=not past.stream)
        except UnknownPlaceError as unknown:
            return _void(past, unknown.place)
        return self._redone(ended, where)

    def _happens(self, where: dict[str, Place]) -> Callable[[str, float], Happening]:
        def happens(name: str, now: float) -> Happening:
            place = where[name]
            before = self._asked.count(place)
            self._asked.append(place)
            own = [one for one in self._past.tried if one.provider == place[0]]
            if before < len(own) and place[1] == self._past.model.lower():
                self._grains.add("as it was")
                return own[before].happening
            chance = random.Random(f"{self._seed} {self._past.id} {place} {before}")  # noqa: S311 - no secret
            happening, grain = self._observed.draw(place, self._past, chance, now)
            self._grains.add(grain)
            return happening

        return happens

    def _redone(self, ended: Ended, where: dict[str, Place]) -> Redone:
        past = self._past
        same = self._asked == [(one.provider, past.model.lower()) for one in past.tried]
        cost = past.cost if same and not self._new_prices else self._cost(ended)
        first = None if ended.first is None or not past.stream else ended.first - ended.began
        return Redone(
            past=past,
            ok=ended.error is None,
            first_token=first,
            seconds=ended.ended - ended.began,
            cost=cost,
            attempts=len(ended.attempts),
            place=None if ended.option is None else where[ended.option.name],
            grains=frozenset(self._grains),
        )

    def _cost(self, ended: Ended) -> Decimal | None:
        found: Decimal | None = total(
            price_of(self._past.input, spent.output, spent.option.pricing) for spent in ended.spent
        )
        return found


def _repriced(call: Past, places: Places, *, new_prices: bool) -> Redone:
    """Return a call as it was, at other prices."""
    place = (call.provider, call.model.lower())
    cost = price_of(call.input, call.output, places.price(place)) if new_prices else call.cost
    kept = frozenset[Grain]({"as it was"})
    return Redone(
        call, call.ok, call.first_token, call.seconds, cost, call.attempts,
        place if call.ok else None, kept,
    )  # fmt: skip


def _void(call: Past, place: Place) -> Redone:
    return Redone(call, ok=False, first_token=None, seconds=0.0, cost=None, attempts=0, place=None,
                  grains=frozenset(), unknown=place)  # fmt: skip


def read_prices(rows: object) -> PriceList:
    """Read a list of prices as a file has it; raises InvalidInputError, naming what is wrong."""
    try:
        read = msgspec.convert(rows, dict[str, dict[str, dict[str, Decimal]]], strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInputError(
            f"The list of prices is none: {error}.",
            hint='["org/model".provider] with input and output is expected, in dollars for a million.',
        ) from error
    found: PriceList = {}
    for model, offers in read.items():
        for provider, sides in offers.items():
            strange = sides.keys() - {"input", "output"}
            if strange or not sides or any(not p.is_finite() or p < 0 for p in sides.values()):
                raise InvalidInputError(
                    f"The price of {model!r} at {provider!r} is {sides}; input and output are expected."
                )
            found.setdefault(model.lower(), {})[provider.lower()] = Pricing(
                sides.get("input"), sides.get("output")
            )
    return found

"""From a policy and what is known to an order of places, with a reason for each. Pure.

Numbers are what this program measured itself where it has seen enough, else the catalog's; whoever has
neither is asked after those that have, and the report says so.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from trunkline.providers.prices import Pricing, price_of
from trunkline.routing.measures import Seen
from trunkline.routing.policy import Need, Policy
from trunkline.types.route import Candidate, NumberSource, RouteReport

TYPICAL_OUTPUT = 500
"""Tokens of an answer where neither the call nor what was seen says how long it may be."""
_NEVER_WORSE = 0.05
"""Part of good calls below which a place is rated no worse still."""
_KNOWS_NOTHING: Mapping[Need, bool | None] = {}


class Option(msgspec.Struct, frozen=True):
    """A place that could serve the call, and what is told of it. Unknown is None."""

    name: str
    """As the route names it."""
    provider: str | None
    model: str
    """As the Hub calls it."""
    pricing: Pricing = Pricing()
    context: int | None = None
    can: Mapping[Need, bool | None] = _KNOWS_NOTHING
    live: bool = True
    """Whether it is not known that the router sends no calls there."""
    first_token: float | None = None
    """Seconds, as the catalog has it."""
    throughput: float | None = None
    """Tokens a second, as the catalog has it."""
    region: str | None = None
    account: str = ""
    """Whose calls these are, in a form that is no secret."""
    barred: str | None = None
    """Why it may not be asked, whatever the route says: what the call gives it, it does not take."""
    fallback: int = 0
    """0 for the call's own model, then 1 for its first fallback, ..."""


class Wanted(msgspec.Struct, frozen=True):
    """What a call needs of a place."""

    input_tokens: int = 0
    output_tokens: int | None = None
    """Its `max_tokens`; None where it has none."""
    uses: frozenset[Need] = frozenset()
    """What it uses, so that a place which is known not to have it is left out."""
    session: str | None = None
    """For `sticky`: what stays together."""


class Known(msgspec.Struct, frozen=True):
    """Where what is known of places now is asked for."""

    seen: Callable[[Option], Seen]
    """What was measured."""
    trouble: Callable[[Option], str | None]
    """Why a place should not be asked just now."""
    chance: Callable[[], float]
    """A random source: numbers from 0 up to 1."""


class Ranking(msgspec.Struct, frozen=True):
    """The places in their order, and how that came about."""

    order: tuple[Option, ...]
    report: RouteReport


class _Rated(msgspec.Struct, frozen=True):
    option: Option
    cost: Decimal | None
    first_token: float | None
    throughput: float | None
    error_rate: float | None
    source: NumberSource
    score: float | None = None
    excluded: str | None = None


def rank(options: Sequence[Option], policy: Policy, wanted: Wanted, known: Known) -> Ranking:
    """Return the places that may be asked, in the policy's order, and the report of all."""
    rated = [_rated(option, policy, wanted, known) for option in options]
    eligible = [row for row in rated if row.excluded is None]
    ordered: list[_Rated] = []
    for group in sorted({row.option.fallback for row in eligible}):
        rows = [row for row in eligible if row.option.fallback == group]
        ordered += _ordered(rows, policy, wanted, known.chance)
    left_out = [row for row in rated if row.excluded is not None]
    report = RouteReport(
        policy.title,
        tuple(_candidate(row) for row in (*ordered, *left_out)),
        tuple(_notes(ordered, policy)),
    )
    return Ranking(tuple(row.option for row in ordered), report)


def _rated(option: Option, policy: Policy, wanted: Wanted, known: Known) -> _Rated:
    seen = known.seen(option)
    output = wanted.output_tokens or TYPICAL_OUTPUT
    if seen.output is not None:
        output = min(output, math.ceil(seen.output))
    first, fast = seen.first_token, seen.throughput
    told = [number for number in (option.first_token, option.throughput) if number is not None]
    measured = [number for number in (first, fast) if number is not None]
    source: NumberSource = "unknown"
    if measured:
        source = "measured" if len(measured) == 2 or not told else "mixed"
    elif told:
        source = "catalog"
    return _Rated(
        option=option,
        cost=price_of(wanted.input_tokens, output, option.pricing),
        first_token=option.first_token if first is None else first,
        throughput=option.throughput if fast is None else fast,
        error_rate=seen.error_rate,
        source=source,
        excluded=_excluded(option, policy, wanted) or known.trouble(option),
    )


def _excluded(option: Option, policy: Policy, wanted: Wanted) -> str | None:
    """Return why a place is left out, whatever its state."""
    provider = option.provider or option.name
    if option.barred is not None:
        return option.barred
    if provider in policy.deny or option.name in policy.deny:
        return "the route denies it"
    if policy.allow and provider not in policy.allow and option.name not in policy.allow:
        return "the route does not allow it"
    if not option.live:
        return "the router says that it is not live"
    if policy.order == "weighted" and policy.weights.get(option.name) == 0:
        return "its weight is 0"
    if policy.regions and option.region not in policy.regions:
        return f"its region is {option.region or 'not known'}"
    return (
        _too_dear(option, policy)
        or _too_small(option, policy, wanted)
        or _cannot(option, policy, wanted)
    )


def _too_dear(option: Option, policy: Policy) -> str | None:
    limits = (
        ("input", option.pricing.input, policy.max_price),
        ("output", option.pricing.output, policy.max_price),
        ("input", option.pricing.input, policy.max_input_price),
    )
    for side, price, limit in limits:
        if limit is not None and price is None:
            return f"its price of {side} is not known, and the route has a limit"
        if limit is not None and price is not None and price > limit:
            return f"its price of {side} is ${price:f} for a million tokens, above ${limit:f}"
    return None


def _too_small(option: Option, policy: Policy, wanted: Wanted) -> str | None:
    least = policy.min_context
    if least is not None and (option.context is None or option.context < least):
        return f"its context is {option.context or 'not known'}, and the route wants {least}"
    needed = wanted.input_tokens + (wanted.output_tokens or 0)
    if option.context is not None and option.context < needed:
        return f"its context is {option.context}, and the call may need {needed}"
    return None


def _cannot(option: Option, policy: Policy, wanted: Wanted) -> str | None:
    for need in sorted(policy.needs):
        if option.can.get(need) is not True:
            said = "lacks" if option.can.get(need) is False else "is not known to have"
            return f"it {said} {need}, which the route needs"
    for need in sorted(wanted.uses):
        if option.can.get(need) is False:
            return f"it lacks {need}, which the call uses"
    return None


def _ordered(
    rows: list[_Rated], policy: Policy, wanted: Wanted, chance: Callable[[], float]
) -> list[_Rated]:
    """Return rows by score, the least first; those without one after them, as they came."""
    if policy.order == "fixed":
        return rows
    scored = [
        msgspec.structs.replace(row, score=_score(row, rows, policy, wanted, chance))
        for row in rows
    ]
    return sorted(scored, key=lambda row: math.inf if row.score is None else row.score)


def _score(
    row: _Rated, rows: list[_Rated], policy: Policy, wanted: Wanted, chance: Callable[[], float]
) -> float | None:
    if policy.order == "sticky":
        return _drawn(wanted.session or "", row.option.name)
    if policy.order == "weighted":
        weight = policy.weights.get(row.option.name, 1.0)
        return -math.log(1.0 - chance()) / weight  # the least of such waits comes by the weights
    cost = None if row.cost is None else float(row.cost)
    if policy.order == "cheapest":
        return cost
    slowness = _slowness(row, policy.by)
    if slowness is None:
        return None
    slowness /= max(_NEVER_WORSE, 1.0 - (row.error_rate or 0.0))
    if policy.order == "fastest":
        return slowness
    return None if cost is None else _balance(cost, slowness, rows, policy.by)


def _slowness(row: _Rated, by: Literal["first_token", "throughput"]) -> float | None:
    if by == "first_token":
        return row.first_token
    return None if not row.throughput else 1.0 / row.throughput


def _balance(
    cost: float, slowness: float, rows: list[_Rated], by: Literal["first_token", "throughput"]
) -> float:
    """Return how much dearer and slower a place is than the cheapest and the fastest, both alike."""
    costs = [float(row.cost) for row in rows if row.cost]
    slow = [s for row in rows if (s := _slowness(row, by))]
    dearer = cost / min(costs) if costs else 1.0
    slower = slowness / min(slow) if slow else 1.0
    return math.sqrt(max(dearer, 1e-6) * max(slower, 1e-6))


def _drawn(session: str, name: str) -> float:
    """Draw a number for a session and a place: the same each time, whoever else is there."""
    digest = hashlib.blake2b(f"{session}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


_MISSING = {
    "fastest": "how fast it is is not known",
    "cheapest": "what the call costs there is not known",
    "balanced": "its price or its speed is not known",
}


def _notes(ordered: list[_Rated], policy: Policy) -> list[str]:
    """Say what the policy had to do without."""
    missing = _MISSING.get(policy.order)
    if missing is None:
        return []
    unknown = [row.option.name for row in ordered if row.score is None]
    if not unknown:
        return []
    if len(unknown) == len(ordered):
        return [f"{policy.order}: of no place is it known; they are asked in the catalog's order."]
    return [f"{policy.order}: of {', '.join(unknown)} {missing}; asked after the others."]


def _candidate(row: _Rated) -> Candidate:
    option = row.option
    return Candidate(
        name=option.name,
        provider=option.provider,
        model=option.model,
        score=row.score,
        cost=row.cost,
        first_token=row.first_token,
        throughput=row.throughput,
        error_rate=row.error_rate,
        source=row.source,
        excluded=row.excluded,
    )

"""What a route would do with a call now: who is asked first, who next, and why. No I/O.

Nothing is sent, and nothing is noted of it; the same kernel ranks that ranks calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.calls import Calls, parsed_model
from trunkline.errors import InvalidInputError
from trunkline.routed_calls import policy_of
from trunkline.routes import Asked, Stop, account_of, stops
from trunkline.routing.own_keys import is_own
from trunkline.routing.policy import Policy, read_policy
from trunkline.routing.ranking import TYPICAL_OUTPUT, Wanted
from trunkline.routing.traffic import Traffic
from trunkline.types.record import Record
from trunkline.types.route import Candidate, RouteLike, RouteReport

if TYPE_CHECKING:
    from trunkline.catalog import Catalog

TYPICAL_INPUT = 1000
"""Tokens of a call that is only planned, where nobody says how many."""
USUAL: RouteLike = "fastest"
"""The route of a plan that names none, as the router itself chooses."""


class PlannedPlace(Record, msgspec.Struct, frozen=True):
    """One place, and why it is where it is."""

    number: int | None
    """1 is asked first, 2 where that one fails, ...; None is not asked."""
    why: str
    place: Candidate


class Plan(Record, msgspec.Struct, frozen=True):
    """Where a call would go now, and where next if that fails."""

    model: str
    policy: str
    """The policy in a few words."""
    input_tokens: int
    output_tokens: int
    """Those given, else what is typical; a place whose answers are known to be shorter counts less."""
    places: tuple[PlannedPlace, ...]
    notes: tuple[str, ...]
    """What the policy had to do without."""
    source: str
    """Where prices and offers are from."""
    as_of: datetime

    @property
    def first(self) -> Candidate | None:
        """The place that would be asked now; None where there is none."""
        return next((row.place for row in self.places if row.number == 1), None)

    def __repr__(self) -> str:
        """Show the places in their order."""
        names = [row.place.name for row in self.places if row.number is not None]
        return f"Plan({self.model}, {self.policy}: {' > '.join(names) or 'no place'})"


class PlanWish(msgspec.Struct, frozen=True):
    """What is to be planned."""

    asked: Asked
    wanted: Wanted


def read_wish(
    calls: Calls, model: str, route: RouteLike | None, wanted: Mapping[str, Any]
) -> PlanWish:
    """Return what is to be planned, on a client's account; raises InvalidInputError.

    `wanted` has `input_tokens`, `output_tokens` and `session_id`.
    """
    counts = {name: wanted.get(name) for name in ("input_tokens", "output_tokens")}
    for name, value in counts.items():
        if value is not None and (type(value) is not int or value < 0):
            raise InvalidInputError(f"{name} is {value!r:.80}; a count of tokens is expected.")
    defaults = calls.defaults
    parsed = parsed_model(model, defaults.api_base)
    secret, explicit = calls.secret({}, parsed)
    own = is_own(secret, defaults.direct, explicit=explicit)
    asked = Asked(
        model=model,
        parsed=parsed,
        policy=policy_of(route) or defaults.route or read_policy(USUAL),
        api_base=defaults.api_base,
        account=account_of(secret, defaults.bill_to),
        own_key=own and defaults.api_base is None,
        alone=own and defaults.api_base is not None and not calls.finds_token,
    )
    given = counts["input_tokens"]
    session = wanted.get("session_id") or defaults.session_id
    known = Wanted(
        TYPICAL_INPUT if given is None else given, counts["output_tokens"], session=session
    )
    return PlanWish(asked, known)


def make_plan(wish: PlanWish, catalog: Catalog, traffic: Traffic, now: float, epoch: float) -> Plan:
    """Rank the places of a call as it would be now. `now` is monotonic, `epoch` the same since 1970.

    Raises InvalidInputError for model strings that name none, and for fallbacks that lead back.
    """
    asked, wanted = wish.asked, wish.wanted
    found, notes = stops(asked, catalog)
    options = tuple(stop.option for stop in found)
    ranking = traffic.rank(options, asked.policy, wanted, now, epoch - now)
    report = ranking.report
    if catalog.trouble is not None:
        notes = (*notes, f"Offers are from {catalog.source}: {catalog.trouble}")
    return Plan(
        model=asked.model,
        policy=report.policy,
        input_tokens=wanted.input_tokens,
        output_tokens=wanted.output_tokens or TYPICAL_OUTPUT,
        places=_places(report, asked.policy, found),
        notes=(*notes, *report.notes),
        source=catalog.source,
        as_of=catalog.as_of,
    )


def _places(
    report: RouteReport, policy: Policy, found: tuple[Stop, ...]
) -> tuple[PlannedPlace, ...]:
    groups = {stop.option.name: stop.option.fallback for stop in found}
    rows: list[PlannedPlace] = []
    best: dict[int, Candidate] = {}
    for number, candidate in enumerate(report.order, 1):
        group = groups.get(candidate.name, 0)
        first = best.setdefault(group, candidate)
        why = _why(candidate, first, policy)
        if group and number > 1 and first is candidate:
            why = f"asked once every place before it has failed; {why}"
        rows.append(PlannedPlace(number, why, candidate))
    left_out = [c for c in report.candidates if c.excluded is not None]
    return (*rows, *(PlannedPlace(None, str(c.excluded), c) for c in left_out))


def _why(one: Candidate, first: Candidate, policy: Policy) -> str:
    """Say why a place is where it is among those of its model."""
    if policy.order in _SAID:
        return _SAID[policy.order]
    if policy.order == "weighted":
        weight = policy.weights.get(one.name, 1.0)
        return f"drawn by chance, with a weight of {weight:g}"
    if one.score is None:
        return f"asked after those of which more is known: {_unknown(one, policy)}"
    said = _rated(one, policy)
    if one is first:
        return f"the best: {said}"
    return f"{said}; {_times(one, first)} {first.name}"


_SAID = {
    "fixed": "as the route has them in order",
    "sticky": "as the session has them in order, which is the same each time",
}


def _rated(one: Candidate, policy: Policy) -> str:
    parts: list[str] = []
    if policy.order in ("cheapest", "balanced"):
        parts.append(f"${_amount(one.cost)} for this call")
    if policy.order in ("fastest", "balanced"):
        by_token = policy.by == "first_token"
        parts.append(
            f"first token in {one.first_token:.2f} s"
            if by_token and one.first_token is not None
            else f"{one.throughput or 0:.0f} tokens/s"
        )
        if one.error_rate and round(one.error_rate, 2):
            parts.append(f"{one.error_rate:.0%} of its calls fail")
    return ", ".join(parts)


def _unknown(one: Candidate, policy: Policy) -> str:
    speed = one.first_token if policy.by == "first_token" else one.throughput
    missing: Mapping[str, bool] = {
        "its price": one.cost is None and policy.order in ("cheapest", "balanced"),
        "its speed": not speed and policy.order in ("fastest", "balanced"),
    }
    names = [name for name, is_missing in missing.items() if is_missing]
    return f"{' and '.join(names) or 'its score'} {'are' if len(names) > 1 else 'is'} not known"


def _times(one: Candidate, first: Candidate) -> str:
    """Say how much worse a place is rated than another."""
    if not first.score or one.score is None:
        return "rated after"
    times = one.score / first.score
    return "rated the same as" if times < 1.005 else f"rated {times:.3g} times worse than"


def _amount(cost: Decimal | None) -> str:
    return "?" if cost is None else f"{Decimal(f'{cost:.3g}'):f}"

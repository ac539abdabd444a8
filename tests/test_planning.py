"""Plans: who would be asked now, who next, and why; nothing is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from trunkline import InvalidInputError, Policy
from trunkline.catalog import Catalog, ModelEntry, Offer, Pricing
from trunkline.model_id import parse
from trunkline.planning import Plan, PlanWish, make_plan
from trunkline.routes import Asked
from trunkline.routing.measures import Measures
from trunkline.routing.policy import read_policy
from trunkline.routing.ranking import Wanted
from trunkline.routing.traffic import Traffic

MODEL = "org/model"


def offer(name: str, price: str | None, **more: Any) -> Offer:
    cost = None if price is None else Decimal(price)
    return Offer(name, pricing=Pricing(cost, cost), **more)


OFFERS = (
    offer("slow", "1", first_token_latency_ms=900.0, throughput=20.0, supports_tools=True),
    offer("quick", "4", first_token_latency_ms=100.0, throughput=300.0, supports_tools=True),
    offer("plain", "2", first_token_latency_ms=300.0, throughput=90.0, supports_tools=False),
    offer("strange", None),
    offer("gone", "1", status="error"),
)
CATALOG = Catalog(
    (ModelEntry(MODEL, providers=OFFERS), ModelEntry("org/other", providers=(offer("slow", "9"),))),
    "a test",
    datetime(2026, 11, 29, tzinfo=UTC),
)


def planned(route: Any, traffic: Traffic | None = None, *, model: str = MODEL) -> Plan:
    asked = Asked(model, parse(model), read_policy(route), None, "", own_key=False)
    wish = PlanWish(asked, Wanted(1000, 500))
    return make_plan(wish, CATALOG, traffic or Traffic(lambda: 0.5), 100.0, 1_000_000.0)


def order(plan: Plan) -> list[str]:
    return [row.place.name for row in plan.places if row.number is not None]


def why(plan: Plan) -> dict[str, str]:
    return {row.place.name: row.why for row in plan.places}


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("fastest", ["quick", "plain", "slow", "strange"]),
        ({"order": "fastest", "by": "throughput"}, ["quick", "plain", "slow", "strange"]),
        ("cheapest", ["slow", "plain", "quick", "strange"]),
        (["plain", "slow"], ["plain", "slow"]),
        ({"order": "cheapest", "deny": ["slow"]}, ["plain", "quick", "strange"]),
        ({"order": "cheapest", "needs": ["tools"]}, ["slow", "quick"]),
        ({"order": "cheapest", "fallbacks": ["org/other"]},
         ["slow", "plain", "quick", "strange", "slow:org/other"]),
    ],
)  # fmt: skip
def test_a_plan_has_the_order_of_its_route(route: Any, expected: list[str]) -> None:
    plan = planned(route)
    assert order(plan) == expected
    assert plan.first is not None
    assert plan.first.name == expected[0]
    numbers = [row.number for row in plan.places if row.number is not None]
    assert numbers == list(range(1, len(expected) + 1))


def test_each_place_says_why_it_is_where_it_is() -> None:
    said = why(planned("cheapest"))
    assert said["slow"] == "the best: $0.0015 for this call"
    assert said["quick"] == "$0.006 for this call; rated 4 times worse than slow"
    assert said["strange"] == "asked after those of which more is known: its price is not known"
    assert said["gone"] == "the router says that it is not live"
    said = why(planned("fastest"))
    assert said["plain"] == "first token in 0.30 s; rated 3 times worse than quick"
    said = why(planned({"order": "fastest", "by": "throughput"}))
    assert said["slow"] == "20 tokens/s; rated 15 times worse than quick"
    said = why(planned("balanced"))
    assert said["quick"] == "the best: $0.006 for this call, first token in 0.10 s"
    assert "its price and its speed are not known" in said["strange"]
    assert why(planned(["plain"]))["plain"] == "as the route has them in order"
    assert why(planned({"order": "weighted", "weights": {"slow": 3}}))["slow"].endswith("of 3")
    fallback = why(planned({"order": "cheapest", "fallbacks": ["org/other"]}))["slow:org/other"]
    assert fallback.startswith("asked once every place before it has failed; the best: $")


def test_what_was_measured_comes_before_what_the_catalog_tells() -> None:
    measures = Measures()
    for _ in range(10):
        measures.note(("quick", MODEL), 1_000_000.0, first_token=5.0)
        measures.note(("plain", MODEL), 1_000_000.0, failed=True)
    plan = planned("fastest", Traffic(lambda: 0.5, measures))
    assert order(plan)[0] == "slow"
    said = why(plan)
    assert "100% of its calls fail" in said["plain"]
    places = {row.place.name: row.place for row in plan.places}
    assert places["quick"].source == "mixed"
    assert places["slow"].source == "catalog"


def test_marks_and_open_breakers_leave_places_out() -> None:
    marked = {("slow", MODEL): "marked: it answers otherwise"}
    traffic = Traffic(lambda: 0.5, marks=lambda _: marked)
    for _ in range(5):
        traffic.health.ended(("quick", MODEL, ""), 99.0, "bad")  # type: ignore[arg-type]
    plan = planned("cheapest", traffic)
    assert order(plan) == ["plain", "strange"]
    assert why(plan)["slow"] == "marked: it answers otherwise"
    assert "it is tried again in" in why(plan)["quick"]


def test_a_plan_without_a_place_is_a_table_of_why_not() -> None:
    plan = planned({"order": "cheapest", "max_price": "0.1"})
    assert plan.first is None
    assert order(plan) == []
    assert len(plan.places) == len(OFFERS)
    assert "above $0.1" in why(plan)["slow"]
    assert "no place" in repr(plan)


def test_planning_changes_nothing_of_what_is_known() -> None:
    traffic = Traffic(lambda: 0.5)
    planned("fastest", traffic)
    assert not traffic.fresh.tracks
    assert traffic.health.told(100.0) == []
    assert traffic.retries.left(100.0) == 10


def test_a_model_that_asks_the_router_for_a_policy_has_no_route() -> None:
    with pytest.raises(InvalidInputError, match="asks for 'cheapest'"):
        planned("fastest", model="org/model:cheapest")
    assert planned(Policy(), model="org/unknown").notes[0].endswith("the router chooses.")

"""Orders of places: by numbers, chance and session, and why places are left out."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.prices import Pricing
from trunkline.routing.measures import Seen
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Known, Option, Wanted, rank

CHEAP = Option(
    "novita",
    "novita",
    "org/m",
    Pricing(Decimal("0.1"), Decimal("0.2")),
    8_000,
    {"tools": False},
    first_token=0.9,
    throughput=40.0,
)
QUICK = Option(
    "groq",
    "groq",
    "org/m",
    Pricing(Decimal(1), Decimal(3)),
    32_000,
    {"tools": True},
    first_token=0.1,
    throughput=400.0,
)
MIDDLE = Option(
    "together",
    "together",
    "org/m",
    Pricing(Decimal("0.2"), Decimal("0.4")),
    131_000,
    {},
    first_token=0.3,
    throughput=90.0,
    region="eu",
)
BLANK = Option("nscale", "nscale", "org/m")
NOTHING = Wanted()
ALL = (CHEAP, QUICK, MIDDLE)


def known(
    seen: dict[str, Seen] | None = None, trouble: dict[str, str] | None = None, seed: int = 1
) -> Known:
    return Known(
        lambda option: (seen or {}).get(option.name, Seen()),
        lambda option: (trouble or {}).get(option.name),
        random.Random(seed).random,
    )


def names(
    options: Any, policy: Policy, wanted: Wanted = NOTHING, what: Known | None = None
) -> list[str]:
    return [option.name for option in rank(options, policy, wanted, what or known()).order]


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        (Policy(), ["novita", "groq", "together"]),
        (Policy(order="fastest"), ["groq", "together", "novita"]),
        (Policy(order="fastest", by="throughput"), ["groq", "together", "novita"]),
        (Policy(order="cheapest"), ["novita", "together", "groq"]),
        (Policy(order="balanced"), ["together", "novita", "groq"]),
    ],
)
def test_a_policy_orders_by_what_it_is_for(policy: Policy, order: list[str]):
    assert names(ALL, policy) == order


def test_what_was_measured_counts_more_than_what_the_catalog_says():
    slow = {"groq": Seen(first_token=2.0)}
    found = rank(ALL, Policy(order="fastest"), Wanted(), known(slow))
    assert [o.name for o in found.order] == ["together", "novita", "groq"]
    assert [c.source for c in found.report.candidates] == ["catalog", "catalog", "mixed"]
    assert found.report.candidates[2].first_token == 2.0


def test_a_place_that_fails_often_is_no_fast_one():
    often = {"groq": Seen(error_rate=0.9)}
    assert names(ALL, Policy(order="fastest"), what=known(often))[0] == "together"


def test_the_cheapest_goes_by_this_call_and_both_prices():
    reads = Option("a", "a", "org/m", Pricing(Decimal("0.1"), Decimal(10)))
    writes = Option("b", "b", "org/m", Pricing(Decimal(1), Decimal(1)))
    policy = Policy(order="cheapest")
    assert names((reads, writes), policy, Wanted(100_000, 10)) == ["a", "b"]
    assert names((reads, writes), policy, Wanted(100, 10_000)) == ["b", "a"]


def test_what_is_not_known_is_asked_last_and_said():
    found = rank((BLANK, *ALL), Policy(order="cheapest"), Wanted(), known())
    assert [o.name for o in found.order][-1] == "nscale"
    assert found.report.notes == (
        "cheapest: of nscale what the call costs there is not known; asked after the others.",
    )
    alone = rank((BLANK,), Policy(order="fastest"), Wanted(), known())
    assert "of no place is it known" in alone.report.notes[0]


@pytest.mark.parametrize(
    ("policy", "wanted", "who", "why"),
    [
        (Policy(deny={"groq"}), Wanted(), "groq", "denies"),  # type: ignore[arg-type]
        (Policy(allow={"novita", "together"}), Wanted(), "groq", "does not allow"),  # type: ignore[arg-type]
        (
            Policy(max_price=Decimal(1)),
            Wanted(),
            "groq",
            "output is $3 for a million tokens, above $1",
        ),
        (Policy(max_input_price=Decimal("0.5")), Wanted(), "groq", "input is $1"),
        (Policy(min_context=10_000), Wanted(), "novita", "8000"),
        (Policy(needs={"tools"}), Wanted(), "novita", "lacks tools"),  # type: ignore[arg-type]
        (Policy(needs={"tools"}), Wanted(), "together", "not known to have tools"),  # type: ignore[arg-type]
        (Policy(), Wanted(uses=frozenset({"tools"})), "novita", "the call uses"),
        (Policy(), Wanted(7_000, 2_000), "novita", "may need 9000"),
        (Policy(regions={"eu"}), Wanted(), "groq", "region is not known"),  # type: ignore[arg-type]
        (Policy(order="weighted", weights={"groq": 0}), Wanted(), "groq", "weight is 0"),
    ],
)
def test_a_place_is_left_out_for_a_reason_that_is_said(
    policy: Policy, wanted: Wanted, who: str, why: str
):
    report = rank(ALL, policy, wanted, known()).report
    row = next(c for c in report.candidates if c.name == who)
    assert row.excluded is not None
    assert why in row.excluded
    assert why in report.table()


def test_what_is_in_trouble_is_left_out_and_a_limit_leaves_out_unknown_prices():
    found = rank(
        (BLANK, *ALL), Policy(max_price=Decimal(9)), Wanted(), known(trouble={"groq": "it is down"})
    )
    assert [o.name for o in found.order] == ["novita", "together"]
    assert {c.name: c.excluded for c in found.report.candidates if c.excluded} == {
        "groq": "it is down",
        "nscale": "its price of input is not known, and the route has a limit",
    }


def test_fallbacks_come_after_every_place_of_the_calls_own_model():
    other = Option("groq/other", "groq", "org/other", Pricing(), fallback=1, first_token=0.01)
    assert names((other, *ALL), Policy(order="fastest"))[-1] == "groq/other"


def test_weights_share_calls_out():
    policy = Policy(order="weighted", weights={"novita": 3, "groq": 1, "together": 0})
    what = known(seed=7)
    first = Counter(names(ALL, policy, what=what)[0] for _ in range(4_000))
    assert first["together"] == 0
    assert 0.70 < first["novita"] / 4_000 < 0.80


@given(st.text(max_size=20), st.sampled_from([o.name for o in ALL]))
def test_a_session_stays_where_it_is_whoever_else_leaves(session: str, gone: str):
    policy, wanted = Policy(order="sticky"), Wanted(session=session)
    whole = names(ALL, policy, wanted)
    rest = names([o for o in ALL if o.name != gone], policy, wanted)
    assert rest == [name for name in whole if name != gone]


def test_sessions_are_spread_over_all_places():
    policy = Policy(order="sticky")
    first = Counter(names(ALL, policy, Wanted(session=f"s{n}"))[0] for n in range(3_000))
    assert all(800 < count < 1_200 for count in first.values())

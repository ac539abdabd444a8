"""What a run can cost, and the purse that is never exceeded."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trials import often
from trunkline.bench.canaries import built_in
from trunkline.bench.prompts import Prompt
from trunkline.bench.spending import Bounds, Purse, bounds, pricing_of, total
from trunkline.catalog import Offer, Pricing

PRICES = Pricing(Decimal(1), Decimal(10))
ASSUMED = Decimal(50)


@pytest.mark.parametrize(
    ("offer", "assumed", "prices"),
    [
        (Offer("a", pricing=PRICES), None, PRICES),
        (Offer("a", is_free=True), None, Pricing(Decimal(0), Decimal(0))),
        (Offer("a"), None, None),
        (Offer("a"), ASSUMED, Pricing(ASSUMED, ASSUMED)),
        (Offer("a", pricing=Pricing(Decimal(1), None)), None, None),
        (Offer("a", pricing=Pricing(Decimal(1), None)), ASSUMED, Pricing(Decimal(1), ASSUMED)),
    ],
)
def test_an_unknown_price_is_unknown_or_what_is_assumed(
    offer: Offer, assumed: Decimal | None, prices: Pricing | None
) -> None:
    assert pricing_of(offer, assumed) == prices


def test_a_call_costs_at_most_a_token_a_byte_and_the_longest_answer() -> None:
    prompt = Prompt("p", ({"role": "user", "content": "x" * 1_000},))
    found = bounds(prompt, 100, PRICES)
    assert found.most >= (Decimal(1_000) * 1 + 100 * 10) / 1_000_000
    assert found.likely < found.most / 2
    assert total([found, found]) == Bounds(found.likely * 2, found.most * 2)


def test_no_text_is_counted_as_much() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]
    prompt = Prompt("p", ({"role": "user", "content": parts},))
    assert bounds(prompt, 1, PRICES).most > Decimal("0.02")


def test_every_canary_has_a_bound() -> None:
    assert all(0 < bounds(p, 512, PRICES).most < 1 for p in built_in())


def test_a_purse_without_a_cap_lets_all_pass() -> None:
    purse = Purse(None)
    assert purse.hold(Decimal(10**9))
    assert purse.left is None


def test_a_call_of_unknown_cost_stays_counted_in_full() -> None:
    purse = Purse(Decimal(2))
    assert purse.hold(Decimal(1))
    purse.settle(Decimal(1), None)
    assert (purse.known, purse.unsure, purse.left) == (0, 1, 1)
    assert not purse.hold(Decimal("1.01"))
    assert purse.hold(Decimal(1))


class Spending(RuleBasedStateMachine):
    """Calls that hold, and settle at what they cost or at nobody knows what."""

    def __init__(self) -> None:
        super().__init__()
        self.purse = Purse(Decimal(10))
        self.open: list[Decimal] = []
        self.spent = Decimal(0)

    @rule(cents=st.integers(0, 700))
    def hold(self, cents: int) -> None:
        most = Decimal(cents) / 100
        fits = self.spent + sum(self.open) + most <= 10
        assert self.purse.hold(most) is fits
        if fits:
            self.open.append(most)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), part=st.none() | st.integers(0, 100))
    def settle(self, data: st.DataObject, part: int | None) -> None:
        most = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        cost = None if part is None else most * part / 100
        self.purse.settle(most, cost)
        self.spent += most if cost is None else cost

    @invariant()
    def never_exceeded(self) -> None:
        assert self.purse.known + self.purse.unsure == self.spent
        assert self.purse.left == 10 - self.spent - sum(self.open) >= 0


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=often(15), stateful_step_count=15)

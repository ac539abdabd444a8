"""Money: read exactly, added exactly, and never made up."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog import Cost, sum_costs
from trunkline.providers.prices import Pricing, exact, price_of, total

PRICES = st.decimals(0, 10_000, places=6)
TOKENS = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("told", "price"),
    [
        (0.9299999999999999, "0.93"),
        (0.060000000000000005, "0.06"),
        (0.18000000000000002, "0.18"),
        (1.0399999999999998, "1.04"),
        (1.98e-05, "0.0000198"),
        (0.000123456, "0.000123456"),
        (0, "0"),
        (0.0, "0"),
        (3, "3"),
        (100.0, "100"),
        ("0.27", "0.27"),
        ("1e-3", "0.001"),
        ("0.10", "0.1"),
        ("0E-999999", "0"),
    ],
)
def test_prices_are_read_without_the_noise_of_binary_fractions(told: object, price: str) -> None:
    assert f"{exact(told):f}" == price


@pytest.mark.parametrize(
    "odd",
    [None, True, -1, -0.5, "-1", "", "free", "NaN", "Infinity", float("nan"), float("inf"), [], {}]
    + [10**40, 1e300, "1e-999999999", "1e999999999"],
)
def test_what_is_no_price_is_unknown(odd: object) -> None:
    assert exact(odd) is None


@given(st.decimals(0, 100_000, places=4))
def test_a_price_survives_being_written_as_a_binary_fraction(price: Decimal) -> None:
    assert exact(float(price)) == price
    assert exact(str(price)) == price


@given(TOKENS, TOKENS, PRICES, PRICES)
def test_a_cost_is_exactly_tokens_times_prices(
    tokens_in: int, tokens_out: int, price_in: Decimal, price_out: Decimal
) -> None:
    amount = price_of(tokens_in, tokens_out, Pricing(price_in, price_out))
    assert amount is not None
    assert amount >= 0
    million = Fraction(tokens_in) * Fraction(price_in) + Fraction(tokens_out) * Fraction(price_out)
    assert Fraction(amount) * 1_000_000 == million


@given(st.lists(st.decimals(0, 10**9, places=12), max_size=50))
def test_sums_have_no_error(amounts: list[Decimal]) -> None:
    assert Fraction(total(amounts) or 0) == sum(map(Fraction, amounts), Fraction(0))
    assert sum_costs(Cost(a, source="catalog") for a in amounts).amount == total(amounts)


@given(
    st.lists(st.one_of(st.none(), st.decimals(0, 100, places=6)), min_size=1),
    st.integers(min_value=0),
)
def test_one_unknown_amount_makes_the_sum_unknown(amounts: list, at: int) -> None:
    amounts[at % len(amounts)] = None
    assert total(amounts) is None
    found = sum_costs(Cost(a, detail="no price" if a is None else "") for a in amounts)
    assert found.amount is None
    assert "The first: no price" in found.detail


@given(st.one_of(st.none(), TOKENS), st.one_of(st.none(), TOKENS), st.booleans(), st.booleans())
def test_a_cost_is_known_if_and_only_if_all_that_it_rests_on_is(
    tokens_in: int | None, tokens_out: int | None, priced_in: bool, priced_out: bool
) -> None:
    pricing = Pricing(Decimal(1) if priced_in else None, Decimal(2) if priced_out else None)
    known = all(
        tokens is not None and (tokens == 0 or priced)
        for tokens, priced in ((tokens_in, priced_in), (tokens_out, priced_out))
    )
    assert (price_of(tokens_in, tokens_out, pricing) is not None) is known


def test_fewer_than_no_tokens_are_unknown() -> None:
    assert price_of(-1, 0, Pricing(Decimal(1), Decimal(1))) is None


def test_the_sum_of_nothing_is_nothing() -> None:
    assert sum_costs([]).amount == 0


def test_a_sum_says_what_its_parts_rest_on() -> None:
    reported, listed = Cost(Decimal(1), source="provider"), Cost(Decimal(2), source="catalog")
    assert sum_costs([reported, reported]).source == "provider"
    assert sum_costs([reported, listed]).source == "catalog"
    assert sum_costs([reported, Cost(Decimal(2), estimated=True)]).estimated

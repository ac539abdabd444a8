"""Money in picodollars: exact both ways, and nothing ever becomes nothing."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.types.money import LARGEST, PICOS, cost_of, dollars, picos, shown

AMOUNTS = st.integers(-LARGEST, LARGEST)
DOLLARS = st.decimals(0, 10**7, allow_nan=False, places=15)
TOKENS = st.integers(0, 2**40)
PRICES = st.integers(0, 10**17)


@given(AMOUNTS)
def test_picodollars_become_dollars_and_come_back(amount):
    assert picos(dollars(amount)) == amount
    assert Fraction(dollars(amount)) == Fraction(amount, PICOS)


@given(DOLLARS)
def test_a_fraction_of_a_picodollar_is_rounded_up(amount):
    exact = Fraction(amount) * PICOS
    assert exact <= picos(amount) < exact + 1


@given(st.integers(1, 10**6), st.integers(13, 110))
def test_no_amount_becomes_nothing_however_small(digits, places):
    assert picos(Decimal(digits).scaleb(-places)) >= 1


@given(AMOUNTS)
def test_dollars_are_written_without_zeros_at_the_end_and_without_an_exponent(amount):
    text = f"{dollars(amount):f}"
    assert "e" not in text.lower()
    assert Decimal(text) == dollars(amount)
    assert "." not in text or not text.endswith(("0", "."))


@given(TOKENS, TOKENS, PRICES, PRICES)
def test_a_cost_is_exact_and_only_its_last_picodollar_is_rounded_up(a, b, for_a, for_b):
    exact = Fraction(a * for_a + b * for_b, 10**6)
    assert exact <= cost_of(a, b, for_a, for_b) < exact + 1


@given(st.lists(st.tuples(TOKENS, TOKENS), max_size=5), PRICES, PRICES)
def test_a_call_in_parts_costs_no_less_than_the_whole(parts, for_input, for_output):
    whole = cost_of(sum(a for a, _ in parts), sum(b for _, b in parts), for_input, for_output)
    apart = sum(cost_of(a, b, for_input, for_output) for a, b in parts)
    assert whole <= apart < whole + len(parts) + 1


@given(st.decimals(0, 1000, allow_nan=False, places=6), TOKENS)
def test_prices_of_six_decimals_are_whole_picodollars_a_token(price, tokens):
    assert cost_of(tokens, 0, picos(price), 0) == tokens * price * 10**6


def test_what_a_published_price_comes_to():
    # $0.59 for a million tokens in, $0.79 out.
    amount = cost_of(1000, 500, picos(Decimal("0.59")), picos(Decimal("0.79")))
    assert dollars(amount) == Decimal("0.000985")
    assert shown(amount) == "$0.000985"


@pytest.mark.parametrize(
    ("amount", "places", "text"),
    [
        (None, None, "unknown"),
        (None, 2, "unknown"),
        (0, None, "$0"),
        (0, 2, "$0.00"),
        (PICOS, None, "$1"),
        (1, None, "$0.000000000001"),
        (1234567 * 10**6, 2, "$1.23"),
        (10**6, 2, "under $0.01"),
        (5 * 10**9, 2, "under $0.01"),
        (10**10, 2, "$0.01"),
        (100 * PICOS, None, "$100"),
    ],
)
def test_amounts_for_people_never_show_something_as_nothing(amount, places, text):
    assert shown(amount, places) == text

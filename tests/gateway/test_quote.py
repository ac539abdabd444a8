"""What a call can cost and what it did: the first is never below the second, and unknown is no zero."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.gateway import quote
from trunkline.gateway.asked import Asked, read_asked
from trunkline.gateway.quote import UNKNOWN, Tariff
from trunkline.gateway.tokens import Tokens
from trunkline.store.records import Entry
from trunkline.types.money import LARGEST, picos

COUNTS = st.none() | st.integers(0, 200_000)
PRICES = st.none() | st.integers(0, 10**14)
CONTEXTS = st.none() | st.integers(1, 200_000)
TARIFFS = st.builds(Tariff, PRICES, PRICES, CONTEXTS, st.just("test"))


def asked(**more: Any) -> tuple[Asked, int]:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello?"}], **more}
    data = json.dumps(body).encode()
    return read_asked(data, "chat"), len(data)


def entry(reserved: int = 0) -> Entry:
    return Entry("req_1", "boot", "key_1", None, None, "chat", "m", False, 0.0, reserved)


def settled(tokens: Tokens, tariff: Tariff, *, answers: int = 1, reserved: int = 0) -> Entry:
    row = entry(reserved)
    quote.settle(row, tokens, tariff, answers)
    return row


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    names = {
        "max_tokens": st.integers(0, 50_000),
        "max_completion_tokens": st.integers(1, 50_000),
        "n": st.integers(1, 128),
        "best_of": st.integers(1, 128),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(names)), unique=True))
    return {name: draw(names[name]) for name in chosen}


@given(wishes(), TARIFFS, st.booleans(), st.data())
def test_no_usage_within_the_bounds_costs_more_than_the_most(
    wish: dict[str, Any], tariff: Tariff, image: bool, data: st.DataObject
) -> None:
    if image:
        part = {"type": "image_url", "image_url": {"url": "https://x/y"}}
        wish = {**wish, "messages": [{"role": "user", "content": [part]}]}
    request, size = asked(**wish)
    most, likely = quote.most(request, size, tariff)
    assert likely >= 0
    if most is None:
        return
    longest = request.most_output if request.most_output is not None else tariff.context
    prompt = tariff.context if image else size
    used = Tokens(
        data.draw(st.none() | st.integers(0, prompt or 0)),
        data.draw(st.none() | st.integers(0, (longest or 0) * request.answers)),
    )
    cost = settled(used, tariff, answers=request.answers).cost
    assert cost is None or 0 <= cost <= most


@given(COUNTS, COUNTS, TARIFFS)
def test_a_cost_is_exact_or_unknown(a: int | None, b: int | None, tariff: Tariff) -> None:
    row = settled(Tokens(a, b), Tariff(tariff.input, tariff.output))
    if tariff.input == 0 and tariff.output == 0:
        assert row.cost == 0
    elif a is None or tariff.input is None or (b is None and tariff.output != 0):
        assert row.cost is None
    elif b and tariff.output is None:
        assert row.cost is None, "only without an answer its price does not matter"
    else:
        exact = Fraction(a * tariff.input + (b or 0) * (tariff.output or 0), 10**6)
        assert row.cost is not None
        assert exact <= row.cost < exact + 1


@pytest.mark.parametrize(
    ("wish", "tariff"),
    [
        ({"max_tokens": 5}, UNKNOWN),
        ({"max_tokens": 5}, Tariff(1, None, 1000)),
        ({"max_tokens": 5}, Tariff(None, 1, 1000)),
        ({"max_tokens": 5}, Tariff(0, None, 1000)),
        ({}, Tariff(1, 1)),
        ({"n": 3}, Tariff(1, 1)),
    ],
)
def test_what_has_no_price_or_no_bound_is_unknown(wish: dict[str, Any], tariff: Tariff) -> None:
    request, size = asked(**wish)
    assert quote.most(request, size, tariff)[0] is None


def test_an_image_is_bounded_by_the_context_alone() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://x/y"}}
    request, size = asked(messages=[{"role": "user", "content": [part]}], max_tokens=1)
    million = 10**6
    assert quote.most(request, size, Tariff(million, million))[0] is None
    assert quote.most(request, size, Tariff(million, million, 4096))[0] == 4097


def test_what_is_free_costs_nothing_whatever_it_uses() -> None:
    request, size = asked()
    assert quote.most(request, size, Tariff(0, 0))[0] == 0
    assert settled(Tokens(), Tariff(0, 0)).cost == 0


def test_every_answer_is_bounded_by_the_length_asked_for() -> None:
    million = 10**6
    one, size = asked(max_tokens=100)
    assert quote.most(one, size, Tariff(0, million))[0] == 100
    three, size = asked(max_tokens=100, n=3)
    assert quote.most(three, size, Tariff(0, million))[0] == 300
    open_ended, size = asked(n=3)
    assert quote.most(open_ended, size, Tariff(0, million, 4000))[0] == 12_000
    assert quote.most(open_ended, size, Tariff(million, None, 4000), output=False)[0] == size


def test_likely_tokens_are_a_quarter_of_the_bytes_and_the_answer_asked_for() -> None:
    request, size = asked(max_tokens=100, n=2)
    assert quote.most(request, size, UNKNOWN)[1] == quote.text_tokens(size) + 200
    assert [quote.text_tokens(n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_counts_that_no_model_can_have_are_clamped_and_it_is_said() -> None:
    tariff = Tariff(10**6, 10**6, 1000)
    row = settled(Tokens(5000, 3000), tariff, answers=2)
    assert (row.input_tokens, row.output_tokens, row.cost) == (1000, 2000, 3000)
    assert row.note == "usage clamped: more than the model's context"
    row = settled(Tokens(1000, 2000), tariff, answers=2)
    assert (row.output_tokens, row.note) == (2000, None)
    row = settled(Tokens(10**9, None), Tariff(10**6, 10**6))
    assert row.input_tokens == 16_000_000
    assert row.cost is None


def test_a_cost_above_the_reserve_is_noted() -> None:
    tariff = Tariff(10**6, 10**6, 1000)
    assert settled(Tokens(10, 10), tariff, reserved=19).note == "cost above the reserve"
    assert settled(Tokens(10, 10), tariff, reserved=20).note is None
    assert settled(Tokens(10, 10), tariff, reserved=0).note is None


def test_an_entry_keeps_what_its_cost_was_made_of() -> None:
    tariff = Tariff(picos(Decimal("0.59")), picos(Decimal("0.79")), 131_072, "router as of then")
    row = settled(Tokens(1000, 100, 400), tariff)
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (1000, 100, 400)
    assert (row.input_price, row.output_price) == (590_000_000_000, 790_000_000_000)
    assert row.cost == picos(Decimal("0.000669"))
    assert row.price_source == "router as of then"


def test_no_amount_is_more_than_a_ledger_can_hold() -> None:
    request, size = asked(max_tokens=1 << 31, n=128)
    dear = Tariff(LARGEST, LARGEST, 1 << 30)
    assert quote.most(request, size, dear)[0] == LARGEST
    assert settled(Tokens(1 << 29, 1 << 29), dear).cost == LARGEST
    assert settled(Tokens(1 << 29, 0), dear).cost == LARGEST


MEDIA = Asked("m", False, {}, {}, False)
RANKED = Asked("m", False, {}, {}, False, most_input=1_000)


@pytest.mark.parametrize(
    ("wish", "tariff", "most"),
    [
        (MEDIA, UNKNOWN, None),
        (MEDIA, Tariff(0, 0), 0),
        (MEDIA, Tariff(5, 5), None),
        (MEDIA, Tariff(request=7), 7),
        (MEDIA, Tariff(request=0), 0),
        (MEDIA, Tariff(5, 5, request=7), 7),
        (RANKED, UNKNOWN, None),
        (RANKED, Tariff(2_000_000, 0), 2_000),
        (RANKED, Tariff(2_000_000, 0, request=7), 2_000),
        (RANKED, Tariff(2_000_000, 0, request=7_000), 7_000),
        (RANKED, Tariff(request=7), 7),
        (MEDIA, Tariff(request=10 * LARGEST), LARGEST),
    ],
)
def test_media_cost_a_call_or_their_tokens_at_most(
    wish: Asked, tariff: Tariff, most: int | None
) -> None:
    assert quote.most_of_media(wish, tariff) == most


def test_a_price_of_a_call_bounds_what_has_no_other() -> None:
    wish, size = asked()
    assert quote.most(wish, size, Tariff(request=9))[0] == 9
    assert quote.most(wish, size, Tariff(1, 1, request=9))[0] is None


def test_a_call_is_charged_as_such_and_says_so() -> None:
    row = settled(Tokens(), Tariff(None, None, None, "configuration", 9))
    assert row.cost is None
    quote.settle_call(row, 9)
    assert (row.cost, row.price_source) == (9, "configuration, for a call")

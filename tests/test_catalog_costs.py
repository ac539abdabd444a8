"""What a call cost: the provider's word first, then tokens times prices, then an honest unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline import Client
from trunkline.catalog import (
    Catalog,
    Catalogs,
    ModelEntry,
    Offer,
    Pricing,
    cost,
    estimate,
)
from trunkline.errors import InvalidInputError, NotFoundError
from trunkline.sandbox import InProcessTransport
from trunkline.settings import ROUTER, read_settings
from trunkline.types import Attempt, Completion, Receipt, TokenCount, Usage
from trunkline.types.anthropic import AnthropicMessage, AnthropicUsage
from trunkline.types.responses import Response, ResponseUsage
from trunkline.types.results import EmbeddingResponse, TextCompletion

WHEN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
COUNTED = TokenCount(1000, 100, "provider")
HELLO = [{"role": "user", "content": "Say hello."}]


def priced(provider: str, *prices: str | None, **more: Any) -> Offer:
    told = [None if price is None else Decimal(price) for price in prices]
    return Offer(provider, "live", pricing=Pricing(*told), **more)


CATALOG = Catalog(
    (
        ModelEntry("org/one", providers=(priced("groq", "0.59", "0.79"),)),
        ModelEntry(
            "org/two",
            providers=(
                priced("groq", "1", "2", context_length=1000),
                priced("novita", "0.5", "4", context_length=500),
                Offer("nscale", "error"),
            ),
        ),
        ModelEntry("org/gap", providers=(priced("groq", "1", "2"), priced("novita", "1", None))),
        ModelEntry("org/free", providers=(priced("groq", None, None, is_free=True),)),
        ModelEntry("org/embed", providers=(priced("groq", "0.01", None),)),
    ),
    "router",
    WHEN,
)


def receipt(
    model: str = "org/one:groq",
    provider: str | None = "groq",
    tokens: TokenCount = COUNTED,
    url: str = f"{ROUTER}/v1/chat/completions",
    called: str | None = None,
) -> Receipt:
    attempt = Attempt(1, provider, model, url, 200, None, "r-1", 0.0, 1.0)
    return Receipt(provider, "own-name", "r-1", (attempt,), None, 1.0, tokens, called=called)


def answer(usage: Usage | None = None, **more: Any) -> Completion:
    return Completion(None, "own-name", [], usage=usage, receipt=receipt(**more))


def test_a_cost_is_tokens_times_the_prices_of_who_served() -> None:
    found = cost(answer(), CATALOG)
    assert found.amount == Decimal("0.000669")  # 1000 x 0.59 + 100 x 0.79, a million apart
    assert (found.source, found.currency, found.as_of) == ("catalog", "USD", WHEN)
    assert (found.input_price, found.output_price) == (Decimal("0.59"), Decimal("0.79"))
    assert found.detail == "Prices of groq (router, as of 2026-11-24 12:00 UTC)."
    assert str(found) == f"$0.000669: {found.detail}"
    assert found.is_known


@pytest.mark.parametrize(
    "usage",
    [Usage(extra={"estimated_cost": 1.98e-05}), Usage(extra={"estimated_cost": "0.0000198"})],
)
def test_the_providers_own_word_on_the_cost_counts(usage: Usage) -> None:
    found = cost(answer(usage), CATALOG)
    assert (found.amount, found.source) == (Decimal("0.0000198"), "provider")
    assert "usage.estimated_cost" in found.detail
    assert found.as_of is None


@pytest.mark.parametrize("odd", [None, "much", -1.0, {}, True])
def test_a_word_that_is_no_amount_does_not_count(odd: object) -> None:
    assert cost(answer(Usage(extra={"estimated_cost": odd})), CATALOG).source == "catalog"


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (TokenCount(None, None, "unknown"), "Unknown: input tokens, output tokens."),
        (TokenCount(5, None, "provider"), "Unknown: output tokens."),
        (TokenCount(-5, 1, "provider"), "Unknown: input tokens."),
    ],
)
def test_unknown_tokens_make_an_unknown_cost(tokens: TokenCount, said: str) -> None:
    found = cost(answer(tokens=tokens), CATALOG)
    assert found.amount is None
    assert found.source == "unknown"
    assert found.detail.startswith(said)
    assert str(found).startswith("unknown: ")


def test_an_unknown_price_makes_an_unknown_cost() -> None:
    found = cost(answer(model="org/gap:novita", provider="novita"), CATALOG)
    assert found.amount is None
    assert found.detail.startswith("Unknown: output price.")
    assert found.input_price == 1


def test_what_is_free_costs_nothing_and_says_so() -> None:
    unknown = TokenCount(None, None, "unknown")
    found = cost(answer(model="org/free:groq", tokens=unknown), CATALOG)
    assert (found.amount, found.source) == (0, "catalog")
    assert found.detail.startswith("org/free is free at groq")


def test_a_provider_that_nobody_named_leaves_a_range() -> None:
    found = cost(answer(model="org/two", provider=None), CATALOG)
    assert found.amount is None
    assert found.source == "unknown"
    assert (found.low, found.high) == (Decimal("0.0009"), Decimal("0.0012"))
    assert "did not say which" in found.detail
    assert str(found).startswith("$0.0009 to $0.0012: ")


def test_a_range_is_unknown_where_one_candidates_price_is() -> None:
    found = cost(answer(model="org/gap", provider=None), CATALOG)
    assert (found.amount, found.low, found.high, found.as_of) == (None, None, None, None)


def test_a_server_of_ones_own_has_no_price() -> None:
    url = "http://127.0.0.1:8080/v1/chat/completions"
    found = cost(answer(model="org/two", provider=None, url=url), CATALOG)
    assert (found.amount, found.low) == (None, None)
    assert "a server whose prices the catalog does not have" in found.detail


@pytest.mark.parametrize(
    ("model", "provider", "said"),
    [
        ("org/other:groq", "groq", "has no model 'org/other'"),
        ("org/one:nscale", "nscale", "no price of org/one at nscale"),
        ("/models/a b.gguf", None, "no name that the catalog could have"),
    ],
)
def test_what_the_catalog_does_not_have_is_unknown(model: str, provider, said: str) -> None:
    found = cost(answer(model=model, provider=provider), CATALOG)
    assert found.amount is None
    assert said in found.detail


def test_the_model_that_was_called_finds_prices_that_the_providers_name_does_not() -> None:
    own = "accounts/groq/models/one"
    assert cost(answer(model=own), CATALOG).amount is None
    expected = Decimal("0.000669")
    assert cost(answer(model=own, called="huggingface/groq/org/one"), CATALOG).amount == expected
    assert cost(answer(model=own), CATALOG, model="org/one").amount == expected


def test_a_receipt_without_attempts_does_not_say_what_was_called() -> None:
    bare = Receipt("groq", "own-name", None, (), None, 1.0, COUNTED)
    made = TextCompletion([], receipt=bare)
    assert "which model was called" in cost(made, CATALOG).detail
    assert cost(made, CATALOG, model="org/one").amount == Decimal("0.000669")


def test_a_call_past_the_router_says_so() -> None:
    url = "https://api.groq.com/openai/v1/chat/completions"
    found = cost(answer(model="one", url=url, called="org/one:groq"), CATALOG)
    assert found.amount is not None
    assert found.detail.endswith("The call did not go through this router; its bill may differ.")


def test_estimated_tokens_make_an_estimated_cost() -> None:
    found = cost(answer(tokens=TokenCount(1000, 100, "estimated")), CATALOG)
    assert found.estimated
    assert "The tokens are estimated from the text." in found.detail
    assert str(found).startswith("about $0.000669: ")


def test_cached_and_reasoning_tokens_count_in_full_and_are_said() -> None:
    usage = Usage(
        1000, 100,
        prompt_tokens_details={"cached_tokens": 900},
        completion_tokens_details={"reasoning_tokens": 60},
    )  # fmt: skip
    found = cost(answer(usage), CATALOG)
    assert found.amount == Decimal("0.000669")
    assert "900 cached tokens count in full" in found.detail
    assert "60 reasoning tokens count as output" in found.detail


def test_embeddings_have_an_input_only() -> None:
    made = EmbeddingResponse([], receipt=receipt("org/embed:groq", tokens=TokenCount(
        3_000_000, None, "provider")))  # fmt: skip
    found = cost(made, CATALOG)
    assert (found.amount, found.source) == (Decimal("0.03"), "catalog")


def test_the_other_apis_answers_have_a_cost_as_well() -> None:
    usage = ResponseUsage(1000, 100, 1100, {"cached_tokens": 900}, {"reasoning_tokens": 60})
    found = cost(Response(usage=usage, receipt=receipt()), CATALOG)
    assert found.amount == Decimal("0.000669")
    assert "900 cached tokens count in full" in found.detail
    assert "60 reasoning tokens count as output" in found.detail
    told = AnthropicUsage(100, 100, 200, 700)
    found = cost(AnthropicMessage(usage=told, receipt=receipt()), CATALOG)
    assert found.amount == Decimal("0.000669")
    assert "700 cached tokens count in full" in found.detail
    assert "200 tokens put into a cache count in full" in found.detail


@pytest.mark.parametrize("made", [ResponseUsage, AnthropicUsage])
def test_the_providers_own_word_counts_in_every_api(made: type) -> None:
    answer = Response(usage=made(extra={"estimated_cost": 0.25}), receipt=receipt())
    found = cost(answer, CATALOG)
    assert (found.amount, found.source) == (Decimal("0.25"), "provider")


def test_anything_with_a_receipt_has_a_cost_and_nothing_else() -> None:
    assert cost(TextCompletion([], receipt=receipt()), CATALOG).amount == Decimal("0.000669")
    assert cost(TextCompletion([]), CATALOG).detail.startswith("There is no receipt")
    assert cost("text", CATALOG).amount is None


def test_an_answer_of_the_sandbox_and_its_stream_are_priced_by_its_catalog() -> None:
    settings = read_settings({})
    transport = InProcessTransport()
    catalog = Catalogs().read(transport, settings)
    with Client("hf_test", settings=settings, transport=transport) as client:
        model = "huggingface/novita/meta-llama/Llama-3.3-70B-Instruct"
        whole = client.chat(model, HELLO)
        with client.stream(model, HELLO) as stream:
            for _ in stream:
                pass
    for result in (whole, stream):
        tokens = result.receipt.tokens
        expected = tokens.input * Decimal("0.13") + tokens.output * Decimal("0.39")
        assert cost(result, catalog).amount == expected / 1_000_000


@given(
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.one_of(st.none(), st.integers(0, 10**9)),
    st.sampled_from(["groq", "novita", "nscale", None]),
    st.sampled_from([entry.id for entry in CATALOG.entries]),
)
def test_a_cost_is_never_negative_and_never_without_a_reason(tokens_in, tokens_out, who, model):
    tokens = TokenCount(tokens_in, tokens_out, "provider")
    found = cost(answer(model=model, provider=who, tokens=tokens), CATALOG)
    assert found.detail
    assert (found.amount is None) == (found.source == "unknown")
    for amount in (found.amount, found.low, found.high):
        assert amount is None or amount >= 0
    if found.amount == 0:
        assert model == "org/free" or {tokens_in, tokens_out} == {0}


# estimates


def test_an_estimate_has_a_row_for_each_provider_that_the_call_can_go_to() -> None:
    found = estimate(CATALOG, "org/two", "x" * 400, max_tokens=200)
    assert found.input_tokens == 100
    rows = {row.provider: (row.low, row.high, row.max_output_tokens) for row in found.offers}
    assert rows == {
        "groq": (Decimal("0.0001"), Decimal("0.0005"), 200),
        "novita": (Decimal("0.00005"), Decimal("0.00085"), 200),
    }
    assert (found.low, found.high) == (Decimal("0.00005"), Decimal("0.00085"))
    assert (found.source, found.as_of) == ("router", WHEN)
    assert found.age(WHEN + timedelta(days=1)) == timedelta(days=1)
    assert str(found).startswith("$0.00005 to $0.00085: Prices: router")


def test_without_max_tokens_the_context_bounds_an_estimate() -> None:
    found = estimate(CATALOG, "org/two:novita", HELLO)
    assert [row.max_output_tokens for row in found.offers] == [500]
    assert found.high == Decimal("0.0020015")  # 3 x 0.5 + 500 x 4
    unbounded = estimate(CATALOG, "org/one", HELLO)
    assert unbounded.low is not None
    assert unbounded.high is None
    assert str(unbounded).startswith("$0.00000177 or more: ")
    assert "Unknown at groq." in unbounded.detail


def test_a_limit_of_the_context_holds_whatever_is_asked_for() -> None:
    found = estimate(CATALOG, "org/two:novita", HELLO, max_tokens=10**6)
    assert found.offers[0].max_output_tokens == 500


def test_an_estimate_is_unknown_where_one_price_is() -> None:
    found = estimate(CATALOG, "org/gap", HELLO, max_tokens=10)
    assert (found.low is None, found.high) == (False, None)
    assert "Unknown at novita." in found.detail
    assert str(estimate(CATALOG, "org/one:together", HELLO)).startswith("unknown: ")


def test_tools_count_and_images_leave_the_end_open() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    plain = estimate(CATALOG, "org/two", HELLO, max_tokens=1)
    assert estimate(CATALOG, "org/two", HELLO, max_tokens=1, tools=[tool]).input_tokens > (
        plain.input_tokens
    )
    url = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    seen = [{"role": "user", "content": [{"type": "text", "text": "Say hello."}, url]}]
    found = estimate(CATALOG, "org/two", seen, max_tokens=1)
    assert (found.input_tokens, found.low, found.high) == (plain.input_tokens, plain.low, None)
    assert "What is no text costs more" in found.detail


def test_a_free_offer_is_estimated_at_nothing() -> None:
    found = estimate(CATALOG, "org/free", HELLO, max_tokens=5)
    assert (found.low, found.high) == (0, 0)


def test_an_estimate_refuses_what_it_cannot_read() -> None:
    with pytest.raises(NotFoundError):
        estimate(CATALOG, "org/ones", HELLO)
    with pytest.raises(InvalidInputError):
        estimate(CATALOG, "org/one", [])
    with pytest.raises(InvalidInputError, match="max_tokens"):
        estimate(CATALOG, "org/one", HELLO, max_tokens=-1)


def test_a_cost_reads_like_every_record() -> None:
    found = cost(answer(), CATALOG)
    assert found["amount"] == found.model_dump()["amount"] == Decimal("0.000669")
    assert '"amount":"0.000669"' in found.model_dump_json()

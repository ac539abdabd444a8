"""The questions to the catalog on both clients, and what real calls through the sandbox cost."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from task_rows import ROWS, Call

import trunkline
from faces import Face
from trunkline import AsyncClient, Client, errors
from trunkline.functions import set_default_client
from trunkline.sandbox import SandboxServer
from trunkline.settings import Settings, read_settings

ASKED = [{"role": "user", "content": "Say hello."}]
LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
NAMES = ["models", "model_info", "supports", "cost", "estimate"]


@pytest.fixture
def client(pair: Face, settings: Settings) -> Any:
    return pair.client(token="hf_good", settings=settings, max_retries=0)


@pytest.fixture
def _default(settings: Settings) -> Iterator[None]:
    """The default clients go to the sandbox."""
    with Client("hf_good", settings=settings) as one:
        set_default_client(one, AsyncClient("hf_good", settings=settings))
        yield
        set_default_client(None, None)


# what is known of models


def test_models_are_listed_and_told_of(pair: Face, client: Any) -> None:
    listed = pair.run(client.models("llama instruct", provider="groq", capability="tools"))
    assert LLAMA in [entry.id for entry in listed]
    for entry in listed:
        assert [offer.provider for offer in entry.providers] == ["groq"]
        assert entry.providers[0].supports_tools is True
    assert pair.run(client.models("llama", limit=1)) == pair.run(client.models("llama"))[:1]
    entry = pair.run(client.model_info(f"huggingface/groq/{LLAMA}"))
    assert entry.offer("groq").pricing.input == Decimal("0.59")
    assert pair.run(client.supports(f"{LLAMA}:groq", "tools")) is True
    assert pair.run(client.supports(LLAMA, "vision")) is False


def test_an_estimate_lies_between_no_answer_and_the_longest(pair: Face, client: Any) -> None:
    about = pair.run(client.estimate(LLAMA, "Why is the sky blue?", max_tokens=100))
    assert 0 < about.low < about.high
    (row,) = pair.run(client.estimate(f"{LLAMA}:groq", ASKED, max_tokens=100)).offers
    assert about.low <= row.low and row.high <= about.high


def test_the_catalog_is_asked_for_once_and_says_where_it_is_from(
    pair: Face, client: Any, server: SandboxServer
) -> None:
    assert pair.run(client.catalog()).source == "router"
    pair.run(client.models())
    pair.run(client.estimate(LLAMA, "Why?"))
    assert [seen.path for seen in server.requests] == ["/v1/models"]


def test_offline_nobody_is_asked(pair: Face, client: Any, server: SandboxServer) -> None:
    assert "snapshot" in pair.run(client.catalog(offline=True)).source
    assert len(server.requests) == 0


def test_without_a_router_the_snapshot_stands_in_and_says_so(pair: Face) -> None:
    nowhere = read_settings({"TRUNKLINE_ROUTER": "http://127.0.0.1:9/v1"})
    client = pair.client(token="hf_x", settings=nowhere)
    catalog = pair.run(client.catalog())
    assert "snapshot" in catalog.source
    assert catalog.trouble
    assert pair.run(client.models("deepseek", limit=1))


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any], type[errors.APIError], str]] = [
    ("model_info", ("meta-llama/Llama-3.3-70B",), {}, errors.NotFoundError, f"mean {LLAMA}"),
    ("model_info", (3,), {}, errors.InvalidInputError, "not a model string"),
    ("supports", (LLAMA, "flying"), {}, errors.InvalidInputError, "'flying' is no capability"),
    ("models", (), {"capability": "x"}, errors.InvalidInputError, "'x' is no capability"),
    ("models", (), {"limit": -1}, errors.InvalidInputError, "limit is -1"),
    ("models", (3,), {}, errors.InvalidInputError, "search is 3"),
    ("estimate", ("no/such", "x"), {}, errors.NotFoundError, "no model 'no/such'"),
    ("estimate", (LLAMA, 3), {}, errors.InvalidInputError, "messages is a"),
    ("estimate", (LLAMA, "x"), {"max_tokens": -1}, errors.InvalidInputError, "max_tokens is -1"),
]


@pytest.mark.parametrize("row", WRONG)
def test_questions_that_cannot_be_answered_say_why(pair: Face, client: Any, row: Any) -> None:
    name, args, keywords, kind, said = row
    with pytest.raises(kind) as caught:
        pair.run(getattr(client, name)(*args, **keywords))
    assert said in str(caught.value)


@pytest.mark.usefixtures("_default")
def test_the_functions_and_their_twins_answer_as_the_clients_do() -> None:
    answer = trunkline.completion(f"huggingface/groq/{LLAMA}", ASKED)
    asked: dict[str, tuple[Any, ...]] = {
        "models": ("llama",),
        "model_info": (LLAMA,),
        "supports": (LLAMA, "vision"),
        "cost": (answer,),
        "estimate": (LLAMA, "Why?"),
    }
    for name in NAMES:
        one, twin = getattr(trunkline, name), getattr(trunkline, f"a{name}")
        assert "self" not in inspect.signature(one).parameters
        assert inspect.signature(one).parameters == inspect.signature(twin).parameters
        assert (one.__name__, twin.__name__) == (name, f"a{name}")
        found, other = one(*asked[name]), asyncio.run(twin(*asked[name]))
        if name in ("cost", "estimate"):  # each client asked for its catalog at its own time
            found, other = str(found).partition("as of")[0], str(other).partition("as of")[0]
        assert found == other


# what calls cost


MODELS = [f"huggingface/groq/{LLAMA}", f"{LLAMA}:groq", f"{LLAMA}:cheapest", LLAMA]


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_costs_its_tokens_at_its_providers_prices(
    pair: Face, client: Any, model: str
) -> None:
    answer = pair.run(client.chat(model, ASKED))
    spent = pair.run(client.cost(answer))
    tokens, receipt = answer.receipt.tokens, answer.receipt
    assert spent.source == "catalog"
    assert spent.amount * 1_000_000 == (
        tokens.input * spent.input_price + tokens.output * spent.output_price
    )
    entry = pair.run(client.model_info(LLAMA))
    assert spent.input_price == entry.offer(receipt.provider).pricing.input


@pytest.mark.parametrize("model", MODELS)
def test_a_chats_receipt_says_what_was_called(pair: Face, client: Any, model: str) -> None:
    full = model if model.startswith("huggingface/") else f"huggingface/{model}"
    full = f"huggingface/groq/{LLAMA}" if full.endswith(":groq") else full
    assert pair.run(client.chat(model, ASKED)).receipt.called == full
    stream = pair.opened(client.stream(model, ASKED))
    whole = pair.run(stream.collect())
    assert stream.receipt.called == whole.receipt.called == full


def test_a_stream_costs_what_its_whole_costs(pair: Face, client: Any) -> None:
    stream = pair.opened(client.stream(MODELS[0], ASKED))
    pair.read(stream)
    whole = pair.run(client.chat(MODELS[0], ASKED))
    spent = pair.run(client.cost(stream))
    assert spent.amount == pair.run(client.cost(whole)).amount
    assert spent.estimated is False


def test_what_has_no_listed_price_has_no_cost_and_says_why(
    pair: Face, client: Any, call: Call, server: SandboxServer
) -> None:
    flux = "huggingface/together/black-forest-labs/FLUX.1-schnell"
    picture = call("image_generation", flux, *ROWS["image_generation"].arguments)
    vectors = call("embedding", "huggingface/scaleway/Qwen/Qwen3-Embedding-8B", "hello")
    text = call("text_completion", "huggingface/together/mistralai/Mixtral-8x7B-v0.1", "a")
    for found in (picture, vectors, text):
        spent = pair.run(client.cost(found))
        assert (spent.amount, spent.source) == (None, "unknown")
        assert found.receipt.called.removeprefix("huggingface/").partition("/")[2] in spent.detail


@pytest.mark.parametrize("model", ["m", LLAMA, f"groq/{LLAMA}"])
def test_a_server_of_ones_own_has_no_price_whatever_its_model_is_called(
    pair: Face, client: Any, server: SandboxServer, model: str
) -> None:
    base = f"{server.url}/tgi"
    for found in (
        pair.run(client.text_completion(model, "a", api_base=base)),
        pair.run(client.chat(model, ASKED, api_base=base)),
    ):
        spent = pair.run(client.cost(found))
        assert spent.amount is None
        assert spent.low is None


def test_what_is_no_result_has_no_cost(pair: Face, client: Any) -> None:
    for found in (None, "text", [], 3):
        assert "no receipt" in pair.run(client.cost(found)).detail

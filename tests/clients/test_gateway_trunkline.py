"""Trunkline's own SDK against Trunkline's own gateway: what one says the other understands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from gateways import rows
from questions import LLAMA, MESSAGES
from running import Gateway

from trunkline import (
    APIError,
    AsyncClient,
    AuthenticationError,
    BadGatewayError,
    Client,
    ContextWindowExceededError,
    InternalServerError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServiceUnavailableError,
    run_tools,
)

PLAIN = "openai/emulator/sandbox/demo"
"""A model of an upstream that the gateway calls `emulator`."""


class Report(msgspec.Struct):
    sky: str
    windy: bool


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[Client]:
    with Client(key, api_base=f"{gateway.url}/v1", max_retries=0) as made:
        yield made


def test_a_receipt_has_the_gateways_request_id_and_the_tokens_of_its_ledger(
    client: Client, gateway: Gateway
) -> None:
    answer = client.chat(f"{LLAMA}:groq", MESSAGES)
    streamed = client.stream(f"{LLAMA}:groq", MESSAGES)
    assert "".join(streamed.text) == answer.text
    for receipt in (answer.receipt, streamed.completion.receipt):
        assert receipt is not None
        row = gateway.entry(receipt.request_id or "")
        assert receipt.provider == row["provider"] == "groq"
        assert receipt.tokens.source == row["token_source"] == "provider"
        assert (receipt.tokens.input, receipt.tokens.output) == (
            row["input_tokens"],
            row["output_tokens"],
        )


def test_the_async_client_streams_many_at_once(gateway: Gateway, key: str) -> None:
    async def story() -> list[str]:
        async with AsyncClient(key, api_base=f"{gateway.url}/v1") as many:

            async def one(number: int) -> str:
                asked: Any = [{"role": "user", "content": f"Number {number}"}]
                return (await many.stream(PLAIN, asked).collect()).text

            return await asyncio.gather(*map(one, range(16)))

    for number, text in enumerate(asyncio.run(story())):
        assert f'"Number {number}"' in text


def test_tools_run_and_answers_are_typed(client: Client) -> None:
    def get_weather(city: str) -> str:
        """Tell the weather."""
        return f"18 degrees in {city}"

    told = run_tools(LLAMA, MESSAGES, [get_weather], client=client)
    assert "18 degrees in Paris" in told.text
    assert isinstance(client.chat(LLAMA, MESSAGES, response_model=Report), Report)


def test_texts_are_embedded_and_continued(client: Client, gateway: Gateway) -> None:
    found = client.embedding("openai/tei/sandbox/tei", ["red", "blue"])
    assert [len(vector) for vector in found.vectors] == [384, 384]
    whole = client.text_completion("openai/tgi/sandbox/tgi", "Once", max_tokens=8)
    assert whole.choices[0].text
    assert [row["outcome"] for row in rows(gateway, "tei/sandbox/tei", 1)] == ["ok"]


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("401", BadGatewayError, 502),
        ("402", PaymentRequiredError, 402),
        ("400-context", ContextWindowExceededError, 400),
        ("429-int", RateLimitError, 429),
        ("503", ServiceUnavailableError, 503),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_upstreams_errors_are_of_the_classes_that_they_are_without_a_gateway(
    client: Client, fault: str, kind: type[APIError], status: int, streamed: bool
) -> None:
    ask: Any = client.stream if streamed else client.chat
    with pytest.raises(kind) as caught:
        ask(f"own/fault-{fault}", MESSAGES)
    assert caught.value.status == status
    assert caught.value.request_id


def test_refusals_of_the_gateway_are_errors_of_their_own_classes(gateway: Gateway) -> None:
    base = f"{gateway.url}/v1"
    poor = gateway.new_key(budgets=[{"amount": "0.0000001", "period": "day"}])
    narrow = gateway.new_key(scope={"models": ["other/*"]})
    slow = gateway.new_key(limits={"requests_per_minute": 1})
    told: list[tuple[str, type[APIError]]] = [
        ("tl-nobodys", AuthenticationError),
        (poor, PaymentRequiredError),
        (narrow, PermissionDeniedError),
    ]
    for key, kind in told:
        made = Client(key, api_base=base, max_retries=0)
        with made as client, pytest.raises(kind):
            client.chat(PLAIN, MESSAGES)
    with Client(slow, api_base=base, max_retries=0) as client:
        client.chat(PLAIN, MESSAGES)
        with pytest.raises(RateLimitError) as caught:
            client.chat(PLAIN, MESSAGES)
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 60


@pytest.mark.parametrize("fault", ["truncated", "cut", "error-mid-stream", "no-finish"])
def test_a_stream_that_is_cut_behind_the_gateway_raises_and_keeps_what_came(
    client: Client, fault: str
) -> None:
    stream = client.stream(f"own/fault-{fault}", MESSAGES)
    heard = []
    with pytest.raises(InternalServerError):
        heard.extend(stream.text)
    assert "".join(heard)


def test_what_the_sdk_tries_again_has_a_row_for_each_attempt(gateway: Gateway, key: str) -> None:
    with Client(key, api_base=f"{gateway.url}/v1", max_retries=1) as client:
        answer = client.chat("own-again/fault-flaky-503", MESSAGES)
    assert answer.receipt is not None
    assert [attempt.status for attempt in answer.receipt.attempts] == [503, 200]
    found = rows(gateway, "own-again/fault-flaky-503", 2)
    assert [row["status"] for row in found] == [503, 200]


@pytest.mark.parametrize("model", [f"openai/{LLAMA}", PLAIN], ids=["native", "chatted"])
def test_responses_are_read_whole_and_streamed_with_their_receipts(
    client: Client, gateway: Gateway, model: str
) -> None:
    whole = client.responses(model, "What is the weather in Paris?")
    assert whole.output_text.startswith("[simulated]")
    with client.responses(model, "What is the weather in Paris?", stream=True) as stream:
        said = "".join(getattr(event, "delta", "") for event in stream)
        last = stream.whole
    assert said == last.output_text == whole.output_text
    for answer in (whole, last):
        assert answer.receipt is not None
        row = gateway.entry(answer.receipt.request_id or "")
        assert (row["endpoint"], row["outcome"]) == ("responses", "ok")
        assert answer.usage is not None
        assert row["output_tokens"] == answer.usage.output_tokens


def test_a_stream_of_a_response_that_breaks_is_this_sdks_own_error(client: Client) -> None:
    model = "openai/emulator/sdk-resp/fault-truncated"
    stream = client.responses(model, "x", stream=True)
    with pytest.raises(APIError, match="ended before the answer did") as caught, stream:
        list(stream)
    assert caught.value.request_id

"""huggingface_hub's clients, unchanged, against a gateway that stands where the router would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gateways import rows
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from questions import (
    AS_REPORT,
    LLAMA,
    MESSAGES,
    SAID,
    SEEN,
    SHOWN,
    TOOLS,
    VISION,
    fits_report,
)
from running import Gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[InferenceClient]:
    with InferenceClient(base_url=f"{gateway.url}/v1", api_key=key, timeout=10) as made:
        yield made


def text_of(chunks: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_stream_says_what_the_whole_answer_says_and_usage_only_where_asked(
    client: InferenceClient,
) -> None:
    whole = client.chat_completion(MESSAGES, model=f"{LLAMA}:together")
    said = whole.choices[0].message.content or ""
    assert said.startswith(f'[simulated] You said: "{SAID}"')
    options: Any = {"include_usage": True}
    ask = client.chat.completions.create
    chunks = list(
        ask(model=f"{LLAMA}:together", messages=MESSAGES, stream=True, stream_options=options)
    )
    assert text_of(chunks) == said
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens > 0
    plain = list(ask(model="emulator/sandbox/demo", messages=MESSAGES, stream=True))
    assert text_of(plain)
    assert not any(chunk.usage for chunk in plain)


def test_the_async_client_asks_eight_times_at_once(gateway: Gateway, key: str) -> None:
    async def story() -> list[str]:
        async with AsyncInferenceClient(base_url=f"{gateway.url}/v1", api_key=key) as client:

            async def one(number: int) -> str:
                asked: Any = [{"role": "user", "content": f"Number {number}"}]
                stream = await client.chat_completion(asked, model=LLAMA, stream=True)
                return text_of([chunk async for chunk in stream])

            return await asyncio.gather(*map(one, range(8)))

    for number, text in enumerate(asyncio.run(story())):
        assert f'"Number {number}"' in text


def test_tools_are_called_whole_and_streamed_and_their_results_answered(
    client: InferenceClient,
) -> None:
    first = client.chat_completion(MESSAGES, model=LLAMA, tools=TOOLS, tool_choice="auto")
    (call,) = first.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments)["city"] == "Paris"
    told = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
    last = client.chat_completion([*MESSAGES, first.choices[0].message, told], model=LLAMA)
    assert "get_weather answered: 18 degrees." in (last.choices[0].message.content or "")
    arguments = ""
    for chunk in client.chat_completion(
        MESSAGES, model=LLAMA, tools=TOOLS, tool_choice="required", stream=True
    ):
        for part in chunk.choices[0].delta.tool_calls or ():
            arguments += part.function.arguments or ""
    assert json.loads(arguments)["city"] == "Paris"


def test_answers_fit_a_json_schema_and_images_are_seen(client: InferenceClient) -> None:
    found = client.chat_completion(MESSAGES, model=LLAMA, response_format=AS_REPORT)
    assert fits_report(json.loads(found.choices[0].message.content or ""))
    shown = client.chat_completion(SHOWN, model=VISION)
    assert SEEN in (shown.choices[0].message.content or "")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("fault", "status"), [
    ("400", 400), ("401", 502), ("402", 402), ("404", 404), ("422-template", 422), ("429", 429),
    ("500", 500), ("504", 504),
])  # fmt: skip
def test_statuses_raise_this_librarys_own_errors(
    client: InferenceClient, gateway: Gateway, fault: str, status: int, streamed: bool
) -> None:
    kind = BadRequestError if status == 400 else HfHubHTTPError
    with pytest.raises(kind) as caught:
        client.chat_completion(MESSAGES, model=f"hub/fault-{fault}", stream=streamed)
    assert caught.value.response.status_code == status
    assert gateway.entry(caught.value.request_id or "")["status"] == status


def test_a_key_or_a_budget_that_does_not_do_is_told_in_words(gateway: Gateway) -> None:
    poor = gateway.new_key(budgets=[{"amount": "0.000001", "period": "month"}])
    told = ((401, "hf_nobodys", "No valid key was given"), (402, poor, "budget"))
    for status, key, words in told:
        made = InferenceClient(base_url=f"{gateway.url}/v1", api_key=key)
        with made as client, pytest.raises(HfHubHTTPError, match=words) as caught:
            client.chat_completion(MESSAGES, model=LLAMA)
        assert caught.value.response.status_code == status


def test_each_of_this_clients_calls_is_in_the_ledger(
    client: InferenceClient, gateway: Gateway
) -> None:
    model = "emulator/sandbox/hub-rows"
    for _ in range(3):
        client.chat_completion(MESSAGES, model=model)
    assert [row["outcome"] for row in rows(gateway, model, 3)] == ["ok"] * 3

"""OpenAI's Python client, unchanged, against a gateway: what it asks, and what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from gateways import rows
from pydantic import BaseModel
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

from trunkline.sandbox import SandboxServer

COUNTED: Any = {"stream": True, "stream_options": {"include_usage": True}}
GROQ = f"{LLAMA}:groq"
PLAIN = "emulator/sandbox/demo"
"""Served in OpenAI's own form, without any provider's ways."""


class Report(BaseModel):
    sky: str
    degrees: int
    windy: bool


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=10)
    with made:
        yield made


def create(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{"model": LLAMA, "messages": MESSAGES, **more})


def text_of(chunks: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_raw_answer_says_who_served_it_and_is_found_in_the_ledger_by_its_id(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=f"{LLAMA}:together", messages=MESSAGES
    )
    answer = raw.parse()
    assert (answer.choices[0].message.content or "").startswith(f'[simulated] You said: "{SAID}"')
    assert raw.headers["x-inference-provider"] == "together"
    assert raw.request_id == raw.headers["x-request-id"]
    row = gateway.entry(raw.request_id or "")
    usage = answer.usage
    assert usage is not None
    assert (row["input_tokens"], row["output_tokens"]) == (
        usage.prompt_tokens,
        usage.completion_tokens,
    )
    assert (row["provider"], row["token_source"]) == ("together", "provider")
    assert float(row["cost"]) > 0


def test_a_stream_says_what_the_whole_answer_says_and_usage_only_where_asked(
    client: openai.OpenAI,
) -> None:
    whole = create(client, model=PLAIN)
    chunks = list(create(client, model=PLAIN, **COUNTED))
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].choices == []
    plain = list(create(client, model=PLAIN, stream=True))
    assert text_of(plain) == whole.choices[0].message.content
    assert plain[-1].choices[0].finish_reason == "stop"
    assert not any(chunk.usage for chunk in plain)
    assert all(chunk.choices for chunk in plain)


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"more": [1.50, "a"]}])
def test_options_of_a_stream_that_ask_for_no_usage_get_none_and_are_kept(
    client: openai.OpenAI, behind: SandboxServer, gateway: Gateway, options: Any
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=PLAIN, messages=MESSAGES, stream=True, extra_body={"stream_options": options}
    )
    chunks = list(raw.parse())
    assert not any(chunk.usage for chunk in chunks)
    assert behind.requests[-1].json["stream_options"] == {**(options or {}), "include_usage": True}
    assert gateway.entry(raw.headers["x-request-id"])["token_source"] == "provider"


@pytest.mark.parametrize(
    "model", [LLAMA, f"huggingface/groq/{LLAMA}", GROQ, f"{LLAMA}:cheapest", f"hf/{LLAMA}"]
)
def test_every_spelling_of_a_model_of_hugging_face_is_streamed(
    client: openai.OpenAI, gateway: Gateway, model: str
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=MESSAGES, stream=True
    )
    assert text_of(raw.parse()).startswith("[simulated]")
    row = gateway.entry(raw.headers["x-request-id"])
    assert row["model"] == model
    assert (row["outcome"], row["token_source"]) == ("ok", "provider")
    assert row["cost"] is not None


def test_the_async_client_asks_eight_times_at_once(gateway: Gateway, key: str) -> None:
    async def story() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client:

            async def one(number: int) -> str:
                asked: Any = [{"role": "user", "content": f"Number {number}"}]
                stream = await client.chat.completions.create(
                    model=LLAMA, messages=asked, stream=True
                )
                return text_of([chunk async for chunk in stream])

            return await asyncio.gather(*map(one, range(8)))

    for number, text in enumerate(asyncio.run(story())):
        assert f'"Number {number}"' in text


def test_a_tool_is_called_and_its_result_answered(client: openai.OpenAI) -> None:
    first = create(client, tools=TOOLS, tool_choice="auto").choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert json.loads(call.function.arguments)["city"] == "Paris"
    told = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
    last = create(client, messages=[*MESSAGES, first.message, told], tools=TOOLS)
    assert "get_weather answered: 18 degrees." in last.choices[0].message.content


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
def test_streamed_tool_calls_are_put_together_by_the_clients_own_helper(
    client: openai.OpenAI, choice: Any
) -> None:
    with client.chat.completions.stream(
        model=LLAMA, messages=MESSAGES, tools=TOOLS, tool_choice=choice
    ) as stream:
        names = [
            event.name for event in stream if event.type == "tool_calls.function.arguments.done"
        ]
        (call,) = stream.get_final_completion().choices[0].message.tool_calls or []
    assert names == ["get_weather"]
    assert json.loads(call.function.arguments)["city"] == "Paris"


def test_parallel_tool_calls_come_through_whole_and_streamed(client: openai.OpenAI) -> None:
    asked: Any = {
        "model": LLAMA,
        "messages": [{"role": "user", "content": "Weather in Paris, Rome and Oslo?"}],
        "tools": [*TOOLS, {**TOOLS[0], "function": {**TOOLS[0]["function"], "name": "get_time"}}],
        "tool_choice": "required",
        "parallel_tool_calls": True,
    }
    whole = client.chat.completions.create(**asked).choices[0].message.tool_calls
    assert len(whole) > 1
    with client.chat.completions.stream(**asked) as stream:
        streamed = stream.get_final_completion().choices[0].message.tool_calls or []
    assert [(c.function.name, c.function.arguments) for c in streamed] == [
        (c.function.name, c.function.arguments) for c in whole
    ]


def test_answers_fit_a_json_schema_and_are_parsed_into_models(client: openai.OpenAI) -> None:
    whole = create(client, response_format=AS_REPORT).choices[0].message.content
    assert fits_report(json.loads(whole))
    assert text_of(create(client, response_format=AS_REPORT, stream=True)) == whole
    found = client.chat.completions.parse(model=LLAMA, messages=MESSAGES, response_format=Report)
    assert isinstance(found.choices[0].message.parsed, Report)
    with client.chat.completions.stream(
        model=LLAMA, messages=MESSAGES, response_format=Report
    ) as stream:
        streamed = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(streamed, Report)


def test_images_are_seen(client: openai.OpenAI) -> None:
    assert SEEN in create(client, model=VISION, messages=SHOWN).choices[0].message.content


def test_n_limits_stops_seeds_and_log_probabilities(client: openai.OpenAI) -> None:
    two = create(client, n=2).choices
    assert [choice.index for choice in two] == [0, 1]
    cut = create(client, max_tokens=3, seed=7).choices[0]
    assert cut.finish_reason == "length"
    assert two[0].message.content.startswith(cut.message.content)
    assert "Paris" not in create(client, stop=["Paris"]).choices[0].message.content
    told = create(client, logprobs=True, top_logprobs=1).choices[0]
    assert "".join(token.token for token in told.logprobs.content) == told.message.content


def test_all_that_is_asked_reaches_the_upstream_as_it_was_written(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    more = {
        "seed": 9_007_199_254_740_993,
        "top_p": 0.1,
        "vendor_field": {"a": [1, None, "é\u2028"]},
    }
    create(
        client, model=GROQ, extra_body=more, stream=True, temperature=0.30000000000000004
    ).close()
    sent = behind.requests[-1].json
    assert {name: sent[name] for name in more} == more
    assert sent["temperature"] == 0.30000000000000004
    assert (sent["model"], sent["messages"]) == (GROQ, MESSAGES)
    assert sent["stream_options"] == {"include_usage": True}
    assert behind.requests[-1].headers["authorization"] == "Bearer hf_sandbox"


def test_the_newer_limit_is_said_as_hugging_face_knows_it_and_to_others_as_it_was(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    for streamed in (False, True):
        cut = create(client, max_completion_tokens=3, stream=streamed)
        if streamed:
            list(cut)
        sent = behind.requests[-1].json
        assert sent["max_tokens"] == 3
        assert "max_completion_tokens" not in sent
    create(client, model=PLAIN, max_completion_tokens=3)
    assert behind.requests[-1].json["max_completion_tokens"] == 3
    create(client, max_completion_tokens=3, max_tokens=4)
    assert behind.requests[-1].json["max_tokens"] == 4


def test_no_header_of_the_client_reaches_the_upstream(
    client: openai.OpenAI, behind: SandboxServer, key: str
) -> None:
    told = {"x-sandbox-fault": "500", "x-hf-bill-to": "other-org", "cookie": "a=b"}
    create(client, extra_headers=told, extra_query={"api_base": "http://127.0.0.1:9"})
    sent = behind.requests[-1]
    assert not {*told, "x-stainless-lang"} & sent.headers.keys()
    assert key not in str(sent.headers)
    assert sent.query == ""


def test_models_are_listed_and_found_by_their_whole_names(client: openai.OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {LLAMA, "tgi/sandbox/tgi", "tei/sandbox/tei"} <= listed.keys()
    for name in (LLAMA, "tgi/sandbox/tgi"):
        found = client.models.retrieve(name)
        assert (found.id, found.object) == (name, "model")
        assert found == listed[name]
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no/such")
    assert caught.value.code == "model_not_found"


def test_embeddings_of_a_configured_server_are_relayed_in_both_encodings(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    embed = client.embeddings.create
    texts = ["red and blue", "green"]
    packed = embed(model="tei/sandbox/tei", input=texts)  # the client's own default is base64
    plain = embed(model="tei/sandbox/tei", input=texts, encoding_format="float")
    assert [len(row.embedding) for row in packed.data] == [384, 384]
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    raw = client.embeddings.with_raw_response.create(model="tei/sandbox/tei", input="red")
    row = gateway.entry(raw.headers["x-request-id"])
    assert (row["endpoint"], row["input_tokens"]) == (
        "embeddings",
        raw.parse().usage.prompt_tokens,
    )
    assert row["output_tokens"] in (None, 0)
    assert float(row["cost"]) == pytest.approx(row["input_tokens"] / 1e6)


def test_completions_of_a_configured_server_are_relayed_whole_and_streamed(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    asked: Any = {"model": "tgi/sandbox/tgi", "prompt": "Once upon a time", "max_tokens": 12}
    raw = client.completions.with_raw_response.create(**asked)
    whole = raw.parse()
    assert whole.choices[0].text
    assert whole.usage is not None
    streamed = client.completions.create(**asked, stream=True)
    assert "".join(c.choices[0].text for c in streamed if c.choices) == whole.choices[0].text
    row = gateway.entry(raw.headers["x-request-id"])
    assert (row["endpoint"], row["status"]) == ("completions", 200)
    assert row["output_tokens"] == whole.usage.completion_tokens
    newest = rows(gateway, "tgi/sandbox/tgi", 2)[-1]
    assert (newest["stream"], newest["outcome"]) == (True, "ok")
    assert newest["output_tokens"] == whole.usage.completion_tokens
    assert newest["cost"] == row["cost"]

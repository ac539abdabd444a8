"""A gateway in front of real servers: `transformers serve` and llama.cpp's, with OpenAI's client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from before import HELLO, PRINTABLE, kept_to_ascii
from running import Gateway

pytestmark = pytest.mark.live

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather in Paris.",
        "parameters": {
            "type": "object",
            "properties": {
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "detailed": {"type": "boolean"},
            },
            "required": ["unit", "detailed"],
        },
    },
}
FORCED: Any = {"type": "function", "function": {"name": "get_weather"}}


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    yield from _client(gateway)


@pytest.fixture
def at_transformers(before_transformers: Gateway) -> Iterator[openai.OpenAI]:
    yield from _client(before_transformers)


@pytest.fixture
def at_llama(before_llama: Gateway) -> Iterator[openai.OpenAI]:
    yield from _client(before_llama)


def _client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.new_key(), max_retries=0, timeout=60
    ) as made:
        yield made


def given(client: openai.OpenAI, gateway: Gateway, **more: Any) -> dict[str, Any]:
    """Return what to ask; llama.cpp's model is kept to ASCII."""
    asked = {"model": "tiny", "messages": HELLO, "max_tokens": 16, "temperature": 0}
    return {**asked, **kept_to_ascii(gateway), **more}


def text_of(chunks: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_whole_answer_is_settled_by_the_servers_own_counts(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    raw = client.chat.completions.with_raw_response.create(**given(client, gateway))
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    row = gateway.entry(raw.headers["x-request-id"])
    assert (row["state"], row["outcome"], row["token_source"]) == ("settled", "ok", "provider")
    assert (row["input_tokens"], row["output_tokens"]) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    assert row["output_tokens"] == 16
    assert float(row["cost"]) == pytest.approx((row["input_tokens"] + 32) / 1e6)


def test_a_stream_says_what_the_whole_answer_says_and_ends_with_the_mark(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    asked = given(client, gateway, max_tokens=24)  # none of them in the middle of a character
    whole = client.chat.completions.create(**asked).choices[0].message.content
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert text_of(chunks) == whole
    assert "length" in [c.choices[0].finish_reason for c in chunks if c.choices]
    key = gateway.new_key()
    _, headers, raw = gateway.ask("POST", "/v1/chat/completions", {**asked, "stream": True}, key)
    assert raw.endswith(b"data: [DONE]\n\n")
    assert raw.count(b"[DONE]") == 1
    row = gateway.entry(headers["x-request-id"])
    assert (row["outcome"], row["status"]) == ("ok", 200)
    assert row["output_tokens"] > 0


def test_the_models_own_name_below_its_upstream_is_listed_and_answers(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    (name,) = [model.id for model in client.models.list() if model.id.startswith("real/")]
    asked = given(client, gateway, model=name)
    assert client.chat.completions.create(**asked).choices[0].message.content
    assert client.models.retrieve("tiny").id == "tiny"


def test_streams_at_once_from_transformers_each_bring_their_own_answer(
    before_transformers: Gateway,
) -> None:
    base, key = f"{before_transformers.url}/v1", before_transformers.new_key(owner="crowd")
    words = ["red", "blue", "green", "gold", "black", "white", "pink", "grey"]

    def asked(word: str) -> dict[str, Any]:
        messages = [{"role": "user", "content": f"{word} and {word}"}]
        return {"model": "tiny", "messages": messages, "max_tokens": 16, "stream": True}

    async def together() -> list[str]:
        async with openai.AsyncOpenAI(base_url=base, api_key=key) as many:

            async def one(word: str) -> str:
                stream = await many.chat.completions.create(**asked(word))
                return text_of([chunk async for chunk in stream])

            return await asyncio.gather(*map(one, words))

    texts = asyncio.run(together())
    with openai.OpenAI(base_url=base, api_key=key) as one:
        alone = [text_of(one.chat.completions.create(**asked(word))) for word in words]
    assert texts == alone
    assert len(set(texts)) > 1
    until = time.monotonic() + 10
    while len(settled := [r for r in before_transformers.ledger() if r["owner"] == "crowd"]) < 16:
        assert time.monotonic() < until, f"{len(settled)} of 16 calls are settled"
    assert {(row["outcome"], row["token_source"]) for row in settled} == {("ok", "provider")}
    assert {row["output_tokens"] for row in settled} == {16}


def test_a_field_that_transformers_does_not_know_is_the_callers_error(
    at_transformers: openai.OpenAI, before_transformers: Gateway
) -> None:
    asked = given(at_transformers, before_transformers, extra_body={"unknown_field": 1})
    for streamed in (False, True):
        with pytest.raises(openai.UnprocessableEntityError, match="unknown_field") as caught:
            at_transformers.chat.completions.create(**asked, stream=streamed)
        row = before_transformers.entry(caught.value.request_id or "")
        assert (row["outcome"], row["status"], float(row["cost"])) == ("refused", 422, 0)


def test_a_crash_that_transformers_tells_in_plain_text_is_its_error(
    at_transformers: openai.OpenAI,
) -> None:
    with pytest.raises(openai.InternalServerError, match="Internal Server Error") as caught:
        at_transformers.chat.completions.create(model="tiny", messages=[{"content": "no role"}])
    assert caught.value.status_code == 500


def test_a_model_that_transformers_does_not_serve_is_a_bad_request_that_names_it(
    at_transformers: openai.OpenAI,
) -> None:
    with pytest.raises(openai.BadRequestError, match="no/such"):
        at_transformers.chat.completions.create(model="no/such", messages=HELLO)


def test_a_stream_that_is_left_frees_the_server_and_is_settled_by_what_came(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    asked = given(client, gateway, max_tokens=1500)
    raw = client.chat.completions.with_raw_response.create(**asked, stream=True)
    stream = raw.parse()
    heard = next(c for c in stream if c.choices and c.choices[0].delta.content)
    assert heard
    stream.close()
    row = gateway.entry(raw.headers["x-request-id"])
    assert (row["status"], row["outcome"], row["token_source"]) == (499, "cancelled", "estimated")
    assert 0 < row["output_tokens"] < 1500
    again = client.chat.completions.create(**given(client, gateway))
    assert again.choices[0].finish_reason == "length"


def test_llama_calls_a_tool_that_is_forced_whole_and_streamed(
    at_llama: openai.OpenAI, before_llama: Gateway
) -> None:
    asked = given(at_llama, before_llama, tools=[WEATHER], tool_choice=FORCED, max_tokens=200)
    (call,) = at_llama.chat.completions.create(**asked).choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments).keys() == {"unit", "detailed"}
    arguments = ""
    for chunk in at_llama.chat.completions.create(**asked, stream=True):
        for part in (chunk.choices[0].delta.tool_calls or ()) if chunk.choices else ():
            arguments += part.function.arguments or ""
    assert json.loads(arguments).keys() == {"unit", "detailed"}


def test_llama_answers_in_json_by_grammar(at_llama: openai.OpenAI, before_llama: Gateway) -> None:
    schema = WEATHER["function"]["parameters"]
    asked = given(
        at_llama, before_llama, max_tokens=200,
        response_format={"type": "json_object", "schema": schema},
    )  # fmt: skip
    told = json.loads(at_llama.chat.completions.create(**asked).choices[0].message.content or "")
    assert told["unit"] in ("celsius", "fahrenheit")
    assert type(told["detailed"]) is bool


def test_a_prompt_that_llama_cannot_take_is_an_error_and_not_a_charge(
    at_llama: openai.OpenAI, before_llama: Gateway
) -> None:
    messages = [{"role": "user", "content": "x " * 3000}]
    with pytest.raises(openai.APIStatusError) as caught:
        at_llama.chat.completions.create(**given(at_llama, before_llama, messages=messages))
    assert caught.value.code == "context_length_exceeded"
    row = before_llama.entry(caught.value.request_id or "")
    assert (row["outcome"], float(row["cost"])) == ("refused", 0)


def test_llama_embeds_and_continues_texts(at_llama: openai.OpenAI, before_llama: Gateway) -> None:
    raw = at_llama.embeddings.with_raw_response.create(model="tiny", input=["red", "blue"])
    found = raw.parse()
    assert len(found.data) == 2
    row = before_llama.entry(raw.headers["x-request-id"])
    assert (row["endpoint"], row["input_tokens"]) == ("embeddings", found.usage.prompt_tokens)
    asked: Any = {"model": "tiny", "prompt": "Once", "max_tokens": 8, "temperature": 0}
    told = at_llama.completions.create(**asked, logit_bias=PRINTABLE)
    streamed = at_llama.completions.create(**asked, logit_bias=PRINTABLE, stream=True)
    assert "".join(c.choices[0].text for c in streamed if c.choices) == told.choices[0].text


def test_a_stream_that_llama_gives_up_for_another_call_is_told_as_cut(
    at_llama: openai.OpenAI, before_llama: Gateway
) -> None:
    asked = given(at_llama, before_llama, max_tokens=1500)
    raw = at_llama.chat.completions.with_raw_response.create(**asked, stream=True)
    stream = raw.parse()
    next(c for c in stream if c.choices and c.choices[0].delta.content)
    assert at_llama.chat.completions.create(**given(at_llama, before_llama)).choices
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "upstream_truncated"
    row = before_llama.entry(raw.headers["x-request-id"])
    assert (row["outcome"], row["status"]) == ("truncated", 200)

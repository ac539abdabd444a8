"""A gateway in front of real servers, `transformers serve` and llama.cpp's, with Anthropic's client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from before import HELLO, kept_to_ascii
from running import Gateway

pytestmark = pytest.mark.live

WEATHER: Any = {
    "name": "get_weather",
    "description": "Tell the weather in Paris.",
    "input_schema": {
        "type": "object",
        "properties": {
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "detailed": {"type": "boolean"},
        },
        "required": ["unit", "detailed"],
    },
}
FORCED: Any = {"type": "tool", "name": "get_weather"}


@pytest.fixture
def client(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    yield from _client(gateway)


@pytest.fixture
def at_llama(before_llama: Gateway) -> Iterator[anthropic.Anthropic]:
    yield from _client(before_llama)


def _client(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    key = gateway.new_key()
    with anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=60) as made:
        yield made


def given(gateway: Gateway, **more: Any) -> dict[str, Any]:
    """Return what to ask; llama.cpp's model is kept to ASCII."""
    asked = {"model": "tiny", "messages": HELLO, "max_tokens": 16}
    return {**asked, "extra_body": {"temperature": 0, **kept_to_ascii(gateway)}, **more}


def test_a_whole_message_is_settled_by_the_servers_own_counts(
    client: anthropic.Anthropic, gateway: Gateway
) -> None:
    raw = client.messages.with_raw_response.create(**given(gateway))
    message = raw.parse()
    assert message.content[0].text
    assert message.stop_reason == "max_tokens"
    row = gateway.entry(raw.request_id or "")
    assert (row["endpoint"], row["outcome"], row["token_source"]) == ("messages", "ok", "provider")
    assert (row["input_tokens"], row["output_tokens"]) == (
        message.usage.input_tokens,
        message.usage.output_tokens,
    )
    assert row["output_tokens"] == 16


def test_a_stream_adds_up_to_the_whole_message(
    client: anthropic.Anthropic, gateway: Gateway
) -> None:
    asked = given(gateway, max_tokens=24)  # none of them in the middle of a character
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as events:
        said = "".join(events.text_stream)
        streamed = events.get_final_message()
    assert said == whole.content[0].text
    assert streamed.stop_reason == whole.stop_reason == "max_tokens"
    row = gateway.entry(events.request_id or "")
    assert (row["outcome"], row["output_tokens"]) == ("ok", streamed.usage.output_tokens)


def test_a_stream_that_is_left_frees_the_server_and_is_settled_by_what_came(
    client: anthropic.Anthropic, gateway: Gateway
) -> None:
    with client.messages.stream(**given(gateway, max_tokens=1500)) as events:
        assert next(iter(events.text_stream))
    row = gateway.entry(events.request_id or "")
    assert (row["status"], row["outcome"], row["token_source"]) == (499, "cancelled", "estimated")
    assert 0 < row["output_tokens"] < 1500
    assert client.messages.create(**given(gateway)).stop_reason == "max_tokens"


def test_llama_calls_a_tool_that_is_forced_and_hears_its_result(
    at_llama: anthropic.Anthropic, before_llama: Gateway
) -> None:
    asked = given(before_llama, tools=[WEATHER], tool_choice=FORCED, max_tokens=200)
    first = at_llama.messages.create(**asked)
    (use,) = first.content
    assert use.type == "tool_use"
    assert use.input.keys() == {"unit", "detailed"}
    assert first.stop_reason == "tool_use"
    with at_llama.messages.stream(**asked) as events:
        (streamed,) = events.get_final_message().content
    assert streamed.type == "tool_use"
    assert streamed.input.keys() == {"unit", "detailed"}
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "18 degrees"}
    history = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result, {"type": "text", "text": "And now?"}]},
    ]
    second = at_llama.messages.create(**given(before_llama, messages=history, tools=[WEATHER]))
    assert second.content[0].type == "text"


def test_a_prompt_that_llama_cannot_take_is_an_error_and_not_a_charge(
    at_llama: anthropic.Anthropic, before_llama: Gateway
) -> None:
    messages = [{"role": "user", "content": "x " * 3000}]
    with pytest.raises(anthropic.APIStatusError) as caught:
        at_llama.messages.create(**given(before_llama, messages=messages))
    assert caught.value.error_code == "context_length_exceeded"
    row = before_llama.entry(caught.value.request_id or "")
    assert (row["outcome"], float(row["cost"])) == ("refused", 0)

"""Answers without a model."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.dialects.openai_chat import ChunkReader
from trunkline.dialects.openai_server import RequestError, read_chat
from trunkline.sandbox.answers import answer, prompt_tokens, tokens
from trunkline.sandbox.pieces import MANNERS, PLAIN, events
from trunkline.types import Completion, Message

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
            "required": ["city", "unit"],
        },
    },
}
ADD = {
    "type": "function",
    "function": {
        "name": "add_numbers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


def ask(said: Any = "How many r's are in strawberry?", seed: int = 0, **more: Any) -> Completion:
    body = {"model": "demo", "messages": [{"role": "user", "content": said}], **more}
    return answer(read_chat(msgspec.json.encode(body)), seed, "demo")


def message(said: Any = "Hello", **more: Any) -> Message:
    return ask(said, **more).choices[0].message


def arguments(said: str, **more: Any) -> list[Any]:
    calls = message(said, **more).tool_calls or []
    return [msgspec.json.decode(call.function.arguments) for call in calls]


def test_an_answer_says_that_it_is_simulated_and_what_was_asked() -> None:
    text = ask().text
    assert text.startswith("[simulated]")
    assert "How many r's are in strawberry?" in text


def test_the_same_request_and_seed_give_the_same_answer_and_another_seed_another() -> None:
    assert ask() == ask()
    assert ask().id != ask(seed=1).id
    assert len({ask(seed=seed).text for seed in range(8)}) > 1


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2, "reasoning_effort": "low"},
        {"logprobs": True},
        {"tools": [WEATHER, ADD], "parallel_tool_calls": True},
        {"max_tokens": 5},
    ],
)
def test_streaming_gives_the_same_answer_as_not_streaming(more: dict[str, Any]) -> None:
    plain = ask(**more)
    streamed = ask(**more, stream=True, stream_options={"include_usage": True})
    reader = ChunkReader()
    for event in events(streamed, PLAIN, include_usage=True):
        reader.feed(event)
    assert reader.said_done
    assert reader.fold.completion().choices == plain.choices
    assert reader.fold.usage == plain.usage


def test_usage_counts_pieces_of_six_characters() -> None:
    assert tokens("a strawberry, ripe") == ["a", " strawb", "erry,", " ripe"]
    assert "".join(tokens("  two\n\nlines  ")) == "  two\n\nlines  "
    found = ask()
    assert found.usage is not None
    assert found.usage.completion_tokens == len(tokens(found.text))
    assert found.usage.prompt_tokens == 3 + len(tokens("How many r's are in strawberry?"))


def test_usage_of_a_stream_comes_only_when_asked_for() -> None:
    found = ask()
    assert not any(b'"usage"' in event for event in events(found, PLAIN, include_usage=False))
    assert sum(b'"usage"' in event for event in events(found, PLAIN, include_usage=True)) == 1


def test_a_token_limit_ends_the_answer_for_length() -> None:
    found = ask(max_tokens=3).choices[0]
    assert found.finish_reason == "length"
    assert len(tokens(found.message.content or "")) == 3
    assert ask(max_completion_tokens=3).choices[0] == found
    assert ask(max_tokens=10_000).choices[0].finish_reason == "stop"


def test_a_token_limit_counts_reasoning_first() -> None:
    cut = ask(max_tokens=4, reasoning_effort="high")
    assert cut.choices[0].message.content == ""
    assert len(tokens(cut.reasoning or "")) == 4
    assert cut.usage is not None
    assert cut.usage.reasoning_tokens == 4


def test_a_stop_sequence_ends_the_answer_before_it() -> None:
    found = ask(stop=["nowhere", "strawberry"])
    assert found.text.endswith("How many r's are in ")
    assert found.choices[0].finish_reason == "stop"


def test_n_gives_so_many_choices_in_order() -> None:
    found = ask(n=3)
    assert [choice.index for choice in found.choices] == [0, 1, 2]


def test_reasoning_comes_only_with_an_effort() -> None:
    assert ask().reasoning is None
    assert ask(reasoning_effort="none").reasoning is None
    assert "high effort" in (ask(reasoning_effort="high").reasoning or "")


def test_logprobs_come_for_each_token_when_asked_for() -> None:
    found = ask(logprobs=True, top_logprobs=2).choices[0]
    said = [entry["token"] for entry in found.logprobs["content"]]
    assert "".join(said) == found.message.content


def test_images_are_named_with_their_kind_and_size_or_host() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
    ]
    text = ask(parts).text
    assert "2 images: image/png of 5 bytes; one from example.org" in text
    chat = read_chat(
        msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": parts}]})
    )
    assert prompt_tokens(chat) == 3 + 2 * 85 + len(tokens("What is this?"))


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,!!!", "data:image/png;base64,", "ftp://x/y"]
)
def test_an_image_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(RequestError):
        ask([{"type": "image_url", "image_url": {"url": url}}])


def test_a_tool_is_called_with_names_and_numbers_that_the_user_gave() -> None:
    found = ask("What is the weather in Paris?", tools=[ADD, WEATHER])
    assert found.choices[0].finish_reason == "tool_calls"
    assert found.tool_calls[0].function.name == "get_weather"
    assert arguments("What is the weather in New York?", tools=[WEATHER])[0]["city"] == "New York"
    assert arguments("Please add 12.5 and 30 numbers", tools=[ADD]) == [{"a": 12.5, "b": 30}]


def test_parallel_calls_come_when_asked_for_and_differ() -> None:
    found = arguments(
        "What is the weather in San Francisco, Tokyo?", tools=[WEATHER], parallel_tool_calls=True
    )
    assert [call["city"] for call in found] == ["San Francisco", "Tokyo"]
    both = message("Hello", tools=[WEATHER, ADD], parallel_tool_calls=True).tool_calls or []
    assert {call.function.name for call in both} == {"get_weather", "add_numbers"}
    assert len({call.id for call in both}) == 2


def test_tool_choice_forces_forbids_or_names() -> None:
    named = {"type": "function", "function": {"name": "add_numbers"}}
    assert message(tools=[WEATHER], tool_choice="none").tool_calls is None
    assert message(tools=[WEATHER], tool_choice="required").tool_calls
    calls = message("The weather?", tools=[WEATHER, ADD], tool_choice=named).tool_calls or []
    assert [call.function.name for call in calls] == ["add_numbers"]


def test_a_tool_result_is_answered_in_words_that_use_it() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    body = {
        "model": "demo",
        "messages": [
            {"role": "user", "content": "Weather in Paris?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "18 degrees"},
        ],
        "tools": [WEATHER],
    }
    found = answer(read_chat(msgspec.json.encode(body)), 0, "demo")
    assert "get_weather answered: 18 degrees." in found.text
    assert not found.tool_calls
    forced = answer(read_chat(msgspec.json.encode({**body, "tool_choice": "required"})), 0, "demo")
    assert forced.tool_calls


def test_a_cut_tool_call_keeps_what_fits() -> None:
    found = ask("Weather in Paris?", tools=[WEATHER], max_tokens=1).choices[0]
    assert found.finish_reason == "length"
    assert found.message.tool_calls
    assert len(tokens(found.message.tool_calls[0].function.arguments)) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}},
        {"type": "json_schema", "schema": {"type": "array"}},
        {"type": "json_object", "schema": {"type": "array"}},
        {"type": "json_object", "value": {"type": "array"}},
    ],
)
def test_a_schema_is_followed_in_every_providers_form(wanted: Any) -> None:
    assert isinstance(msgspec.json.decode(ask(response_format=wanted).text), list)


def test_json_without_a_schema_is_an_object_that_says_it_is_simulated() -> None:
    found = msgspec.json.decode(ask(response_format={"type": "json_object"}).text)
    assert found["simulated"] is True
    assert ask(response_format={"type": "text"}).text.startswith("[simulated]")


def test_a_named_provider_writes_in_its_own_manner() -> None:
    found = ask(reasoning_effort="low")
    groq = events(found, MANNERS["groq"], include_usage=True)
    assert b'"x_groq"' in groq[-2]
    assert not any(b'"choices":[]' in event for event in groq)
    assert events(found, MANNERS["cerebras"], include_usage=False)[-1] != b"data: [DONE]\n\n"
    assert any(
        b"reasoning_content" in e for e in events(found, MANNERS["zai-org"], include_usage=False)
    )

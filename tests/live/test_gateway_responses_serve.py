"""Responses from real servers through a gateway: made by `transformers serve`, and of chats of llama.cpp's."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from before import PRINTABLE
from running import Gateway

pytestmark = pytest.mark.live

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Tell the weather in Paris.",
    "parameters": {
        "type": "object",
        "properties": {"unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["unit"],
    },
}
CONFIG = """
default_upstream = "chats"
[upstreams.chats]
base_url = "{base}"
prices."*" = {{ input = 1, output = 2 }}
[upstreams.makes]
base_url = "{base}"
speaks = ["chat", "responses"]
prices."*" = {{ input = 1, output = 2 }}
[routes.tiny]
targets = [{{ upstream = "chats", model = {model} }}]
[routes.made]
targets = [{{ upstream = "makes", model = {model} }}]
"""


@pytest.fixture(scope="module")
def before_config() -> str:
    return CONFIG


CASES = ["transformers made", "transformers tiny", "llama tiny"]


@pytest.fixture(params=CASES, ids=[case.replace(" ", "-") for case in CASES])
def case(request: pytest.FixtureRequest) -> tuple[Gateway, dict[str, Any]]:
    """Each gateway, and what to ask there."""
    server, model = request.param.split()
    gateway: Gateway = request.getfixturevalue(f"before_{server}")
    own = {"extra_body": {"logit_bias": PRINTABLE}} if server == "llama" else {}
    return gateway, {"model": model, "input": "hello", "max_output_tokens": 16, **own}


def client_of(gateway: Gateway) -> openai.OpenAI:
    base = f"{gateway.url}/v1"
    return openai.OpenAI(base_url=base, api_key=gateway.new_key(), max_retries=0, timeout=60)


def test_a_whole_response_is_settled_by_the_servers_own_counts(
    case: tuple[Gateway, dict[str, Any]],
) -> None:
    gateway, asked = case
    with client_of(gateway) as client:
        raw = client.responses.with_raw_response.create(**asked)
    answer = raw.parse()
    assert answer.output_text
    row = gateway.entry(raw.headers["x-request-id"])
    assert (row["endpoint"], row["outcome"], row["token_source"]) == ("responses", "ok", "provider")
    assert answer.usage is not None
    counts = (answer.usage.input_tokens, answer.usage.output_tokens)
    assert (row["input_tokens"], row["output_tokens"]) == counts
    assert row["output_tokens"] == 16


def test_a_streamed_response_says_what_the_whole_one_says(
    case: tuple[Gateway, dict[str, Any]],
) -> None:
    gateway, asked = case
    asked = {**asked, "temperature": 0, "max_output_tokens": 24}  # no character is cut there
    with client_of(gateway) as client:
        whole = client.responses.create(**asked)
        stream = client.responses.with_raw_response.create(**asked, stream=True)
        events: list[Any] = list(stream.parse())
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert events[-1].response.output_text == whole.output_text
    row = gateway.entry(stream.headers["x-request-id"])
    assert row["outcome"] == "ok"
    if "llama" in gateway.folder.name:  # whose streams tell no usage
        assert (row["token_source"], events[-1].response.usage) == ("estimated", None)
    else:
        assert (row["token_source"], row["output_tokens"]) == ("provider", 24)


def test_a_chats_limit_is_told_as_an_incomplete_response(before_llama: Gateway) -> None:
    with client_of(before_llama) as client:
        answer = client.responses.create(
            model="tiny", input="hello", max_output_tokens=4, extra_body={"logit_bias": PRINTABLE}
        )
    assert (answer.status, answer.model) == ("incomplete", "tiny")
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_a_forced_call_of_a_real_grammar_comes_whole_and_streamed(before_llama: Gateway) -> None:
    choice: Any = {"type": "function", "name": "get_weather"}
    asked: Any = {
        "model": "tiny",
        "input": "Weather?",
        "tools": [WEATHER],
        "tool_choice": choice,
        "max_output_tokens": 200,
    }
    with client_of(before_llama) as client:
        whole = client.responses.create(**asked)
        with client.responses.stream(**asked) as stream:
            streamed = stream.get_final_response()
        for answer in (whole, streamed):
            (call,) = [item for item in answer.output if item.type == "function_call"]
            assert call.name == "get_weather"
            assert json.loads(call.arguments)["unit"] in ("celsius", "fahrenheit")
        told = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
        again: Any = [{"role": "user", "content": "Weather?"}, *whole.output, told]
        again[-1]["call_id"] = next(i.call_id for i in whole.output if i.type == "function_call")
        last = client.responses.create(model="tiny", input=again, max_output_tokens=8)
    assert last.object == "response"


def test_an_answer_is_json_by_a_real_grammar(before_llama: Gateway) -> None:
    form: Any = {"format": {"type": "json_object"}}
    with client_of(before_llama) as client:
        answer = client.responses.create(
            model="tiny", input="Windy?", text=form, max_output_tokens=60
        )
    assert answer.output_text.lstrip().startswith("{")


def test_what_a_server_does_not_take_is_its_own_error(before_transformers: Gateway) -> None:
    with client_of(before_transformers) as client:
        for model in ("made", "tiny"):
            with pytest.raises(openai.UnprocessableEntityError, match="unknown_field"):
                client.responses.create(model=model, input="x", extra_body={"unknown_field": 1})

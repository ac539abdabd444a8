"""Anthropic's JavaScript client and Vercel's @ai-sdk/anthropic, unchanged, against a gateway."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from gateways import rows
from javascript import Ask, Scenarios
from questions import LLAMA, PNG, SAID
from running import Gateway

from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.slow

BEGUN = f'[simulated] You said: "{SAID}"'


@pytest.fixture
def ask(scenarios: Scenarios) -> Ask:
    """Run a scenario of @anthropic-ai/sdk."""
    return scenarios("gateway_anthropic.mjs")


@pytest.fixture
def ai(scenarios: Scenarios) -> Ask:
    """Run a scenario of ai with @ai-sdk/anthropic."""
    return scenarios("gateway_ai_anthropic.mjs")


def test_a_message_has_the_counts_and_the_id_of_its_row(ask: Ask, gateway: Gateway) -> None:
    found = ask("chat")
    message = found["message"]
    assert message["content"][0]["text"].startswith(BEGUN)
    assert message["id"] == f"msg_{found['id'].removeprefix('req_')}"
    row = gateway.entry(found["id"])
    assert (row["endpoint"], row["model"]) == ("messages", LLAMA)
    assert message["usage"] == {
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
    }


def test_a_stream_adds_up_to_the_whole_message(ask: Ask) -> None:
    found = ask("stream")
    whole, streamed = found["whole"], found["streamed"]
    assert streamed["text"] == whole["content"][0]["text"]
    assert streamed["blocks"] == streamed["message"]["content"] == whole["content"]
    assert streamed["message"]["usage"] == whole["usage"]
    assert streamed["message"]["stop_reason"] == "end_turn"


def test_what_was_thought_comes_in_pieces_and_goes_back(ask: Ask) -> None:
    found = ask("thinking")
    streamed = found["streamed"]
    assert "low effort" in streamed["thinking"]
    assert [block["type"] for block in streamed["blocks"]] == ["thinking", "text"]
    assert streamed["blocks"][0]["thinking"] == streamed["thinking"]
    assert found["second"]["content"][0]["text"].startswith(BEGUN)


def test_calls_come_whole_and_one_after_the_other(ask: Ask) -> None:
    found = ask("tools")
    (use,) = found["streamed"]["message"]["content"]
    assert (use["type"], use["input"]) == ("tool_use", {"city": "Paris"})
    assert found["streamed"]["message"]["stop_reason"] == "tool_use"
    several = found["several"]
    assert several["json"] == '{"city":"Paris"}{"city":"Tokyo"}'
    assert [block["id"] for block in several["blocks"]] == ["call_a", "call_b"]


def test_its_own_loop_runs_tools_until_the_answer(ask: Ask) -> None:
    found = ask("loop")
    assert found["heard"] == ["Paris", "Paris"]
    for way in ("whole", "streamed"):
        assert "get_weather answered: 18 degrees." in found[way]["content"][0]["text"]


def test_tokens_are_counted_and_models_listed(ask: Ask) -> None:
    found = ask("counting")
    assert found["counted"]["input_tokens"] > 0
    assert found["counted"]["estimated"] is True
    assert LLAMA in found["names"]
    assert len(set(found["names"])) == len(found["names"])
    assert (found["one"]["id"], found["one"]["type"]) == (LLAMA, "model")


def test_errors_are_its_own_with_the_gateways_request_id(ask: Ask, gateway: Gateway) -> None:
    found = ask("errors")
    kinds = {name: (e["kind"], e["status"], e["type"]) for name, e in found.items()}
    assert kinds == {
        "400": ("BadRequestError", 400, "invalid_request_error"),
        "401": ("InternalServerError", 502, "api_error"),
        "402": ("PaymentRequiredError", 402, "billing_error"),
        "404": ("NotFoundError", 404, "not_found_error"),
        "429-int": ("RateLimitError", 429, "rate_limit_error"),
        "500": ("InternalServerError", 500, "api_error"),
        "503": ("ServiceUnavailableError", 503, "overloaded_error"),
        "529": ("OverloadedError", 529, "overloaded_error"),
        "error-mid-stream": ("APIError", None, "api_error"),
        "truncated": ("APIError", None, "api_error"),
        "stranger": ("AuthenticationError", 401, "authentication_error"),
        "wrong": ("BadRequestError", 400, "invalid_request_error"),
    }
    assert "messages.0.content.1.source.media_type" in found["wrong"]["message"]
    assert "ended before the answer did" in found["truncated"]["message"]
    assert gateway.entry(found["500"]["id"])["status"] == 500


def test_what_it_tries_again_has_a_row_for_each_attempt(ask: Ask, gateway: Gateway) -> None:
    assert ask("again").startswith(BEGUN)
    found = rows(gateway, "js-messages-again/fault-flaky-503", 2)
    assert [row["status"] for row in found] == [503, 200]


def left(behind: SandboxServer, name: str) -> bool:
    """Tell whether the sandbox was left in the middle of a request for a model of this name."""
    return any(
        one.hung_up for one in behind.requests if one.method == "POST" and name in one.json["model"]
    )


def test_what_it_leaves_ends_the_upstreams_work(
    ask: Ask, gateway: Gateway, behind: SandboxServer, soon: Callable[..., bool]
) -> None:
    assert ask("aborted")["kind"] == "APIUserAbortError"
    (row,) = rows(gateway, "emulator/js-messages-gone/fault-stall;seconds=30", 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    assert row["output_tokens"] > 0
    assert soon(lambda: left(behind, "js-messages-gone"))


def test_ai_generates_and_streams_the_same_text(ai: Ask) -> None:
    found = ai("chat")
    streamed = found["streamed"]
    assert found["text"].startswith(BEGUN)
    assert (streamed["text"], streamed["finish"]) == (found["text"], "stop")
    for name in ("inputTokens", "outputTokens"):
        assert streamed["usage"][name] == found["usage"][name] > 0
    assert found["id"].startswith("msg_")


def test_ai_shows_what_was_thought_and_sends_it_back(ai: Ask) -> None:
    found = ai("thinking")
    assert "low effort" in found["thought"]
    assert found["streamed"]["thought"] == found["thought"]
    assert found["streamed"]["text"] == found["text"]
    assert found["second"].startswith(BEGUN)


def test_ai_runs_its_own_loop_of_tools(ai: Ask) -> None:
    found = ai("tools")
    assert found["heard"] == ["Paris", "Paris"]
    assert found["steps"] == 2
    assert found["streamed"]["called"] == [{"city": "Paris"}]
    for text in (found["text"], found["streamed"]["text"]):
        assert "get_weather answered: 18 degrees." in text


def test_ai_gets_typed_objects(ai: Ask) -> None:
    found = ai("object")
    assert found.keys() == {"sky", "degrees", "windy"}
    assert type(found["degrees"]) is int


def test_ai_shows_images(ai: Ask) -> None:
    assert f"1 image: image/png of {len(PNG)} bytes" in ai("images")


def test_ai_raises_its_own_errors_in_the_gateways_words(ai: Ask) -> None:
    found = ai("errors")
    statuses = {name: error.get("status") for name, error in found.items()}
    assert statuses == {
        "400": 400, "402": 402, "404": 404, "429-int": 429, "500": 500, "503": 503,
        "error-mid-stream": None, "truncated": None, "stranger": 401,
    }  # fmt: skip
    assert {error["name"] for name, error in found.items() if statuses[name]} == {"AI_APICallError"}
    assert found["error-mid-stream"]["message"] == "Internal server error"
    assert "ended before the answer did" in found["truncated"]["message"]
    assert "x-api-key" in found["stranger"]["message"]


def test_what_ai_leaves_ends_the_upstreams_work(
    ai: Ask, gateway: Gateway, behind: SandboxServer, soon: Callable[..., bool]
) -> None:
    assert ai("aborted") == "aborted"
    (row,) = rows(gateway, "emulator/ai-gone/fault-stall;seconds=30", 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    assert soon(lambda: left(behind, "ai-gone"))

"""JavaScript clients, unchanged, against a gateway: OpenAI's and Hugging Face's own."""

from __future__ import annotations

import json

import pytest
from gateways import rows
from javascript import Ask, Scenarios
from questions import LLAMA
from running import Gateway


@pytest.fixture
def ask(scenarios: Scenarios) -> Ask:
    """Run a scenario."""
    return scenarios("gateway.mjs")


@pytest.fixture
def hub(scenarios: Scenarios) -> Ask:
    """Run a scenario of @huggingface/inference."""
    return scenarios("gateway_hub.mjs")


def test_it_chats_and_streams_with_usage_only_where_asked(ask: Ask, gateway: Gateway) -> None:
    found = ask("chat")
    assert found["answer"].startswith("[simulated]")
    assert found["counted"] == {"text": found["answer"], "usage": found["used"]}
    assert found["bare"] == {"text": found["answer"], "usage": None}
    assert found["id"] == found["header"]
    row = gateway.entry(found["id"])
    assert row["output_tokens"] == found["used"]["completion_tokens"]


def test_it_runs_its_own_tool_loops(ask: Ask) -> None:
    found = ask("tools")
    assert found["heard"] == ["Paris", "Paris"]
    for way in ("whole", "streamed"):
        assert "get_weather answered: 18 degrees." in found[way]


def test_it_lists_models_and_finds_one_by_its_whole_name(ask: Ask) -> None:
    found = ask("models")
    assert {LLAMA, "tei/sandbox/tei", "tgi/sandbox/tgi"} <= set(found["names"])
    assert found["one"]["id"] == LLAMA
    assert (found["lost"]["kind"], found["lost"]["code"]) == ("NotFoundError", "model_not_found")


def test_it_embeds_and_continues_texts(ask: Ask) -> None:
    found = ask("tasks")
    assert found["sizes"] == [384, 384]
    assert found["whole"]
    assert found["text"] == found["whole"]


def test_it_raises_its_own_errors_with_the_gateways_request_id(ask: Ask, gateway: Gateway) -> None:
    found = ask("errors")
    kinds = {fault: (error["kind"], error["status"]) for fault, error in found.items()}
    assert kinds == {
        "400": ("BadRequestError", 400),
        "401": ("InternalServerError", 502),
        "402": ("APIError", 402),
        "404": ("NotFoundError", 404),
        "409": ("ConflictError", 409),
        "422-text": ("UnprocessableEntityError", 422),
        "429-int": ("RateLimitError", 429),
        "500": ("InternalServerError", 500),
        "503": ("InternalServerError", 503),
        "error-mid-stream": ("APIError", None),
        "truncated": ("APIError", None),
        "stranger": ("AuthenticationError", 401),
    }
    assert found["429-int"]["after"]
    assert found["truncated"]["code"] == "upstream_truncated"
    assert gateway.entry(found["500"]["id"])["status"] == 500


def test_what_it_tries_again_has_a_row_for_each_attempt(ask: Ask, gateway: Gateway) -> None:
    assert ask("again").startswith("[simulated]")
    found = rows(gateway, "js-again/fault-flaky-503", 2)
    assert [row["status"] for row in found] == [503, 200]


def test_what_it_leaves_is_settled_as_cancelled(ask: Ask, gateway: Gateway) -> None:
    assert ask("aborted")["kind"] == "APIUserAbortError"
    (left,) = rows(gateway, "emulator/js-gone/fault-stall;seconds=30", 1)
    (waited,) = rows(gateway, "emulator/js-wait/fault-stall-head;seconds=30", 1)
    assert [row["status"] for row in (left, waited)] == [499, 499]
    assert left["output_tokens"] > 0
    assert waited["output_tokens"] is None


def test_hugging_faces_client_finds_the_gateway_by_each_spelling_of_its_address(hub: Ask) -> None:
    found = hub("chat")
    assert found.keys() == {"/", "/v1", "/v1/chat/completions"}
    for whole, streamed in found.values():
        assert whole.startswith("[simulated]")
        assert streamed == whole


def test_hugging_faces_client_calls_tools(hub: Ask) -> None:
    assert [json.loads(told) for told in hub("tools")] == [{"city": "Paris"}, {"city": "Paris"}]


def test_hugging_faces_client_raises_its_own_errors(hub: Ask, gateway: Gateway) -> None:
    found = hub("errors")
    statuses = {fault: error["status"] for fault, error in found.items()}
    assert statuses == {
        "400": 400, "401": 502, "402": 402, "429": 429, "500": 500,
        "truncated": 200, "error-mid-stream": 200,
    }  # fmt: skip
    assert {error["name"] for error in found.values()} == {"ProviderApiError"}
    assert "ended before the answer did" in found["truncated"]["message"]
    assert gateway.entry(found["500"]["id"])["status"] == 500

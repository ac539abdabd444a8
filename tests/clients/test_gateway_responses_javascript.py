"""OpenAI's JavaScript client, unchanged, asking a gateway for responses."""

from __future__ import annotations

import pytest
from gateways import rows
from javascript import Ask, Scenarios
from questions import SAID, fits_report
from running import Gateway


@pytest.fixture
def ask(scenarios: Scenarios) -> Ask:
    """Run a scenario."""
    return scenarios("gateway_responses.mjs")


def test_it_reads_responses_whole_and_streamed(ask: Ask, gateway: Gateway) -> None:
    for way, told in ask("text").items():
        assert told["whole"].startswith(f'[simulated] You said: "{SAID}"'), way
        assert told["text"] == told["last"] == told["whole"]
        whole, streamed = told["usage"]
        assert whole == streamed
        row = gateway.entry(told["id"])
        assert (row["endpoint"], row["output_tokens"]) == ("responses", whole["output_tokens"])


def test_a_loop_of_tools_ends_with_what_the_tool_said(ask: Ask) -> None:
    for way, told in ask("tools").items():
        assert told["heard"] == ["Paris"], way
        assert "get_weather answered: 18 degrees." in told["text"]


def test_it_parses_answers_that_fit_a_schema(ask: Ask) -> None:
    for way, found in ask("objects").items():
        assert fits_report(found), way


def test_it_raises_its_own_errors(ask: Ask) -> None:
    found = ask("errors")
    kinds = {fault: (error["kind"], error["status"]) for fault, error in found.items()}
    assert kinds == {
        "400": ("BadRequestError", 400),
        "401": ("InternalServerError", 502),
        "429-int": ("RateLimitError", 429),
        "500": ("InternalServerError", 500),
        "truncated": ("APIError", None),
        "error-mid-stream": ("APIError", None),
        "unsaid": ("BadRequestError", 400),
    }
    assert found["truncated"]["code"] == "upstream_truncated"
    assert found["unsaid"]["param"] == "previous_response_id"
    assert found["500"]["id"]


def test_a_stream_that_it_leaves_is_settled_as_cancelled(ask: Ask, gateway: Gateway) -> None:
    assert ask("aborted")
    (row,) = rows(gateway, "emulator/jsr-gone/fault-stall;seconds=30", 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    assert row["output_tokens"] > 0

"""Vercel's `ai` package, unchanged, at a gateway: by chats, and by responses, which it asks for by default."""

from __future__ import annotations

import pytest
from gateways import rows
from javascript import Ask, Scenarios
from questions import PNG, SAID, fits_report
from running import Gateway

from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.slow

WAYS = {"compatible", "chat", "native", "chatted"}
TOLD = "get_weather answered: 18 degrees."


@pytest.fixture
def ask(scenarios: Scenarios) -> Ask:
    """Run a scenario."""
    return scenarios("vercel.mjs")


def test_it_generates_and_streams_texts_with_usage(ask: Ask, gateway: Gateway) -> None:
    found = ask("text")
    assert found.keys() == WAYS
    for way, told in found.items():
        assert told["whole"].startswith(f'[simulated] You said: "{SAID}"'), way
        assert told["text"] == told["whole"]
        assert told["reason"] == ["stop", "stop"]
        assert told["warnings"] == 0
        row = gateway.entry(told["id"])
        assert row["endpoint"] == ("responses" if way in ("native", "chatted") else "chat")
        assert told["usage"] == [row["output_tokens"]] * 2


def test_it_runs_its_own_loop_of_tools(ask: Ask) -> None:
    for way, told in ask("tools").items():
        assert told["heard"] == ["Paris", "Paris"], way
        assert TOLD in told["whole"]
        assert TOLD in told["text"]
        assert told["steps"] == [2, 2]


def test_it_sends_back_what_an_earlier_turn_left(ask: Ask, behind: SandboxServer) -> None:
    before = len(behind.requests)
    for way, text in ask("turns").items():
        assert 'You said: "And tomorrow?"' in text, way
    sent = {
        row.json["model"]: row.json
        for row in list(behind.requests)[before:]
        if row.path == "/v1/chat/completions"
    }
    roles = [message["role"] for message in sent["sandbox/demo"]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


def test_a_reference_to_what_is_not_kept_says_how_to_send_it_instead(ask: Ask) -> None:
    found = ask("referred")
    assert (found["status"], found["code"]) == (400, "unsupported_value")
    assert "store = false" in found["message"]


def test_it_generates_and_streams_objects_that_fit_a_schema(ask: Ask) -> None:
    for way, told in ask("objects").items():
        assert fits_report(told["whole"]), way
        assert fits_report(told["streamed"])


def test_it_shows_images(ask: Ask) -> None:
    for way, text in ask("images").items():
        assert f"You showed me 1 image: image/png of {len(PNG)} bytes." in text, way


def test_an_answer_that_was_cut_says_so(ask: Ask) -> None:
    assert ask("cut") == dict.fromkeys(WAYS, "length")


def test_it_tells_thoughts_apart_where_it_asks_by_chats(ask: Ask) -> None:
    found = ask("thoughts")
    assert found["whole"].startswith("[simulated] With high effort")
    assert found["streamed"] == found["whole"]


def test_errors_have_their_status_and_say_whether_to_try_again(ask: Ask) -> None:
    for way, found in ask("errors").items():
        statuses = {fault: (error["status"], error["again"]) for fault, error in found.items()}
        assert statuses == {
            "400": (400, False),
            "401": (502, True),
            "402": (402, False),
            "404": (404, False),
            "429-int": (429, True),
            "500": (500, True),
            "503": (503, True),
            "stranger": (401, False),
        }, way
        assert found["401"]["code"] == "upstream_credential_refused"
        assert {error["name"] for error in found.values()} == {"AI_APICallError"}


def test_a_stream_that_breaks_is_an_error_and_told_once(ask: Ask) -> None:
    for case, told in ask("broken").items():
        (error,) = told["errors"]
        assert told["said"], case
        if case.endswith("truncated"):
            assert "ended before the answer did" in error["message"]
            assert error["code"] == "upstream_truncated"
        else:
            assert error["message"] == "Internal server error"


def test_what_it_tries_again_has_a_row_for_each_attempt(ask: Ask, gateway: Gateway) -> None:
    for way, text in ask("again").items():
        assert text.startswith("[simulated]")
        found = rows(gateway, f"emulator/ai-again-{way}/fault-flaky-503", 2)
        assert [row["status"] for row in found] == [503, 200]


def test_what_it_leaves_is_settled_as_cancelled(ask: Ask, gateway: Gateway) -> None:
    found = ask("aborted")
    for way in ("compatible", "chatted"):
        assert found[way] == "aborted"
        (row,) = rows(gateway, f"emulator/ai-gone-{way}/fault-stall;seconds=30", 1)
        assert (row["status"], row["outcome"]) == (499, "cancelled")
        assert row["output_tokens"] > 0


def test_it_embeds(ask: Ask) -> None:
    assert ask("vectors") == {"sizes": [384, 384], "tokens": 2}

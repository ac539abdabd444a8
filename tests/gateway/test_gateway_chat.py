"""Chats through a real gateway, in front of the sandbox."""

from __future__ import annotations

import json

import pytest
from running import CHAT, Gateway


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


def test_a_chat_is_answered_and_has_one_settled_entry_with_its_cost(
    gateway: Gateway, key: str
) -> None:
    status, headers, body = gateway.ask("POST", "/v1/chat/completions", CHAT, key)
    assert status == 200
    assert body["choices"][0]["message"]["content"]
    row = gateway.entry(headers["x-request-id"])
    assert (row["state"], row["status"], row["outcome"]) == ("settled", 200, "ok")
    assert row["input_tokens"] == body["usage"]["prompt_tokens"]
    assert row["output_tokens"] == body["usage"]["completion_tokens"]
    assert row["cost"] is not None


def test_a_stream_ends_with_its_mark_and_hides_the_usage_that_was_not_asked_for(
    gateway: Gateway, key: str
) -> None:
    status, headers, raw = gateway.ask(
        "POST", "/v1/chat/completions", {**CHAT, "stream": True}, key
    )
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    events = [e.removeprefix(b"data: ") for e in raw.split(b"\n\n") if e]
    assert events[-1] == b"[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert all(chunk["choices"] for chunk in chunks)
    assert gateway.entry(headers["x-request-id"])["token_source"] == "provider"


def test_a_stream_with_usage_asked_for_brings_it(gateway: Gateway, key: str) -> None:
    wish = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    _, _, raw = gateway.ask("POST", "/v1/chat/completions", wish, key)
    chunks = [json.loads(e.removeprefix(b"data: ")) for e in raw.split(b"\n\n")[:-2]]
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_a_cut_stream_ends_with_an_error_and_no_mark(lax_gateway: Gateway) -> None:
    gateway, key = lax_gateway, lax_gateway.new_key()
    wish = {**CHAT, "model": "sandbox-org/fault-truncated", "stream": True}
    status, headers, raw = gateway.ask("POST", "/v1/chat/completions", wish, key)
    assert status == 200
    assert b"[DONE]" not in raw
    last = json.loads(raw.rstrip().rpartition(b"data: ")[2])
    assert last["error"]["code"] == "upstream_truncated"
    assert last["error"]["request_id"] == headers["x-request-id"]
    row = gateway.entry(headers["x-request-id"])
    assert (row["outcome"], row["token_source"]) == ("truncated", "estimated")


def test_models_are_listed_as_the_router_has_them(gateway: Gateway, key: str) -> None:
    status, _, body = gateway.ask("GET", "/v1/models", key=key)
    assert status == 200
    assert CHAT["model"] in [row["id"] for row in body["data"]]
    status, _, one = gateway.ask("GET", f"/v1/models/{CHAT['model']}", key=key)
    assert (status, one["id"]) == (200, CHAT["model"])


def test_a_model_that_nobody_serves_is_refused_with_the_nearest(gateway: Gateway, key: str) -> None:
    wish = {**CHAT, "model": "meta-llama/Llama-3.3-70B-Instructt"}
    status, _, body = gateway.ask("POST", "/v1/chat/completions", wish, key)
    assert status == 404
    assert body["error"]["code"] == "model_not_found"
    assert CHAT["model"] in body["error"]["message"]

"""Messages that upstreams make themselves, over real sockets: relayed, counted, and told where they break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from raw import Wire
from two_servers import (
    Body,
    Scene,
    Script,
    before_two,
    breaking,
    events,
    native,
    scripted,
    silent,
    sse,
)

from loopback import LAST, STREAM_HEAD, whole

pytestmark = pytest.mark.slow

CONFIG = native("messages")
USAGE = {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 5}
MESSAGE: dict[str, Any] = {
    "id": "msg_up",
    "type": "message",
    "role": "assistant",
    "model": "one",
    "content": [],
    "stop_reason": None,
    "usage": {**USAGE, "output_tokens": 1},
}
ENDED = {
    **MESSAGE,
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": USAGE,
}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}
SEARCH = [{"type": "web_search_20250305", "name": "web_search"}]


START = sse("message_start", message=MESSAGE)
OPENED = sse("content_block_start", index=0, content_block={"type": "text", "text": ""})
HELLO = sse("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"})
CLOSED = sse("content_block_stop", index=0)
DELTA = sse("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
STOP = sse("message_stop")
WHOLE = whole(json.dumps(ENDED).encode())
BEGUN = (STREAM_HEAD, START, OPENED, HELLO)
STREAM = (*BEGUN, CLOSED, DELTA, STOP, LAST)


@contextmanager
def scene(folder: Path, first: Script, second: Script | None = None) -> Iterator[Scene]:
    asked = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    second = second or scripted(WHOLE)
    with before_two(folder, CONFIG, first, second, path="/v1/messages", asked=asked) as found:
        yield found


def test_a_message_goes_through_untouched_but_for_the_models_name(tmp_path: Path) -> None:
    with scene(tmp_path, scripted(WHOLE)) as it:
        answer = it.ask(temperature=0.30000000000000004, tools=SEARCH, thread={})
        assert (answer.status, answer.json) == (200, ENDED)
        sent = it.first.requests[0]
        assert sent.target == "/v1/messages"
        assert sent.headers["anthropic-version"] == "2023-06-01"
        assert sent.json == {
            "model": "one", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}],
            "temperature": 0.30000000000000004, "tools": SEARCH, "thread": {},
        }  # fmt: skip
        row = it.row(answer)
        assert (row["endpoint"], row["target_model"], row["outcome"]) == ("messages", "one", "ok")
        assert (row["input_tokens"], row["cached_tokens"], row["output_tokens"]) == (7, 3, 5)
        assert row["cost"] == "0.000017"


def test_a_stream_goes_through_byte_for_byte_and_ends_with_its_own_last_event(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, scripted(*STREAM)) as it:
        for _ in range(2):  # the second one on the connection that the first one left
            answer = it.ask(stream=True)
            assert [event["type"] for event in events(answer)] == [
                "message_start", "content_block_start", "content_block_delta",
                "content_block_stop", "message_delta", "message_stop",
            ]  # fmt: skip
            assert events(answer)[0]["message"] == MESSAGE
            row = it.row(answer)
            assert (row["input_tokens"], row["output_tokens"]) == (7, 5)
            assert (row["cached_tokens"], row["token_source"]) == (3, "provider")
        assert len(it.first.visits) == 1


@pytest.mark.parametrize(
    "first",
    [
        breaking(),
        scripted(whole(json.dumps(OVERLOADED).encode(), 529)),
        scripted(whole(json.dumps(OVERLOADED).encode())),
        scripted(whole(b"<html>")),
        scripted(whole(b"{}")),
    ],
    ids=["closed", "529", "an error in a 200", "html", "nothing"],
)
def test_what_fails_before_anything_was_said_goes_to_the_next_target(
    tmp_path: Path, first: Script
) -> None:
    with scene(tmp_path, first) as it:
        answer = it.ask()
        assert (answer.status, answer.json) == (200, ENDED)
        row = it.row(answer)
        assert (row["upstream"], row["target_model"]) == ("second", "two")
        assert row["attempts"] in (2, 3)  # one that failed is asked once more, a silent one is not


def test_a_stream_that_lacks_its_last_event_alone_is_given_it(tmp_path: Path) -> None:
    with scene(tmp_path, scripted(*STREAM[:-2], LAST)) as it:
        answer = it.ask(stream=True)
        assert [told["type"] for told in events(answer)[-2:]] == ["message_delta", "message_stop"]
        assert it.row(answer)["outcome"] == "ok"


@pytest.mark.parametrize(
    "first",
    [
        scripted(STREAM_HEAD, sse("error", error=OVERLOADED["error"]), LAST),
        silent(),
        silent(STREAM_HEAD),
    ],
    ids=["error", "silent", "silent-stream"],
)
def test_a_stream_that_fails_at_once_goes_to_the_next_target(tmp_path: Path, first: Script) -> None:
    with scene(tmp_path, first, scripted(*STREAM)) as it:
        answer = it.ask(stream=True)
        assert answer.status == 200
        assert events(answer)[-1]["type"] == "message_stop"
        roles = [one["role"] for one in it.row(answer)["tries"]]
        assert roles in (["first", "failover"], ["first", "retry", "failover"])
        assert len(it.second.requests) == 1


@pytest.mark.parametrize(
    ("first", "kind", "outcome"),
    [
        (breaking(*BEGUN), "api_error", "truncated"),
        (breaking(*BEGUN, b"5\r\ndata:"), "api_error", "truncated"),
        (scripted(*BEGUN, LAST), "api_error", "truncated"),
        (silent(*BEGUN), "timeout_error", "truncated"),
        (
            scripted(*BEGUN, sse("error", error=OVERLOADED["error"]), LAST),
            "overloaded_error",
            "failed",
        ),
    ],
    ids=["closed", "cut", "unended", "silent", "error"],
)
def test_a_stream_that_breaks_later_is_told_in_the_apis_own_event(
    tmp_path: Path, first: Script, kind: str, outcome: str
) -> None:
    with scene(tmp_path, first) as it:
        answer = it.ask(stream=True)
        *_, delta, error = events(answer)
        assert (answer.status, delta["delta"]["text"]) == (200, "Hello")
        assert (error["type"], error["error"]["type"]) == ("error", kind)
        assert error["request_id"] == answer.headers["request-id"]
        row = it.row(answer)
        assert (row["outcome"], row["status"], row["attempts"]) == (outcome, 200, 1)
        assert (row["output_tokens"], row["token_source"]) == (2, "estimated")
        assert it.second.requests == []


def test_an_error_is_told_in_the_gateways_words_and_anthropics_shape(tmp_path: Path) -> None:
    wrong = {"type": "error", "error": {"type": "invalid_request_error", "message": "top_k: no"}}
    with scene(tmp_path, scripted(whole(json.dumps(wrong).encode(), 400))) as it:
        answer = it.ask("first/one")
        assert (answer.status, answer.json["type"]) == (400, "error")
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert answer.json["error"]["message"] == "top_k: no"
        assert (it.row(answer)["outcome"], it.row(answer)["cost"]) == ("refused", "0")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": []}, "messages"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"api_base": "http://e.org"}, "api_base"),
        ({"model": 5}, "model"),
    ],
)
def test_what_is_no_request_is_not_sent(tmp_path: Path, more: Body, param: str) -> None:
    with scene(tmp_path, scripted(WHOLE)) as it:
        answer = it.ask(**more)
        assert (answer.status, answer.json["error"]["details"]["param"]) == (400, param)
        assert it.first.requests == it.second.requests == []


def test_a_route_with_a_target_that_only_chats_is_asked_by_chats_throughout(tmp_path: Path) -> None:
    chat = {
        "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    second = scripted(whole(json.dumps(chat).encode()))
    with scene(tmp_path, scripted(whole(b"{}", 500)), second) as it:
        answer = it.ask("mixed")
        assert answer.json["content"] == [{"type": "text", "text": "Hello"}]
        assert answer.json["model"] == "mixed"
        sent = [server.requests[-1] for server in (it.first, it.second)]
        assert [one.target for one in sent] == ["/v1/chat/completions"] * 2
        assert "anthropic-version" not in sent[0].headers
        assert it.row(answer)["attempts"] == 3
        refused = it.ask("mixed", tools=SEARCH)
        assert (refused.status, refused.json["error"]["details"]["param"]) == (400, "tools.0")


def test_a_client_that_leaves_closes_the_upstream(tmp_path: Path) -> None:
    with scene(tmp_path, silent(*BEGUN)) as it:
        with Wire(it.gateway) as wire:
            wire.send(it.request("first/one", stream=True))
            wire.until(b"Hello")
        assert it.first.visits[0].gone.wait(10)
        (row,) = it.gateway.ledger(1)
        assert (row["status"], row["outcome"], row["output_tokens"]) == (499, "cancelled", 2)


def test_a_budget_holds_for_messages_as_for_chats(tmp_path: Path) -> None:
    with scene(tmp_path, scripted(WHOLE)) as it:
        it.key = it.gateway.new_key(budgets=[{"amount": "0.0005", "period": "day"}])
        image = {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}}
        result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
        for content in ([image], [result]):  # then the whole context is held
            refused = it.ask("first/one", messages=[{"role": "user", "content": content}])
            assert (refused.status, refused.json["error"]["type"]) == (402, "billing_error")
        assert it.ask("first/one", tools=SEARCH).status == 402
        assert it.first.requests == []
        text = [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]
        assert it.ask("first/one", messages=[{"role": "user", "content": text}]).status == 200

"""Responses that upstreams make themselves, over real sockets: relayed, counted, and told where they break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from raw import Wire
from two_servers import Scene, Script, before_two, breaking, events, native, scripted, silent, sse

from loopback import LAST, STREAM_HEAD, whole

pytestmark = pytest.mark.slow

CONFIG = native("responses")
USAGE = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
BEGUN: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "in_progress",
    "output": [],
}
ENDED = {**BEGUN, "status": "completed", "usage": USAGE}


def numbered(number: int, kind: str, **fields: Any) -> bytes:
    return sse(kind, sequence_number=number, **fields)


CREATED = numbered(0, "response.created", response=BEGUN)
HELLO = numbered(1, "response.output_text.delta", item_id="m", output_index=0, delta="Hello")
COMPLETED = numbered(2, "response.completed", response=ENDED)
WHOLE = whole(json.dumps(ENDED).encode())
STREAM = (STREAM_HEAD, CREATED, HELLO, COMPLETED, LAST)


@contextmanager
def scene(
    folder: Path, first: Script, second: Script | None = None, config: str = CONFIG
) -> Iterator[Scene]:
    second, asked = second or scripted(WHOLE), {"input": "Hi"}
    with before_two(folder, config, first, second, path="/v1/responses", asked=asked) as found:
        yield found


def test_a_response_goes_through_untouched_but_for_the_models_name(tmp_path: Path) -> None:
    with scene(tmp_path, scripted(WHOLE)) as it:
        answer = it.ask(temperature=0.30000000000000004, tools=[{"type": "web_search"}])
        assert (answer.status, answer.json) == (200, ENDED)
        sent = it.first.requests[0]
        assert sent.target == "/v1/responses"
        assert sent.json == {
            "model": "one", "input": "Hi", "temperature": 0.30000000000000004,
            "tools": [{"type": "web_search"}], "stream": False,
        }  # fmt: skip
        row = it.row(answer)
        assert (row["endpoint"], row["target_model"], row["outcome"]) == ("responses", "one", "ok")
        assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (7, 5, "0.000017")


def test_a_stream_goes_through_byte_for_byte_and_ends_with_its_own_last_event(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, scripted(*STREAM)) as it:
        for _ in range(2):  # the second one on the connection that the first one left
            answer = it.ask(stream=True)
            kinds = [event["type"].removeprefix("response.") for event in events(answer)]
            assert kinds == ["created", "output_text.delta", "completed"]
            row = it.row(answer)
            assert (row["output_tokens"], row["token_source"]) == (5, "provider")
        assert len(it.first.visits) == 1
        assert it.first.requests[0].json == {"model": "one", "input": "Hi", "stream": True}


@pytest.mark.parametrize(
    "first",
    [
        breaking(),
        scripted(whole(b'{"error": {"message": "busy"}}', 503)),
        scripted(whole(b"<html>")),
        scripted(whole(json.dumps({**BEGUN, "status": "failed", "error": {"code": "server_error", "message": "x"}}).encode())),
    ],
    ids=["closed", "503", "html", "failed"],
)  # fmt: skip
def test_what_fails_before_anything_was_said_goes_to_the_next_target(
    tmp_path: Path, first: Script
) -> None:
    with scene(tmp_path, first) as it:
        answer = it.ask()
        assert (answer.status, answer.json) == (200, ENDED)
        row = it.row(answer)
        assert (row["upstream"], row["target_model"]) == ("second", "two")
        assert row["attempts"] in (2, 3)  # one that failed is asked once more, a silent one is not


@pytest.mark.parametrize(
    "first",
    [
        scripted(STREAM_HEAD, numbered(0, "error", code="server_error", message="x"), LAST),
        scripted(STREAM_HEAD, numbered(0, "response.failed", response={**BEGUN, "error": {"code": "server_error", "message": "x"}}), LAST),
        silent(),
        silent(STREAM_HEAD),
    ],
    ids=["error", "failed", "silent", "silent-stream"],
)  # fmt: skip
def test_a_stream_that_fails_at_once_goes_to_the_next_target(tmp_path: Path, first: Script) -> None:
    with scene(tmp_path, first, scripted(*STREAM)) as it:
        answer = it.ask(stream=True)
        assert answer.status == 200
        assert events(answer)[-1]["type"] == "response.completed"
        assert it.row(answer)["attempts"] in (2, 3)  # a silent one is not asked again


@pytest.mark.parametrize(
    ("first", "code", "outcome"),
    [
        (breaking(STREAM_HEAD, CREATED, HELLO), "upstream_truncated", "truncated"),
        (breaking(STREAM_HEAD, CREATED, HELLO, b"5\r\ndata:"), "upstream_truncated", "truncated"),
        (scripted(STREAM_HEAD, CREATED, HELLO, LAST), "upstream_truncated", "truncated"),
        (silent(STREAM_HEAD, CREATED, HELLO), "upstream_timeout", "truncated"),
        (scripted(STREAM_HEAD, CREATED, HELLO, numbered(2, "error", code="slow_down", message="x"), LAST), "slow_down", "failed"),
        (
            scripted(STREAM_HEAD, CREATED, HELLO, numbered(2, "response.failed", response={**BEGUN, "error": {"code": "server_error", "message": "x"}}), LAST),
            "server_error", "failed",
        ),
    ],
    ids=["closed", "cut", "unended", "silent", "error", "failed"],
)  # fmt: skip
def test_a_stream_that_breaks_later_is_told_in_the_apis_own_events(
    tmp_path: Path, first: Script, code: str, outcome: str
) -> None:
    with scene(tmp_path, first) as it:
        answer = it.ask(stream=True)
        *_, delta, error, failed = events(answer)
        assert (answer.status, delta["delta"]) == (200, "Hello")
        assert (error["type"], error["code"]) == ("error", code)
        assert error["error"]["code"] == code
        assert error["error"]["request_id"] == answer.headers["x-request-id"]
        assert failed["type"] == "response.failed"
        assert (failed["response"]["id"], failed["response"]["status"]) == ("resp_1", "failed")
        assert failed["response"]["error"]["code"] == "server_error"
        assert failed["sequence_number"] == error["sequence_number"] + 1
        row = it.row(answer)
        assert (row["outcome"], row["status"], row["attempts"]) == (outcome, 200, 1)
        assert (row["output_tokens"], row["token_source"]) == (2, "estimated")
        assert it.second.requests == []


def test_a_route_with_a_target_that_only_chats_is_asked_by_chats_throughout(tmp_path: Path) -> None:
    chat = {
        "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    second = scripted(whole(json.dumps(chat).encode()))
    with scene(tmp_path, scripted(whole(b"{}", 500)), second) as it:
        answer = it.ask("mixed")
        assert answer.json["output"][0]["content"][0]["text"] == "Hello"
        assert (answer.json["model"], answer.json["object"]) == ("mixed", "response")
        sent = [server.requests[-1] for server in (it.first, it.second)]
        assert [one.target for one in sent] == ["/v1/chat/completions"] * 2
        assert [one.json["model"] for one in sent] == ["one", "two"]
        assert it.row(answer)["attempts"] == 3
        refused = it.ask("mixed", previous_response_id="resp_1")
        assert (refused.status, refused.error["param"]) == (400, "previous_response_id")


def test_a_client_that_leaves_closes_the_upstream(tmp_path: Path) -> None:
    with scene(tmp_path, silent(STREAM_HEAD, CREATED, HELLO)) as it:
        with Wire(it.gateway) as wire:
            wire.send(it.request("first/one", stream=True))
            wire.until(b"Hello")
        assert it.first.visits[0].gone.wait(10)
        (row,) = it.gateway.ledger(1)
        assert (row["status"], row["outcome"], row["output_tokens"]) == (499, "cancelled", 2)


def test_a_stop_is_told_in_the_stream(tmp_path: Path) -> None:
    config = CONFIG.replace("idle_seconds = 1.0\n", "") + "[edge]\ndrain_seconds = 0.2\n"
    with scene(tmp_path, silent(STREAM_HEAD, CREATED, HELLO), config=config) as it:
        assert b'"code":"gateway_stopping"' in it.stopped_within(b"response.failed")


def test_a_budget_holds_for_responses_as_for_chats(tmp_path: Path) -> None:
    with scene(tmp_path, scripted(WHOLE)) as it:
        it.key = it.gateway.new_key(budgets=[{"amount": "0.0005", "period": "day"}])
        refused = it.ask("first/one")  # without a limit the whole context is held
        assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
        assert it.first.requests == []
        assert it.ask("first/one", max_output_tokens=10).status == 200
        shown = [
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://a.b/c"}]}
        ]
        assert it.ask("first/one", input=shown, max_output_tokens=10).status == 402

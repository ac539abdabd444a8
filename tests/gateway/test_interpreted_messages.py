"""Messages made of chats, over real sockets: what upstreams send, and what a client is told of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from raw import Wire
from two_servers import Body, Scene, Script, before_two, events, scripted, silent

from loopback import LAST, STREAM_HEAD, chunk, whole

pytestmark = pytest.mark.slow

CONFIG = """
default_upstream = "first"
[upstreams.first]
base_url = "{first}"
idle_seconds = 1.0
first_byte_seconds = 1.0
prices."*" = {{ input = 1, output = 2, context = 1000 }}
[upstreams.second]
base_url = "{second}"
prices."*" = {{ input = 1, output = 2, context = 1000 }}
[routes.both]
targets = [{{ upstream = "first", model = "one" }}, {{ upstream = "second", model = "two" }}]
"""
USAGE = {"prompt_tokens": 7, "completion_tokens": 5}


def event(delta: Body, finish: str | None = None, **more: Any) -> bytes:
    """One event of a chat's stream as a chunk of the body."""
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return chunk(b"data: %b\n\n" % json.dumps(body).encode())


def answered(message: Body, finish: str = "stop") -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return whole(json.dumps({"choices": [choice], "usage": USAGE}).encode())


HELLO = event({"role": "assistant", "content": "Hello"})
ENDED = event({}, "stop", usage=USAGE)
DONE = chunk(b"data: [DONE]\n\n")
COMMENT = chunk(b": waiting\n\n")
NAMELESS = event({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{}"}}]})
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}


@contextmanager
def scene(
    folder: Path, first: Script, second: Script | None = None, config: str = CONFIG
) -> Iterator[Scene]:
    asked = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    second = second or scripted(answered({"content": "Two"}))
    with before_two(folder, config, first, second, path="/v1/messages", asked=asked) as found:
        yield found


def test_a_chat_is_sent_and_a_message_told(tmp_path: Path) -> None:
    with scene(tmp_path, scripted(answered({"content": "Hello", "reasoning_content": "hm"}))) as it:
        answer = it.ask(system="Be brief.", top_k=5, seed=7)
        assert [block["type"] for block in answer.json["content"]] == ["thinking", "text"]
        assert answer.json["model"] == "both"
        sent = it.first.requests[0]
        assert sent.target == "/v1/chat/completions"
        assert not any(name.startswith("anthropic") for name in sent.headers)
        assert sent.json == {
            "model": "one",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
            ],
            "max_tokens": 9,
            "top_k": 5,
            "seed": 7,
        }
        row = it.row(answer)
        assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (7, 5, "0.000017")


def test_an_answer_that_no_message_can_tell_is_none(tmp_path: Path) -> None:
    broken = {"content": None, "tool_calls": [CALL]}
    with scene(tmp_path, scripted(answered(broken, "tool_calls"))) as it:
        answer = it.ask("first/one")
        assert (answer.status, answer.json["error"]["type"]) == (502, "api_error")
        assert "'f'" in answer.json["error"]["message"]
        row = it.row(answer)
        assert (row["outcome"], row["cost"]) == ("failed", None)
        assert it.ask().json["content"][0]["text"] == "Two"


def test_arguments_that_were_cut_are_told_as_text(tmp_path: Path) -> None:
    broken = {"content": None, "tool_calls": [CALL]}
    with scene(tmp_path, scripted(answered(broken, "length"))) as it:
        answer = it.ask("first/one").json
        (use,) = answer["content"]
        assert (use["input"], use["partial_json"]) == ({}, "{")
        assert answer["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    "first",
    [
        scripted(whole(b'{"error": {"message": "busy"}}', 503)),
        scripted(STREAM_HEAD, chunk(b'data: {"error": {"message": "busy", "code": 503}}\n\n'), LAST),
        silent(STREAM_HEAD),
        silent(),
    ],
    ids=["503", "error first", "silent stream", "silent"],
)  # fmt: skip
def test_what_fails_before_anything_was_said_goes_to_the_next_target(
    tmp_path: Path, first: Script
) -> None:
    second = scripted(STREAM_HEAD, HELLO, ENDED, DONE, LAST)
    with scene(tmp_path, first, second) as it:
        answer = it.ask(stream=True)
        assert answer.status == 200
        kinds = [told["type"] for told in events(answer)]
        assert kinds.count("message_start") == 1
        assert kinds[-1] == "message_stop"
        row = it.row(answer)
        assert (row["upstream"], row["output_tokens"]) == ("second", 5)
        assert row["attempts"] in (2, 3)  # one that failed is asked once more, a silent one is not


@pytest.mark.parametrize(
    ("rest", "kind", "outcome"),
    [
        ((LAST,), "api_error", "truncated"),
        ((chunk(b'data: {"error": {"message": "x", "code": 503}}\n\n'), LAST), "overloaded_error", "failed"),
        ((NAMELESS, event({}, "tool_calls", usage=USAGE), DONE, LAST), "api_error", "truncated"),
    ],
    ids=["unended", "error", "nameless"],
)  # fmt: skip
def test_what_goes_wrong_later_is_the_last_event(
    tmp_path: Path, rest: tuple[bytes, ...], kind: str, outcome: str
) -> None:
    with scene(tmp_path, scripted(STREAM_HEAD, HELLO, *rest)) as it:
        answer = it.ask(stream=True)
        *_, error = events(answer)
        assert (error["type"], error["error"]["type"]) == ("error", kind)
        assert error["request_id"] == answer.headers["request-id"]
        assert "message_stop" not in [told["type"] for told in events(answer)]
        row = it.row(answer)
        assert (row["status"], row["attempts"]) == (200, 1)
        assert row["outcome"] == outcome
        assert it.second.requests == []


def test_a_stream_that_falls_silent_is_told_so(tmp_path: Path) -> None:
    with scene(tmp_path, silent(STREAM_HEAD, HELLO)) as it:
        answer = it.ask(stream=True)
        assert events(answer)[-1]["error"]["type"] == "timeout_error"
        assert it.row(answer)["outcome"] == "truncated"


def test_comments_become_pings_before_and_within_an_answer(tmp_path: Path) -> None:
    parts = (STREAM_HEAD, COMMENT, HELLO, COMMENT, ENDED, DONE, LAST)
    with scene(tmp_path, scripted(*parts)) as it:
        kinds = [told["type"] for told in events(it.ask(stream=True))]
        assert kinds.count("ping") == 3
        assert kinds[0] == "message_start"
        assert kinds[-1] == "message_stop"


def test_a_client_sees_each_piece_when_it_comes(tmp_path: Path) -> None:
    with scene(tmp_path, silent(STREAM_HEAD, HELLO)) as it, Wire(it.gateway) as wire:
        wire.send(it.request("first/one", stream=True))
        # Its server says nothing more, so that all of this came before the answer's end.
        assert b"event: message_start" in wire.until(b'"text":"Hello"')


def test_a_stop_is_told_in_the_stream(tmp_path: Path) -> None:
    config = CONFIG.replace("idle_seconds = 1.0\n", "") + "[edge]\ndrain_seconds = 0.2\n"
    with scene(tmp_path, silent(STREAM_HEAD, HELLO), config=config) as it:
        assert b"event: error" in it.stopped_within(b"gateway_stopping")


def test_prompts_that_are_kept_are_the_chats_and_answers_what_the_client_was_told(
    tmp_path: Path,
) -> None:
    config = CONFIG + "[content]\nstore = true\n"
    with scene(tmp_path, scripted(answered({"content": "Hello"})), config=config) as it:
        answer = it.ask(system="Be brief.")
        assert it.gateway.stop() == 0
    with closing(sqlite3.connect(it.gateway.store)) as store:
        ((prompt, kept),) = store.execute(
            "SELECT prompt, answer FROM contents WHERE id = ?", (answer.headers["x-request-id"],)
        ).fetchall()
    assert prompt == "system: Be brief.\n\nuser: Hi"
    assert json.loads(kept) == answer.json

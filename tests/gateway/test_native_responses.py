"""Responses that upstreams make themselves, over real sockets: relayed, counted, and told where they break."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from raw import Answer, Wire, ask, post
from running import Gateway, running

from loopback import LAST, STREAM_HEAD, Upstream, Visit, whole

pytestmark = pytest.mark.slow

CONFIG = """
default_upstream = "first"
[upstreams.first]
base_url = "{first}"
speaks = ["chat", "responses"]
idle_seconds = 1.0
first_byte_seconds = 1.0
prices."*" = {{ input = 1, output = 2, context = 1000 }}
[upstreams.second]
base_url = "{second}"
speaks = ["responses", "chat"]
prices."*" = {{ input = 1, output = 2, context = 1000 }}
[upstreams.chats]
base_url = "{second}"
prices."*" = {{ input = 1, output = 2, context = 1000 }}
[routes.both]
targets = [{{ upstream = "first", model = "one" }}, {{ upstream = "second", model = "two" }}]
[routes.mixed]
targets = [{{ upstream = "first", model = "one" }}, {{ upstream = "chats", model = "two" }}]
"""
USAGE = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
BEGUN: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "in_progress",
    "output": [],
}
ENDED = {**BEGUN, "status": "completed", "usage": USAGE}
Body = dict[str, Any]


def sse(number: int, kind: str, **fields: Any) -> bytes:
    """One event as a chunk of the body."""
    body = json.dumps({"type": kind, "sequence_number": number, **fields}).encode()
    data = b"event: %b\ndata: %b\n\n" % (kind.encode(), body)
    return b"%x\r\n%b\r\n" % (len(data), data)


CREATED = sse(0, "response.created", response=BEGUN)
HELLO = sse(1, "response.output_text.delta", item_id="m", output_index=0, delta="Hello")
COMPLETED = sse(2, "response.completed", response=ENDED)


def scripted(*parts: bytes) -> Callable[[Visit], None]:
    """Answer each request of a connection with the same bytes."""

    def script(visit: Visit) -> None:
        while True:
            visit.request()
            visit.send(*parts)

    return script


def breaking(*parts: bytes) -> Callable[[Visit], None]:
    """Answer one request, and close."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(*parts)

    return script


def silent(*parts: bytes) -> Callable[[Visit], None]:
    """Answer one request in part, and say nothing more."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(*parts)
        visit.until_gone()

    return script


WHOLE = whole(json.dumps(ENDED).encode())
STREAM = (STREAM_HEAD, CREATED, HELLO, COMPLETED, LAST)


class Scene:
    """A gateway with a key, and the two servers behind it."""

    def __init__(self, gateway: Gateway, first: Upstream, second: Upstream) -> None:
        self.gateway = gateway
        self.key = gateway.new_key()
        self.first = first
        self.second = second

    def ask(self, model: str = "both", **more: Any) -> Answer:
        body = {"model": model, "input": "Hi", **more}
        return ask(self.gateway, post(body, self.key, path="/v1/responses"))

    def row(self, answer: Answer) -> Body:
        return self.gateway.entry(answer.headers["x-request-id"])


@contextmanager
def scene(
    folder: Path, first: Callable[[Visit], None], second: Callable[[Visit], None] | None = None
) -> Iterator[Scene]:
    one, two = Upstream(first), Upstream(second or scripted(WHOLE))
    try:
        with running(folder, CONFIG.format(first=one.url, second=two.url)) as gateway:
            yield Scene(gateway, one, two)
    finally:
        one.close()
        two.close()


def events(answer: Answer) -> list[Body]:
    """The events of an answer, each named as its type says."""
    found = []
    for block in answer.body.split(b"\n\n")[:-1]:
        name, _, data = block.partition(b"\n")
        found.append(json.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + found[-1]["type"].encode()
    return found


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
    tmp_path: Path, first: Callable[[Visit], None]
) -> None:
    with scene(tmp_path, first) as it:
        answer = it.ask()
        assert (answer.status, answer.json) == (200, ENDED)
        row = it.row(answer)
        assert (row["attempts"], row["upstream"], row["target_model"]) == (2, "second", "two")


@pytest.mark.parametrize(
    "first",
    [
        scripted(STREAM_HEAD, sse(0, "error", code="server_error", message="x"), LAST),
        scripted(STREAM_HEAD, sse(0, "response.failed", response={**BEGUN, "error": {"code": "server_error", "message": "x"}}), LAST),
        silent(),
        silent(STREAM_HEAD),
    ],
    ids=["error", "failed", "silent", "silent-stream"],
)  # fmt: skip
def test_a_stream_that_fails_at_once_goes_to_the_next_target(
    tmp_path: Path, first: Callable[[Visit], None]
) -> None:
    with scene(tmp_path, first, scripted(*STREAM)) as it:
        answer = it.ask(stream=True)
        assert answer.status == 200
        assert events(answer)[-1]["type"] == "response.completed"
        assert it.row(answer)["attempts"] == 2


@pytest.mark.parametrize(
    ("first", "code", "outcome"),
    [
        (breaking(STREAM_HEAD, CREATED, HELLO), "upstream_truncated", "truncated"),
        (breaking(STREAM_HEAD, CREATED, HELLO, b"5\r\ndata:"), "upstream_truncated", "truncated"),
        (scripted(STREAM_HEAD, CREATED, HELLO, LAST), "upstream_truncated", "truncated"),
        (silent(STREAM_HEAD, CREATED, HELLO), "upstream_timeout", "truncated"),
        (scripted(STREAM_HEAD, CREATED, HELLO, sse(2, "error", code="slow_down", message="x"), LAST), "slow_down", "failed"),
        (
            scripted(STREAM_HEAD, CREATED, HELLO, sse(2, "response.failed", response={**BEGUN, "error": {"code": "server_error", "message": "x"}}), LAST),
            "server_error", "failed",
        ),
    ],
    ids=["closed", "cut", "unended", "silent", "error", "failed"],
)  # fmt: skip
def test_a_stream_that_breaks_later_is_told_in_the_apis_own_events(
    tmp_path: Path, first: Callable[[Visit], None], code: str, outcome: str
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
        sent = [server.requests[0] for server in (it.first, it.second)]
        assert [one.target for one in sent] == ["/v1/chat/completions"] * 2
        assert [one.json["model"] for one in sent] == ["one", "two"]
        assert it.row(answer)["attempts"] == 2
        refused = it.ask("mixed", previous_response_id="resp_1")
        assert (refused.status, refused.error["param"]) == (400, "previous_response_id")


def test_a_client_that_leaves_closes_the_upstream(tmp_path: Path) -> None:
    with scene(tmp_path, silent(STREAM_HEAD, CREATED, HELLO)) as it:
        with Wire(it.gateway) as wire:
            body = {"model": "first/one", "input": "Hi", "stream": True}
            wire.send(post(body, it.key, path="/v1/responses"))
            wire.until(b"Hello")
        assert it.first.visits[0].gone.wait(10)
        (row,) = it.gateway.ledger(1)
        assert (row["status"], row["outcome"], row["output_tokens"]) == (499, "cancelled", 2)


def test_a_stop_is_told_in_the_stream(tmp_path: Path) -> None:
    more = "[edge]\ndrain_seconds = 0.2\n"
    one = Upstream(silent(STREAM_HEAD, CREATED, HELLO))
    config = CONFIG.format(first=one.url, second=one.url).replace("idle_seconds = 1.0\n", "")
    with running(tmp_path, config + more) as gateway, Wire(gateway) as wire:
        body = {"model": "first/one", "input": "Hi", "stream": True}
        wire.send(post(body, gateway.new_key(), path="/v1/responses"))
        wire.until(b"Hello")
        gateway.process.terminate()
        said = wire.until(b"response.failed")
        assert b'"code":"gateway_stopping"' in said
        assert gateway.stop() == 0
    one.close()


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

"""Calls that the SDK carries: along a route, in streams, to slow and leaving clients, and their bill."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running import Gateway, running

from loopback import (
    DONE,
    LAST,
    PATIENCE,
    STREAM_HEAD,
    Visit,
    chunk,
    data,
    stream,
    then_waits,
    whole,
)
from loopback import (
    Upstream as Server,
)
from trunkline.sandbox.server import SandboxServer

EMBEDDER = "huggingface/hf-inference/sentence-transformers/all-MiniLM-L6-v2"
CONFIG = """
unlisted_models = "pass"
[upstreams.one]
base_url = "{one}"
prices."*" = {{ input = 1, output = 2 }}
[upstreams.two]
base_url = "{two}"
prices."*" = {{ input = 3, output = 4 }}
[routes.words]
targets = [
  {{ upstream = "one", model = "first" }},
  {{ upstream = "two", model = "second" }},
  {{ upstream = "huggingface", model = "{last}" }},
]
"""
VECTOR = whole(
    b'{"object":"list","model":"m","data":[{"index":0,"embedding":[0.5,1.0]}],'
    b'"usage":{"prompt_tokens":7,"total_tokens":7}}'
)
TEXT = {"id": "c", "model": "m", "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}]}
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def piece(text: str = "", finish: str | None = None, **more: Any) -> bytes:
    return data(
        {"id": "c", "choices": [{"index": 0, "text": text, "finish_reason": finish}], **more}
    )


def usage() -> bytes:
    return data({"id": "c", "choices": [], "usage": USAGE})


def failing(status: int, body: bytes = b'{"error":{"message":"no"}}') -> Callable[[Visit], None]:
    def script(visit: Visit) -> None:
        while True:
            visit.request()
            visit.answer(body, status)

    return script


def giving(answer: bytes) -> Callable[[Visit], None]:
    def script(visit: Visit) -> None:
        while True:
            visit.request()
            visit.send(answer)

    return script


class Line:
    """A gateway with a route over two servers and Hugging Face's sandbox."""

    def __init__(self, gateway: Gateway, one: Server, two: Server) -> None:
        self.gateway, self.one, self.two = gateway, one, two
        self.key = gateway.new_key()

    def embed(self) -> tuple[int, dict[str, str], Any]:
        wish = {"model": "words", "input": "hello"}
        return self.gateway.ask("POST", "/v1/embeddings", wish, self.key)

    def complete(self, **more: Any) -> tuple[int, dict[str, str], Any]:
        wish = {"model": "words", "prompt": "Once", "max_tokens": 9, **more}
        return self.gateway.ask("POST", "/v1/completions", wish, self.key)

    def open(self) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask for a stream and return it, opened."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=PATIENCE)
        wish = {"model": "words", "prompt": "Once", "max_tokens": 9, "stream": True}
        connection.request(
            "POST", "/v1/completions", json.dumps(wish), {"authorization": f"Bearer {self.key}"}
        )
        return connection, connection.getresponse()

    def entry(self) -> dict[str, Any]:
        return self.gateway.ledger(1)[0]


@pytest.fixture
def line(tmp_path: Path, serve: Any, sandbox_server: SandboxServer) -> Callable[..., Any]:
    @contextmanager
    def start(one: Callable[[Visit], None], two: Callable[[Visit], None]) -> Iterator[Line]:
        servers = serve(one), serve(two)
        text = CONFIG.format(one=servers[0].url, two=servers[1].url, last=EMBEDDER)
        with running(tmp_path, text, sandbox_server.environment) as gateway:
            yield Line(gateway, *servers)

    return start


def test_the_first_target_that_answers_is_billed(line: Any) -> None:
    with line(giving(VECTOR), giving(VECTOR)) as at:
        status, headers, body = at.embed()
        assert status == 200, body
        assert body["data"][0]["embedding"] == [0.5, 1.0]
        row = at.gateway.entry(headers["x-request-id"])
        assert (row["upstream"], row["target_model"], row["attempts"]) == ("one", "first", 1)
        assert (row["input_tokens"], row["output_tokens"], row["token_source"]) == (
            7,
            0,
            "provider",
        )
        assert row["cost"] == "0.000007"
        assert at.one.requests[0].json["model"] == "first"
        assert at.two.requests == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 401])
def test_the_next_target_answers_where_one_fails(line: Any, status: int) -> None:
    with line(failing(status), giving(VECTOR)) as at:
        assert at.embed()[0] == 200
        row = at.entry()
        assert (row["upstream"], row["outcome"]) == ("two", "ok")
        assert row["attempts"] == len(row["tries"]) == (2 if status in (429, 401) else 3)
        assert row["cost"] == "0.000021"


def test_a_target_of_hugging_faces_own_comes_last(line: Any) -> None:
    def closes(visit: Visit) -> None:
        visit.request()

    with line(failing(503), closes) as at:
        status, _, body = at.embed()
        assert status == 200, body
        assert len(body["data"][0]["embedding"]) > 2
        row = at.entry()
        assert (row["upstream"], row["provider"]) == ("huggingface", "hf-inference")
        assert row["attempts"] == len(row["tries"]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 402, 413, 422])
def test_the_callers_own_error_and_the_bill_go_nowhere_else(line: Any, status: int) -> None:
    with line(failing(status), giving(VECTOR)) as at:
        told, headers, body = at.embed()
        assert told == status
        assert body["error"]["request_id"] == headers["x-request-id"]
        row = at.entry()
        assert (row["outcome"], row["attempts"], row["cost"]) == ("refused", 1, "0")
        assert at.two.requests == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        whole(b"<html>"),
        whole(b"{}"),
        whole(b'{"data":[5]}'),
        whole(b'{"data":[]}'),
        b"garbage\r\n\r\n",
    ],
)
def test_an_answer_that_is_none_moves_on(line: Any, answer: bytes) -> None:
    def odd(visit: Visit) -> None:
        visit.request()
        visit.send(answer)

    with line(odd, giving(VECTOR)) as at:
        status, _, body = at.embed()
        assert status == 200, body
        assert at.entry()["upstream"] == "two"


def test_a_text_is_billed_by_the_providers_count_or_an_estimate(line: Any) -> None:
    counted = whole(json.dumps({**TEXT, "usage": USAGE}).encode())
    uncounted = whole(json.dumps(TEXT).encode())
    with line(giving(counted), giving(counted)) as at:
        status, _, body = at.complete()
        assert (status, body["choices"][0]["text"]) == (200, "Hi")
        row = at.entry()
        assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (5, 3, "0.000011")
    with line(giving(uncounted), giving(uncounted)) as at:
        assert at.complete()[0] == 200
        row = at.gateway.ledger(2)[0]
        assert row["token_source"] == "estimated"
        assert row["output_tokens"] == 1


def test_a_stream_that_fails_before_it_says_anything_goes_on_with_the_next(line: Any) -> None:
    broken = stream(data({"error": {"message": "overloaded", "code": 503}}))
    good = stream(piece("Hel"), piece("lo"), piece(finish="stop"), usage(), DONE)
    with line(giving(broken), giving(good)) as at:
        status, _, raw = at.complete(stream=True)
        assert status == 200
        assert raw.endswith(DONE)
        assert b"overloaded" not in raw
        row = at.entry()
        assert (row["upstream"], row["attempts"], row["output_tokens"]) == ("two", 3, 3)
        assert b'"usage"' not in raw.replace(b'"usage":null', b"")


@pytest.mark.parametrize(
    ("end", "code", "outcome"),
    [
        ((), "upstream_truncated", "truncated"),
        ((data({"error": {"message": "Oh.", "code": 503}}),), "503", "failed"),
    ],
)
def test_a_stream_that_breaks_off_says_so_and_is_billed_by_what_came(
    line: Any, end: tuple[bytes, ...], code: str, outcome: str
) -> None:
    with line(giving(stream(piece("Hello there"), *end)), giving(VECTOR)) as at:
        status, headers, raw = at.complete(stream=True)
        assert status == 200
        assert b"[DONE]" not in raw
        assert b"Hello there" in raw
        last = json.loads(raw.rstrip().rpartition(b"data: ")[2])["error"]
        assert (last["code"], last["partial"]) == (code, True)
        row = at.gateway.entry(headers["x-request-id"])
        assert (row["outcome"], row["token_source"]) == (outcome, "estimated")
        assert row["output_tokens"] == 3
        assert at.two.requests == []


def test_a_client_that_leaves_a_stream_hangs_the_upstream_up(line: Any) -> None:
    with line(then_waits(STREAM_HEAD, chunk(piece("Hello"))), giving(VECTOR)) as at:
        connection, answer = at.open()
        assert b"Hello" in answer.readline()
        connection.sock.shutdown(socket.SHUT_RDWR)
        answer.close()
        connection.close()
        assert at.one.visits[0].gone.wait(PATIENCE)
        row = at.entry()
        assert (row["status"], row["outcome"], row["output_tokens"]) == (499, "cancelled", 2)


def test_a_client_that_leaves_before_anything_came_is_charged_what_was_held(line: Any) -> None:
    with line(then_waits(), giving(VECTOR)) as at:
        sock = socket.create_connection(("127.0.0.1", at.gateway.port))
        body = json.dumps({"model": "words", "input": "hello"}).encode()
        sock.sendall(
            b"POST /v1/embeddings HTTP/1.1\r\nhost: h\r\nauthorization: Bearer %b\r\n"
            b"content-length: %d\r\n\r\n%b" % (at.key.encode(), len(body), body)
        )
        at.one.wait("sent")
        sock.close()
        assert at.one.visits[0].gone.wait(PATIENCE)
        row = at.entry()
        assert (row["status"], row["outcome"], row["cost"]) == (499, "cancelled", None)


@pytest.mark.slow
def test_a_client_that_does_not_read_holds_the_upstream_back(line: Any) -> None:
    def pours(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD)
        for _ in range(4000):
            visit.send(chunk(piece("x" * 10_000)))
        visit.send(chunk(piece(finish="stop")), chunk(DONE), LAST)
        visit.note("poured")

    with line(pours, giving(VECTOR)) as at:
        connection, answer = at.open()
        assert b"xxx" in answer.readline()
        assert not at.one.event("poured").wait(1.0), "40 MB are not held for a client"
        raw = answer.read()
        assert raw.count(b"x" * 10_000) == 3999
        assert raw.endswith(DONE)
        connection.close()
        assert at.entry()["outcome"] == "ok"


@pytest.mark.parametrize(
    ("told", "tokens", "source"),
    [
        ({"prompt_tokens": -4}, None, "estimated"),
        ({"prompt_tokens": "7"}, None, "estimated"),
        (None, None, "estimated"),
        ({"prompt_tokens": 10**30}, 16_000_000, "provider"),
    ],
)
def test_a_count_that_is_none_is_not_billed(
    line: Any, told: object, tokens: int | None, source: str
) -> None:
    body = {"data": [{"index": 0, "embedding": [0.5]}], "usage": told}
    with line(giving(whole(json.dumps(body).encode())), giving(VECTOR)) as at:
        assert at.embed()[0] == 200
        row = at.entry()
        assert row["token_source"] == source
        assert 0 < row["input_tokens"] <= (tokens or 20)
        assert not str(row["cost"]).startswith("-")


@pytest.mark.slow
def test_a_gateway_that_stops_tells_whoever_waits_and_charges_what_was_held(line: Any) -> None:
    with line(then_waits(), giving(VECTOR)) as at:
        at.gateway.config.write_text(
            at.gateway.config.read_text() + "\n[edge]\ndrain_seconds = 0.1\n"
        )
        at.gateway.stop()
        at.gateway.start()
        connection = http.client.HTTPConnection("127.0.0.1", at.gateway.port, timeout=PATIENCE)
        wish = json.dumps({"model": "words", "input": "hello"})
        connection.request("POST", "/v1/embeddings", wish, {"authorization": f"Bearer {at.key}"})
        at.one.wait("sent")
        assert at.gateway.stop() == 0
        answer = connection.getresponse()
        assert answer.status == 503
        request_id = answer.getheader("x-request-id")
        assert json.loads(answer.read())["error"]["code"] == "gateway_stopping"
        connection.close()
        at.gateway.start()
        row = at.gateway.entry(request_id or "")
        assert (row["outcome"], row["cost"], row["status"]) == ("failed", None, 503)

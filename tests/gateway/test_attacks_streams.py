"""Streams as odd upstreams send them: what clients get is one plain form, whole or with an error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from raw import Answer, Wire, ask, chat, post, resident
from running import Gateway, running

from trunkline.sandbox.faults import FAULTS
from trunkline.sandbox.server import SandboxServer

CONFIG = """
unlisted_models = "pass"
default_upstream = "sandbox"
[upstreams.sandbox]
kind = "openai"
base_url = "{url}/v1"
key_env = "SANDBOX_TOKEN"
idle_seconds = 1.0
first_byte_seconds = 1.0
"""
MIB = 1 << 20


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> Iterator[Gateway]:
    """A gateway that gives silent upstreams a second."""
    folder = tmp_path_factory.mktemp("streams")
    environment = {**sandbox_server.environment, "SANDBOX_TOKEN": "hf_token"}
    with running(folder, CONFIG.format(url=sandbox_server.url), environment) as started:
        yield started


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


def asked(gateway: Gateway, key: str, fault: str, **more: Any) -> Answer:
    """Ask for a stream that goes wrong in this way."""
    return ask(gateway, post({**chat(stream=True), "model": f"org/fault-{fault}", **more}, key))


def events(answer: Answer) -> list[bytes]:
    """The data of a stream's events, each in the one plain form; comments are left out."""
    blocks = answer.body.split(b"\n\n")
    assert blocks.pop() == b"", "the stream ends inside an event"
    told = []
    for block in blocks:
        if block.startswith(b":"):
            continue
        assert b"\r" not in block
        assert b"\ndata:" in b"\n" + block
        lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line[:5] == b"data:"]
        told.append(b"\n".join(lines))
    return told


FORMS = sorted(n for n, row in FAULTS.items() if row.row in ("F7", "F8") and row.times is None)


@pytest.mark.parametrize("fault", FORMS)
def test_every_form_of_a_stream_arrives_whole(gateway: Gateway, key: str, fault: str) -> None:
    answer = asked(gateway, key, fault)
    assert answer.status == 200, answer
    told = events(answer)
    assert told[-1] == b"[DONE]"
    chunks = [json.loads(data.decode("utf-8", "replace")) for data in told[:-1]]
    said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert said.strip()
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "length"
    assert gateway.entry(answer.headers["x-request-id"])["outcome"] == "ok"


CUT = ("truncated", "truncated-close", "cut", "cut-event", "broken-json", "reset", "stall",
       "error-mid-stream", "error-string", "event-error")  # fmt: skip


@pytest.mark.parametrize("fault", CUT)
def test_a_stream_that_fails_midway_ends_with_an_error_and_no_mark(
    gateway: Gateway, key: str, fault: str
) -> None:
    answer = asked(gateway, key, fault, max_tokens=50)
    told = events(answer)
    assert answer.status == 200
    assert b"[DONE]" not in told
    error = json.loads(told[-1])["error"]
    assert error["partial"] is True
    assert error["code"]
    assert error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert gateway.entry(error["request_id"])["outcome"] in ("truncated", "failed")


FIRST = ("no-answer", "reset-at-once", "cut-head", "stall-head", "stall-first", "error-first",
         "error-tgi", "json-error-200", "html-200", "empty-200", "json-200")  # fmt: skip


@pytest.mark.parametrize("fault", FIRST)
def test_a_stream_that_fails_before_it_says_anything_is_a_status(
    gateway: Gateway, key: str, fault: str
) -> None:
    answer = asked(gateway, key, fault)
    assert 400 <= answer.status < 600
    assert answer.error["message"]
    row = gateway.entry(answer.headers["x-request-id"])
    assert (row["state"], row["status"]) == ("settled", answer.status)


@pytest.mark.parametrize("fault", ["huge-event", "endless-line"])
def test_an_event_that_is_too_large_is_an_error_and_is_not_held(
    gateway: Gateway, key: str, fault: str
) -> None:
    before = resident(gateway)
    answer = asked(gateway, key, fault)
    assert b"[DONE]" not in answer.body
    assert b'"error"' in answer.body
    assert resident(gateway) - before < 64 * MIB


def test_comments_without_end_go_on_while_the_client_is_there(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    for fault in ("endless-comments", "endless-empty"):
        sandbox_server.requests.clear()
        before = resident(gateway)
        with Wire(gateway) as wire:
            wire.send(post(chat(stream=True, model=f"org/fault-{fault};seconds=0"), key))
            wire.head()
            read = 0
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                read += len(wire.socket.recv(1 << 16))
        assert read > 10_000
        assert resident(gateway) - before < 16 * MIB

"""Requests for responses that are wrong, hostile or huge: one clear error each, and nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from raw import Answer, Wire, ask, post
from running import Gateway, running

from trunkline.sandbox.server import SandboxServer

PATH = "/v1/responses"
CONFIG = """
default_upstream = "chats"
[edge]
body_bytes = 8_000_000
[upstreams.chats]
base_url = "{url}/v1"
key_env = "SANDBOX_TOKEN"
"""
HELLO = {"role": "user", "content": "Hello"}


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> Iterator[Gateway]:
    """A gateway whose upstream is asked by chats."""
    environment = {**sandbox_server.environment, "SANDBOX_TOKEN": "hf_token"}
    folder = tmp_path_factory.mktemp("responses")
    with running(folder, CONFIG.format(url=sandbox_server.url), environment) as started:
        yield started


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


def asked(gateway: Gateway, key: str, body: Any, *lines: str) -> Answer:
    return ask(gateway, post(body, key, *lines, path=PATH))


def response(**more: Any) -> dict[str, Any]:
    return {"model": "sandbox/demo", "input": "Hello", **more}


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", (400, "invalid_json", None)),
        (b"\xff\xfe", (400, "invalid_json", None)),
        (b'{"model":"m","input":"x","input":"y"}', (400, "invalid_json", None)),
        (b'{"model":"m","input":"x","temperature":NaN}', (400, "invalid_json", None)),
        (b'{"model":"m","input":"\\ud800"}', (400, "invalid_json", None)),
        (json.dumps(response(metadata=nested(200))).encode(), (400, "invalid_json", None)),
        (response(input=nested(100)), (400, "invalid_request", "input[0]")),
        (response(input=[HELLO] * 20_001), (400, "invalid_request", "input[20000]")),
        (response(input=[{"type": "x" * 100_000}]), (400, "unsupported_value", "input[0]")),
        (response(tools=[{"type": "function", "name": "f", "x" * 5000: 1}]), (400, "unsupported_value", "tools[0]." + "x" * 100)),
        (response(input="x" * 9_000_000), (413, "request_too_large", None)),
        (response(extra_body={"api_key": "x"}), (400, "parameter_not_allowed", "api_key")),
        (response(model="x" * 501), (400, "invalid_request", "model")),
        ([], (400, "invalid_request", None)),
    ],
    ids=range(14),
)  # fmt: skip
def test_one_clear_error_and_nothing_is_sent(
    gateway: Gateway, key: str, sandbox_server: SandboxServer, body: Any, told: tuple[Any, ...]
) -> None:
    before = len(sandbox_server.requests)
    answer = asked(gateway, key, body)
    error = answer.error
    assert (answer.status, error["code"], error["param"]) == told
    assert len(error["message"]) < 1000
    assert len(sandbox_server.requests) == before
    assert asked(gateway, key, response()).status == 200


def test_a_large_request_is_made_a_chat_whole(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    text = "é\u2028\n\\" * 200_000
    assert asked(gateway, key, response(input=text)).status == 200
    assert sandbox_server.requests[-1].json["messages"] == [{"role": "user", "content": text}]


def test_without_a_key_nothing_is_read(gateway: Gateway) -> None:
    answer = ask(gateway, post(response(), path=PATH))
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert ask(gateway, post(response(), "tl-none", path="/v1/responses/")).status == 404
    with Wire(gateway) as wire:
        wire.send(b"GET /v1/responses HTTP/1.1\r\nhost: x\r\n\r\n")
        assert wire.answer().status == 405


def test_the_same_is_served_below_the_routers_own_path(gateway: Gateway, key: str) -> None:
    answer = ask(gateway, post(response(), key, path=f"/hf{PATH}"))
    assert (answer.status, answer.json["object"]) == (200, "response")
    assert gateway.entry(answer.headers["x-request-id"])["endpoint"] == "responses"


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_names_itself_is_made_once_and_told_again(
    gateway: Gateway, key: str, sandbox_server: SandboxServer, stream: bool
) -> None:
    line = f"idempotency-key: responses-{stream}"
    first = asked(gateway, key, response(stream=stream), line)
    sent = len(sandbox_server.requests)
    again = asked(gateway, key, response(stream=stream), line)
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"
    assert len(sandbox_server.requests) == sent
    other = asked(gateway, key, response(stream=stream, input="Bye"), line)
    assert other.error["code"] == "idempotency_key_reused"

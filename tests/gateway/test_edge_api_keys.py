"""Keys as Anthropic's clients send them, in `x-api-key`: where it is read, and where it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from raw import Answer, Wire, ask, chat, get, post
from running import Gateway

from trunkline.sandbox.server import SandboxServer

MESSAGE = {**chat(), "max_tokens": 5}
PAGES = ("/v1/messages", "/v1/messages/count_tokens")


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


def message(*lines: str, path: str = PAGES[0], body: Any = MESSAGE) -> bytes:
    return post(body, None, *lines, path=path)


def told(answer: Answer) -> dict[str, Any]:
    """Return an error, which has to be whole and in Anthropic's shape."""
    body = json.loads(answer.body)
    assert body["type"] == "error"
    assert answer.headers["request-id"] == answer.headers["x-request-id"] == body["request_id"]
    error: dict[str, Any] = body["error"]
    assert error["type"]
    assert error["message"]
    return error


@pytest.mark.parametrize("name", ["x-api-key", "X-Api-Key", "X-API-KEY"])
def test_a_key_in_x_api_key_is_taken_where_anthropics_clients_call(
    gateway: Gateway, key: str, name: str
) -> None:
    line = f"{name}: {key}"
    for request in (message(line), message(line, path=PAGES[1]), get("/v1/models", line)):
        assert ask(gateway, request).status == 200
    assert ask(gateway, get(f"/v1/models/{MESSAGE['model']}", line)).status == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/responses"])
def test_elsewhere_it_is_not_read(gateway: Gateway, key: str, path: str) -> None:
    assert ask(gateway, message(f"x-api-key: {key}", path=path)).status == 401
    admin = f"x-api-key: {gateway.admin_key}"
    assert ask(gateway, get("/admin/keys", admin)).status == 401


def test_authorization_goes_before_it(gateway: Gateway, key: str) -> None:
    right, wrong = f"x-api-key: {key}", "x-api-key: tl-wrong"
    bearer = f"authorization: Bearer {key}"
    assert ask(gateway, message(bearer, wrong)).status == 200
    for value in ("Bearer tl-wrong", "Basic x", ""):
        assert ask(gateway, message(f"authorization: {value}", right)).status == 401


def test_two_of_them_are_refused(gateway: Gateway, key: str) -> None:
    for second in (key, "other", ""):
        answer = ask(gateway, message(f"x-api-key: {key}", f"x-api-key: {second}"))
        assert answer.status == 400
        assert key.encode() not in answer.body


def test_wrong_keys_are_refused_in_anthropics_words(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    before = len(sandbox_server.requests)
    for value in ("", "tl-wrong", key[:-1], key.lower(), f"Bearer {key}", f"{key}, {key}"):
        for path in PAGES:
            answer = ask(gateway, message(f"x-api-key: {value}", path=path))
            assert (answer.status, told(answer)["type"]) == (401, "authentication_error")
            assert "x-api-key" in told(answer)["message"]
            assert key.encode() not in answer.body
    assert len(sandbox_server.requests) == before


def test_each_key_on_a_connection_is_looked_at_however_alike_the_heads_are(
    gateway: Gateway, key: str
) -> None:
    other = gateway.new_key(scope={"endpoints": ["chat"]})
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    with Wire(gateway) as wire:
        for _ in range(3):
            statuses = [
                wire.ask(message(f"x-api-key: {one}")).status
                for one in (key, key, other, other, wrong, wrong, key)
            ]
            assert statuses == [200, 200, 403, 403, 401, 401, 200]


def test_a_revoked_key_is_refused_at_once_also_on_a_connection_that_used_it(
    gateway: Gateway,
) -> None:
    made = gateway.admin("POST", "/keys", {"name": "test"})
    with Wire(gateway) as wire:
        request = message(f"x-api-key: {made['secret']}")
        assert [wire.ask(request).status for _ in range(3)] == [200] * 3
        gateway.admin("POST", f"/keys/{made['key']['id']}/revoke")
        assert wire.ask(request).status == 401


def test_every_answer_has_the_id_under_both_names_also_where_the_head_is_known(
    gateway: Gateway, key: str
) -> None:
    with Wire(gateway) as wire:
        answers = [wire.ask(message(f"x-api-key: {key}")) for _ in range(4)]
    for answer in answers:
        assert [n for n, _ in answer.lines].count("request-id") == 1
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert len({answer.headers["request-id"] for answer in answers}) == 4


def test_whatever_goes_wrong_is_told_in_anthropics_shape(gateway: Gateway, key: str) -> None:
    line = f"x-api-key: {key}"
    poor = f"x-api-key: {gateway.new_key(budgets=[{'amount': '0', 'period': 'day'}])}"
    scoped = f"x-api-key: {gateway.new_key(scope={'models': ['other/*']})}"
    once = gateway.new_key(limits={"requests_per_minute": 1})
    ask(gateway, message(f"x-api-key: {once}"))
    wrong: dict[str, tuple[bytes, int, str]] = {
        "not JSON": (message(line, body=b"{"), 400, "invalid_request_error"),
        "a key twice": (message(line, body=b'{"a":1,"a":2}'), 400, "invalid_request_error"),
        "no messages": (message(line, body={"model": "m"}), 400, "invalid_request_error"),
        "an address": (
            message(line, body={**MESSAGE, "api_base": "http://e.org"}),
            400,
            "invalid_request_error",
        ),
        "a model that is not there": (
            message(line, body={**MESSAGE, "model": "no/such"}),
            404,
            "not_found_error",
        ),
        "another's model": (message(scoped), 403, "permission_error"),
        "no money": (message(poor), 402, "billing_error"),
        "too often": (message(f"x-api-key: {once}"), 429, "rate_limit_error"),
        "packed": (message(line, "content-encoding: gzip"), 415, "invalid_request_error"),
        "another method": (get("/v1/messages", line), 405, "invalid_request_error"),
    }
    for name, (request, status, kind) in wrong.items():
        answer = ask(gateway, request)
        assert (answer.status, told(answer)["type"]) == (status, kind), (name, answer)
        assert told(answer)["details"]["error_code"]
    assert "retry-after" in ask(gateway, message(f"x-api-key: {once}")).headers


def test_a_body_that_is_too_large_is_told_in_anthropics_shape(gateway: Gateway, key: str) -> None:
    head = (
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\n"
        f"x-api-key: {key}\r\ncontent-length: {1 << 40}\r\n\r\n"
    )
    answer = ask(gateway, head.encode())
    assert (answer.status, told(answer)["type"]) == (413, "request_too_large")


def test_a_count_needs_the_scope_of_messages_and_the_models(gateway: Gateway) -> None:
    for scope in ({"endpoints": ["chat"]}, {"models": ["other/*"]}):
        line = f"x-api-key: {gateway.new_key(scope=scope)}"
        assert ask(gateway, message(line, path=PAGES[1])).status == 403
    line = f"x-api-key: {gateway.new_key(scope={'endpoints': ['messages']})}"
    assert ask(gateway, message(line, path=PAGES[1])).status == 200

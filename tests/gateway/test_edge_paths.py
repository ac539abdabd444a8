"""Paths as strangers spell them: the page that was meant, under its own rule, or none."""

from __future__ import annotations

import pytest
from raw import CHATS, Wire, ask, chat, get, post
from running import CHAT, Gateway

from trunkline.sandbox.server import SandboxServer

ROUND_ABOUT = (
    "//admin/keys",
    "/admin//keys",
    "/./admin/keys",
    "/admin/./keys",
    "/v1/../admin/keys",
    "/v1/models/../../admin/keys",
    "/v1/models/%2e%2e/%2e%2e/admin/keys",
    "/v1/models/..%2f..%2fadmin%2fkeys",
    "/v1/models/..;/..;/admin/keys",
    "/health/live/../../admin/keys",
    "/health/live%2f..%2f..%2fadmin%2fkeys",
    "/health/../admin/keys",
    "/metrics/../admin/keys",
    "/x/metrics",
    "/%61dmin/keys",
    "/Admin/keys",
    "/ADMIN/KEYS",
    "/admin;x/keys",
    "/admin%00/keys",
    "/admin%2fkeys",
    "/admin\\keys",
    "/\\admin/keys",
    "/admin",
    "/admin/",
    "/nothing?a=/metrics",
    "/nothing?/health/live",
    "/nothing#/health/live",
)
"""Ways to the admin API, or around a key, for proxies and servers that tidy paths up."""


@pytest.mark.parametrize("path", ROUND_ABOUT)
def test_no_way_round_leads_to_the_admin_api(gateway: Gateway, path: str) -> None:
    key = gateway.new_key()
    for secret in (None, key):
        answer = ask(gateway, get(path, key=secret))
        assert answer.status in (401, 403, 404), (path, answer)
        assert "secret" not in answer.body.decode()
        assert answer.error["code"] in (
            "invalid_api_key",
            "not_allowed",
            "not_found",
            "model_not_found",
        )


@pytest.mark.parametrize("path", ROUND_ABOUT)
def test_not_even_an_admin_gets_keys_by_a_way_round(gateway: Gateway, path: str) -> None:
    answer = ask(gateway, get(path, key=gateway.admin_key))
    assert answer.status in (404, 405), (path, answer)


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions//",
        "/v1/chat/./completions",
        "/v1/chat/../chat/completions",
        "/v1/Chat/completions",
        "/V1/chat/completions",
        "/v1/chat%2fcompletions",
        "/v1/chat/completions%00",
        "/v1/chat/completions;x=1",
        "/v1/chat/completions%20",
        "/v1/chat/completions.json",
        "/v1/%63hat/completions",
        "/chat/completions",
        "/v1",
        "/",
    ],
)
def test_a_path_that_is_not_spelt_as_it_is_serves_nothing(
    gateway: Gateway, sandbox_server: SandboxServer, path: str
) -> None:
    before = len(sandbox_server.requests)
    answer = ask(gateway, post(chat(), gateway.admin_key, path=path))
    assert (answer.status, answer.error["code"]) == (404, "not_found"), path
    assert "/v1/chat/completions" in answer.error["message"]
    assert len(sandbox_server.requests) == before


def test_a_query_changes_nothing(gateway: Gateway, sandbox_server: SandboxServer) -> None:
    key = gateway.new_key()
    queries = ("?", "?api-version=1", "?api_base=http://127.0.0.1:1/&model=x", "?a=/../admin")
    for query in queries:
        assert ask(gateway, post(chat(), key, path=CHATS + query)).status == 200
        assert sandbox_server.requests[-1].query == ""
    assert ask(gateway, post(chat(), path=f"{CHATS}?/health/live")).status == 401


def test_a_name_of_a_model_may_have_slashes_and_be_encoded(gateway: Gateway) -> None:
    key = gateway.new_key()
    name: str = CHAT["model"]  # type: ignore[assignment]
    for spelt in (name, name.replace("/", "%2F"), name.replace("-", "%2d")):
        answer = ask(gateway, get(f"/v1/models/{spelt}", key=key))
        assert (answer.status, answer.json["id"]) == (200, name)
    for wrong in (f"{name}/", f"/{name}", f"{name}%00", f"x/../{name}", f"{name}%2f..", "%ff%fe"):
        answer = ask(gateway, get(f"/v1/models/{wrong}", key=key))
        assert (answer.status, answer.error["code"]) == (404, "model_not_found"), wrong


def test_what_a_path_says_stays_text_in_the_answer(gateway: Gateway) -> None:
    key = gateway.new_key()
    for odd in ("<script>alert(1)</script>", "{{7*7}}", "%0d%0aset-cookie:%20a=b", "'%20OR%201=1"):
        with Wire(gateway) as wire:
            answer = wire.ask(get(f"/v1/models/{odd.replace(' ', '%20')}", key=key))
            assert answer.status in (400, 404)
            assert answer.headers["content-type"] == "application/json"
            assert "set-cookie" not in answer.headers
            assert b"49" not in answer.body.replace(answer.headers["x-request-id"].encode(), b"")


@pytest.mark.parametrize(
    "path",
    ["/docs", "/redoc", "/openapi.json", "/debug/pprof", "/.env", "/favicon.ico", "/console"],
)
def test_nothing_else_is_there(gateway: Gateway, path: str) -> None:
    assert ask(gateway, get(path)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "shape", "header"),
    [
        ("GET", "/v1/messages", 405, "anthropic", True),
        ("DELETE", "/v1/messages/count_tokens", 405, "anthropic", True),
        ("POST", "/v1/messages/batches", 404, "anthropic", True),
        ("GET", "/v1/messages/batches/b1/results", 404, "anthropic", True),
        ("GET", "/hf/v1/messages/batches", 404, "router", False),
        ("DELETE", "/hf/v1/messages", 405, "anthropic", True),
        ("DELETE", "/hf/groq/openai/v1/chat/completions", 405, "router", False),
        ("GET", "/hf", 404, "router", False),
        ("GET", "/v1/messagesx", 404, "openai", False),
        ("DELETE", "/v1/responses", 405, "openai", False),
        ("PUT", "/v1/videos/v1", 405, "openai", False),
    ],
)
def test_what_is_not_there_is_told_in_the_words_of_its_api(
    gateway: Gateway, method: str, path: str, status: int, shape: str, header: bool
) -> None:
    told, headers, body = gateway.ask(method, path, key=gateway.new_key())
    assert told == status
    assert headers["x-request-id"] == (body.get("request_id") or body["error"]["request_id"])
    assert ("request-id" in headers) is header
    shapes = {"anthropic": "type" in body, "router": isinstance(body["error"], str)}
    assert [name for name, has in shapes.items() if has] == [shape] * (shape != "openai")
    assert ("allow" in headers) is (status == 405)


def test_what_is_not_there_below_the_routers_own_routes_is_no_provider(gateway: Gateway) -> None:
    _, _, body = gateway.ask("POST", "/hf/v1/files", {}, gateway.new_key())
    assert body["error"] == "There is nothing at this path below /hf/v1."


@pytest.mark.parametrize(
    "field", ["command", "callbacks", "guardrails", "success_callback", "plugins", "rules"]
)
def test_fields_that_run_things_elsewhere_are_only_fields_here(
    gateway: Gateway, sandbox_server: SandboxServer, field: str
) -> None:
    value = {"module": "os", "command": ["touch", "never"]}
    answer = ask(gateway, post({**chat(), field: value}, gateway.new_key()))
    assert answer.status == 200
    assert sandbox_server.requests[-1].json[field] == value

"""HTTP as strangers send it: what could be read in two ways is refused, and nothing is answered twice."""

from __future__ import annotations

import pytest
from raw import CHATS, Wire, ask, chat, get, head, post
from running import Gateway

from trunkline.sandbox.server import SandboxServer

HOST = b"host: gateway\r\n"
GET = b"GET /health/live HTTP/1.1\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST

NO_REQUESTS = {
    "length and chunks": POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "the same length twice": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"content-length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"content-length: +4\r\n\r\nabcd",
    "a negative length": POST + b"content-length: -4\r\n\r\nabcd",
    "a length in hex": POST + b"content-length: 0x4\r\n\r\nabcd",
    "a huge length": POST + b"content-length: 99999999999999999999\r\n\r\n",
    "xchunked": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"transfer-encoding: identity\r\n\r\nabc",
    "gzip, chunked": POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked is not last": POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": POST.replace(b"1.1", b"1.0")
    + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"GET /health/live HTTP/1.1\nhost: gateway\n\n",
    "bare LF in a header": GET + b"host: gateway\nx: y\r\n\r\n",
    "bare CR": GET + HOST + b"x: a\rb\r\n\r\n",
    "folded header": GET + HOST + b"x: a\r\n b\r\n\r\n",
    "space before the colon": GET + b"host : gateway\r\n\r\n",
    "no name": GET + HOST + b": x\r\n\r\n",
    "NUL in a value": GET + HOST + b"x: a\0b\r\n\r\n",
    "NUL in a name": GET + HOST + b"x\0y: a\r\n\r\n",
    "NUL in the target": b"GET /health/live\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": GET + b"\r\n",
    "an empty host": GET + b"host:\r\n\r\n",
    "two hosts": GET + HOST + b"host: other\r\n\r\n",
    "a path as host": GET + b"host: a/health?x#\r\n\r\n",
    "a user as host": GET + b"host: a@b\r\n\r\n",
    "two hosts in one": GET + b"host: a, b\r\n\r\n",
    "a huge host": GET + b"host: " + b"a" * 10_000 + b"\r\n\r\n",
    "two keys": GET + HOST + b"authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    "two content types": POST + b"content-type: a\r\ncontent-type: b\r\n\r\n",
    "absolute target": b"GET http://gateway/health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute target elsewhere": b"GET http://127.0.0.1:1/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "connect": b"CONNECT other:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "connect to a path": b"CONNECT /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "websocket": GET + HOST + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "a method in small letters": b"get /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown method": b"BREW /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /health live HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw UTF-8 in the target": "GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n",
}
"""Each is 400, and the end of its connection."""


def at_once_and_in_bytes(data: bytes) -> list[tuple[bytes, ...]]:
    """The same as one segment and, where it is short, byte by byte."""
    return [(data,), *([tuple(data[i : i + 1] for i in range(len(data)))] * (len(data) < 400))]


@pytest.mark.parametrize("data", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_no_request_is_refused_once_and_its_connection_closed(
    gateway: Gateway, data: bytes
) -> None:
    for pieces in at_once_and_in_bytes(data):
        with Wire(gateway) as wire:
            try:
                wire.send(*pieces)
            except ConnectionError:
                pass  # refused in the middle; the answer is there all the same
            answer = wire.answer()
            assert answer.status == 400, answer
            assert answer.error["code"] == "bad_http"
            assert answer.headers["connection"] == "close"
            assert wire.ended()


LARGE = {
    "a long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a long query": (b"GET /?" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a long header": (GET + HOST + b"x: " + b"a" * 200_000 + b"\r\n\r\n", 431),
    "a long name": (GET + HOST + b"x" * 200_000 + b": a\r\n\r\n", 431),
    "20,000 headers": (GET + HOST + b"x-%d: y\r\n" * 20_000 + b"\r\n", 431),
    "20,000 times one header": (GET + HOST + b"x: y\r\n" * 20_000 + b"\r\n", 431),
    "20,000 empty headers": (GET + HOST + b"x:\r\n" * 20_000 + b"\r\n", 431),
    "101 headers": (GET + HOST + b"x: y\r\n" * 100 + b"\r\n", 431),
    "many middling headers": (GET + HOST + (b"x: " + b"a" * 990 + b"\r\n") * 40 + b"\r\n", 431),
    "HTTP/2.0": (b"GET /health/live HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "HTTP/0.9": (b"GET /health/live\r\n\r\n", 505),
    "HTTP/0.9, said so": (b"GET /health/live HTTP/0.9\r\n" + HOST + b"\r\n", 505),
}


@pytest.mark.parametrize(("data", "status"), LARGE.values(), ids=LARGE)
def test_a_head_beyond_the_limits_is_refused_with_its_status(
    gateway: Gateway, data: bytes, status: int
) -> None:
    for size in (len(data), 1000):
        with Wire(gateway) as wire:
            try:
                wire.send(*[data[at : at + size] for at in range(0, len(data), size)])
            except ConnectionError:
                pass  # refused before all of it was sent
            answer = wire.answer()
            assert (answer.status, answer.error["code"]) == (status, "bad_http")
            assert wire.ended()


def test_a_head_within_the_limits_is_served_however_it_is_cut(gateway: Gateway) -> None:
    data = get("/health/live", *[f"x-{i}: {'a' * 290}" for i in range(95)])
    assert 28_000 < len(data) < 32_000
    for size in (len(data), 1000, 100):
        with Wire(gateway) as wire:
            wire.send(*[data[at : at + size] for at in range(0, len(data), size)])
            assert wire.answer().status == 200
            assert wire.lives()


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/v1/models"])
def test_head_is_answered_like_get_without_the_body(gateway: Gateway, path: str) -> None:
    key = gateway.admin_key
    with Wire(gateway) as wire:
        got = wire.ask(get(path, key=key))
        told = wire.ask(get(path, method="HEAD", key=key), head_only=True)
        assert (got.status, told.status) == (200, 200)
        assert got.headers["content-type"] == told.headers["content-type"]
        if path in ("/health/live", "/health/ready", "/v1/models"):
            assert got.headers["content-length"] == told.headers["content-length"]
        assert wire.lives()


@pytest.mark.parametrize("path", ["/admin/keys", "/admin/status", "/v1/models/nobody/nothing"])
def test_head_has_no_body_on_any_page(gateway: Gateway, path: str) -> None:
    with Wire(gateway) as wire:
        wire.ask(get(path, method="HEAD", key=gateway.admin_key), head_only=True)
        assert wire.lives()


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "TRACE", "PATCH", "DELETE", "GET", "HEAD"])
def test_another_method_is_refused_with_those_that_are_served(
    gateway: Gateway, method: str
) -> None:
    with Wire(gateway) as wire:
        only = method == "HEAD"
        answer = wire.ask(get(CHATS, method=method, key=gateway.admin_key), head_only=only)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        if not only:
            assert answer.error["code"] == "method_not_allowed"
        assert "cookie" not in repr(answer.body).lower()
        assert wire.lives()


def test_the_pages_that_are_got_may_be_asked_for_their_head(gateway: Gateway) -> None:
    answer = ask(gateway, get("/health/live", method="DELETE"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_an_old_client_gets_an_answer_without_chunks_and_an_end(gateway: Gateway) -> None:
    key = gateway.new_key()
    for extra in (b"", b"connection: keep-alive\r\n"):
        data = post(chat(stream=True), key).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        with Wire(gateway) as wire:
            wire.send(data.replace(b"\r\n\r\n", b"\r\n" + extra + b"\r\n", 1))
            told = wire.head()
            assert told.status == 200
            assert told.headers["connection"] == "close"
            assert "transfer-encoding" not in told.headers
            while wire._more():
                pass
            assert wire.rest.endswith(b"data: [DONE]\n\n")
            assert wire.rest.startswith(b"data: {")


def test_an_old_client_needs_no_host(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        assert wire.ask(b"GET /health/live HTTP/1.0\r\n\r\n").status == 200
        assert wire.ended()


def test_a_client_that_asks_for_it_is_closed_after_its_answer(gateway: Gateway) -> None:
    key = gateway.new_key()
    for request in (
        get("/health/live", "connection: close"),
        post(chat(), key, "Connection: Close"),
        post(chat(stream=True), key, "connection: close"),
        get("/v1/models", "connection: close"),
    ):
        with Wire(gateway) as wire:
            answer = wire.ask(request)
            assert answer.headers["connection"] == "close"
            assert wire.ended()


def test_what_follows_the_last_request_is_not_answered(
    gateway: Gateway, sandbox_server: SandboxServer
) -> None:
    key = gateway.new_key()
    with Wire(gateway) as wire:
        assert wire.ask(get("/health/live", "connection: close") + post(chat(), key)).status == 200
        assert wire.ended()
    before = len(sandbox_server.requests)
    with Wire(gateway) as wire:
        answer = wire.ask(post(chat(), key, "connection: close") + post(chat(), key))
        assert answer.status == 200
        assert wire.ended()
    assert len(sandbox_server.requests) == before + 1


def test_an_offer_of_http2_is_passed_over_and_the_body_belongs_to_its_request(
    gateway: Gateway, sandbox_server: SandboxServer
) -> None:
    offer = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAA")
    key = gateway.new_key()
    data = post(chat(user="first"), key, *offer)
    for pieces in at_once_and_in_bytes(data)[:1] + [(data[:100], data[100:250], data[250:])]:
        sandbox_server.requests.clear()
        with Wire(gateway) as wire:
            assert wire.send(*pieces).answer().status == 200
            assert wire.ask(post(chat(user="second"), key)).status == 200
            assert wire.ask(get("/health/live", *offer)).status == 200
            assert wire.lives()
        assert [seen.json["user"] for seen in sandbox_server.requests] == ["first", "second"]


def test_a_smuggled_request_in_a_body_is_only_a_body(
    gateway: Gateway, sandbox_server: SandboxServer
) -> None:
    key = gateway.new_key()
    inner = post(chat(), gateway.admin_key)
    before = len(sandbox_server.requests)
    with Wire(gateway) as wire:
        answer = wire.ask(post(inner, key))
        assert (answer.status, answer.error["code"]) == (400, "invalid_json")
        assert wire.lives()
    assert len(sandbox_server.requests) == before


def test_what_comes_behind_a_body_in_chunks_counts_for_nothing(gateway: Gateway) -> None:
    data = head("GET", "/v1/models", "transfer-encoding: chunked") + b"\r\n0\r\n"
    trailer = f"authorization: Bearer {gateway.admin_key}\r\nhost: other\r\n\r\n".encode()
    with Wire(gateway) as wire:
        assert wire.ask(data + trailer).status == 401


def test_headers_behind_a_body_have_the_limits_of_headers(gateway: Gateway) -> None:
    data = head("POST", CHATS, "transfer-encoding: chunked", key=gateway.admin_key)
    with Wire(gateway) as wire:
        answer = wire.ask(data + b"\r\n0\r\n" + b"x: y\r\n" * 20_000 + b"\r\n")
        assert answer.status == 431
        assert wire.ended()


def test_headers_about_other_hosts_and_urls_change_nothing(gateway: Gateway) -> None:
    key = gateway.new_key()
    lines = (
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: admin",
        "x-original-url: /health/live",
        "x-rewrite-url: /health/live",
        "x-http-method-override: GET",
        "forwarded: for=127.0.0.1;host=admin",
    )
    assert ask(gateway, get("/admin/keys", *lines)).status == 401
    assert ask(gateway, get("/admin/keys", *lines, key=key)).status == 403
    assert ask(gateway, get("/nothing", *lines)).status == 404

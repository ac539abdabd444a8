"""What must not leave by any door: keys, wherever a client puts them, and lines of its own in the log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from raw import CHATS, Wire, ask, chat, get, head, post
from running import Gateway, running

from trunkline.sandbox.server import SandboxServer

UPSTREAM = "hf_Q8zKp4VtY2mX7rJ5wN9cB3fL6sD1gH0"
CONFIG = 'unlisted_models = "pass"\n'


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> Iterator[Gateway]:
    """A gateway that logs each request, with a token of its own for the upstream."""
    folder = tmp_path_factory.mktemp("secrets")
    environment = {**sandbox_server.environment, "HF_TOKEN": UPSTREAM}
    options = ("--log-requests", "--log-json")
    with running(folder, CONFIG, environment, *options) as started:
        yield started


def misplaced(key: str) -> list[bytes]:
    """Requests with a key in every place where somebody might put it."""
    bearer = f"authorization: Bearer {key}"
    return [
        get(f"/v1/models?key={key}"),
        get(f"/{key}"),
        get(f"/v1/models/{key}", key=key),
        get("/v1/models", f"cookie: key={key}"),
        get("/v1/models", f"{key}: x"),
        get("/v1/models", f"x-api-key: {key}"),
        get("/v1/models", bearer, bearer),
        get("/v1/models", f"authorization: Basic {key}"),
        get("/v1/models", f"authorization: Bearer {key}x"),
        get("/v1/models", f"host: {key}"),
        get("/v1/models", f"transfer-encoding: {key}"),
        get(f"http://{key}/v1/models"),
        post(chat(model=f"org/{key}"), key),
        post(chat(model=key), key),
        post({**chat(), "api_key": key}, key),
        post({**chat(), "api_base": f"http://{key}@127.0.0.1:1"}, key),
        post({**chat(), key: 1, "n": key}, key),
        post(f'{{"{key}": 1, "{key}": 2}}'.encode(), key),
        post(f'{{"model": "{key}'.encode(), key),
        post(chat(stream=key), key),
        post(chat(model="org/fault-500"), key),
        post(chat(model="org/fault-401"), key),
        post(chat(model="org/fault-error-string", stream=True), key),
        post(chat(), key, f"content-encoding: {key}"),
        post(chat(), key, f"expect: {key}"),
        head("POST", CHATS, f"content-length: {key}", key=key) + b"\r\n",
        get("/admin/keys", key=key),
        get(f"/admin/keys/{key}", key=key),
        f"{key} / HTTP/1.1\r\n\r\n".encode(),
        key.encode() + b"\r\n\r\n",
    ]


def parts(secret: str) -> list[bytes]:
    """Every eight characters of it."""
    return [secret[at : at + 8].encode() for at in range(len(secret) - 7)]


def test_no_key_comes_out_where_its_owner_did_not_put_it_in_plain_words(gateway: Gateway) -> None:
    key = gateway.new_key()
    answers = b""
    for request in misplaced(key):
        with Wire(gateway) as wire:
            answer = wire.ask(request)
            assert 200 <= answer.status < 600
            answers += repr(answer.lines).encode()
            named = any(
                place.encode() in request for place in (f"org/{key}", f'"{key}"', f"/{key}")
            )
            if not named:  # names of models, fields and paths are told as they were asked for
                answers += answer.body
    answers += ask(gateway, get("/metrics")).body
    for path in ("/admin/config", "/admin/status", "/admin/keys", "/admin/entries"):
        body = ask(gateway, get(path, key=gateway.admin_key)).body
        answers += body if path != "/admin/entries" else b""
    log = gateway.log.read_bytes()
    assert log.count(b"\n") > 5
    for part in parts(key):
        assert part not in answers
        assert part not in log
    for secret in (UPSTREAM, gateway.admin_key):
        for part in parts(secret.partition("_")[2] or secret):
            assert part not in answers
            assert part not in log


def test_nobody_but_the_gateway_writes_lines_into_its_log(gateway: Gateway) -> None:
    key = gateway.new_key()
    forged = '{"level":"error","message":"forged"}'
    for odd in (f"a/b\n{forged}", f"a/b\r\n{forged}", f"a/\x1b[31mb{forged}", f"a/\u2028{forged}"):
        assert ask(gateway, post(chat(model=odd), key)).status in (400, 404)
        assert ask(gateway, post(chat(user=odd), key, f"user-agent: {odd[:2]}")).status == 200
    assert ask(gateway, get("/v1/models/%0a%7b%22level%22%3a%22error%22%7d", key=key)).status == 404
    assert ask(gateway, get("/%0d%0aforged")).status == 404
    for line in gateway.log.read_text().splitlines():
        if line.startswith("{"):
            assert json.loads(line).get("message") != "forged"
        assert "\x1b" not in line


def test_no_answer_names_the_software_or_its_files(gateway: Gateway) -> None:
    for request in misplaced("tl-nobody"):
        with Wire(gateway) as wire:
            answer = wire.ask(request)
            assert "server" not in answer.headers
            text = (repr(answer.lines) + answer.body.decode()).lower()
            for word in (
                "traceback",
                "trunkline/",
                ".py",
                "sqlite",
                "httptools",
                "llhttp",
                "uvloop",
            ):
                assert word not in text, (request, text)

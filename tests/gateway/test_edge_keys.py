"""Keys at the gateway's door: one place, one spelling, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import re
import sqlite3
import time
from typing import Any

import pytest
from raw import CHATS, Answer, Wire, ask, chat, eventually, get, post
from running import ADMIN_KEY, CHAT, Gateway

from trunkline.gateway.config_file import read_config
from trunkline.gateway.log import Log
from trunkline.gateway.pages import Page
from trunkline.gateway.server import Gateway as InProcess
from trunkline.sandbox.server import SandboxServer
from trunkline.settings import read_settings
from trunkline.types.secret_shapes import Secrets

MODELS = "/v1/models"


def made(gateway: Gateway, **wish: Any) -> tuple[str, str]:
    """A new key's id and secret."""
    told = gateway.admin("POST", "/keys", {"name": "test", **wish})
    return told["key"]["id"], told["secret"]


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


def same(answers: list[Answer]) -> set[bytes]:
    """Their bodies and lines, without what differs in every answer."""
    told = set()
    for answer in answers:
        request_id = answer.headers["x-request-id"].encode()
        lines = repr([(n, v) for n, v in answer.lines if n not in ("date", "x-request-id")])
        told.add(answer.body.replace(request_id, b"") + lines.encode())
    return told


def printable(data: bytes) -> str:
    """Bytes as they can stand in a header."""
    return bytes(byte | 0x80 for byte in data).decode("latin-1")


def spoilt(key: str) -> dict[str, str]:
    """Values of `Authorization` that are nearly right."""
    return {
        "without its last character": f"Bearer {key[:-1]}",
        "without its first": f"Bearer {key[1:]}",
        "with one more": f"Bearer {key}A",
        "with one in front": f"Bearer A{key}",
        "another last one": f"Bearer {key[:-1]}{'A' if key[-1] != 'A' else 'B'}",
        "its first twenty": f"Bearer {key[:20]}",
        "its first twenty, and others": f"Bearer {key[:20]}{'x' * (len(key) - 20)}",
        "its hint": f"Bearer {key[-4:]}",
        "small letters": f"Bearer {key.lower()}",
        "twice": f"Bearer {key}{key}",
        "Bearer twice": f"Bearer Bearer {key}",
        "two in a list": f"Bearer {key}, Bearer {key}",
        "quoted": f'Bearer "{key}"',
        "percent-encoded": f"Bearer {key.replace('-', '%2D')}",
        "a digest": f"Bearer {hashlib.sha256(key.encode()).hexdigest()}",
        "a raw digest": f"Bearer {printable(hashlib.sha256(key.encode()).digest())}",
        "no scheme": key,
        "another scheme": f"Basic {key}",
        "a scheme alone": "Bearer",
        "an empty key": "Bearer ",
        "a tab": f"Bearer\t{key}",
        "nothing": "",
        "SQL": "Bearer ' OR 1=1 --",
        "a wildcard": "Bearer %",
        "a template": "Bearer {{7*7}}",
        "a default": "Bearer sk-1234",
        "a long one": f"Bearer {'a' * 20_000}",
        "an undefined one": "Bearer undefined",
    }


def test_every_wrong_key_is_the_same_to_the_gateway(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    before = len(sandbox_server.requests)
    for secret in (key, gateway.admin_key):
        for name, value in spoilt(secret).items():
            for request in (
                get(MODELS, f"authorization: {value}"),
                post(chat(), None, f"authorization: {value}"),
                get("/admin/keys", f"authorization: {value}"),
            ):
                answer = ask(gateway, request)
                assert answer.status == 401, (name, answer)
                assert answer.error["code"] == "invalid_api_key"
                assert answer.headers["www-authenticate"] == "Bearer"
    assert len(sandbox_server.requests) == before


def test_the_answers_to_wrong_keys_are_the_same_bytes(gateway: Gateway, key: str) -> None:
    expired = gateway.new_key(expires=time.time() + 0.2)
    key_id, revoked = made(gateway)
    gateway.admin("POST", f"/keys/{key_id}/revoke")
    time.sleep(0.6)  # the key's life, and a turn of the clock that ends it
    values = [*spoilt(key).values(), f"Bearer {expired}", f"Bearer {revoked}"]
    answers = [ask(gateway, get(MODELS, f"authorization: {value}")) for value in values]
    answers += [ask(gateway, get(MODELS)), ask(gateway, get("/admin/keys"))]
    answers += [ask(gateway, get("/admin/nowhere"))]
    assert {answer.status for answer in answers} == {401}
    assert len(same(answers)) == 1


@pytest.mark.parametrize(
    "spelling", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} "]
)
def test_a_right_key_is_known_however_its_scheme_is_spelt(
    gateway: Gateway, key: str, spelling: str
) -> None:
    for name in ("Authorization", "authorization", "AUTHORIZATION"):
        assert ask(gateway, get(MODELS, f"{name}: {spelling.format(key)}")).status == 200


def test_a_key_elsewhere_than_in_its_header_is_not_read(gateway: Gateway, key: str) -> None:
    for request in (
        get(f"{MODELS}?key={key}"),
        get(f"{MODELS}?api_key={key}&access_token={key}"),
        get(MODELS, f"cookie: authorization=Bearer {key}; key={key}; session={key}"),
        post(chat(), None, f"x-api-key: {key}"),
        get("/admin/keys", f"x-api-key: {key}"),
        get(MODELS, f"api-key: {key}"),
        get(MODELS, f"proxy-authorization: Bearer {key}"),
        get(MODELS, f"authorization : Bearer {key}".replace(" :", "_:")),
        post({**chat(), "key": key}),
    ):
        answer = ask(gateway, request)
        assert answer.status == 401, request
        assert key.encode() not in answer.body
    told = ask(gateway, get(f"{MODELS}?key={key}")).error["message"]
    assert "URL" in told
    assert "replace it" in told


def test_two_authorization_headers_are_refused(gateway: Gateway, key: str) -> None:
    for second in (f"Bearer {key}", "Bearer other", ""):
        answer = ask(gateway, get(MODELS, f"authorization: {second}", key=key))
        assert (answer.status, answer.error["code"]) == (400, "bad_http")
        assert key.encode() not in answer.body


def test_what_the_store_keeps_of_a_key_opens_nothing(gateway: Gateway, key: str) -> None:
    with sqlite3.connect(gateway.store) as store:
        dump = "\n".join(store.iterdump())
    cells = set(re.findall(r"X?'([^']*)'", dump))
    digest = hashlib.sha256(key.encode()).digest()
    assert digest.hex().upper() in cells
    for cell in sorted(c for c in cells if 0 < len(c) < 1000 and c.isascii() and c.isprintable()):
        for text in (cell, cell.lower()):
            assert ask(gateway, get(MODELS, f"authorization: Bearer {text}")).status == 401
    written = [path.read_bytes() for path in gateway.folder.rglob("*") if path.is_file()]
    assert key.encode() not in b"".join(written)


def test_a_revoked_key_is_refused_at_once_also_on_a_connection_that_used_it(
    gateway: Gateway,
) -> None:
    key_id, secret = made(gateway)
    with Wire(gateway) as wire:
        request = post(chat(), secret)
        assert [wire.ask(request).status for _ in range(3)] == [200] * 3
        gateway.admin("POST", f"/keys/{key_id}/revoke")
        assert wire.ask(request).status == 401
        assert wire.ask(get(MODELS, key=secret)).status == 401


def test_an_expired_key_is_refused_also_on_a_connection_that_used_it(gateway: Gateway) -> None:
    secret = gateway.new_key(expires=time.time() + 1.0)
    with Wire(gateway) as wire:
        request = post(chat(), secret)
        assert wire.ask(request).status == 200
        eventually(lambda: wire.ask(request).status == 401, "the key has expired")
        assert wire.ask(get(MODELS, key=secret)).status == 401


def test_a_rotated_key_works_beside_its_successor_until_the_overlap_ends(
    gateway: Gateway,
) -> None:
    key_id, old = made(gateway)
    new = gateway.admin("POST", f"/keys/{key_id}/rotate", {"overlap_seconds": 1.0})["secret"]
    with Wire(gateway) as wire:
        assert wire.ask(get(MODELS, key=old)).status == 200
        assert wire.ask(get(MODELS, key=new)).status == 200
        eventually(lambda: wire.ask(get(MODELS, key=old)).status == 401, "the overlap has ended")
        assert wire.ask(get(MODELS, key=new)).status == 200


def test_a_key_rotated_without_overlap_ends_at_once(gateway: Gateway) -> None:
    key_id, old = made(gateway)
    new = gateway.admin("POST", f"/keys/{key_id}/rotate", {})["secret"]
    assert ask(gateway, get(MODELS, key=old)).status == 401
    assert ask(gateway, get(MODELS, key=new)).status == 200


def test_a_scope_of_models_is_kept(gateway: Gateway, sandbox_server: SandboxServer) -> None:
    secret = gateway.new_key(scope={"models": ["meta-llama/*", "Qwen/Qwen3-32B"]})
    assert ask(gateway, post(chat(), secret)).status == 200
    assert ask(gateway, post(chat(model="Qwen/Qwen3-32B"), secret)).status != 403
    before = len(sandbox_server.requests)
    for model in (
        "deepseek-ai/DeepSeek-R1",
        "Qwen/Qwen3-32B:groq",
        "Qwen/Qwen3-32B2",
        "xmeta-llama/Llama-3.3-70B-Instruct",
        "META-LLAMA/Llama-3.3-70B-Instruct",
        " meta-llama/Llama-3.3-70B-Instruct",
        "huggingface/meta-llama/Llama-3.3-70B-Instruct",
    ):
        answer = ask(gateway, post(chat(model=model), secret))
        assert (answer.status, answer.error["code"]) == (403, "model_not_allowed"), model
        assert answer.error["param"] == "model"
    listed = [row["id"] for row in ask(gateway, get(MODELS, key=secret)).json["data"]]
    assert CHAT["model"] in listed
    assert all(name.startswith("meta-llama/") or name == "Qwen/Qwen3-32B" for name in listed)
    hidden = ask(gateway, get(f"{MODELS}/deepseek-ai/DeepSeek-R1", key=secret))
    nobody = ask(gateway, get(f"{MODELS}/nobody/DeepSeek-R1", key=secret))
    assert (hidden.status, nobody.status) == (404, 404)
    assert hidden.error["code"] == nobody.error["code"]
    assert len(sandbox_server.requests) == before


def test_a_scope_of_endpoints_is_kept(gateway: Gateway) -> None:
    secret = gateway.new_key(scope={"endpoints": ["models"]})
    assert ask(gateway, get(MODELS, key=secret)).status == 200
    for path in (CHATS, "/v1/completions", "/v1/embeddings"):
        answer = ask(gateway, post(chat(), secret, path=path))
        assert (answer.status, answer.error["code"]) == (403, "not_allowed")
    chats = gateway.new_key(scope={"endpoints": ["chat"]})
    assert ask(gateway, post(chat(), chats)).status == 200
    assert ask(gateway, get(MODELS, key=chats)).status == 403


def test_a_scope_of_providers_is_kept(gateway: Gateway, sandbox_server: SandboxServer) -> None:
    secret = gateway.new_key(scope={"providers": ["groq"]})
    model = CHAT["model"]
    assert ask(gateway, post(chat(model=f"{model}:groq"), secret)).status == 200
    before = len(sandbox_server.requests)
    for other in (model, f"{model}:together", f"{model}:fastest", f"{model}:cheapest"):
        answer = ask(gateway, post(chat(model=other), secret))
        assert (answer.status, answer.error["code"]) == (403, "provider_not_allowed"), other
    assert len(sandbox_server.requests) == before


def test_a_key_whose_scope_is_narrowed_is_held_to_it_on_its_open_connection(
    gateway: Gateway,
) -> None:
    key_id, secret = made(gateway)
    with Wire(gateway) as wire:
        request = post(chat(), secret)
        assert wire.ask(request).status == 200
        gateway.admin("PATCH", f"/keys/{key_id}", {"scope": {"endpoints": ["models"]}})
        assert wire.ask(request).status == 403


RULES = {
    **{
        f"POST /v1/{path}": "key"
        for path in (
            "audio/speech",
            "audio/transcriptions",
            "audio/translations",
            "images/edits",
            "images/generations",
            "images/variations",
            "rerank",
            "videos",
            "videos/*",
        )
    },
    "GET /v1/videos": "key",
    "GET /v1/videos/*": "key",
    "DELETE /v1/videos/*": "key",
    "POST /v1/chat/completions": "key",
    "POST /v1/completions": "key",
    "POST /v1/embeddings": "key",
    "POST /v1/messages": "key",
    "POST /v1/responses": "key",
    "POST /v1/messages/count_tokens": "key",
    "GET /v1/models": "key",
    "GET /v1/models/*": "key",
    "GET /health/live": "public",
    "GET /health/ready": "public",
    "GET /metrics": "public",  # on loopback; for viewers elsewhere
    "GET /admin/*": "staff",
    "POST /admin/*": "staff",
    "PUT /admin/*": "staff",
    "PATCH /admin/*": "staff",
    "DELETE /admin/*": "staff",
}
"""Written down apart from the table: whoever adds a page says twice who may ask for it."""
RULES |= {way.replace(" /v1/", " /hf/v1/"): rule for way, rule in RULES.items() if " /v1/" in way}
RULES |= {f"{method} /hf/*": "key" for method in ("GET", "POST", "PUT")}


def spelt(page: Page) -> str:
    return f"{page.method} {page.path}{'/*' if page.below else ''}"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer) -> list[Page]:
    """The pages of a gateway that has just started."""
    folder = tmp_path_factory.mktemp("table")
    environment = {**sandbox_server.environment, "TRUNKLINE_ADMIN_KEY": ADMIN_KEY}
    flags = {"listen.port": 0, "store.path": str(folder / "gateway.db")}

    async def pages() -> list[Page]:
        loaded = read_config(None, environment, flags)
        with Log(Secrets(), log_requests=False, plain=True) as log:
            started = InProcess(loaded, environment, read_settings(), log, lambda: loaded)
            await started.start()
            try:
                return started.edge.application.rows()  # type: ignore[attr-defined]
            finally:
                await started.stop(0.0)

    return asyncio.run(pages())


def test_every_page_has_the_rule_that_was_agreed(table: list[Page]) -> None:
    assert {spelt(page): page.rule for page in table} == RULES


@pytest.fixture(scope="module")
def callers(gateway: Gateway) -> dict[str, str | None]:
    """A secret for each kind of caller."""
    key_id, revoked = made(gateway, role="admin")
    gateway.admin("POST", f"/keys/{key_id}/revoke")
    expired = gateway.new_key(role="admin", expires=time.time() + 0.2)
    eventually(lambda: ask(gateway, get(MODELS, key=expired)).status == 401, "expired")
    return {
        "nobody": None,
        "unknown": "tl-unknown",
        "revoked": revoked,
        "expired": expired,
        "caller": gateway.new_key(role="caller"),
        "team-admin": gateway.new_key(role="team-admin", team="red"),
        "viewer": gateway.new_key(role="viewer"),
        "admin": gateway.admin_key,
    }


def expected(rule: str, caller: str) -> set[int]:
    """Statuses by which a caller is let in or kept out."""
    if rule == "public":
        return {200}
    if caller in ("nobody", "unknown", "revoked", "expired"):
        return {401}
    if rule == "staff" and caller == "caller":
        return {403}
    return {200, 400, 404, 405, 415}


@pytest.mark.slow
def test_every_page_lets_in_whom_its_rule_says(
    gateway: Gateway, table: list[Page], callers: dict[str, str | None]
) -> None:
    for page in table:
        path = f"{page.path}/nothing" if page.below else page.path
        for name, secret in callers.items():
            empty = ["content-length: 0"] if page.method != "GET" else []
            answer = ask(gateway, get(path, *empty, method=page.method, key=secret))
            assert answer.status in expected(page.rule, name), (spelt(page), name, answer)


@pytest.mark.slow
def test_every_route_of_the_admin_api_is_closed_to_those_who_only_call(
    gateway: Gateway, callers: dict[str, str | None]
) -> None:
    told = gateway.admin("GET", "/openapi.json")
    routes = [(m.upper(), p) for p, methods in told["paths"].items() for m in methods]
    assert len(routes) > 10
    for method, path in routes:
        target = path.replace("{", "").replace("}", "")
        for name in ("nobody", "unknown", "revoked", "expired", "caller"):
            request = get(target, "content-length: 0", method=method, key=callers[name])
            assert ask(gateway, request).status == (403 if name == "caller" else 401)

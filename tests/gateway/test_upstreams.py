"""Credentials and addresses of upstreams, and what becomes of them when the configuration changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from running import CHAT, Gateway, running

from loopback import Upstream as Server
from loopback import answers, completion, saying, whole
from trunkline.errors import ConfigurationError
from trunkline.gateway.config import Config
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.outbox import Outbox
from trunkline.gateway.upstreams import Upstreams, credential
from trunkline.settings import ROUTER, read_settings
from trunkline.transport.aio import AioTransport

TOKEN = "hf_" + "a" * 34
NEAR = UpstreamConfig(base_url="http://127.0.0.1:8000/v1", key_env="NEAR_KEY")
HUB = UpstreamConfig(kind="huggingface")


def upstreams(environment: dict[str, str], **rows: UpstreamConfig) -> Upstreams:
    config = Config(upstreams=rows)
    return Upstreams(config, environment, read_settings({}), AioTransport(), {}, Outbox())


@pytest.fixture(autouse=True)
def nobody(bare_environment: None) -> None:
    """No login of whoever runs the tests."""


def test_a_key_is_read_from_the_variable_that_is_named() -> None:
    found = credential("near", NEAR, {"NEAR_KEY": "  abc \n"}, ROUTER)
    assert found is not None
    assert found.value == "abc"
    assert "abc" not in repr(found)


@pytest.mark.parametrize("environment", [{}, {"NEAR_KEY": ""}, {"NEAR_KEY": "  "}])
def test_a_variable_without_a_key_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        credential("near", NEAR, environment, ROUTER)
    assert "NEAR_KEY" in str(caught.value)
    assert "upstreams.near.key_env" in str(caught.value)


def test_a_server_without_a_key_gets_none(tmp_path: Path) -> None:
    bare = UpstreamConfig(base_url="http://127.0.0.1:8000/v1")
    assert credential("near", bare, {"HF_TOKEN": TOKEN}, ROUTER) is None


def test_hugging_face_gets_the_login_where_no_variable_is_named(tmp_path: Path) -> None:
    for environment in ({"HF_TOKEN": TOKEN}, {"HF_HOME": str(tmp_path)}):
        (tmp_path / "token").write_text(TOKEN)
        found = credential("huggingface", HUB, environment, ROUTER)
        assert found is not None
        assert found.value == TOKEN


def test_every_credential_is_hidden_and_the_routers_is_known() -> None:
    found = upstreams({"HF_TOKEN": TOKEN, "NEAR_KEY": "abc"}, near=NEAR, huggingface=HUB)
    assert set(found.secrets()) == {TOKEN, "abc"}
    secret = found.router_secret()
    assert secret is not None
    assert secret.value == TOKEN
    own = UpstreamConfig(kind="huggingface", base_url="http://127.0.0.1:9/v1")
    assert upstreams({}, huggingface=own).router_settings().router_url == "http://127.0.0.1:9/v1"
    assert upstreams({}, huggingface=HUB).router_settings().router_url == ROUTER


def test_a_client_is_made_once_for_an_upstream() -> None:
    provider = UpstreamConfig(kind="provider", provider="groq", key_env="NEAR_KEY")
    found = upstreams({"HF_TOKEN": TOKEN, "NEAR_KEY": "abc"}, near=NEAR, groq=provider)
    for name in ("huggingface", "near", "groq"):
        assert found.client(name) is found.client(name)
        assert "abc" not in repr(found.client(name))


CONFIG = """
default_upstream = "near"
upstreams.near = {{ base_url = "{url}", key_env = "{variable}" }}
"""
KEYS = {"FIRST": "key-first-1", "SECOND": "key-second-2"}


def ask(gateway: Gateway, key: str) -> None:
    status, _, body = gateway.ask("POST", "/v1/chat/completions", CHAT, key)
    assert status == 200, body


def test_a_reload_changes_an_upstreams_address_and_key(tmp_path: Path, serve: Any) -> None:
    one: Server = serve(answers)
    two: Server = serve(answers)
    with running(tmp_path, CONFIG.format(url=one.url, variable="FIRST"), KEYS) as gateway:
        key = gateway.new_key()
        ask(gateway, key)
        ask(gateway, key)
        gateway.config.write_text(CONFIG.format(url=one.url, variable="SECOND"))
        assert gateway.admin("POST", "/reload")["applied"]
        ask(gateway, key)
        gateway.config.write_text(CONFIG.format(url=two.url, variable="SECOND"))
        assert gateway.admin("POST", "/reload")["applied"]
        ask(gateway, key)
        gateway.config.write_text(CONFIG.format(url="http://127.0.0.1:1/v1", variable="UNSET"))
        assert gateway.ask("POST", "/admin/reload", key=gateway.admin_key)[0] == 409
        ask(gateway, key)
    sent = [request.headers["authorization"] for request in one.requests]
    assert sent == ["Bearer key-first-1", "Bearer key-first-1", "Bearer key-second-2"]
    assert len(one.visits) == 1
    assert [r.headers["authorization"] for r in two.requests] == ["Bearer key-second-2"] * 2
    log = gateway.log.read_text()
    assert not any(secret in log for secret in KEYS.values())


def test_a_connection_that_died_while_idle_is_replaced_in_silence(
    tmp_path: Path, serve: Any
) -> None:
    server: Server = serve(saying(whole(completion())), answers)

    with running(tmp_path, CONFIG.format(url=server.url, variable="FIRST"), KEYS) as gateway:
        key = gateway.new_key()
        ask(gateway, key)
        assert server.visits[0].over.wait(20)
        ask(gateway, key)
        rows = gateway.ledger(2)
    assert [row["outcome"] for row in rows] == ["ok", "ok"]
    assert len(server.visits) == 2


def test_a_connection_that_dies_as_it_is_used_again_is_replaced_once(
    tmp_path: Path, serve: Any
) -> None:
    def dies(visit: Any) -> None:
        visit.request()
        visit.answer()
        visit.request()
        visit.reset()

    def refuses(visit: Any) -> None:
        visit.request()
        visit.reset()

    server: Server = serve(dies, answers, refuses)
    with running(tmp_path, CONFIG.format(url=server.url, variable="FIRST"), KEYS) as gateway:
        key = gateway.new_key()
        ask(gateway, key)
        ask(gateway, key)
        row = gateway.ledger(2)[0]
        assert (row["outcome"], row["attempts"]) == ("ok", 2)
    assert [len(visit.requests) for visit in server.visits] == [2, 1]


def test_a_new_connection_that_dies_is_not_tried_again(tmp_path: Path, serve: Any) -> None:
    def dies(visit: Any) -> None:
        visit.request()
        visit.reset()

    server: Server = serve(dies)
    with running(tmp_path, CONFIG.format(url=server.url, variable="FIRST"), KEYS) as gateway:
        status, _, body = gateway.ask("POST", "/v1/chat/completions", CHAT, gateway.new_key())
        assert (status, body["error"]["code"]) == (502, "upstream_unreachable")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_the_key_goes_nowhere_else(
    tmp_path: Path, serve: Any, status: int
) -> None:
    elsewhere: Server = serve(answers)
    server: Server = serve(saying(whole(b"", status, location=f"{elsewhere.url}/chat/completions")))
    with running(tmp_path, CONFIG.format(url=server.url, variable="FIRST"), KEYS) as gateway:
        told, _, body = gateway.ask("POST", "/v1/chat/completions", CHAT, gateway.new_key())
        assert (told, body["error"]["code"]) == (502, "upstream_invalid_response")
        assert "redirects" in body["error"]["message"]
    assert elsewhere.visits == []


def test_calls_that_the_sdk_carries_are_in_the_ledger_and_in_no_local_log(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    settings = read_settings({"TRUNKLINE_LOG": str(file)})
    assert settings.log.wanted
    config = Config(upstreams={"near": NEAR})
    ours = Upstreams(config, {"NEAR_KEY": "abc"}, settings, AioTransport(), {}, Outbox())
    assert not ours.client("near")._calls.is_logging

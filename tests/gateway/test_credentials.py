"""The gateway's own credential: refused, replaced, and never the client's affair."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import CHAT, Gateway, running

from trunkline.sandbox.server import SandboxServer

BAD_TOKEN = "hf_invalidinvalidinvalidinvalid"


@pytest.fixture
def logged_in(tmp_path: Path, sandbox_server: SandboxServer) -> Iterator[tuple[Gateway, Path]]:
    """A gateway whose token is in the file of a login, and is refused."""
    token = tmp_path / "token"
    token.write_text(BAD_TOKEN)
    environment = {**sandbox_server.environment, "HF_TOKEN_PATH": str(token)}
    with running(tmp_path, "", environment) as gateway:
        yield gateway, token


def test_a_refused_credential_is_a_502_and_its_reason_is_in_the_log_alone(
    logged_in: tuple[Gateway, Path],
) -> None:
    gateway, _ = logged_in
    key = gateway.new_key()
    status, headers, body = gateway.ask("POST", "/v1/chat/completions", CHAT, key)
    assert (status, body["error"]["code"]) == (502, "upstream_credential_refused")
    row = gateway.entry(headers["x-request-id"])
    assert (row["outcome"], row["cost"]) == ("refused", "0")
    said = gateway.log.read_text()
    assert "an upstream does not accept its credential" in said
    assert BAD_TOKEN not in said
    assert BAD_TOKEN not in str(body)


def test_a_token_that_was_replaced_is_found_without_a_restart(
    logged_in: tuple[Gateway, Path],
) -> None:
    gateway, token = logged_in
    key = gateway.new_key()
    token.write_text("hf_replacedreplacedreplacedreplaced")
    until = time.monotonic() + 10
    while (status := gateway.ask("POST", "/v1/chat/completions", CHAT, key)[0]) != 200:
        assert status == 502
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "a credential was replaced" in gateway.log.read_text()

"""`trunkline why` of a gateway's calls: asked of the gateway, or read in its store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from routes_side import answering, refusing, routed
from running import CHAT, Gateway, running

from trunkline.cli.ledger_calls import entry_of
from trunkline.sandbox import SandboxServer, serve_in_thread

pytestmark = pytest.mark.slow
PROGRAM = str(Path(sys.executable).with_name("trunkline"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with serve_in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with running(folder, "", {**sandbox.environment, "HF_TOKEN": "hf_sandbox"}) as gateway:
        yield gateway


def why(gateway: Gateway, tmp_path: Path, *arguments: str, key: str | None = None):
    env = {**os.environ, "HOME": str(tmp_path), "TRUNKLINE_ADMIN_KEY": key or gateway.admin_key}
    return subprocess.run([PROGRAM, "why", *arguments], env=env, cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)  # fmt: skip


def test_a_gateways_call_is_told_by_the_id_that_its_client_got(
    gateway: Gateway, tmp_path: Path
) -> None:
    status, headers, _ = gateway.ask("POST", "/v1/chat/completions", CHAT, gateway.admin_key)
    assert status == 200
    request_id = headers["x-request-id"]
    entry = gateway.entry(request_id)
    for wanted in ((request_id,), (entry["upstream_id"],), ()):
        told = why(gateway, tmp_path, *wanted, "--url", gateway.url)
        assert told.returncode == 0, told.stderr
        assert told.stdout.startswith(f"{request_id}, ")
        assert f"with {CHAT['model']} was asked for" in told.stdout
        assert "It ended well" in told.stdout


def test_a_key_that_may_not_see_it_and_a_call_that_is_not_there_are_clear_errors(
    gateway: Gateway, tmp_path: Path
) -> None:
    missing = why(gateway, tmp_path, "nothing", "--url", gateway.url)
    assert missing.returncode == 1
    assert "no call 'nothing'" in missing.stderr
    refused = why(gateway, tmp_path, "x", "--url", gateway.url, key="tl-not-a-key-of-this-gateway")
    assert refused.returncode == 1
    assert "TRUNKLINE_ADMIN_KEY" in refused.stderr


def test_what_is_no_gateway_is_a_clear_error(
    gateway: Gateway, sandbox: SandboxServer, tmp_path: Path
) -> None:
    told = why(gateway, tmp_path, "--url", f"{sandbox.url}/v1/models?x=")
    assert told.returncode == 1
    assert "no gateway of Trunkline's" in told.stderr


def test_what_the_admin_api_shows_is_the_entry_again(gateway: Gateway) -> None:
    gateway.ask("POST", "/v1/chat/completions", CHAT, gateway.admin_key)
    for row in gateway.ledger(1):
        entry = entry_of(row)
        assert (entry.id, entry.outcome, entry.attempts) == (
            row["id"],
            row["outcome"],
            row["attempts"],
        )
        assert entry.cost is None or isinstance(entry.cost, int)


def test_a_call_with_a_route_is_told_with_every_try(tmp_path: Path) -> None:
    with routed(tmp_path, "", refusing(500), answering()) as scene:
        row = scene.row(scene.ask())
        told = why(scene.gateway, tmp_path, row["id"], "--url", scene.gateway.url)
    assert told.returncode == 0, told.stderr
    for part in (
        "Of 2 candidates 2 could be asked:",
        "Attempt 1 went to a as m-a: InternalServerError, HTTP 500",
        "It was asked again: it answered 500",
        "Attempt 3 (the next place on the route) went to b as m-b: HTTP 200",
        "b answered as m-b.",
    ):
        assert part in told.stdout, told.stdout

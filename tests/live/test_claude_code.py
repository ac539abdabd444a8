"""Claude Code itself, where it is installed, against a gateway in front of the sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import Gateway, running

from trunkline.sandbox import SandboxServer, serve_in_thread

pytestmark = pytest.mark.live

CONFIG = """
[upstreams.emulator]
base_url = "{url}/v1"
key_env = "EMULATOR_KEY"
prices."*" = {{ input = 1, output = 2 }}
[routes."claude-open"]
targets = [{{ upstream = "emulator", model = "sandbox/demo" }}]
"""


@pytest.fixture
def claude() -> str:
    """Where the program is; skips where it is not."""
    found = shutil.which(os.environ.get("TRUNKLINE_CLAUDE_CODE") or "claude")
    if found is None:
        pytest.skip("claude is not on the path, and TRUNKLINE_CLAUDE_CODE does not say where it is")
    return found


@pytest.fixture
def behind() -> Iterator[SandboxServer]:
    with serve_in_thread() as server:
        yield server


@pytest.fixture
def gateway(behind: SandboxServer, tmp_path: Path) -> Iterator[Gateway]:
    environment = {**behind.environment, "EMULATOR_KEY": "hf_emulator_key"}
    with running(tmp_path, CONFIG.format(url=behind.url), environment) as started:
        yield started


def said(claude: str, gateway: Gateway, folder: Path, **more: str) -> dict[str, Any]:
    """Have it answer one question with nothing but an address and a key, and return what it prints."""
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    told = subprocess.run(
        [claude, "-p", "Say hello.", "--output-format", "json"],
        cwd=work,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "NO_PROXY": "127.0.0.1",
            "ANTHROPIC_BASE_URL": gateway.url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            **more,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    printed: dict[str, Any] = json.loads(told.stdout)
    return printed


@pytest.mark.parametrize("name", ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"])
def test_claude_code_works_with_an_address_and_a_key(
    claude: str, gateway: Gateway, behind: SandboxServer, tmp_path: Path, name: str
) -> None:
    found = said(
        claude,
        gateway,
        tmp_path,
        ANTHROPIC_MODEL="claude-open",
        ANTHROPIC_DEFAULT_HAIKU_MODEL="claude-open",
        **{name: gateway.new_key()},
    )
    assert found["subtype"] == "success"
    assert found["result"].startswith("[simulated] You said")
    rows = gateway.ledger(1)
    assert {(row["endpoint"], row["model"], row["status"]) for row in rows} == {
        ("messages", "claude-open", 200)
    }
    assert found["usage"]["output_tokens"] == sum(row["output_tokens"] for row in rows)
    sent = next(one.json for one in behind.requests if one.method == "POST")
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert len(sent["tools"]) > 5

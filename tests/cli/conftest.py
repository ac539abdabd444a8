"""The real program: run to its end, or at a terminal, with and without a sandbox to ask."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import PATIENCE, PROGRAM, Open, Run, Terminal

from trunkline.sandbox import SandboxServer, serve_in_thread

_OURS = re.compile(r"(?i)HF_|HUGGING|TRUNKLINE_|.*_proxy$|NO_COLOR|COLUMNS|LINES|XDG_CACHE")


@pytest.fixture(scope="session")
def server() -> Iterator[SandboxServer]:
    """A sandbox on a port."""
    with serve_in_thread() as running:
        yield running


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment without a token, a login or a proxy."""
    kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    return {**kept, "HOME": str(tmp_path), "PYTHONWARNINGS": "error"}


@pytest.fixture
def routed(env: dict[str, str], server: SandboxServer) -> dict[str, str]:
    """That environment, logged in at a sandbox."""
    return {**env, **server.environment, "HF_TOKEN": "hf_secret_of_the_test"}


@pytest.fixture
def run(env: dict[str, str], tmp_path: Path) -> Run:
    """Run the program to its end."""

    def run(
        *arguments: str, env: dict[str, str] = env, stdin: str | bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [PROGRAM, *arguments],
            input=given, capture_output=True, env=env, cwd=tmp_path, timeout=PATIENCE, check=False,
        )  # fmt: skip
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return run


@pytest.fixture
def terminal(env: dict[str, str]) -> Iterator[Open]:
    """Open the program at a terminal."""
    opened: list[Terminal] = []

    def at_terminal(*arguments: str, env: dict[str, str] = env) -> Terminal:
        opened.append(Terminal(list(arguments), env))
        return opened[-1]

    yield at_terminal
    for one in opened:
        one.close()

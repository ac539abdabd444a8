"""The real program in a process of its own: run to its end, or at a terminal that tests type on."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trunkline.sandbox import SandboxServer, serve_in_thread

PROGRAM = str(Path(sys.executable).with_name("trunkline"))
PATIENCE = 30.0
"""Seconds that a slow machine may take for anything."""
_OURS = re.compile(r"(?i)HF_|HUGGING|TRUNKLINE_|.*_proxy$|NO_COLOR|COLUMNS|LINES|XDG_CACHE")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\r")
# gives a process the terminal on its stdin, as a shell does, so that Ctrl-C reaches it
_AT_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Open = Callable[..., "Terminal"]


class Terminal:
    """The program at a terminal."""

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        """Start it."""
        self._fd, theirs = pty.openpty()
        env = {**env, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AT_TERMINAL, PROGRAM, *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, env=env,
        )  # fmt: skip
        os.close(theirs)
        self.raw = b""
        self._seen = 0

    @property
    def text(self) -> str:
        """Everything shown so far, without escapes."""
        return _ESCAPES.sub("", self.raw.decode("utf-8", "replace"))

    def expect(self, text: str) -> str:
        """Wait until `text` shows after what was expected last; returns what came up to it."""
        until = time.monotonic() + PATIENCE
        while (at := self.text.find(text, self._seen)) < 0:
            if not self._read(until):
                raise AssertionError(f"{text!r} never came; shown was:\n{self.text}")
        start, self._seen = self._seen, at + len(text)
        return self.text[start : self._seen]

    def send(self, text: str) -> None:
        """Type it."""
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.send("\x03")

    def end(self) -> int:
        """Wait for the end, reading what is still shown; returns the exit code."""
        until = time.monotonic() + PATIENCE
        while self._read(until):
            pass
        return self._process.wait(max(until - time.monotonic(), 1))

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._fd)

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(until - time.monotonic(), 0))
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.raw += data
        return bool(data)


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

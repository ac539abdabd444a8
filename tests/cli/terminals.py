"""The real program in a process of its own, at a terminal that tests type on."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("trunkline"))
PATIENCE = 30.0
"""Seconds that a slow machine may take for anything."""
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
        # else Ctrl-C has the kernel drop what is on its way, the answer to it included
        modes = termios.tcgetattr(theirs)
        modes[3] |= termios.NOFLSH
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
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

    def interrupt_until(self, text: str) -> None:
        """Press Ctrl-C, and again, until `text` shows.

        As a person would: Python misses a signal that comes just before it begins to wait, and
        acts on it only when something else wakes it.
        """
        until = time.monotonic() + PATIENCE
        while self.text.find(text, self._seen) < 0:
            assert time.monotonic() < until, f"{text!r} never came; shown was:\n{self.text}"
            self.interrupt()
            soon = time.monotonic() + 1.0
            while self.text.find(text, self._seen) < 0 and self._read(soon):
                pass
        self.expect(text)

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

"""Installs the older line of OpenAI's Python client, once, in a cache outside the repository."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

WANTED = "openai>=2,<3"
_NO_NETWORK = ("NewConnectionError", "No matching distribution", "Temporary failure", "timed out")
INSTALL_WITHIN = 100


class NoOlderClientError(RuntimeError):
    """The client cannot be had on this machine as it stands; the message is the reason to skip."""


def installed() -> Path:
    """Return the folder to put in front of Python's path; raises NoOlderClientError."""
    home = os.environ.get("TRUNKLINE_OPENAI_CACHE") or "~/.cache/trunkline-openai"
    cache = Path(home).expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"2-py{sys.version_info.major}.{sys.version_info.minor}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits here and then finds the work done
        if not (folder / "done").exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    """Install into an empty folder; `done` comes last, so half a folder has none."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--retries", "1", "--target", str(folder), WANTED]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_WITHIN)
    except subprocess.TimeoutExpired:
        raise NoOlderClientError(f"pip did not install within {INSTALL_WITHIN} s") from None
    if run.returncode and any(sign in run.stderr for sign in _NO_NETWORK):
        raise NoOlderClientError(f"pip found no network: {run.stderr.strip().splitlines()[-1]}")
    assert run.returncode == 0, run.stderr
    (folder / "done").write_text(WANTED, encoding="utf-8")

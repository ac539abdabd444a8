"""Installs JavaScript clients, once, in a cache outside the repository, and runs scripts on them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Ask = Callable[[str], Any]
"""Runs a scenario, and returns what came of it."""
Scenarios = Callable[[str], Ask]
"""Runs a script's scenarios against the gateway."""
PACKAGES = (
    "@ai-sdk/anthropic@3.0.140",
    "@ai-sdk/openai@3.0.141",
    "@ai-sdk/openai-compatible@2.0.92",
    "@anthropic-ai/sdk@1.14.0",
    "@huggingface/inference@4.13.30",
    "ai@6.0.325",
    "openai@6.30.1",
    "zod@4.1.8",
)
"""The newest that this Node runs."""
INSTALL_WITHIN = 100
RUN_WITHIN = 30
_NO_NETWORK = (
    *("EAI_AGAIN", "ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH"),
    *("ETIMEDOUT", "ERR_SOCKET_TIMEOUT", "ENOTCACHED"),
)


class NoJavaScriptError(RuntimeError):
    """The clients cannot be had on this machine as it stands; the message is the reason to skip."""


def installed() -> Path:
    """Return the folder that holds the clients; raises NoJavaScriptError."""
    if os.environ.get("TRUNKLINE_JS_CLIENTS") == "0":
        raise NoJavaScriptError("TRUNKLINE_JS_CLIENTS=0 leaves the JavaScript clients out")
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        raise NoJavaScriptError(f"{' and '.join(missing)} not found, which JavaScript clients need")
    cache = Path(os.environ.get("TRUNKLINE_JS_CACHE") or "~/.cache/trunkline-js").expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:16]
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits here and then finds the work done
        if not (folder / "done").exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    """Install into an empty folder; `done` comes last, so half a folder has none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")
    patience = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000")
    try:
        run = subprocess.run(
            ["npm", "install", *quiet, *patience, *PACKAGES],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_WITHIN,
        )
    except subprocess.TimeoutExpired:
        raise NoJavaScriptError(f"npm did not install within {INSTALL_WITHIN} s") from None
    for line in run.stderr.splitlines() if run.returncode else ():
        if any(code in line for code in _NO_NETWORK):
            raise NoJavaScriptError(f"npm found no network: {line}")
    assert run.returncode == 0, run.stderr
    (folder / "done").write_text(" ".join(PACKAGES), encoding="utf-8")


def run(folder: Path, script: str, scenario: str, url: str) -> Any:
    """Run one scenario of a script beside this file, and return the JSON that it prints.

    Node takes it from standard input: what it imports is then looked up from `folder`.
    """
    found = subprocess.run(
        ["node", "--input-type=module", "-", scenario, url],
        cwd=folder,
        input=Path(__file__).with_name(script).read_text(encoding="utf-8"),
        capture_output=True,
        text=True,
        timeout=RUN_WITHIN,
        env={name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"},
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)

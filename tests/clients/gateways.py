"""A gateway in front of the sandbox, configured for what other people's clients are made to ask."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from running import Gateway, running

from trunkline.sandbox import SandboxServer

CONFIG = """
unlisted_models = "pass"
[edge]
body_bytes = 1_000_000
[upstreams.tei]
base_url = "{url}/tei/v1"
models = ["sandbox/tei"]
prices."*" = {{ input = 1 }}
[upstreams.tgi]
base_url = "{url}/tgi/v1"
models = ["sandbox/tgi"]
prices."*" = {{ input = 1, output = 2 }}
[upstreams.emulator]
base_url = "{url}/v1"
key_env = "EMULATOR_KEY"
prices."*" = {{ input = 1, output = 2, context = 100_000 }}
[upstreams.impatient]
base_url = "{url}/v1"
key_env = "EMULATOR_KEY"
first_byte_seconds = 1.0
idle_seconds = 1.0
prices."*" = {{ input = 1, output = 2 }}
[upstreams.poor]
base_url = "{url}/v1"
key_env = "POOR_KEY"
[upstreams.down]
base_url = "{down}/v1"
prices."*" = {{ input = 1, output = 2 }}
"""


def closed_port() -> str:
    """Return a loopback address where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def in_front_of(server: SandboxServer, folder: Path, more: str = "") -> Iterator[Gateway]:
    """Run a gateway whose upstreams are all the one sandbox; `more` is added to its configuration."""
    environment = {
        **server.environment,
        "EMULATOR_KEY": "hf_emulator_key",
        "POOR_KEY": "hf_nocredits_key",
    }
    config = CONFIG.format(url=server.url, down=closed_port()) + more.replace("{url}", server.url)
    with running(folder, config, environment) as gateway:
        yield gateway


def rows(gateway: Gateway, model: str, count: int) -> list[dict[str, Any]]:
    """Return a model's ended entries, oldest first; waits until there are `count`."""
    until = time.monotonic() + 10
    while True:
        found = [row for row in gateway.ledger() if row["model"] == model]
        if len(found) >= count:
            return found[::-1]
        assert time.monotonic() < until, f"{len(found)} of {count} entries of {model} are settled"
        time.sleep(0.05)

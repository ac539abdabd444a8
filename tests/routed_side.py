"""Calls with a route, against a sandbox on a real socket some of whose providers have faults."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from trunkline import Client
from trunkline.sandbox import Sandbox, SandboxServer, serve_in_thread
from trunkline.types import Completion, Receipt

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
SMALL = "meta-llama/Llama-3.1-8B-Instruct"
ASK = [{"role": "user", "content": "Tell me a long story about a fox and a crow, please."}]
MINE = b'data: {"choices":[{"index":0,"delta":{"content":"mine"},"finish_reason":"stop"}]}\n\n'
WAKING = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 39\r\nretry-after: 0\r\n\r\n"
    b'{"error":"Model is currently loading."}'
)
Serve = Callable[..., AbstractContextManager[tuple[Client, SandboxServer]]]


@pytest.fixture
def sandboxed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Serve:
    """Return what serves a sandbox with faults by provider, and a client that it is the router of."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "hf_sandbox")

    @contextmanager
    def serving(
        at: dict[str, str] | None = None, **made: Any
    ) -> Iterator[tuple[Client, SandboxServer]]:
        with serve_in_thread(Sandbox(at=at or {})) as server:
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            with Client(**made) as client:
                yield client, server

    return serving


def whole(client: Client, route: Any, **more: Any) -> Completion:
    return client.chat(MODEL, ASK, route=route, temperature=0, **more)


def steps(receipt: Receipt | None) -> list[tuple[str | None, str, str | None]]:
    assert receipt is not None
    return [(a.provider, a.role, a.error) for a in receipt.attempts]


def chats(server: SandboxServer) -> Counter[str]:
    """Count the chats that were asked for, by the model's suffix."""
    found: Counter[str] = Counter()
    for seen in server.requests:
        if seen.path.endswith("/chat/completions"):
            found[json.loads(seen.body)["model"].partition(":")[2]] += 1
    return found

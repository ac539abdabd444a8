"""Asking the sandbox without a socket: a request in, a reply out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from trunkline.sandbox import Reply, Sandbox, SandboxServer, serve_in_thread
from trunkline.wire.http1_read import RequestHead

TOKEN = {"authorization": "Bearer hf_good"}


class Asker:
    """Asks one sandbox."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        """Ask `sandbox`, or a plain one."""
        self.sandbox = sandbox or Sandbox()

    def get(self, target: str, **headers: str) -> Reply:
        """GET `target`; the header `authorization_` of none takes the token away."""
        return self.request("GET", target, b"", headers)

    def post(self, target: str, body: Any, **headers: str) -> Reply:
        """POST `body` as JSON."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self.request("POST", target, data, headers)

    def chat(self, model: str, said: str = "Hello", **more: Any) -> Reply:
        """Chat on the unified route."""
        body = {"model": model, "messages": [{"role": "user", "content": said}], **more}
        return self.post("/v1/chat/completions", body)

    def request(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Reply:
        """Ask anything; an empty header value takes the header away."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        path, _, query = target.partition("?")
        sent = {name: value for name, value in {**TOKEN, **told}.items() if value}
        return self.sandbox.answer(RequestHead(method, target, path, query, sent), body)


@pytest.fixture
def asker() -> Asker:
    """A plain sandbox."""
    return Asker()


@pytest.fixture
def ask_with() -> Callable[[Sandbox], Asker]:
    """A sandbox of one's own."""
    return Asker


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A plain sandbox on a port."""
    with serve_in_thread() as running:
        yield running

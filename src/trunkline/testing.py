"""For tests of programs that use Trunkline: a pytest fixture that answers instead of Hugging Face.

Installing Trunkline makes the fixture known to pytest; nothing else is loaded until it is used.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from trunkline.sandbox import SandboxServer

TOKEN = "hf_sandbox"  # noqa: S105 - the sandbox takes any token that looks like one


@pytest.fixture
def trunkline_sandbox(monkeypatch: pytest.MonkeyPatch) -> Generator[SandboxServer]:
    """Send every call of Trunkline to a sandbox on loopback for the length of a test.

    The environment names the sandbox as router and Hub and holds a token for it, and the default
    clients are new. The value is the server: `.url`, and `.requests`, what was asked of it.
    """
    from trunkline.sandbox import serve_in_thread

    with serve_in_thread() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for name in ("HF_BILL_TO", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        with _fresh_default_clients():
            yield server


@contextmanager
def _fresh_default_clients() -> Generator[None]:
    from trunkline import functions

    functions.set_default_client(None, None)
    try:
        yield
    finally:
        functions.default_client().close()
        functions.set_default_client(None, None)

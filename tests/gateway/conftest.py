"""Gateways in front of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Gateway, running

from trunkline.sandbox.server import SandboxServer, serve_in_thread


@pytest.fixture(scope="module")
def sandbox_server() -> Iterator[SandboxServer]:
    """The emulator of Hugging Face on a port of its own."""
    with serve_in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> Iterator[Gateway]:
    """A gateway without a configuration, in front of the sandbox; its tests share it."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    with running(folder, "", sandbox_server.environment) as started:
        yield started


@pytest.fixture(scope="module")
def lax_gateway(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> Iterator[Gateway]:
    """The same for models that no list has, such as the sandbox's `org/fault-...`."""
    folder: Path = tmp_path_factory.mktemp("lax-gateway")
    with running(folder, 'unlisted_models = "pass"\n', sandbox_server.environment) as started:
        yield started

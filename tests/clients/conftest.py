"""The sandbox on a port, as other people's clients meet it, and a gateway in front of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import javascript
import pytest
from gateways import in_front_of
from javascript import Ask, Scenarios
from running import Gateway

from trunkline.sandbox import Sandbox, SandboxServer, serve_in_thread


@pytest.fixture(autouse=True)
def past_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep these clients from asking a proxy of the machine for loopback."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A plain sandbox."""
    with serve_in_thread() as running:
        yield running


@pytest.fixture
def slow_server() -> Iterator[SandboxServer]:
    """A sandbox that streams ten tokens a second: time enough to leave it."""
    with serve_in_thread(Sandbox(pace=10)) as running:
        yield running


@pytest.fixture(scope="module")
def behind() -> Iterator[SandboxServer]:
    """The sandbox that stands behind the gateway; a module's tests share both."""
    with serve_in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(behind: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in a process of its own."""
    with in_front_of(behind, tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    """A key without limits."""
    return gateway.new_key()


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of the JavaScript clients; skips, saying why, where they cannot be had."""
    try:
        return javascript.installed()
    except javascript.NoJavaScriptError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def scenarios(packages: Path, gateway: Gateway, key: str) -> Scenarios:
    """Runs a script's scenarios against the gateway, whose URL has the key as its user."""
    url = gateway.url.replace("http://", f"http://{key}@")

    def of(script: str) -> Ask:
        return lambda scenario: javascript.run(packages, script, scenario, url)

    return of


@pytest.fixture
def soon() -> Callable[[Callable[[], object]], bool]:
    """Tell whether something becomes true within two seconds."""

    def check(is_true: Callable[[], object]) -> bool:
        until = time.monotonic() + 2
        while not is_true() and time.monotonic() < until:
            time.sleep(0.005)
        return bool(is_true())

    return check

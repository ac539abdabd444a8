"""The sandbox on loopback, clients that go there, and jobs that are asked after at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from task_rows import Call

from faces import FACES, Face
from trunkline import Client
from trunkline.providers.queued import QUEUED
from trunkline.providers.spec import Route
from trunkline.sandbox import Sandbox, SandboxServer, serve_in_thread
from trunkline.settings import Settings, read_settings

TOKEN = "hf_good"


def _at_once(route: Route) -> Route:
    """A route whose jobs are asked after without a pause."""
    if route.shape.job is None:
        return route
    form = msgspec.structs.replace(route.shape.job, first=0.001, growth=1.0)
    return msgspec.structs.replace(route, shape=msgspec.structs.replace(route.shape, job=form))


_AT_ONCE = {
    provider: {task: _at_once(route) for task, route in routes.items()}
    for provider, routes in QUEUED.items()
}


@pytest.fixture(autouse=True)
def _impatient(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider, routes in _AT_ONCE.items():
        monkeypatch.setitem(QUEUED, provider, routes)


@pytest.fixture(scope="module")
def shared() -> Iterator[SandboxServer]:
    """A sandbox on a port, one for a file of tests."""
    with serve_in_thread(Sandbox()) as server:
        yield server


@pytest.fixture
def server(shared: SandboxServer) -> SandboxServer:
    """The sandbox, with nothing noted yet."""
    shared.requests.clear()
    return shared


@pytest.fixture
def settings(server: SandboxServer) -> Settings:
    """Router and Hub are the sandbox."""
    return read_settings(server.environment)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """A client of the sandbox with a Hub token."""
    with Client(TOKEN, settings=settings, max_retries=0) as client:
        yield client


@pytest.fixture(params=["blocking", "asyncio"])
def pair(request: pytest.FixtureRequest, bare_environment: None) -> Iterator[Face]:
    """Client and AsyncClient, on asyncio's own loop alone: loops are tried elsewhere."""
    face = FACES[request.param]()
    yield face
    face.close()


@pytest.fixture
def call(pair: Face, settings: Settings) -> Call:
    """Call a task's function by name, on either client, with a Hub token."""
    client = pair.client(token=TOKEN, settings=settings, max_retries=0)

    def call(function: str, *args: Any, **keywords: Any) -> Any:
        return pair.run(getattr(client, function)(*args, **keywords))

    return call

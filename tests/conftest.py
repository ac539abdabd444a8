"""What tests share: a scripted server on loopback, and both clients behind one face."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from faces import FACES, Face
from loopback import Script, Upstream
from servers import PostgresServer, RedisServer, started
from trials import often

# How long an example takes says how busy the machine is; which are tried is up to chance, but in CI.
settings.register_profile(
    "untimed",
    deadline=None,
    max_examples=often(100),
    derandomize=os.environ.get("TRUNKLINE_TEST_CHANCE") == "0",
)
settings.load_profile("untimed")


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, no login, no proxy and no setting from whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGING", "TRUNKLINE_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nobody"))


@pytest.fixture
def serve(bare_environment: None) -> Iterator[Callable[..., Upstream]]:
    """Start servers that do what their scripts say; a script's failure fails the test."""
    started: list[Upstream] = []

    def start(*scripts: Script, **options: object) -> Upstream:
        started.append(Upstream(*scripts, **options))
        return started[-1]

    yield start
    for upstream in started:
        upstream.close()


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, serve: object) -> Iterator[Face]:
    """Client and AsyncClient, used alike: what is promised of one holds for the other."""
    face = FACES[request.param]()
    yield face
    face.close()


@pytest.fixture(params=[name for name in FACES if name != "blocking"])
def runner(request: pytest.FixtureRequest, serve: object) -> Iterator[asyncio.Runner]:
    """An event loop, of each kind."""
    with FACES[request.param]().runner as runner:
        yield runner


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the session; a test that ends or freezes it starts it again."""
    server = started(PostgresServer)
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """An empty database of this test's own."""
    return postgres_server.new_database()


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[RedisServer]:
    server = started(RedisServer)
    yield server
    server.close()


@pytest.fixture
def redis_server(_redis_server: RedisServer) -> RedisServer:
    """An empty Redis server; a test that ends or freezes it starts it again."""
    _redis_server.flush()
    return _redis_server

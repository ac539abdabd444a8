"""The real servers, one of each for a module, and a client that knows nothing but their address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from peers import Peer, PeerUnavailable, default_cache, llama_server, transformers_server

from trunkline import Client, default_client, set_default_client


def _serve(server: Callable[[Path], AbstractContextManager[Peer]]) -> Iterator[Peer]:
    try:
        with server(default_cache()) as peer:
            yield peer
    except PeerUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(autouse=True)
def past_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep calls to loopback from a proxy that the machine may have."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture(scope="module")
def transformers() -> Iterator[Peer]:
    """`transformers serve` with a tiny random model; skips where it is not installed."""
    yield from _serve(transformers_server)


@pytest.fixture(scope="module")
def llama() -> Iterator[Peer]:
    """llama.cpp's server with a tiny random model; skips where it is not installed."""
    yield from _serve(llama_server)


@pytest.fixture
def client() -> Iterator[Client]:
    """A client without an address: each call gives `api_base`."""
    with Client() as made:
        yield made


@pytest.fixture
def fresh_defaults() -> Iterator[None]:
    """Default clients that the test makes, and that do not outlive it."""
    set_default_client()
    yield
    default_client().close()
    set_default_client()

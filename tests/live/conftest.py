"""The real servers, one of each for a module, and clients that know nothing but their address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from before import CONFIG, in_front_of
from peers import CACHE, Peer, PeerUnavailable, served
from recipes import EMBEDDER, LLAMA, TRANSFORMERS, WHISPER, Recipe
from running import Gateway

from trunkline import Client, default_client, set_default_client


def _serve(recipe: Recipe) -> Iterator[Peer]:
    try:
        with served(recipe, CACHE) as peer:
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
    yield from _serve(TRANSFORMERS)


@pytest.fixture(scope="module")
def llama() -> Iterator[Peer]:
    """llama.cpp's server with a tiny random model; skips where it is not installed."""
    yield from _serve(LLAMA)


@pytest.fixture(scope="module")
def whisper() -> Iterator[Peer]:
    """`transformers serve` with a tiny random Whisper; skips where it is not installed."""
    yield from _serve(WHISPER)


@pytest.fixture(scope="module")
def embedder() -> Iterator[Peer]:
    """all-MiniLM-L6-v2 behind the sandbox's routes; skips where it is not installed."""
    yield from _serve(EMBEDDER)


@pytest.fixture(scope="module")
def before_config() -> str:
    """The configuration of the gateways below."""
    return CONFIG


@pytest.fixture(scope="module")
def before_transformers(
    transformers: Peer, before_config: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway in front of `transformers serve`."""
    yield from in_front_of(transformers, tmp_path_factory, before_config)


@pytest.fixture(scope="module")
def before_llama(
    llama: Peer, before_config: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway in front of llama.cpp's server."""
    yield from in_front_of(llama, tmp_path_factory, before_config)


@pytest.fixture(params=["before_transformers", "before_llama"], ids=["transformers", "llama"])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """Each of them."""
    found: Gateway = request.getfixturevalue(request.param)
    return found


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

"""A gateway between bad networks: every call ends in time, has its row, and leaves nothing in the gateway's process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from crowd import read_book
from proxy import Proxy
from running import Gateway, running
from test_network import HARMFUL, HARMLESS, SEED, Weather
from toxics import Corrupt, Slicer
from wild_calls import LLAMA, Ended, many_async, told
from wild_side import Scene, Tls, at_once, becomes, made_tls, open_sockets, scene

from trunkline import AsyncClient
from trunkline.providers.queued import QUEUED
from trunkline.settings import read_settings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
CHATS = ("chat", "stream")
BELOW_HF = ("chat", "stream", "embedding", "stream", "image", "job")
COUNT, RETRIES = 100, 1
SHORT, LONG = 3.0, 60.0
"""The gateway waits for a second at most, so that it has its say before the callers' deadline."""
CONFIG = """
default_upstream = "wild"
unlisted_models = "pass"
[upstreams.wild]
base_url = "{wild}/v1"
key_env = "UPSTREAM_KEY"
connect_seconds = 1.0
first_byte_seconds = 1.0
idle_seconds = 1.0
prices."*" = {{ input = 1, output = 2, context = 100000 }}
[upstreams.patient]
base_url = "{wild}/v1"
key_env = "UPSTREAM_KEY"
connect_seconds = 20.0
prices."*" = {{ input = 1, output = 2, context = 100000 }}
[upstreams.huggingface]
first_byte_seconds = 20.0
idle_seconds = 20.0
[upstreams.tame]
base_url = "{tame}/v1"
key_env = "UPSTREAM_KEY"
prices."*" = {{ input = 1, output = 2, context = 100000 }}
[routes.both]
targets = [
  {{ upstream = "wild", model = "meta-llama/Llama-3.3-70B-Instruct" }},
  {{ upstream = "tame", model = "meta-llama/Llama-3.3-70B-Instruct" }},
]
first_token_seconds = 1.0
[upstreams.slow]
base_url = "{wild}/v1"
key_env = "UPSTREAM_KEY"
first_byte_seconds = 2.5
[routes.either]
targets = [
  {{ upstream = "slow", model = "meta-llama/Llama-3.3-70B-Instruct" }},
  {{ upstream = "tame", model = "deepseek-ai/DeepSeek-R1" }},
]
"""


@pytest.fixture(autouse=True)
def _quiet_world(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider, routes in at_once().items():
        monkeypatch.setitem(QUEUED, provider, routes)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return made_tls(tmp_path_factory.mktemp("tls"))


class Front:
    """A gateway, a bad network behind it, and another before it."""

    def __init__(self, gateway: Gateway, scene: Scene, proxy: Proxy, tame: Proxy) -> None:
        self.gateway = gateway
        self.scene = scene
        self.proxy = proxy
        """What is between clients and the gateway."""
        self.tame = tame
        """What is between the gateway and its second upstream."""
        self.key = gateway.new_key()
        self.url = proxy.url
        self.run(CHATS, 4)  # what is loaded at the first call, and opened once, is there now
        self._settle()
        self._before = self._sockets()

    def run(self, kinds: tuple[str, ...], count: int, deadline: float = LONG, **options: Any):
        """Make calls through the gateway; those below /hf where there are others than chats."""
        made: dict[str, Any] = {"api_base": f"{self.url}/v1"}
        if set(kinds) - set(CHATS):
            where = {"TRUNKLINE_ROUTER": f"{self.url}/hf/v1", "HF_ENDPOINT": f"{self.url}/hf"}
            made = {"settings": read_settings(where)}

        made["max_retries"] = options.pop("max_retries", RETRIES)

        async def work() -> list[Ended]:
            async with AsyncClient(f"hf_{self.key}", **made) as client:
                return await many_async(
                    client, kinds, count, at_once=48, deadline=deadline, **options
                )

        return asyncio.run(work())

    def judge(self, ends: list[Ended], deadline: float, *, altered: bool = False) -> None:
        for ended in ends:
            self.scene.oracle.judge(ended, deadline, RETRIES, altered=altered, in_band=True)

    def nothing_left(self) -> None:
        """Fail where the gateway holds a call, an entry, a connection or a descriptor."""
        self._settle()
        book = read_book(self.gateway.store)
        assert (book.open, book.calls) == (0, len(book.rows))
        becomes(
            lambda: self._sockets() <= self._before,
            lambda: f"{self._before} sockets before, {self._sockets()} now",
        )

    def _sockets(self) -> int:
        return open_sockets(self.gateway.process.pid)

    def _settle(self) -> None:
        self.proxy.cut()
        self.scene.proxy.cut()
        self.tame.cut()
        becomes(self._idle, lambda: str(self._status()))

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.gateway.admin("GET", "/status")
        return found

    def _idle(self) -> bool:
        status = self._status()
        metrics = self.gateway.ask("GET", "/metrics")[2]
        return bool(
            status["in_flight"] == 0
            and status["ledger_waiting"] == 0
            and status["connections"] <= 1
            and b"inflight_requests 0.0" in metrics
            and self.scene.proxy.connections == 0
            and self.proxy.connections == 0
        )


@contextmanager
def front(
    folder: Path, *, tls: Tls | None = None, seed: int = 1, pace: float | None = None
) -> Iterator[Front]:
    """Run a gateway whose upstream is behind a proxy, as is the gateway for its clients."""
    with scene(seed=seed, tls=tls, pace=pace) as behind:
        environment = {
            "TRUNKLINE_ROUTER": f"{behind.url}/v1",
            "HF_ENDPOINT": behind.url,
            "HF_TOKEN": "hf_good",
            "UPSTREAM_KEY": "hf_good",
            **({"SSL_CERT_FILE": tls.ca_file} if tls else {}),
        }
        with Proxy(behind.server.port) as tame:
            config = CONFIG.format(wild=behind.url, tame=tame.url)
            with running(folder, config, environment) as gateway:
                with Proxy(gateway.port, seed=seed) as proxy:
                    yield Front(gateway, behind, proxy, tame)
                assert gateway.stop() == 0


@pytest.fixture
def tame(tmp_path: Path) -> Iterator[Front]:
    with front(tmp_path) as found:
        yield found


@pytest.fixture(params=["tcp", "tls"])
def wild(request: pytest.FixtureRequest, tmp_path: Path, tls: Tls) -> Iterator[Front]:
    with front(tmp_path, tls=tls if request.param == "tls" else None) as found:
        yield found


def test_a_bad_network_behind_the_gateway(wild: Front) -> None:
    for name, toxics in HARMLESS.items():
        with wild.scene.proxy.poisoned(*toxics):
            ends = wild.run(CHATS, COUNT // 4, model=f"patient/{LLAMA}")
        assert told(ends) == {"right": COUNT // 4}, name
        wild.judge(ends, LONG)
    for name, toxics in HARMFUL.items():
        with wild.scene.proxy.poisoned(*toxics):
            ends = wild.run(CHATS, COUNT, SHORT)
        print(name, told(ends))
        wild.judge(ends, SHORT)
        assert told(ends)["right"], name
        wild.nothing_left()


def test_everything_below_hf_with_jobs_through_bad_networks(tame: Front) -> None:
    with tame.scene.proxy.poisoned(*HARMLESS["latency"], Slicer(size=80)):
        ends = tame.run(BELOW_HF, COUNT // 4)
    assert told(ends) == {"right": COUNT // 4}, [str(e.error) for e in ends if e.error][:4]
    tame.judge(ends, LONG)
    for name, toxics in HARMFUL.items():
        with tame.scene.proxy.poisoned(*toxics):
            ends = tame.run(BELOW_HF, COUNT // 2, SHORT)
        print(name, told(ends))
        tame.judge(ends, SHORT)
        assert told(ends)["right"], name
    tame.nothing_left()


def test_a_second_upstream_has_every_answer_that_had_not_begun(wild: Front) -> None:
    for name, toxics in HARMFUL.items():
        with wild.scene.proxy.poisoned(*toxics):
            ends = wild.run(CHATS, COUNT // 2, 2 * SHORT, model="both")
        print(name, told(ends))
        wild.judge(ends, 2 * SHORT)
        assert {one.kind for one in ends if one.error} <= {"stream"}, "what is whole moves on"
        assert all(one.error.partial for one in ends if one.error), "what has not begun moves on"
    wild.nothing_left()


def test_flipped_bits_behind_the_gateway(wild: Front) -> None:
    with wild.scene.proxy.poisoned(Corrupt(every=900)):
        ends = wild.run(CHATS, COUNT, SHORT)
    wild.judge(ends, SHORT, altered=wild.scene.ca_file is None)
    wild.nothing_left()


def test_a_bad_network_before_the_gateway(tame: Front) -> None:
    for name, toxics in (HARMLESS | HARMFUL).items():
        with tame.proxy.poisoned(*toxics):
            ends = tame.run(CHATS, COUNT // 2, 1.0 if name in HARMFUL else LONG)
        print(name, told(ends))
        tame.judge(ends, LONG)
        assert told(ends)["right"], name
    tame.nothing_left()


def test_weather_on_both_sides_of_the_gateway(wild: Front) -> None:
    for number in range(2):
        print(f"seed {SEED + number}")
        with Weather(wild.scene.proxy, SEED + number), Weather(wild.proxy, SEED - number):
            ends = wild.run(CHATS, 3 * COUNT, SHORT)
        print(told(ends))
        wild.judge(ends, SHORT)
    assert told(wild.run(CHATS, 20)) == {"right": 20}, "and afterwards all is well"
    wild.nothing_left()

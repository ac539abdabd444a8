"""Callers that leave in bad weather: cancelled, interrupted, out of the loop; nothing stays open behind them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from test_network_gateway import CHATS, Front, front
from toxics import (
    Bandwidth,
    Blackhole,
    HalfOpen,
    Latency,
    LimitData,
    Reset,
    Slicer,
    SlowClose,
    Stall,
    Toxic,
)
from wild_calls import KINDS, LLAMA, asked, call_async
from wild_side import Scene, Tls, at_once, awaiting, becomes, blocking, made_tls, scene

from trunkline import APIError, AsyncClient, Client
from trunkline.providers.queued import QUEUED

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]
WEATHER: dict[str, tuple[Toxic, ...]] = {
    "fair": (),
    "latency": (Latency(seconds=0.05, jitter=0.05), Latency(seconds=0.02, way="up")),
    "bandwidth": (Bandwidth(rate=2_000),),
    "slicer": (Slicer(size=10, seconds=0.002),),
    "slow close": (SlowClose(seconds=0.1),),
    "reset": (Reset(after=300, share=0.5),),
    "limited data": (LimitData(after=300, share=0.5),),
    "half open": (HalfOpen(after=150),),
    "stall": (Stall(after=150),),
    "silence": (Stall(after=0),),
    "black hole": (Blackhole(),),
}
DEADLINE = 30.0
LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}
each = pytest.mark.parametrize("name", WEATHER)


@pytest.fixture(autouse=True)
def _quiet_world(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider, routes in at_once().items():
        monkeypatch.setitem(QUEUED, provider, routes)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return made_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["tcp", "tls"])
def wild(request: pytest.FixtureRequest, tls: Tls) -> Iterator[Scene]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as once:
        once.get_loop()  # libuv opens a pipe for signals, once in a process
    with scene(seed=4, tls=tls if request.param == "tls" else None, pace=100) as found:
        yield found


@pytest.mark.parametrize("loop", LOOPS)
@each
def test_a_cancelled_task_ends_at_once_and_its_connection_with_it(
    wild: Scene, name: str, loop: str
) -> None:
    """While the client lives on: it keeps idle connections, and those of nobody's calls."""
    chance = random.Random(name)
    kinds = list(KINDS)[: 3 if wild.ca_file else None]

    async def work(client: AsyncClient) -> None:
        calling = [
            asyncio.create_task(
                call_async(client, kinds[number % len(kinds)], number, deadline=DEADLINE)
            )
            for number in range(40)
        ]
        for task in calling:
            await asyncio.sleep(chance.random() * 0.01)
            task.cancel()
        async with asyncio.timeout(DEADLINE / 2):
            ends = await asyncio.gather(*calling, return_exceptions=True)
        for end in ends:
            assert isinstance(end, asyncio.CancelledError) or end.seconds < DEADLINE
        assert any(isinstance(end, asyncio.CancelledError) for end in ends)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert len(others) <= 20, others  # addresses that were still being tried end in a turn
        await asyncio.to_thread(becomes, lambda: not busy(wild), lambda: f"{busy(wild)} are asked")

    with wild.proxy.poisoned(*WEATHER[name]):
        awaiting(wild, work, LOOPS[loop])


def busy(found: Scene) -> list[object]:
    """Return the requests that the sandbox still answers."""
    return [
        seen for seen in found.server.requests if seen.answered is None and seen.hung_up is None
    ]


@each
def test_a_stream_that_is_left_early_hangs_up(wild: Scene, name: str) -> None:
    def leave(client: Client, number: int) -> None:
        options = {"deadline": 0.7 if name in SILENT else DEADLINE, "max_retries": 0}
        try:
            with client.stream(LLAMA, asked(number), **options) as stream:
                for _, _piece in zip(range(number % 4), stream, strict=False):
                    pass
        except APIError:
            assert name not in {"fair", "latency", "bandwidth", "slicer", "slow close"}

    with wild.proxy.poisoned(*WEATHER[name]), blocking(wild) as client:
        threads = [threading.Thread(target=leave, args=(client, n)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        becomes(lambda: not busy(wild), lambda: f"{busy(wild)} are asked")


SILENT = {"half open", "stall", "silence", "black hole"}

INTERRUPTED = """
import os, sys, threading
from trunkline import Client
from trunkline.settings import read_settings

where = {"TRUNKLINE_ROUTER": sys.argv[1] + "/v1", "HF_ENDPOINT": sys.argv[1]}
client = Client("hf_good", settings=read_settings(where), ca_file=sys.argv[2] or None, deadline=60)
asked = [{"role": "user", "content": "Count slowly, please."}]
print("ready", flush=True)
try:
    if sys.argv[3] == "stream":
        for chunk in client.stream("meta-llama/Llama-3.3-70B-Instruct", asked):
            pass
    else:
        client.chat("meta-llama/Llama-3.3-70B-Instruct", asked)
except KeyboardInterrupt:
    links = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if n not in "012"
             and os.path.exists(f"/proc/self/fd/{n}")]
    print("interrupted", threading.active_count(), sum(":" in x and "socket" in x for x in links))
"""


@pytest.mark.parametrize("how", ["chat", "stream"])
def test_ctrl_c_ends_a_blocking_call_and_its_connection(wild: Scene, how: str) -> None:
    """In a program without threads, with everything that keeps an answer away."""
    kept_away = {"stall": Stall(after=0), "bandwidth": Bandwidth(rate=20), "hole": Blackhole()}
    for name, toxic in kept_away.items():
        before = wild.proxy.accepted
        with wild.proxy.poisoned(toxic):
            program = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", INTERRUPTED, wild.url, wild.ca_file or "", how],
                stdout=subprocess.PIPE,
                text=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("TRUNKLINE")},
            )  # fmt: skip
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            becomes(lambda before=before: wild.proxy.accepted > before, lambda: "nobody came")
            time.sleep(0.05)  # wherever it then is
            program.send_signal(signal.SIGINT)
            said, _ = program.communicate(timeout=30)
            assert said == "interrupted 1 0\n", name
            assert program.returncode == 0
        becomes(lambda: wild.proxy.connections == 0, lambda: "a link is left")
        becomes(lambda: wild.server.connections == 0, lambda: "the sandbox has a connection")


@pytest.mark.parametrize("over", ["tcp", "tls"])
def test_clients_that_leave_a_gateway_take_their_upstream_calls_with_them(
    tmp_path: Path, tls: Tls, over: str
) -> None:
    with front(tmp_path, tls=tls if over == "tls" else None, pace=100) as found:
        chance = random.Random(over)
        for name, toxics in WEATHER.items():
            with found.scene.proxy.poisoned(*toxics):
                asyncio.run(leave_all(found, chance))
                becomes(
                    lambda: not busy(found.scene),
                    lambda name=name: f"{name}: {busy(found.scene)} are asked",
                )
        found.nothing_left()


async def leave_all(found: Front, chance: random.Random) -> None:
    """Make calls of a gateway and leave each at some moment."""
    async with AsyncClient(found.key, api_base=f"{found.url}/v1", max_retries=0) as client:
        calling = [
            asyncio.create_task(call_async(client, CHATS[n % 2], n, deadline=DEADLINE))
            for n in range(40)
        ]
        for task in calling:
            await asyncio.sleep(chance.random() * 0.01)
            task.cancel()
        await asyncio.gather(*calling, return_exceptions=True)

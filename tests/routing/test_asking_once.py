"""Look-ups by both drivers over real sockets: of many callers at the same time one asks."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

from asking import INFO, KNOWN, OLD, TOKEN, asking

from loopback import Upstream, Visit, whole
from trunkline import drive
from trunkline.providers.mapping import ModelMaps
from trunkline.providers.memory import LIFETIME
from trunkline.transport.aio import AioTransport
from trunkline.transport.blocking import BlockingTransport
from trunkline.types import Secret


def no_other(_refused: Secret) -> None:
    """Find no other credential."""


def hub(upstream: Upstream) -> str:
    return upstream.url.removesuffix("/v1")


def answers_when_told(visit: Visit) -> None:
    visit.request()
    visit.note("asked")
    visit.hold("answer")
    visit.send(whole(json.dumps(INFO).encode()))
    visit.until_gone()


MANY = 20


class Waiters:
    """Lets the Hub answer once everybody but one is waiting."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.waiting: set[Any] = set()

    def note(self, who: Any) -> None:
        self.waiting.add(who)
        if len(self.waiting) == MANY - 1:
            self.upstream.say("answer")


def test_of_twenty_threads_one_asks(serve) -> None:
    upstream = serve(answers_when_told)
    waiters = Waiters(upstream)
    maps, transport = ModelMaps(hub(upstream)), BlockingTransport()
    found: list[Any] = []

    def sleep(seconds: float) -> None:
        waiters.note(threading.get_ident())
        time.sleep(seconds)

    def call() -> None:
        flow = asking(maps, TOKEN, time.monotonic())
        found.append(drive.run(flow, transport, no_other, sleep=sleep)[0])

    threads = [threading.Thread(target=call) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    transport.close()
    assert found == [KNOWN] * MANY
    assert len(upstream.requests) == 1
    assert upstream.requests[0].headers["authorization"] == f"Bearer {TOKEN.value}"


def test_of_twenty_tasks_one_asks(serve, runner) -> None:
    upstream = serve(answers_when_told)
    waiters = Waiters(upstream)
    maps, transport = ModelMaps(hub(upstream)), AioTransport()

    async def sleep(seconds: float) -> None:
        waiters.note(asyncio.current_task())
        await asyncio.sleep(seconds)

    async def call() -> Any:
        flow = asking(maps, TOKEN, time.monotonic())
        return (await drive.run_async(flow, transport, no_other, sleep=sleep))[0]

    async def everybody() -> list[Any]:
        return await asyncio.gather(*(call() for _ in range(MANY)))

    assert runner.run(everybody()) == [KNOWN] * MANY
    assert len(upstream.requests) == 1


def test_a_cancelled_task_leaves_the_asking_to_another(serve, runner) -> None:
    def holds(visit: Visit) -> None:
        visit.request()
        visit.note("asked")
        visit.until_gone()

    def tells(visit: Visit) -> None:
        visit.request()
        visit.send(whole(json.dumps(INFO).encode()))

    upstream = serve(holds, tells)
    maps, transport = ModelMaps(hub(upstream)), AioTransport()

    async def call() -> Any:
        flow = asking(maps, None, time.monotonic())
        return (await drive.run_async(flow, transport, no_other))[0]

    async def both() -> Any:
        first = asyncio.create_task(call())
        await asyncio.to_thread(upstream.wait, "asked")
        second = asyncio.create_task(call())
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert runner.run(both()) == KNOWN
    assert len(upstream.requests) == 2


def stale(upstream: Upstream) -> ModelMaps:
    maps = ModelMaps(hub(upstream))
    maps.keep(maps.key("org/m", None), OLD, time.monotonic() - LIFETIME)
    return maps


def fresh(maps: ModelMaps) -> Any:
    return maps.look(maps.key("org/m", None), time.monotonic())


def test_blocking_calls_use_the_stale_map_while_a_thread_asks_once(serve) -> None:
    upstream = serve(answers_when_told)
    maps, transport = stale(upstream), BlockingTransport()
    before = set(threading.enumerate())
    for _ in range(5):
        flow = asking(maps, None, time.monotonic())
        assert drive.run(flow, transport, no_other)[0] == OLD
    [thread] = {t for t in threading.enumerate() if t.name == "trunkline-later"} - before
    assert thread.daemon
    upstream.say("answer")
    thread.join(20)
    assert fresh(maps).value == KNOWN
    assert len(upstream.requests) == 1
    transport.close()


def test_awaited_calls_use_the_stale_map_while_a_task_asks_once(serve, runner) -> None:
    upstream = serve(answers_when_told)
    maps, transport = stale(upstream), AioTransport()

    async def calls() -> None:
        for _ in range(5):
            flow = asking(maps, None, time.monotonic())
            assert (await drive.run_async(flow, transport, no_other))[0] == OLD
        upstream.say("answer")
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    runner.run(calls())
    assert fresh(maps).value == KNOWN
    assert len(upstream.requests) == 1

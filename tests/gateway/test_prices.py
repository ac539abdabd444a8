"""The router's list, kept fresh in the background whatever the router does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from loopback import PATIENCE, Visit, whole
from loopback import Upstream as Server
from trunkline.catalog import Catalogs
from trunkline.gateway.prices import Prices
from trunkline.settings import Settings, read_settings
from trunkline.transport.aio import AioTransport


def models(*names: str, price: float = 1.0) -> bytes:
    """The router's list as it sends it."""
    provider = {"provider": "groq", "status": "live", "pricing": {"input": price, "output": price}}
    rows = [{"id": name, "object": "model", "providers": [provider]} for name in names]
    return whole(json.dumps({"object": "list", "data": rows}).encode())


def serving(*answers: bytes) -> Callable[[Visit], None]:
    """Give one answer a request, and close before each but the first is repeated."""

    def script(visit: Visit) -> None:
        while True:
            visit.request()
            asked = sum(len(v.requests) for v in visit.upstream.visits)
            visit.send(answers[min(asked, len(answers)) - 1])

    return script


class Kept:
    """Prices, and how often they were renewed."""

    def __init__(self, *urls: str) -> None:
        self.urls = list(urls)
        self.renewals = 0
        self.transport = AioTransport()
        self.prices = Prices(Catalogs(), self._settings, self.transport, lambda: None)
        self.prices.renewed = self._renewed
        self.changed = asyncio.Event()

    def _settings(self) -> Settings:
        return read_settings({"TRUNKLINE_ROUTER": self.urls[0]})

    def _renewed(self) -> None:
        self.renewals += 1
        self.changed.set()

    async def renewal(self) -> None:
        await asyncio.wait_for(self.changed.wait(), PATIENCE)
        self.changed.clear()

    def has(self, name: str) -> bool:
        return self.prices.current().find(name) is not None


def keeping(runner: asyncio.Runner, work: Callable[[Kept], Any], *urls: str) -> None:
    async def run() -> None:
        kept = Kept(*urls)
        task = asyncio.create_task(kept.prices.keep_fresh())
        try:
            await work(kept)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            kept.transport.close()

    runner.run(run())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.005)


def test_what_is_shipped_serves_until_the_router_has_answered(serve: Any, runner: Any) -> None:
    def slow(visit: Visit) -> None:
        visit.request()
        visit.note("asked")
        visit.hold("answer")
        visit.send(models("org/new"))

    server: Server = serve(slow)

    async def work(kept: Kept) -> None:
        await until(server.event("asked").is_set)
        assert kept.prices.current().source.startswith("snapshot")
        assert kept.prices.age() > 0
        server.say("answer")
        await kept.renewal()
        assert kept.prices.current().source == "router"
        assert kept.has("org/new")
        assert kept.prices.age() < PATIENCE

    keeping(runner, work, server.url)


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"oops", 500),
        whole(b'{"error": "no"}', 401),
        whole(b"<html>"),
        whole(b"{}"),
        whole(b'{"data": []}'),
        whole(b'{"data": [5]}'),
        whole(b'{"data": "none"}'),
        whole(b"", 302, location="http://127.0.0.1:1/"),
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_a_router_that_gives_no_list_changes_nothing(
    serve: Any, runner: Any, answer: bytes
) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.send(answer)

    server: Server = serve(script)

    async def work(kept: Kept) -> None:
        before = kept.prices.current().entries
        await until(lambda: len(server.requests) > 0 and server.visits[0].over.is_set())
        for _ in range(20):
            await asyncio.sleep(0)
        assert kept.prices.current().entries == before
        assert kept.renewals == 0

    keeping(runner, work, server.url)


def test_a_list_that_was_had_outlives_a_router_that_is_gone(serve: Any, runner: Any) -> None:
    server: Server = serve(serving(models("org/one"), whole(b"down", 503)))

    async def work(kept: Kept) -> None:
        await kept.renewal()
        kept.prices.look_again()
        await until(lambda: len(server.requests) == 2)
        await asyncio.sleep(0.05)
        assert kept.has("org/one")
        assert kept.prices.current().source == "router"
        assert kept.renewals == 1

    keeping(runner, work, server.url)


def test_a_model_that_is_missed_is_looked_for_but_not_at_once_again(
    serve: Any, runner: Any
) -> None:
    server: Server = serve(serving(models("org/one"), models("org/one", "org/new")))

    async def work(kept: Kept) -> None:
        await kept.renewal()
        kept.prices.missed()
        await asyncio.sleep(0.05)
        assert len(server.requests) == 1
        kept.prices._asked -= 61.0  # a minute later
        kept.prices.missed()
        await kept.renewal()
        assert kept.has("org/new")

    keeping(runner, work, server.url)


def test_prices_that_changed_are_taken_over(serve: Any, runner: Any) -> None:
    server: Server = serve(serving(models("org/one"), models("org/one", price=5.0)))

    async def work(kept: Kept) -> None:
        await kept.renewal()
        kept.prices.look_again()
        await kept.renewal()
        entry = kept.prices.current().find("org/one")
        assert entry is not None
        assert entry.providers[0].pricing.input == 5

    keeping(runner, work, server.url)


def test_another_router_is_asked_once_it_is_configured(serve: Any, runner: Any) -> None:
    first: Server = serve(serving(models("org/one")))
    second: Server = serve(serving(models("org/two")))

    async def work(kept: Kept) -> None:
        await kept.renewal()
        kept.urls[0] = second.url
        kept.prices.look_again()
        await kept.renewal()
        assert kept.has("org/two")
        assert not kept.has("org/one")

    keeping(runner, work, first.url)

"""A store or a journal that cannot be written: refused or spooled as configured, told truly, and over by itself."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crowd import Caller, Said, Upstream, ask_once, read_book, settled_book, upstream
from running import Gateway, running

Scene = Callable[[Gateway, Upstream], Awaitable[None]]
SPOOL = 'store.on_down = "spool"\n'


def play(folder: Path, scene: Scene, more: str = "") -> None:
    async def work() -> None:
        async with upstream() as serving:
            with running(folder, more + serving.config) as gateway:
                await scene(gateway, serving)

    asyncio.run(work())


@contextmanager
def no_room(gateway: Gateway, size: int) -> Iterator[None]:
    """Let no file of the gateway's grow beyond a size, as on a full disk."""
    limits = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        if gateway.process.poll() is None:
            resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, limits)


STORE_IS_FULL = 16_000
"""Bytes in which no commit of the store has room, and some twenty calls in the journal have."""


async def ready(gateway: Gateway, wanted: bool) -> str:
    """Wait until the gateway says that it is ready, or not, and return why."""
    async with asyncio.timeout(20):
        while True:
            status, _, told = await asyncio.to_thread(gateway.ask, "GET", "/health/ready")
            if (status == 200) == wanted:
                return str(told.get("troubles", ""))
            await asyncio.sleep(0.01)


async def check_books(gateway: Gateway, serving: Upstream) -> None:
    """Hold the ledger to what the upstream served: each call once, and the sums to the rows."""
    book = await settled_book(gateway)
    assert {model: len(rows) for model, rows in book.by_model().items()} == dict(serving.seen)
    assert set(serving.seen.values()) <= {1}
    assert book.charged == sum(row["charged"] for row in book.rows)
    assert book.calls == len(book.rows)


def test_with_refuse_calls_are_refused_while_the_store_is_full_and_go_on_by_themselves(
    tmp_path: Path,
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        with no_room(gateway, STORE_IS_FULL):
            first = await ask_once(gateway.port, key, "first")
            assert first.done, "what is in the journal is accounted for"
            why = await ready(gateway, wanted=False)
            assert "the ledger cannot be written" in why
            assert "disk" in why
            refused = await ask_once(gateway.port, key, "second")
            assert (refused.status, refused.code) == (503, "ledger_unavailable")
            assert serving.seen["second"] == 0
            assert gateway.ask("GET", "/v1/models", key=key)[0] == 200
            assert gateway.admin("GET", "/entries")["data"] == []
        await ready(gateway, wanted=True)
        assert (await ask_once(gateway.port, key, "third")).done
        await check_books(gateway, serving)
        log = gateway.log.read_text()
        assert "the store does not take the ledger" in log
        assert "the store takes the ledger again" in log

    play(tmp_path, scene)


@pytest.mark.slow
def test_with_spool_calls_go_on_and_are_in_the_ledger_once_even_when_the_process_is_killed(
    tmp_path: Path,
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        with no_room(gateway, STORE_IS_FULL):
            said: list[Said] = []
            caller = Caller(gateway.port, key)
            while gateway.admin("GET", "/status")["ledger_waiting"] < 10 or len(said) < 15:
                said.append(await caller.ask(f"n{len(said)}", stream=len(said) % 2 == 0))
            caller.close()
            assert all(one.done for one in said)
            assert await ready(gateway, wanted=True) == ""
            assert read_book(gateway.store).rows == []
            _, _, metrics = gateway.ask("GET", "/metrics")
            assert b"store_up 0.0" in metrics
            gateway.kill()
        await asyncio.to_thread(gateway.start)
        assert (await ask_once(gateway.port, key, "last")).done
        await check_books(gateway, serving)
        assert {row["outcome"] for row in read_book(gateway.store).rows} == {"ok"}

    play(tmp_path, scene, SPOOL)


def test_a_spool_that_is_full_refuses_and_goes_on_by_itself(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        with no_room(gateway, STORE_IS_FULL):
            caller = Caller(gateway.port, key)
            async with asyncio.timeout(20):
                number = 0
                while (said := await caller.ask(f"n{number}")).done:
                    number += 1
            caller.close()
            assert (said.status, said.code) == (503, "ledger_unavailable")
            assert number > 2
            await ready(gateway, wanted=False)
        await ready(gateway, wanted=True)
        assert (await ask_once(gateway.port, key, "last")).done
        await check_books(gateway, serving)

    play(tmp_path, scene, SPOOL + "store.spool_bytes = 4096\n")


@pytest.mark.slow
def test_a_stop_while_the_store_is_full_leaves_the_journal_for_the_next_start(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        with no_room(gateway, STORE_IS_FULL):
            assert (await ask_once(gateway.port, key, "one")).done
            await ready(gateway, wanted=False)
            assert await asyncio.to_thread(gateway.stop) == 0
        assert "waits in the journal" in gateway.log.read_text()
        assert list(tmp_path.glob("*.journal/*.journal")) != []
        await asyncio.to_thread(gateway.start)
        assert read_book(gateway.store).rows[0]["outcome"] == "ok"
        assert (await ask_once(gateway.port, key, "two")).done
        await check_books(gateway, serving)
        assert await asyncio.to_thread(gateway.stop) == 0
        assert list(tmp_path.glob("*.journal/*.journal")) == []

    play(tmp_path, scene)


@pytest.mark.parametrize("durability", ["process", "power"])
def test_with_a_journal_that_cannot_grow_nothing_is_sent_and_what_was_under_way_ends_well(
    tmp_path: Path, durability: str
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key(budgets=[{"amount": "1", "period": "day"}])
        serving.gate.clear()
        under_way = asyncio.create_task(ask_once(gateway.port, key, "first"))
        while serving.seen["first"] == 0:
            await asyncio.sleep(0.005)
        with no_room(gateway, 0):
            refused = await ask_once(gateway.port, key, "second")
            assert (refused.status, refused.code) == (503, "ledger_unavailable")
            assert serving.seen["second"] == 0
            assert "the journal cannot be written" in await ready(gateway, wanted=False)
            serving.gate.set()
            assert (await under_way).done
        await ready(gateway, wanted=True)
        assert (await ask_once(gateway.port, key, "third")).done
        await check_books(gateway, serving)
        spent = gateway.admin("GET", "/spend")["total"]["charged"]
        assert float(spent) * 1e12 == pytest.approx(read_book(gateway.store).charged)

    play(tmp_path, scene, f'store.durability = "{durability}"\n')

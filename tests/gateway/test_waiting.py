"""Calls that wait for an upstream with limits: who goes first, who gives way, and what it costs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from crowd import Caller, Said, Upstream, settled_book, upstream
from running import Gateway, running

pytestmark = pytest.mark.slow

BATCH = {"x_trunkline_priority": "batch"}


class Scene:
    """A gateway whose upstream answers one call at a time, and nothing while its gate is shut."""

    def __init__(self, gateway: Gateway, behind: Upstream) -> None:
        self.gateway = gateway
        self.behind = behind
        self.key = gateway.new_key()
        self.asked: dict[str, asyncio.Task[Said]] = {}

    def begin(self, model: str, key: str | None = None, **headers: str) -> None:
        caller = Caller(self.gateway.port, key or self.key, **headers)
        self.asked[model] = asyncio.create_task(self._ask(caller, model))

    @staticmethod
    async def _ask(caller: Caller, model: str) -> Said:
        try:
            return await caller.ask(model)
        finally:
            caller.close()

    async def occupy(self, model: str = "first") -> None:
        """Have the one call in flight that the upstream may have."""
        self.behind.gate.clear()
        self.begin(model)
        await until(lambda: self.behind.seen[model] == 1)

    async def line_up(self, model: str, key: str | None = None, **headers: str) -> None:
        """Ask, and wait until the call waits."""
        before = await self.waiting()
        self.begin(model, key, **headers)
        await self.until_waiting(before + 1)

    async def until_waiting(self, count: int) -> None:
        async with asyncio.timeout(10):
            while await self.waiting() != count:
                await asyncio.sleep(0.01)

    async def waiting(self) -> int:
        return int(sum((await self.numbers(r"trunkline_queued_\w+")).values()))

    async def numbers(self, pattern: str) -> dict[str, float]:
        told = (await asyncio.to_thread(self.gateway.ask, "GET", "/metrics"))[2].decode()
        found = re.findall(rf"^({pattern}) (\S+)$", told, re.MULTILINE)
        return {name: float(value) for name, value in found}

    async def ends(self) -> dict[str, float]:
        """Return how often waiting has ended in which way."""
        every = await self.numbers(r"trunkline_queue_calls_total\{.*?\}")
        return {
            (re.findall('end="(.*?)"', name)[0]): count for name, count in every.items() if count
        }

    async def said(self, model: str) -> Said:
        async with asyncio.timeout(20):
            return await self.asked[model]

    async def all_done(self) -> None:
        self.behind.gate.set()
        for model in self.asked:
            assert (await self.said(model)).done, model

    @property
    def order(self) -> list[str]:
        """The models that the upstream was asked for, in their order."""
        return list(self.behind.seen)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def scene(
    folder: Path, queue: str = "", limits: str = "{ concurrency = 1 }", more: str = ""
) -> AsyncIterator[Scene]:
    async with upstream() as behind:
        text = behind.config + f"limits = {limits}\n[queue]\n{queue}\n{more}"
        with running(folder, text) as gateway:
            there = Scene(gateway, behind)
            yield there
            for asking in there.asked.values():
                asking.cancel()
            await asyncio.gather(*there.asked.values(), return_exceptions=True)


def play(folder: Path, work: Callable[[Scene], Awaitable[None]], **setting: Any) -> None:
    async def whole() -> None:
        async with scene(folder, **setting) as there:
            await work(there)

    asyncio.run(whole())


def test_interactive_calls_go_in_newest_first_and_batch_calls_behind_them(tmp_path: Path):
    async def work(there: Scene) -> None:
        batch_key = there.gateway.new_key(priority="batch")
        await there.occupy()
        await there.line_up("b1", **BATCH)
        await there.line_up("i1")
        await there.line_up("b2", batch_key, x_trunkline_priority="interactive")
        await there.line_up("i2")
        assert await there.numbers(r"trunkline_queued_\w+") == {
            "trunkline_queued_interactive": 2,
            "trunkline_queued_batch": 2,
        }
        await there.all_done()
        assert there.order == ["first", "i2", "i1", "b1", "b2"]
        book = await settled_book(there.gateway)
        waited = {row["model"]: row["queued"] for row in book.rows}
        assert waited.pop("first") is None
        assert all(seconds > 0 for seconds in waited.values())
        assert waited["b1"] > waited["i2"]
        assert await there.ends() == {"let in": 2}  # of each kind
        told = await there.numbers(r'trunkline_queue_wait_seconds_count\{kind="batch"\}')
        assert list(told.values()) == [2]

    play(tmp_path, work)


def test_flex_in_the_body_is_batch(tmp_path: Path):
    async def work(there: Scene) -> None:
        await there.occupy()
        caller = Caller(there.gateway.port, there.key)
        flex = asyncio.create_task(caller.ask("flex", service_tier="flex"))
        await there.until_waiting(1)
        await there.line_up("i1")
        await there.all_done()
        assert (await flex).done
        assert there.order == ["first", "i1", "flex"]
        caller.close()

    play(tmp_path, work)


def test_a_full_line_sheds_batch_calls_first_and_then_takes_nobody(tmp_path: Path):
    async def work(there: Scene) -> None:
        await there.occupy()
        await there.line_up("b1", **BATCH)
        await there.line_up("b2", **BATCH)
        there.begin("b3", **BATCH)
        full = await there.said("b3")
        assert (full.status, full.code, full.headers["retry-after"]) == (503, "queue_full", "1")
        there.begin("i1")
        shed = await there.said("b2")
        assert (shed.status, shed.code) == (503, "queue_full")
        there.begin("i2")
        assert (await there.said("b1")).code == "queue_full"
        there.begin("i3")
        assert (await there.said("i3")).code == "queue_full"
        there.behind.gate.set()
        assert [(await there.said(model)).done for model in ("first", "i1", "i2")] == [True] * 3
        assert there.order == ["first", "i2", "i1"]
        assert len((await settled_book(there.gateway)).rows) == 3
        every = await there.numbers(r"trunkline_queue_calls_total\{.*?\}")
        assert sorted(every.values()) == [1, 1, 2, 2], every
        assert (await there.numbers(r'trunkline_refused_total\{reason="queue"\}')).popitem()[1] == 4

    play(tmp_path, work, queue="size = 2")


def test_what_is_told_of_the_wait_follows_the_pace_of_the_line(tmp_path: Path):
    async def work(there: Scene) -> None:
        there.behind.pause = 0.4
        there.behind.gate.clear()
        await there.occupy()
        for number in range(8):
            await there.line_up(f"m{number}")
        there.behind.gate.set()
        await until(lambda: sum(there.behind.seen.values()) >= 5)
        there.behind.gate.clear()
        for number in range(20):
            there.begin(f"n{number}")
        await there.until_waiting(8)
        done, _ = await asyncio.wait(
            [there.asked[f"n{number}"] for number in range(20)],
            timeout=5,
            return_when=asyncio.FIRST_COMPLETED,
        )
        full = done.pop().result()
        assert full.code == "queue_full"
        assert 2 <= int(full.headers["retry-after"]) <= 30  # eight calls at 0.4 s, or slower
        there.behind.gate.set()

    play(tmp_path, work, queue="size = 8")


def test_a_client_that_leaves_gives_its_place_up_and_costs_nothing(tmp_path: Path):
    async def work(there: Scene) -> None:
        key = there.gateway.new_key(budgets=[{"amount": 1, "period": "day"}])
        await there.occupy()
        leaving = Caller(there.gateway.port, key)
        await leaving.send("left")
        await there.until_waiting(1)
        leaving.close(at_once=True)
        await there.until_waiting(0)
        await there.line_up("stays", key)
        await there.all_done()
        assert there.order == ["first", "stays"]
        assert len((await settled_book(there.gateway)).rows) == 2
        assert (await there.ends())["left"] == 1
        phase = r'trunkline_client_disconnects_total\{phase="queued"\}'
        assert list((await there.numbers(phase)).values()) == [1]

    play(tmp_path, work, queue="size = 1")


def test_who_has_waited_long_enough_is_told_so(tmp_path: Path):
    async def work(there: Scene) -> None:
        await there.occupy()
        there.begin("late")
        late = await there.said("late")
        assert (late.status, late.code) == (503, "upstream_busy")
        assert b"This call waited for" in late.body
        there.begin("impatient", x_stainless_read_timeout="0.1")
        assert (await there.said("impatient")).code == "upstream_busy"
        assert (await there.ends())["late"] == 2
        there.behind.gate.set()
        assert (await there.said("first")).done
        assert len((await settled_book(there.gateway)).rows) == 1

    play(tmp_path, work, queue="seconds = 0.3")


def test_nothing_is_held_for_who_waits_but_who_could_not_pay_does_not_wait(tmp_path: Path):
    async def work(there: Scene) -> None:
        # A call holds 10,050 and more picodollars-worth of tokens; this key has too little for one.
        poor = there.gateway.new_key(budgets=[{"amount": "0.00001", "period": "day"}])
        able = there.gateway.new_key(budgets=[{"amount": "0.0004", "period": "day"}])
        await there.occupy()
        there.begin("poor", poor)
        assert (await there.said("poor")).code == "budget_exceeded"
        await there.line_up("a1", able)
        await there.line_up("a2", able)
        del there.asked["poor"]
        await there.all_done()
        assert set(there.order) == {"first", "a1", "a2"}

    play(tmp_path, work)


def test_calls_that_wait_count_among_a_keys_calls_at_the_same_time(tmp_path: Path):
    async def work(there: Scene) -> None:
        greedy = there.gateway.new_key(limits={"concurrency": 2})
        await there.occupy()
        await there.line_up("g1", greedy)
        await there.line_up("g2", greedy)
        there.begin("g3", greedy)
        said = await there.said("g3")
        assert (said.status, said.code) == (429, "concurrency_exceeded")
        del there.asked["g3"]
        await there.all_done()

    play(tmp_path, work)


def test_a_minute_that_ends_too_late_is_not_waited_for(tmp_path: Path):
    async def work(there: Scene) -> None:
        there.begin("one")
        assert (await there.said("one")).done
        there.begin("two")
        two = await there.said("two")
        assert two.code == "upstream_busy"
        assert int(two.headers["retry-after"]) > 30

    play(tmp_path, work, limits="{ requests_per_minute = 1 }")


def test_calls_wait_for_the_gateways_own_limit_wherever_they_go(tmp_path: Path):
    more = '[routes.named]\ntargets = [{ upstream = "crowd", model = "named" }]\n'

    async def work(there: Scene) -> None:
        await there.occupy()
        await there.line_up("named")
        await there.line_up("other")
        there.begin("impatient", x_stainless_read_timeout="0.1")
        assert (await there.said("impatient")).code == "gateway_busy"
        del there.asked["impatient"]
        await there.all_done()
        assert there.order == ["first", "other", "named"]

    play(tmp_path, work, limits="{}", more=f"[edge]\nconcurrency = 1\n{more}")


def test_a_reload_that_allows_more_lets_in_who_waits(tmp_path: Path):
    async def work(there: Scene) -> None:
        await there.occupy()
        await there.line_up("waits")
        text = there.gateway.config.read_text()
        there.gateway.config.write_text(text.replace("concurrency = 1", "concurrency = 2"))
        await asyncio.to_thread(there.gateway.admin, "POST", "/reload")
        await until(lambda: there.behind.seen["waits"] == 1)
        await there.all_done()
        assert there.order[-1] == "waits"

    play(tmp_path, work)


def test_who_waits_is_told_that_the_gateway_stops(tmp_path: Path):
    async def work(there: Scene) -> None:
        await there.occupy()
        await there.line_up("waits")
        there.gateway.process.terminate()
        said = await there.said("waits")
        assert (said.status, said.code) == (503, "gateway_stopping")
        assert await asyncio.to_thread(there.gateway.process.wait, 20) == 0

    play(tmp_path, work, more="[edge]\ndrain_seconds = 0.2\n")


@pytest.mark.parametrize("workers", [2])
def test_workers_let_in_who_waits_by_the_limit_that_they_share(tmp_path: Path, workers: int):
    async def work(there: Scene) -> None:
        await there.occupy()
        for number in range(8):
            there.begin(f"m{number}")
        await there.until_waiting(8)
        there.behind.gate.set()
        await there.all_done()
        assert len(there.order) == 9
        book = await settled_book(there.gateway)
        assert sum(row["queued"] is not None for row in book.rows) == 8
        spans = sorted((row["started"], row["ended"]) for row in book.rows)
        assert len(spans) == 9

    play(tmp_path, work, more=f"[listen]\nworkers = {workers}\n")


def test_a_call_that_its_line_would_keep_past_its_deadline_is_refused_at_once(tmp_path: Path):
    async def work(there: Scene) -> None:
        there.behind.pause = 0.4
        await there.occupy()
        for number in range(3):
            await there.line_up(f"b{number}", **BATCH)
        there.behind.gate.set()
        await until(lambda: there.behind.seen["b1"] == 1)
        there.behind.gate.clear()  # two were let in, 0.4 s apart or more
        while await there.waiting() < 4:
            await there.line_up(f"c{len(there.asked)}", **BATCH)
        there.begin("hurried", **BATCH, x_trunkline_deadline="1")
        hurried = await there.said("hurried")
        assert (hurried.status, hurried.code) == (504, "deadline_exceeded")
        assert int(hurried.headers["retry-after"]) >= 1
        assert "deadline" not in await there.ends(), "it never waited"
        assert "hurried" not in there.behind.seen
        there.behind.gate.set()

    play(tmp_path, work)


def test_a_named_request_that_leaves_the_line_gives_its_name_back(tmp_path: Path):
    async def work(there: Scene) -> None:
        await there.occupy()
        leaving = Caller(there.gateway.port, there.key, idempotency_key="once")
        await leaving.send("named")
        await there.until_waiting(1)
        leaving.close(at_once=True)
        await there.until_waiting(0)
        there.behind.gate.set()
        again = Caller(there.gateway.port, there.key, idempotency_key="once")
        async with asyncio.timeout(20):
            while not (said := await again.ask("named")).done:
                assert said.status == 409, "its name is only just being given back"
                await asyncio.sleep(0.05)
        again.close()
        assert there.behind.seen["named"] == 1

    play(tmp_path, work)

"""The wall clock is set forth and back under a gateway: nothing times out, and no budget is given twice."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from crowd import COST, Upstream, ask_once, settled_book, upstream
from running import Gateway, running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class Clock:
    """The wall clock of a process, moved by a file that libfaketime reads."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }

    def set(self, seconds: float) -> None:
        """Be so much ahead of the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}")
        os.replace(new, self._file)


async def told(gateway: Gateway, at: datetime) -> None:
    """Wait until the gateway's own clock is about right."""
    async with asyncio.timeout(20):
        while True:
            _, headers, _ = await asyncio.to_thread(gateway.ask, "GET", "/health/live")
            date = datetime.strptime(headers["date"], "%a, %d %b %Y %H:%M:%S GMT").replace(
                tzinfo=UTC
            )
            if abs(date - at) < timedelta(seconds=5):
                return
            await asyncio.sleep(0.05)


@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed")
def test_a_clock_that_jumps_gives_no_budget_twice_and_ends_no_call(tmp_path: Path):
    async def work() -> None:
        clock = Clock(tmp_path)
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0)
        base = (noon - datetime.now(UTC)).total_seconds()

        async with upstream() as serving:
            clock.set(base)
            with running(tmp_path, serving.config, clock.environment) as gateway:
                began = time.monotonic()

                async def jump(hours: float) -> None:
                    clock.set(base + hours * 3600)
                    passed = timedelta(seconds=time.monotonic() - began)
                    await told(gateway, noon + passed + timedelta(hours=hours))

                await told(gateway, noon)
                await check_days(gateway, serving, jump)

    asyncio.run(work())


async def check_days(gateway: Gateway, serving: Upstream, jump) -> None:
    """Spend the budgets of days to which the clock is set, forth and back."""
    first = await ask_once(gateway.port, gateway.new_key(), "n00")
    assert first.done
    reserve = (await settled_book(gateway)).rows[0]["reserved"]
    # Room for one call; once it has cost what it costs, there is none.
    budget = {"amount": f"{(reserve + COST - 1) / 10**12:.12f}", "period": "day"}
    key = gateway.new_key(budgets=[budget])

    async def fits(name: str) -> bool:
        said = await ask_once(gateway.port, key, name)
        assert said.done or said.code == "budget_exceeded", said
        return said.done

    assert await fits("n01")
    assert not await fits("n02")
    serving.gate.clear()
    free = gateway.new_key()
    under_way = asyncio.create_task(ask_once(gateway.port, free, "n03", stream=True))
    while serving.seen["n03"] == 0:
        await asyncio.sleep(0.005)
    for hours in (1, -1, 5, 0):
        await jump(hours)
        assert not await fits(f"n1{hours}"), f"{hours} hours are the same day"
    await jump(24)
    assert not under_way.done(), "a call is timed by a clock that cannot be set"
    serving.gate.set()
    said = await under_way
    assert said.done
    assert await fits("n20"), "the next day has a budget of its own"
    assert not await fits("n21")
    await jump(0)
    assert not await fits("n22"), "the day before was spent, and still is"
    await jump(24)
    assert not await fits("n23")
    await jump(48)
    assert await fits("n24")
    book = await settled_book(gateway)
    assert {row["state"] for row in book.rows} == {"settled"}
    assert len({row["id"] for row in book.rows}) == len(book.rows) == sum(serving.seen.values())
    assert book.charged == sum(row["charged"] for row in book.rows)

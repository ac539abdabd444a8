"""Clients that die at any moment, by the thousand: afterwards nothing is left of them, and each call has a row."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path

import pytest
from crowd import COST, Caller, Upstream, ask_once, settled_book, upstream
from running import Gateway, running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
ROUNDS, CLIENTS = 6, 250


class Measured:
    """What a process has open and holds in memory."""

    def __init__(self, gateway: Gateway) -> None:
        folder = Path(f"/proc/{gateway.process.pid}")
        self.files = len(list((folder / "fd").iterdir()))
        (kib,) = re.findall(r"VmRSS:\s+(\d+) kB", (folder / "status").read_text())
        self.mib = int(kib) / 1024


async def live_and_die(gateway: Gateway, key: str, chance: random.Random, name: str) -> str:
    """Ask a few times and leave, or be torn away, wherever it happens to be; return how it ended."""
    caller = Caller(gateway.port, key)
    for number in range(chance.randrange(1, 4)):
        asking = asyncio.create_task(caller.ask(f"{name}-{number}", stream=chance.random() < 0.7))
        done, _ = await asyncio.wait({asking}, timeout=chance.choice([0.001, 0.01, 0.02, 0.05, 5]))
        if not done:
            caller.close(at_once=chance.random() < 0.5)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            return "left"
        if not asking.result().done:
            return asking.result().code
    caller.close()
    return "ended"


def test_clients_that_die_leave_nothing_behind(tmp_path: Path):
    async def work() -> None:
        chance = random.Random(7)
        async with upstream() as serving:
            serving.pause = 0.01
            with running(tmp_path, serving.config) as gateway:
                key = gateway.new_key(budgets=[{"amount": "1000", "period": "day"}])
                measured: list[Measured] = []
                ends: list[str] = []
                for turn in range(ROUNDS):
                    ends += await asyncio.gather(
                        *[
                            live_and_die(gateway, key, chance, f"t{turn}/c{n}")
                            for n in range(CLIENTS)
                        ]
                    )
                    await nothing_held(gateway, serving)
                    measured.append(Measured(gateway))
                assert {"left", "ended"} == set(ends)
                await check(gateway, serving, key)
                first, last = measured[1], measured[-1]
                assert last.files <= first.files + 5, [m.files for m in measured]
                assert last.mib < first.mib + 16, [m.mib for m in measured]
                assert await asyncio.to_thread(gateway.stop) == 0

    asyncio.run(work())


async def nothing_held(gateway: Gateway, serving: Upstream) -> None:
    """Wait until no call is in flight and the upstream is idle."""
    async with asyncio.timeout(20):
        while True:
            status = await asyncio.to_thread(gateway.admin, "GET", "/status")
            if status["in_flight"] == 0 and status["connections"] <= 1:
                break
            await asyncio.sleep(0.05)
    _, _, metrics = await asyncio.to_thread(gateway.ask, "GET", "/metrics")
    assert b"inflight_requests 0.0" in metrics


async def check(gateway: Gateway, serving: Upstream, key: str) -> None:
    book = await settled_book(gateway)
    rows = book.by_model()
    assert all(len(found) == 1 for found in rows.values())
    assert set(serving.seen) <= set(rows)
    assert set(serving.seen.values()) <= {1}
    assert {row["state"] for row in book.rows} == {"settled"}
    assert {row["outcome"] for row in book.rows} == {"ok", "cancelled"}
    assert all(row["charged"] == COST for row in book.rows if row["outcome"] == "ok")
    assert all(row["status"] == 499 for row in book.rows if row["outcome"] == "cancelled")
    assert book.charged == sum(row["charged"] for row in book.rows)
    # A call that asks for a whole dollar more than is left would be refused if anything were held.
    left = 1000 * 10**12 - book.charged
    told = gateway.admin(
        "PATCH", f"/keys/{book.rows[0]['key']}", {"budgets": [budget(book.charged)]}
    )
    assert told["budgets"]
    refused = await ask_once(gateway.port, key, "more")
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert b"$0 is held" in refused.body
    assert left > 0


def budget(amount: int) -> dict[str, str]:
    return {"amount": f"{amount / 10**12:.12f}", "period": "day"}

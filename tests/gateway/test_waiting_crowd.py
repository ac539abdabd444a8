"""A crowd before an upstream with room for a few: whoever leaves, gives up or is shed, the books and gates agree."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from crowd import Caller, Said, Upstream, settled_book, upstream
from running import Gateway, running

pytestmark = pytest.mark.slow

CALLS = 250
CODES = {"queue_full", "upstream_busy", "deadline_exceeded"}


async def open_after(refused: asyncio.Event, behind: Upstream) -> None:
    await refused.wait()
    behind.gate.set()


async def one(
    gateway: Gateway, key: str, number: int, chance: random.Random, refused: asyncio.Event
) -> Said | None:
    """Ask as some client would: in a hurry, patient, as a batch, or gone before the answer."""
    kind = chance.choice(("plain", "plain", "batch", "hurried", "leaving"))
    headers: dict[str, str] = {}
    if kind == "batch":
        headers["x_trunkline_priority"] = "batch"
    if kind == "hurried":
        headers["x_trunkline_deadline"] = f"{chance.uniform(0.05, 1.5):.3f}"
    leaves_after = chance.uniform(0.0, 0.6)
    stream = chance.random() < 0.3
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    caller = Caller(gateway.port, key, **headers)
    try:
        if kind == "leaving":
            await caller.send(f"m{number}", stream=stream)
            await asyncio.sleep(leaves_after)
            return None
        said = await caller.ask(f"m{number}", stream=stream)
        if said.status == 503:
            refused.set()
        return said
    finally:
        caller.close(at_once=True)


def check(said: Said) -> None:
    if said.status == 200:
        assert said.done or said.code == "deadline_exceeded"
    else:
        assert said.status in (503, 504)
        assert said.code in CODES
        assert ("retry-after" in said.headers) is not ("x-should-retry" in said.headers)


async def idle(gateway: Gateway, behind: Upstream) -> None:
    """Wait until nobody waits and nothing is in flight."""
    async with asyncio.timeout(40):
        while True:
            told = (await asyncio.to_thread(gateway.ask, "GET", "/metrics"))[2].decode()
            names = ("queued_interactive", "queued_batch", "inflight_requests")
            if all(f"trunkline_{name} 0.0" in told for name in names):
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_crowd_the_gates_are_free_and_every_call_sent_is_in_the_books(
    tmp_path: Path, workers: int
) -> None:
    async def work() -> None:
        async with upstream() as behind:
            text = behind.config + (
                "limits = { concurrency = 3 }\n[queue]\nsize = 10\nseconds = 1.5\n"
                f"[listen]\nworkers = {workers}\n"
            )
            with running(tmp_path, text) as gateway:
                key = gateway.new_key()
                chance = random.Random(workers)
                refused = asyncio.Event()
                behind.gate.clear()  # until the line is full, or somebody has waited in vain
                opening = asyncio.create_task(open_after(refused, behind))
                asking = [
                    one(gateway, key, number, random.Random(chance.random()), refused)
                    for number in range(CALLS)
                ]
                told = await asyncio.gather(*asking)
                await opening
                for said in told:
                    if said is not None:
                        check(said)
                outcomes = Counter(said.status for said in told if said is not None)
                assert outcomes[200] > 0, outcomes
                assert outcomes[503] > 0, outcomes
                await idle(gateway, behind)
                book = await settled_book(gateway)
                rows = {row["model"]: row for row in book.rows}
                assert len(rows) == len(book.rows), "no call was sent twice"
                assert set(behind.seen) <= set(rows)
                for model, row in rows.items():
                    ended_early = row["status"] in (499, 504)  # perhaps before it was read
                    assert model in behind.seen or row["charged"] == 0 or ended_early, row
                for after in range(3):  # nothing has stayed in a gate
                    caller = Caller(gateway.port, key)
                    assert (await caller.ask(f"after{after}")).done
                    caller.close()

    asyncio.run(work())

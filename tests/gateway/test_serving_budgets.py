"""Many callers at once on the last cent: through real sockets, restarts and new secrets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from crowd import COST, Caller, Said, Upstream, ask_all, ask_once, read_book, settled_book, upstream
from running import Gateway, running

from trunkline.types.money import dollars

CALLERS = 64
Play = Callable[[Gateway, Upstream], Awaitable[None]]


def play(folder: Path, scene: Play) -> None:
    """Run a scene with a gateway in front of an upstream that counts."""

    async def work() -> None:
        async with upstream() as serving:
            with running(folder, serving.config) as gateway:
                await scene(gateway, serving)

    asyncio.run(work())


async def reserve_of(gateway: Gateway) -> int:
    """Return what one of the calls of `ask_all` holds."""
    (said,) = await ask_all(gateway.port, [gateway.new_key()], "0", 1)
    (row,) = [r for r in (await settled_book(gateway)).rows if r["id"] == said.request_id]
    assert row["charged"] == COST < row["reserved"]
    return int(row["reserved"])


async def wave(gateway: Gateway, serving: Upstream, keys: list[str], name: str) -> list[Said]:
    """Have all ask at once, and no answer end before every call is held or refused."""
    serving.gate.clear()
    before = sum(serving.seen.values())
    callers = [Caller(gateway.port, keys[number % len(keys)]) for number in range(CALLERS)]
    asking = [asyncio.create_task(c.ask(f"{name}/{n:03}")) for n, c in enumerate(callers)]
    async with asyncio.timeout(20):
        while sum(serving.seen.values()) - before + sum(t.done() for t in asking) < CALLERS:
            await asyncio.sleep(0.005)
    serving.gate.set()
    said = await asyncio.gather(*asking)
    for caller in callers:
        caller.close()
    return said


def statuses(said: list[Said]) -> Counter[int]:
    return Counter(one.status for one in said)


def budget(amount: int, period: str = "day") -> dict[str, Any]:
    return {"amount": f"{dollars(amount):f}", "period": period}


@pytest.mark.parametrize(
    ("scope", "period"), [("key", "day"), ("owner", "month"), ("team", "day"), ("team", "month")]
)
def test_of_64_callers_at_once_exactly_as_many_are_admitted_as_the_budget_has_room_for(
    tmp_path: Path, scope: str, period: str
) -> None:
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        reserve = await reserve_of(gateway)
        limit = 7 * reserve + reserve // 2
        if scope == "key":
            keys = [gateway.new_key(budgets=[budget(limit, period)])]
        else:
            gateway.admin("PUT", f"/accounts/{scope}/red", {"budgets": [budget(limit, period)]})
            keys = [gateway.new_key(**{scope: "red"}) for _ in range(4)]
        said = await wave(gateway, serving, keys, "1")
        assert statuses(said) == {200: 7, 402: CALLERS - 7}
        assert {one.code for one in said if one.status == 402} == {"budget_exceeded"}
        spent = 7 * COST
        for number in range(2, 5):  # what was held too much has come back
            room = (limit - spent) // reserve
            said = await wave(gateway, serving, keys, str(number))
            assert statuses(said) == {200: room, 402: CALLERS - room}
            spent += room * COST
        book = await settled_book(gateway)
        mine = [row for row in book.rows if row["model"] != "0/000"]
        assert sum(row["charged"] for row in mine) == spent <= limit
        assert len(mine) == sum(serving.seen.values()) - 1

    play(tmp_path, scene)


def test_a_restart_and_a_new_secret_give_no_cent_twice(tmp_path: Path) -> None:
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        reserve = await reserve_of(gateway)
        limit = 10 * reserve
        made = gateway.admin("POST", "/keys", {"name": "a", "budgets": [budget(limit)]})
        said = await wave(gateway, serving, [made["secret"]], "1")
        assert statuses(said)[200] == 10
        assert await asyncio.to_thread(gateway.stop) == 0
        await asyncio.to_thread(gateway.start)
        new = gateway.admin("POST", f"/keys/{made['key']['id']}/rotate", {"overlap_seconds": 60})
        both = [made["secret"], new["secret"]]
        room = (limit - 10 * COST) // reserve
        assert statuses(await wave(gateway, serving, both, "2")) == {200: room, 402: 64 - room}

    play(tmp_path, scene)


def test_what_was_in_flight_when_the_process_died_is_unknown_and_counts_against_the_budget(
    tmp_path: Path,
) -> None:
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        reserve = await reserve_of(gateway)
        key = gateway.new_key(budgets=[budget(5 * reserve)])
        serving.gate.clear()
        asking = [asyncio.create_task(ask_once(gateway.port, key, f"1/{n:03}")) for n in range(3)]
        while sum(serving.seen.values()) < 4:
            await asyncio.sleep(0.01)
        gateway.kill()
        assert all(
            isinstance(r, EOFError | OSError)
            for r in await asyncio.gather(*asking, return_exceptions=True)
        )
        serving.gate.set()
        await asyncio.to_thread(gateway.start)
        rows = read_book(gateway.store).rows[1:]
        assert [row["state"] for row in rows] == ["unknown"] * 3
        assert [row["charged"] for row in rows] == [reserve] * 3
        assert {row["cost"] for row in rows} == {None}
        said = await wave(gateway, serving, [key], "2")
        assert statuses(said) == {200: 2, 402: CALLERS - 2}
        assert "3 calls are settled as unknown" in gateway.log.read_text()

    play(tmp_path, scene)

"""Three gateways on one PostgreSQL spend budgets to the last cent and keep to limits, whatever fails."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from crowd import Upstream
from shared_side import Fleet, ask, books, crowd, price, serving, told

from servers import RedisServer

RUNS = int(os.environ.get("TRUNKLINE_CHAOS_REPLICAS", "3"))
CALLERS = 64
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240 + 20 * RUNS)]
REFUSED = {"ok", "budget_exceeded"}


async def last_cent(fleet: Fleet, behind: Upstream, url: str, run: int) -> None:
    """Have three crowds spend a budget for 100 calls, and a bit of one more."""
    each, most = price(behind), 100 + run % 7
    dollars = f"{(most * each + each - 1) / 10**12:.12f}"
    made = fleet.first.admin(
        "POST", "/keys", {"name": "cent", "budgets": [{"amount": dollars, "period": "month"}]}
    )
    key, secret = made["key"]["id"], made["secret"]
    await fleet.known(secret)
    before = sum(behind.seen.values())
    said = await crowd(fleet, secret, f"r{run}", CALLERS)
    codes = told(said)
    assert set(codes) <= REFUSED, codes
    assert codes["ok"] <= most
    # What was left, as slices wander, is spent by whoever asks once it is quiet.
    for number in range(most - codes["ok"]):
        one = await ask(fleet.gateways[number % len(fleet.gateways)], secret, f"l{run}/{number}")
        assert one.done, (one.code, codes)
    for gateway in fleet.gateways:
        assert (await ask(gateway, secret, f"n{run}")).code == "budget_exceeded"
    await fleet.settled()
    found = await books(url, key)
    assert (found.calls, found.open) == (most, 0)
    assert found.charged == found.of_spend == most * each
    assert sum(behind.seen.values()) - before == most


def test_the_last_cent_is_spent_once_by_three_replicas(tmp_path: Path, postgres_url: str):
    async def work() -> None:
        async with serving(tmp_path, postgres_url) as (fleet, behind):
            for run in range(RUNS):
                await last_cent(fleet, behind, postgres_url, run)

    asyncio.run(work())


@pytest.mark.parametrize("trouble", ["freeze", "kill"])
def test_redis_may_fail_in_the_middle_and_money_does_not_care(
    tmp_path: Path, postgres_url: str, redis_server: RedisServer, trouble: str
):
    async def work() -> None:
        store = f'store.redis_url = "{redis_server.url}"'
        async with serving(tmp_path, postgres_url, store=store) as (fleet, behind):
            await last_cent(fleet, behind, postgres_url, 0)
            for run in range(1, RUNS + 1):
                cutting = asyncio.get_running_loop().call_later(
                    0.05 * (run % 10), getattr(redis_server, trouble)
                )
                await last_cent(fleet, behind, postgres_url, run)
                cutting.cancel()
                if trouble == "freeze":
                    redis_server.thaw()
                elif not redis_server.answers():
                    redis_server.start()

    try:
        asyncio.run(work())
    finally:
        redis_server.thaw()
        if not redis_server.answers():
            redis_server.start()

"""One replica is cut off from the database alone, or from Redis alone, and the others are not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from relays import Relay
from running import Gateway
from shared_side import Fleet, ask, books, crowd, price, serving, told
from workers_side import wait_for

from servers import PostgresServer, RedisServer

CALLERS, LIMIT = 40, 30
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
WITHOUT_STORE = {"budget_unavailable", "ledger_unavailable"}
BY_SHARES = b"trunkline_limits_by_shares 1.0"


def status(gateway: Gateway) -> int:
    return gateway.ask("GET", "/health/ready")[0]


async def becomes(done: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(wait_for, done, what, 40)


async def with_budget(fleet: Fleet, dollars: str) -> tuple[str, str]:
    budgets = [{"amount": dollars, "period": "month"}]
    made = fleet.first.admin("POST", "/keys", {"name": "split", "budgets": budgets})
    return made["key"]["id"], made["secret"]


def test_who_is_cut_off_from_the_database_spends_what_it_has_and_nothing_twice(
    tmp_path: Path, postgres_server: PostgresServer
):
    url, relay = postgres_server.new_database(), Relay(postgres_server.port)

    async def work() -> None:
        async with serving(tmp_path, url, count=2, store="store.lost_seconds = 3") as scene:
            fleet, behind = scene
            cut = await asyncio.to_thread(fleet.join, (postgres_server.port, relay.port))
            each, most = price(behind), 300
            key, secret = await with_budget(fleet, f"{most * each / 10**12:.12f}")
            codes = told(await crowd(fleet, secret, "before", CALLERS // 4))
            assert set(codes) == {"ok"}
            behind.pause = 0.5
            under_way = [asyncio.create_task(ask(cut, secret, f"under/{n}")) for n in range(5)]
            async with asyncio.timeout(20):
                while sum(behind.seen.values()) < codes["ok"] + 5:
                    await asyncio.sleep(0.01)
            relay.cut()
            behind.pause = 0.002
            assert told(await asyncio.gather(*under_way)) == {"ok": 5}, "what has begun ends"
            codes = told(await crowd(fleet, secret, "cut", CALLERS))
            assert set(codes) <= {"ok", "budget_exceeded", *WITHOUT_STORE}, codes
            await becomes(lambda: status(cut) == 503, "it is not ready")
            assert [status(one) for one in fleet.gateways[:2]] == [200, 200]
            await becomes(
                lambda: len(fleet.first.admin("GET", "/replicas")["data"]) == 2, "it is given up"
            )
            relay.mend()
            assert await asyncio.to_thread(cut.process.wait, 40) == 3, "it finds itself given up"
            await asyncio.to_thread(cut.start)
            number = 0
            while (await ask(fleet.gateways[number % 3], secret, f"rest/{number}")).done:
                number += 1
            await fleet.settled()
            found = await books(url, key)
            assert (found.calls, found.open) == (most, 0)
            assert found.charged == found.of_spend == most * each
            assert sum(behind.seen.values()) == most, "each call that was sent has its row"

    try:
        asyncio.run(work())
    finally:
        relay.close()


def test_who_is_cut_off_from_redis_keeps_to_its_share_and_the_others_do_not_notice(
    tmp_path: Path, postgres_url: str, redis_server: RedisServer
):
    relay = Relay(redis_server.port)

    async def work() -> None:
        store = f'store.redis_url = "redis://127.0.0.1:{redis_server.port}/0"'
        async with serving(tmp_path, postgres_url, count=2, store=store) as (fleet, behind):
            cut = await asyncio.to_thread(fleet.join, (redis_server.port, relay.port))
            limits = {"requests_per_minute": LIMIT}
            made = fleet.first.admin("POST", "/keys", {"name": "limited", "limits": limits})
            secret = made["secret"]
            await fleet.met()
            relay.cut()
            sent, minutes = await until_refused(fleet, secret)
            assert sent <= LIMIT * (minutes + 1), "limits drift by one minute's at most"
            status, _, said = cut.ask("GET", "/health/ready")
            assert status == 200
            assert "limits are kept by shares" in said["notes"]
            assert BY_SHARES in cut.ask("GET", "/metrics")[2]
            for other in fleet.gateways[:2]:
                assert BY_SHARES not in other.ask("GET", "/metrics")[2]
            each = price(behind)
            key, secret = await with_budget(fleet, f"{50 * each / 10**12:.12f}")
            codes = told(await crowd(fleet, secret, "money", CALLERS))
            assert set(codes) <= {"ok", "budget_exceeded"}, codes
            await fleet.settled()
            found = await books(postgres_url, key)
            assert found.charged == found.calls * each == codes["ok"] * each <= 50 * each
            relay.mend()
            await becomes(lambda: BY_SHARES not in cut.ask("GET", "/metrics")[2], "they are shared")

    try:
        asyncio.run(work())
    finally:
        relay.close()


async def until_refused(fleet: Fleet, secret: str) -> tuple[int, int]:
    """Ask until every gateway refuses; returns how many were sent, and in how many minutes."""
    began, sent, refused = time.time() // 60, 0, 0
    while refused < 3:
        codes = told(await crowd(fleet, secret, f"l/{refused}/{sent}", 4))
        assert set(codes) <= {"ok", "requests_exceeded"}, codes
        sent += codes["ok"]
        refused = 0 if codes["ok"] else refused + 1
    return sent, int(time.time() // 60 - began) + 1

"""Three gateways on one PostgreSQL spend budgets to the last cent and keep to limits, whatever fails."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from crowd import Caller, Upstream, settled_book, upstream
from running import Gateway, running
from shared_side import (
    Fleet,
    ask,
    books,
    costs_all_that_is_held,
    crowd,
    name_of,
    price,
    serving,
    told,
)
from workers_side import all_ready

from servers import PostgresServer, RedisServer

RUNS = int(os.environ.get("TRUNKLINE_CHAOS_REPLICAS", "3"))
CALLERS = 64
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240 + 20 * RUNS)]
REFUSED = {"ok", "budget_exceeded"}


async def check_last_cent(fleet: Fleet, behind: Upstream, url: str, run: int) -> None:
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
                await check_last_cent(fleet, behind, postgres_url, run)

    asyncio.run(work())


def test_a_replica_that_is_killed_takes_no_money_with_it(tmp_path: Path, postgres_url: str):
    async def work() -> None:
        store = "store.lost_seconds = 3"
        async with serving(tmp_path, postgres_url, store=store) as (fleet, behind):
            each, most = price(behind), 150
            behind.pause = 0.2
            dollars = f"{(most * each + each - 1) / 10**12:.12f}"
            budgets = [{"amount": dollars, "period": "month"}]
            made = fleet.first.admin("POST", "/keys", {"name": "killed", "budgets": budgets})
            key, secret = made["key"]["id"], made["secret"]
            await fleet.known(secret)
            victim = fleet.gateways[1]
            dying = [
                asyncio.create_task(ask(victim, secret, f"victim/{number}"))
                for number in range(CALLERS)
            ]
            async with asyncio.timeout(20):
                while not behind.seen:
                    await asyncio.sleep(0.005)
            await asyncio.to_thread(fleet.kill, victim)
            await asyncio.gather(*dying, return_exceptions=True)
            codes = told(await crowd(fleet, secret, "others", CALLERS))
            assert set(codes) <= REFUSED, codes
            async with asyncio.timeout(30):
                while len(fleet.first.admin("GET", "/replicas")["data"]) > 2:
                    await asyncio.sleep(0.2)
            number = 0
            while (await ask(fleet.gateways[number % 2], secret, f"rest/{number}")).done:
                number += 1
            await fleet.settled()
            found = await books(postgres_url, key)
            assert (found.calls, found.open) == (most, 0)
            assert found.charged == found.of_spend == most * each

    asyncio.run(work())


def test_the_last_cent_is_spent_once_by_three_workers_on_one_file(tmp_path: Path):
    async def work() -> None:
        async with upstream() as behind:
            costs_all_that_is_held(behind)
            with running(tmp_path, f"listen.workers = 3\n{behind.config}") as gateway:
                all_ready(gateway, 3)
                for run in range(RUNS):
                    await check_last_cent_of_workers(gateway, behind, run)

    asyncio.run(work())


async def check_last_cent_of_workers(gateway: Gateway, behind: Upstream, run: int) -> None:
    """Have a crowd spend a budget for 60 calls, to the last cent."""
    each, most = price(behind), 60
    before = (await settled_book(gateway)).charged
    key = gateway.new_key(
        budgets=[{"amount": f"{most * each / 10**12:.12f}", "period": "day"}],
    )
    said = await asyncio.gather(
        *[ask(gateway, key, f"r{run}/{number}") for number in range(2 * CALLERS)]
    )
    codes = told(list(said))
    assert set(codes) <= REFUSED, codes
    for number in range(most - codes["ok"]):
        assert (await ask(gateway, key, f"l{run}/{number}")).done
    assert (await ask(gateway, key, f"n{run}")).code == "budget_exceeded"
    book = await settled_book(gateway)
    assert book.charged - before == most * each


@pytest.mark.parametrize("trouble", ["freeze", "kill"])
def test_redis_may_fail_in_the_middle_and_money_does_not_care(
    tmp_path: Path, postgres_url: str, redis_server: RedisServer, trouble: str
):
    async def work() -> None:
        store = f'store.redis_url = "{redis_server.url}"'
        async with serving(tmp_path, postgres_url, store=store) as (fleet, behind):
            await check_last_cent(fleet, behind, postgres_url, 0)
            for run in range(1, RUNS + 1):
                cutting = asyncio.get_running_loop().call_later(
                    0.05 * (run % 10), getattr(redis_server, trouble)
                )
                await check_last_cent(fleet, behind, postgres_url, run)
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


def test_money_is_not_spent_without_the_database_and_again_once_it_is_back(
    tmp_path: Path, postgres_server: PostgresServer
):
    url = postgres_server.new_database()

    async def work() -> None:
        async with serving(tmp_path, url, count=2) as (fleet, behind):
            each = price(behind)
            dollars = f"{1000 * each / 10**12:.12f}"
            budgets = [{"amount": dollars, "period": "month"}]
            made = fleet.first.admin("POST", "/keys", {"name": "cut", "budgets": budgets})
            key, secret = made["key"]["id"], made["secret"]
            await fleet.known(secret)
            assert (await ask(fleet.first, secret, "before")).done
            postgres_server.freeze()
            sent = refused = 0
            while not refused:
                codes = told(await crowd(fleet, secret, f"cut/{sent}", 8))
                assert set(codes) <= {"ok", "budget_unavailable", "ledger_unavailable"}, codes
                sent, refused = sent + codes["ok"], refused + codes["budget_unavailable"]
                refused += codes["ledger_unavailable"]
            assert sent < 500, "a slice is a part of what is left"
            leaving = Caller(fleet.first.port, secret)
            await leaving.send(name_of("left"))
            await asyncio.sleep(0)
            leaving.close(at_once=True)
            postgres_server.thaw()
            async with asyncio.timeout(60):
                while not (await ask(fleet.first, secret, "after")).done:
                    await asyncio.sleep(0.1)
            await fleet.settled()
            found = await books(url, key)
            assert (found.open, found.charged) == (0, found.of_spend)
            assert found.charged <= found.calls * each
            assert behind.seen[name_of("left")] <= 1

    try:
        asyncio.run(work())
    finally:
        postgres_server.thaw()


LIMIT = 30


async def hammer(fleet: Fleet, secret: str, name: str) -> tuple[int, int]:
    """Ask until every gateway refuses; returns how many were sent, and in how many minutes."""
    began, sent, refused = minute(), 0, 0
    while refused < 3:
        codes = told(await crowd(fleet, secret, f"{name}/{refused}/{sent}", 4))
        assert set(codes) <= {"ok", "requests_exceeded"}, codes
        sent += codes["ok"]
        refused = 0 if codes["ok"] else refused + 1
    return sent, minute() - began + 1


def minute() -> int:
    """The minute of this machine, whose clock the servers have too."""
    return int(time.time() // 60)


async def a_key(fleet: Fleet, **limits: int) -> str:
    made = fleet.first.admin("POST", "/keys", {"name": "limited", "limits": limits})
    secret: str = made["secret"]
    await fleet.known(secret)
    return secret


async def room_in_the_minute() -> None:
    """Wait, if a minute is about to end, for the next one."""
    while time.time() % 60 > 25:
        await asyncio.sleep(0.2)


def test_a_limit_is_kept_while_a_replica_joins_and_another_is_killed(
    tmp_path: Path, postgres_url: str
):
    async def work() -> None:
        async with serving(tmp_path, postgres_url) as (fleet, _):
            secret = await a_key(fleet, requests_per_minute=LIMIT)
            await room_in_the_minute()
            began = minute()
            sent, _ = await hammer(fleet, secret, "a")
            assert sent == LIMIT or minute() > began
            await asyncio.to_thread(fleet.join)
            await fleet.known(secret)
            sent += (await hammer(fleet, secret, "b"))[0]
            fleet.kill(fleet.gateways[1])
            sent += (await hammer(fleet, secret, "c"))[0]
            minutes = minute() - began + 1
            assert sent <= LIMIT * minutes, "a minute's limit is granted once"

    asyncio.run(work())


@pytest.mark.parametrize("trouble", ["freeze", "kill", "flush"])
def test_a_limit_drifts_by_one_minutes_at_most_when_redis_fails_in_mid_minute(
    tmp_path: Path, postgres_url: str, redis_server: RedisServer, trouble: str
):
    async def work() -> None:
        store = f'store.redis_url = "{redis_server.url}"'
        async with serving(tmp_path, postgres_url, store=store) as (fleet, _):
            secret = await a_key(fleet, requests_per_minute=LIMIT)
            await fleet.met()
            await room_in_the_minute()
            began = minute()
            codes = told(await crowd(fleet, secret, "half", LIMIT // 6))
            assert codes["ok"] == LIMIT // 6 * 3
            getattr(redis_server, trouble)()
            sent = codes["ok"] + (await hammer(fleet, secret, "rest"))[0]
            minutes = minute() - began + 1
            assert sent <= LIMIT * (minutes + 1)
            if trouble != "flush":
                status, _, said = await asyncio.to_thread(fleet.first.ask, "GET", "/health/ready")
                assert status == 200
                assert "limits are kept by shares" in said["notes"]
                assert b"trunkline_limits_by_shares 1.0" in fleet.first.ask("GET", "/metrics")[2]
            redis_server.thaw()
            if not redis_server.answers():
                redis_server.start()
            async with asyncio.timeout(30):
                number = 0
                while (
                    b"trunkline_limits_by_shares 0.0" not in fleet.first.ask("GET", "/metrics")[2]
                ):
                    number += 1
                    await ask(fleet.first, secret, f"again/{number}")

    try:
        asyncio.run(work())
    finally:
        redis_server.thaw()
        if not redis_server.answers():
            redis_server.start()


def test_an_upstreams_limit_counts_for_all_replicas_and_its_calls_go_elsewhere(
    tmp_path: Path, postgres_url: str
):
    async def work() -> None:
        async with serving(tmp_path, postgres_url, more=ELSEWHERE) as (fleet, behind):
            secret = await a_key(fleet, requests_per_minute=10**6)
            behind.gate.clear()
            asking = [
                asyncio.create_task(ask(gateway, secret, "route", whole=True))
                for _ in range(4)
                for gateway in fleet.gateways
            ]
            async with asyncio.timeout(20):
                while behind.seen["first"] + behind.seen["second"] < 12:
                    await asyncio.sleep(0.01)
            assert behind.seen == {"first": 5, "second": 7}
            behind.gate.set()
            assert told(await asyncio.gather(*asking)) == {"ok": 12}
            alone = await asyncio.gather(
                *[ask(g, secret, "alone", whole=True) for _ in range(4) for g in fleet.gateways]
            )
            assert told(list(alone)) == {"ok": 12}, "who finds no room waits until there is some"
            await fleet.settled()
            moved = [await ask(gateway, secret, "moving", whole=True) for gateway in fleet.gateways]
            assert told(moved) == {"ok": 3}, "a call that moves on waits for the next one's gate"

    asyncio.run(work())


ELSEWHERE = """
limits = {{ concurrency = 5 }}
[upstreams.second]
base_url = "{url}/v1"
prices."*" = {{ input = 1, output = 2, context = 10000 }}
[routes.route]
targets = [{{ upstream = "crowd", model = "first" }}, {{ upstream = "second", model = "second" }}]
[upstreams.gone]
base_url = "http://127.0.0.1:9/v1"
prices."*" = {{ input = 1, output = 2, context = 10000 }}
[upstreams.third]
base_url = "{url}/v1"
limits = {{ concurrency = 3 }}
prices."*" = {{ input = 1, output = 2, context = 10000 }}
[routes.moving]
targets = [{{ upstream = "gone", model = "gone" }}, {{ upstream = "third", model = "third" }}]
[routes.alone]
targets = [{{ upstream = "crowd", model = "first" }}]
"""

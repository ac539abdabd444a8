"""Cycles of a burst of calls, a gateway's death at a random instant, and a start, reconciled."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from crowd import COST, Caller, Said, Upstream, book_of, upstream
from replicas_side import Fleet, fleet
from running import Gateway, running


class Tally(msgspec.Struct):
    """What a number of cycles came to."""

    cycles: int = 0
    asked: int = 0
    served: int = 0
    """Requests that the upstream saw."""
    answered: int = 0
    """Whole answers that callers had."""
    rows: int = 0
    settled: int = 0
    unknown: int = 0
    missing: int = 0
    """Requests that the upstream saw and the ledger does not know."""
    doubled: int = 0
    """Requests with more than one row, or that were sent upstream twice."""
    wrong: int = 0
    """Rows still open after a start, or charged something else than they should be."""
    drift: int = 0
    """Picodollars between the sums of spend and the rows."""
    given_up: int = 0
    """Processes that ended as the others had given them up, though they lived."""
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether nothing is missing, doubled or wrong."""
        return not (self.missing or self.doubled or self.wrong or self.drift)


async def cycles(
    folder: Path, count: int, *, seed: int, callers: int = 32, store: str = ""
) -> Tally:
    """Run cycles with one store: a file, or the database at the URL `store`."""
    chance = random.Random(seed)
    tally = Tally()
    began = time.monotonic()
    async with upstream() as serving:
        serving.pause = 0.003
        config = f'store = {{ url = "{store}", journal = "{folder}/journal" }}\n' if store else ""
        with running(folder, config + serving.config) as gateway:
            key = gateway.new_key()
            charged = calls = 0
            last = ""
            for cycle in range(count):
                seen = serving.seen.copy()
                tasks = [
                    asyncio.create_task(_burst(Caller(gateway.port, key), f"c{cycle}/n{n}", n))
                    for n in range(callers)
                ]
                # Mostly soon, sometimes after the ledger has committed a few times.
                await asyncio.sleep(chance.random() ** 2 * 0.6)
                gateway.process.kill()
                said = [one for group in await asyncio.gather(*tasks) for one in group]
                await asyncio.to_thread(gateway.process.wait)
                await _quiet(serving)
                await asyncio.to_thread(gateway.start)
                book = await asyncio.to_thread(book_of, gateway, last)
                _reconcile(tally, serving.seen - seen, said, book.by_model())
                last = max((row["id"] for row in book.rows), default=last)
                charged += sum(row["charged"] for row in book.rows)
                calls += len(book.rows)
                tally.drift += abs(book.charged - charged) + abs(book.calls - calls)
            assert gateway.stop() == 0
            assert list(folder.glob("*journal/*.journal")) == []
            book = await asyncio.to_thread(book_of, gateway)
            tally.rows = len(book.rows)
            tally.drift += abs(tally.rows - calls)
            tally.drift += abs(sum(row["charged"] for row in book.rows) - charged)
    tally.seconds = time.monotonic() - began
    return tally


async def _burst(caller: Caller, name: str, number: int) -> list[tuple[str, Said | None]]:
    """Ask until the gateway is gone."""
    said: list[tuple[str, Said | None]] = []
    while True:
        model = f"{name}-{len(said)}"
        try:
            one = await caller.ask(model, stream=(number + len(said)) % 3 == 0)
        except (OSError, EOFError):
            said.append((model, None))
            caller.close()
            return said
        said.append((model, one))
        if not one.whole:
            return said


async def replica_cycles(
    folder: Path, url: str, count: int, *, seed: int, replicas: int = 3, callers: int = 24
) -> Tally:
    """Run cycles with several gateways on one database, of which one or two die in each.

    Mostly their successors find what they left; now and then the others give them up before.
    """
    chance = random.Random(seed)
    tally = Tally()
    began = time.monotonic()
    async with fleet(folder, url, count=replicas, store="store.lost_seconds = 10") as found:
        found.serving.pause = 0.003
        key = await asyncio.to_thread(found.new_key)
        database = await asyncpg.connect(url)
        try:
            last = ""
            for cycle in range(count):
                last = await _one_cycle(found, database, key, cycle, callers, chance, tally, last)
            assert set(await asyncio.to_thread(found.stop)) <= {0, 3}
            assert list(folder.glob("journal/**/*.journal")) == []
            tally.rows, charged, still = await database.fetchrow(_WHOLE)
            calls, spent = await database.fetchrow(_SPENT)
            tally.drift += int(abs(tally.rows - calls) + abs(charged - spent))
            tally.wrong += still
        finally:
            await database.close()
    tally.seconds = time.monotonic() - began
    return tally


_WHOLE = """SELECT COUNT(*), COALESCE(SUM(charged), 0),
    COUNT(*) FILTER (WHERE state = 'open') FROM ledger"""
_SPENT = "SELECT COALESCE(SUM(calls), 0), COALESCE(SUM(charged), 0) FROM spend"
_BEHIND = "SELECT id, model, state, outcome, charged, reserved FROM ledger WHERE id > $1"


async def _one_cycle(  # noqa: PLR0917 - what a cycle is about
    found: Fleet,
    database: Any,
    key: str,
    cycle: int,
    callers: int,
    chance: random.Random,
    tally: Tally,
    last: str,
) -> str:
    seen = found.serving.seen.copy()
    ending = asyncio.Event()
    tasks = [
        asyncio.create_task(_hopping_burst(found, key, f"c{cycle}/n{n}", n, ending))
        for n in range(callers)
    ]
    await asyncio.sleep(chance.random() ** 2 * 0.6)
    dying = chance.sample(found.gateways, chance.choice((1, 1, 1, 2)))
    for gateway in dying:
        gateway.process.kill()
        await asyncio.sleep(chance.random() * 0.2)
    if chance.random() < 0.06:
        await asyncio.sleep(13)  # the others give them up
    ending.set()
    said = [one for group in await asyncio.gather(*tasks) for one in group]
    await asyncio.gather(*(asyncio.to_thread(gateway.process.wait) for gateway in dying))
    await asyncio.gather(*(asyncio.to_thread(gateway.start) for gateway in dying))
    await _all_settled(found, tally)
    rows: dict[str, list[dict[str, object]]] = {}
    for row in await database.fetch(_BEHIND, last):
        rows.setdefault(row["model"], []).append(dict(row))
        last = max(last, row["id"])
    _reconcile(tally, found.serving.seen - seen, said, rows)
    _, charged, _ = await database.fetchrow(_WHOLE)
    _, spent = await database.fetchrow(_SPENT)
    tally.drift += int(abs(charged - spent))
    return last


async def _all_settled(found: Fleet, tally: Tally) -> None:
    """Wait until nothing is in flight anywhere, and all that happened is in the store."""
    for gateway in found.gateways:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(_settled, gateway):
                if gateway.process.poll() == 3:
                    # On a machine that is too busy a process may be too late, and is given up.
                    tally.given_up += 1
                    await asyncio.to_thread(gateway.start)
                await asyncio.sleep(0.02)


def _settled(gateway: Gateway) -> bool:
    try:
        status = gateway.admin("GET", "/status")
    except OSError:
        return False  # it ends just now
    return bool(status["ready"] and status["in_flight"] == 0 and status["ledger_waiting"] == 0)


async def _hopping_burst(
    found: Fleet, key: str, name: str, number: int, ending: asyncio.Event
) -> list[tuple[str, Said | None]]:
    """Ask until the end, at the next gateway where one is gone."""
    said: list[tuple[str, Said | None]] = []
    at = number
    caller = Caller(found[at % len(found.gateways)].port, key)
    while not ending.is_set():
        model = f"{name}-{len(said)}"
        try:
            said.append((model, await caller.ask(model, stream=(number + len(said)) % 3 == 0)))
        except (OSError, EOFError):
            said.append((model, None))
        if said[-1][1] is None or not said[-1][1].whole:
            caller.close()
            at += 1
            caller = Caller(found[at % len(found.gateways)].port, key)
    caller.close()
    return said


async def _quiet(serving: Upstream) -> None:
    while serving.open:
        await asyncio.sleep(0.002)


def _reconcile(
    tally: Tally,
    served: dict[str, int],
    said: list[tuple[str, Said | None]],
    rows: dict[str, list[dict[str, object]]],
) -> None:
    asked = {model for model, _ in said}
    tally.cycles += 1
    tally.asked += len(asked)
    tally.served += len(served)
    tally.answered += sum(one is not None and one.done for _, one in said)
    for model, times in served.items():
        tally.missing += model not in rows
        tally.doubled += times > 1
    for model, found in rows.items():
        tally.doubled += len(found) > 1
        tally.wrong += model not in asked
        for row in found:
            tally.settled += row["state"] == "settled"
            tally.unknown += row["state"] == "unknown"
            tally.wrong += row["state"] == "open"
            due = {"ok": {COST}, "unknown": {row["reserved"]}}.get(str(row["outcome"]))
            tally.wrong += due is not None and row["charged"] not in due
    for _, one in said:
        if one is not None and one.done:
            tally.missing += not any(r["id"] == one.request_id for f in rows.values() for r in f)

"""A budget's last cent: three replicas, 64 callers at each, and Redis cut in the middle, again and again.

What has to hold is what the chaos tests hold the gateway to; here it is counted how often it did.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import variants
from processes import CannotRunError
from rounds import Bench
from shared_side import serving
from stores import BenchRedis
from test_chaos_replicas import CALLERS, last_cent

REPLICAS = 3
_CUT_WITHIN = 0.5
"""Seconds from a run's beginning."""


def run(bench: Bench, shared: variants.Shared, runs: int) -> None:
    """Spend so many budgets."""
    url = shared.postgres.new_database()
    with bench.processes() as processes:
        wrong = asyncio.run(_spend(Path(processes.folder), shared.redis, url, runs))
    row = bench.results.row
    row(f"last cent of {REPLICAS} replicas x {CALLERS} callers, Redis cut, runs").add(
        "postgres, redis", runs
    )
    row("last cent, runs in which a budget was passed, or not spent, or a call has no row").add(
        "postgres, redis", len(wrong)
    )
    if wrong:
        raise CannotRunError(f"{len(wrong)} of {runs} budgets: {wrong[:3]}")


async def _spend(folder: Path, redis: BenchRedis, url: str, runs: int) -> list[str]:
    wrong: list[str] = []
    store = f'store.redis_url = "{redis.url}"'
    async with serving(folder, url, REPLICAS, store) as (fleet, behind):
        for number in range(runs):
            cut = redis.freeze if number % 2 else redis.kill
            after = _CUT_WITHIN * (number % 10) / 10
            cutting = asyncio.get_running_loop().call_later(after, cut)
            try:
                await last_cent(fleet, behind, url, number)
            except AssertionError as error:
                print(f"last cent, run {number}: {error}", file=sys.stderr)
                wrong.append(f"run {number}: {error}")
            cutting.cancel()
            redis.thaw()
            if not await asyncio.to_thread(redis.answers):
                await asyncio.to_thread(redis.start)
    return wrong

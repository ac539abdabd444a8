"""Workers replaced one by one, again and again, under load: how many requests fail."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import variants
from crowd import book_of, upstream
from processes import CannotRunError
from rounds import Bench
from running import Gateway, running
from workers_side import Load, all_ready, wait_for

WORKERS = 2
_PATIENCE = 120.0


def run(bench: Bench, shared: variants.Shared, restarts: int) -> None:
    """Replace all workers so often."""
    with bench.processes() as processes:
        folder = Path(processes.folder)
        asyncio.run(_roll(bench, folder, shared.postgres.new_database(), restarts))


async def _roll(bench: Bench, folder: Path, url: str, restarts: int) -> None:
    async with upstream() as serving:
        config = f'store = {{ url = "{url}", journal = "{folder}/journal" }}\n{serving.config}'
        with running(folder, config, {}, "--workers", str(WORKERS)) as gateway:
            before = await asyncio.to_thread(all_ready, gateway, WORKERS)
            load = Load(gateway.port, gateway.new_key())
            load.begin("fresh", callers=4, fresh=True, stream=False)
            load.begin("stream", callers=4, fresh=True, stream=True)
            load.begin("kept", callers=4, fresh=False, stream=False)
            took = []
            for _ in range(restarts):
                began = time.monotonic()
                gateway.process.send_signal(signal.SIGUSR2)
                before = await asyncio.to_thread(_rolled, gateway, before)
                took.append(time.monotonic() - began)
            await load.end()
            await asyncio.to_thread(gateway.stop)
            rows = (await asyncio.to_thread(book_of, gateway)).by_model()
    row = bench.results.row
    row("rolling restarts of 2 workers").add("postgres", restarts)
    row("rolling restarts, requests meanwhile").add("postgres", load.asked)
    row("rolling restarts, of them failed").add("postgres", len(load.failed))
    row("rolling restarts, seconds each", 2).add("postgres", sum(took) / len(took))
    row("rolling restarts, calls without exactly one row").add(
        "postgres", sum(len(rows.get(model, ())) != 1 for model in serving.seen)
    )
    if load.failed:
        raise CannotRunError(f"requests failed: {load.failed[:5]}")


def _rolled(gateway: Gateway, before: dict[int, int]) -> dict[int, int]:
    """Wait until every worker is another one."""

    def others() -> dict[int, int] | None:
        found = all_ready(gateway, WORKERS)
        return None if set(found.values()) & set(before.values()) else found

    found: dict[int, int] = wait_for(others, "a roll", _PATIENCE)
    return found

"""The gateway killed under load again and again, on PostgreSQL: nothing missing, nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import variants
from crashes import cycles
from processes import CannotRunError
from rounds import Bench

_SEED = 20261129


def run(bench: Bench, shared: variants.Shared, kills: int) -> None:
    """Kill it so often, and reconcile callers, upstream and ledger after each time."""
    with bench.processes() as processes:
        folder = Path(processes.folder)
        url = shared.postgres.new_database()
        tally = asyncio.run(cycles(folder, kills, seed=_SEED, store=url))
    results = bench.results
    for name, value in (
        ("kill -9 on PostgreSQL, times", tally.cycles),
        ("kill -9, requests that the upstream served", tally.served),
        ("kill -9, rows in the ledger", tally.rows),
        ("kill -9, of them settled as unknown", tally.unknown),
        ("kill -9, missing", tally.missing),
        ("kill -9, doubled", tally.doubled),
        ("kill -9, wrong or still open", tally.wrong),
        ("kill -9, picodollars between spend and rows", tally.drift),
    ):
        results.row(name).add("postgres", value)
    if not tally.clean:
        raise CannotRunError(f"calls are not what they should be after kills: {tally}")

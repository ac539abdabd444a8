"""The gateway is killed under load again and again: no call is missing, and none counts twice."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from crashes import cycles

pytestmark = pytest.mark.chaos
CYCLES = int(os.environ.get("TRUNKLINE_CHAOS_CYCLES", "30"))


@pytest.mark.timeout(120 + 4 * CYCLES)
@pytest.mark.parametrize("kind", ["a file", "PostgreSQL"])
def test_no_call_is_missing_and_none_counts_twice_however_often_the_process_is_killed(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    store = "" if kind == "a file" else request.getfixturevalue("postgres_url")
    tally = asyncio.run(cycles(tmp_path, CYCLES, seed=CYCLES, store=store))
    print(msgspec.json.encode(tally).decode())
    assert tally.cycles == CYCLES
    assert tally.served > 0
    assert tally.unknown > 0, "no call was in flight when the process died"
    assert tally.clean, tally

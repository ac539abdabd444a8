"""Replicas on one database are killed under load again and again: no call is missing, and none counts twice."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from crashes import replica_cycles

pytestmark = pytest.mark.chaos
CYCLES = int(os.environ.get("TRUNKLINE_CHAOS_REPLICA_CYCLES", "20"))


@pytest.mark.timeout(180 + 12 * CYCLES)
def test_no_call_is_missing_and_none_counts_twice_whichever_replicas_are_killed(
    tmp_path: Path, postgres_url: str
) -> None:
    tally = asyncio.run(replica_cycles(tmp_path, postgres_url, CYCLES, seed=CYCLES))
    print(msgspec.json.encode(tally).decode())
    assert tally.cycles == CYCLES
    assert tally.served > 0
    assert tally.unknown > 0, "no call was in flight when a replica died"
    assert tally.clean, tally

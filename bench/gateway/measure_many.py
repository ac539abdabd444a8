"""Very many slow streams on one worker: none may be lost; and the memory that each takes."""

from __future__ import annotations

import gateways
import machine
import stream_load
from gateways import Gateway
from processes import Processes
from rounds import Bench

PACE = 2.0
OPENED_A_SECOND = 500
FOR = ("trunkline", "nginx", "envoy")
_MEMORY = "memory of an open stream, kB"


def run(bench: Bench) -> None:
    """Measure each gateway once: what is counted does not depend on a slow moment."""
    bench.results.row(_whole(bench))
    bench.results.row(_MEMORY, 1)
    bench.take_turns(
        "many", bench.among(FOR), lambda processes, each: _one(bench, processes, each), rounds=1
    )
    if bench.streams < bench.wanted_streams:
        bench.results.remark(
            f"{bench.streams:,} streams instead of {bench.wanted_streams:,}: each takes two open "
            "files of the gateway, and this user may not have more (ulimit -n)"
        )


def _whole(bench: Bench) -> str:
    return f"streams that came whole, of {bench.streams:,} at once (an event every {PACE:.0f} s)"


def _one(bench: Bench, processes: Processes, gateway: Gateway) -> None:
    # The first must not end before the last has begun and all have been seen open.
    events = round((bench.streams / OPENED_A_SECOND + 10) / PACE)
    upstream = stream_load.start_upstream(processes, events, PACE)
    memory: list[int] = []
    with gateways.running(processes, gateway, bench.home, upstream, stream=True) as running:

        def sample() -> None:
            memory.append(machine.resident_kb(running.process.pid))

        sample()
        load = stream_load.Load(
            bench.streams, OPENED_A_SECOND, events, seconds=120 + events * PACE * 2
        )
        stream_load.read_all(processes, running, load, when_open=sample)
    bench.results.row(_whole(bench)).add(gateway.name, bench.streams)
    bench.results.row(_MEMORY, 1).add(gateway.name, (memory[1] - memory[0]) / bench.streams)

"""CPU time of a streamed event: 500 streams at once, each event written by itself."""

from __future__ import annotations

import gateways
import machine
import stream_load
from gateways import Gateway
from processes import Processes
from rounds import LIMIT, Bench

STREAMS = 500
PACE = 0.05
"""Seconds between the events of a stream: 10,000 events a second."""
FOR = ("trunkline", "nginx", "envoy", "vllm-router")
_CPU = f"CPU of a streamed event, us ({STREAMS} streams)"


def run(bench: Bench) -> None:
    """Measure gateways in turn."""
    bench.results.row(_CPU, 1)
    bench.take_turns(
        "stream", bench.among(FOR), lambda processes, each: _one(bench, processes, each)
    )
    bench.results.against(_CPU, LIMIT, f"CPU of a streamed event, against {LIMIT}'s")
    bench.results.remark(
        "CPU of a streamed event: all CPU time of the gateway's processes from the first connection "
        "to the last end, over the events that arrived; every stream came whole"
    )


def _one(bench: Bench, processes: Processes, gateway: Gateway) -> None:
    events = max(10, round(bench.seconds / PACE))
    upstream = stream_load.start_upstream(processes, events, PACE)
    with gateways.running(processes, gateway, bench.home, upstream, stream=True) as running:
        stream_load.read_all(processes, running, _load(20, events))  # gets it warm
        before = machine.cpu_seconds(running.process.pid)
        stream_load.read_all(processes, running, _load(STREAMS, events))
        spent = machine.cpu_seconds(running.process.pid) - before
    delivered = STREAMS * (events + stream_load.END)
    bench.results.row(_CPU, 1).add(gateway.name, spent / delivered * 1e6)


def _load(streams: int, events: int) -> stream_load.Load:
    return stream_load.Load(streams, 500, events, seconds=60 + events * PACE * 3)

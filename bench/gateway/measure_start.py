"""From the start of a process to its readiness, and the memory that it has then."""

from __future__ import annotations

import time

import gateways
import machine
import nginx
from gateways import Gateway
from processes import Processes
from rounds import Bench

_READY = "start to ready, ms"
_MEMORY = "idle memory, MB (RSS of all its processes)"


def run(bench: Bench) -> None:
    """Measure all gateways in turn."""
    bench.results.row(_READY)
    bench.results.row(_MEMORY, 1)
    bench.take_turns("start", bench.gateways, lambda processes, each: _one(bench, processes, each))


def _one(bench: Bench, processes: Processes, gateway: Gateway) -> None:
    upstream = nginx.start_upstream(processes)
    started = time.perf_counter()
    place, process = gateways.spawn(processes, gateway, bench.home, upstream)
    gateways.wait(processes, gateway, place, process)
    seconds = time.perf_counter() - started
    time.sleep(1)  # what it does after it is ready belongs to its idle memory
    memory = machine.resident_kb(process.pid)
    processes.stop(process)
    bench.results.row(_READY).add(gateway.name, seconds * 1000)
    bench.results.row(_MEMORY, 1).add(gateway.name, memory * 1024 / 1e6)

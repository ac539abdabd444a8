"""What a gateway adds to the time of an answer, at 1,000 requests a second that nothing slows down."""

from __future__ import annotations

import json

import gateways
import nginx
import payloads
from gateways import Gateway, Request
from processes import CannotRunError, Processes
from rounds import Bench

RATE = 1000
FOR = ("trunkline", "nginx", "envoy", "vllm-router", "tensorzero")
_POINTS = ("p50", "p99")


def run(bench: Bench) -> None:
    """Measure gateways in turn; each round asks the upstream directly, too."""
    for point in _POINTS:
        bench.results.row(_added(point), 3)
    bench.take_turns(
        "latency", bench.among(FOR), lambda processes, each: _one(bench, processes, each)
    )
    bench.results.remark(
        f"added latency: {RATE:,} requests/s at random moments, each timed from the moment at which "
        "it was due; the same percentile of the upstream asked directly, just before, is subtracted"
    )


def _added(point: str) -> str:
    return f"added latency at {RATE:,} requests/s, {point}, ms"


def _one(bench: Bench, processes: Processes, gateway: Gateway) -> None:
    upstream = nginx.start_upstream(processes)
    with gateways.running(processes, gateway, bench.home, upstream) as running:
        gateways.check(running)
        direct = _load(bench, processes, upstream, Request())
        through = _load(bench, processes, running.port, running.request)
        gateways.check(running)
    for point in _POINTS:
        added = (through[point] - direct[point]) * 1000
        bench.results.row(_added(point), 3).add(gateway.name, added)
        for what, found in (("of the upstream itself", direct), ("through the gateway", through)):
            name = f"latency {what}, {point}, ms"
            bench.results.row(name, 3).add(gateway.name, found[point] * 1000)


def _load(bench: Bench, processes: Processes, port: int, request: Request) -> dict[str, float]:
    body = payloads.question(request.model)
    plan = {
        "port": port,
        "request": request.on_the_wire(body).decode(),
        "rate": RATE,
        "seconds": bench.seconds,
    }
    process = processes.start_plan("open_loop.py", plan)
    found: dict[str, float] = json.loads(processes.line(process))
    processes.stop(process)
    if found["failed"]:
        raise CannotRunError(f"{found['failed']:.0f} requests were not answered well")
    return found

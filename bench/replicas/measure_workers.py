"""One process against two on the same cores: what sharing a store and its leases costs a call.

A machine with two cores cannot show twice the throughput, since the load and the upstream need cores
too. It can show what a call costs with one process and with two, and what two carry on one core.
"""

from __future__ import annotations

import gateways
import machine
import nginx
import variants
from gateways import Gateway
from measure_stores import load, reconcile
from processes import GATEWAY_CORE, Processes
from rounds import Bench

ONE, TWO = "1 worker", "2 workers"
_PLACES: dict[str, int | None] = {
    "workers, requests/s, all on one core": GATEWAY_CORE,
    "workers, requests/s, on the load's core too": None,
}
_CPU = "workers, CPU us a request, all on one core"
_MEMORY = "workers, memory of all processes, MB"


def run(bench: Bench, shared: variants.Shared) -> None:
    """Measure both in turn, on one core and on any."""
    among = (
        variants.on_postgres(shared, ONE, redis=True),
        variants.on_postgres(shared, TWO, workers=2, redis=True),
    )
    bench.take_turns("workers", among, lambda processes, each: _one(bench, processes, each))
    for name in (*_PLACES, _CPU):
        bench.results.against(name, ONE, f"{name}: against one", 3)
    bench.results.remark(
        "two workers share PostgreSQL and Redis; on one core they have what one has, and on any core "
        "they take turns with the load, the upstream and the servers"
    )


def _one(bench: Bench, processes: Processes, gateway: Gateway) -> None:
    for name, core in _PLACES.items():
        upstream = nginx.start_upstream(processes)
        before = nginx.served(upstream)
        with gateways.running(processes, gateway, bench.home, upstream, core=core) as running:
            gateways.check(running)
            load(processes, running, 1)
            pid = running.process.pid
            cpu = machine.cpu_seconds(pid)
            ran = load(processes, running, bench.seconds)
            bench.results.row(name).add(gateway.name, ran.rate)
            if core is not None:
                each = (machine.cpu_seconds(pid) - cpu) * 1e6 / ran.requests
                bench.results.row(_CPU, 1).add(gateway.name, each)
                resident = machine.resident_kb(pid) / 1000
                bench.results.row(_MEMORY, 1).add(gateway.name, resident)
        reconcile(running, gateway, nginx.served_since(upstream, before))

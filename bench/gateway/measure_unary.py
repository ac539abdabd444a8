"""Requests in a second: 64 connections that ask a small chat, one core for the gateway."""

from __future__ import annotations

import gateways
import nginx
import payloads
import wrk
from gateways import Gateway
from processes import CannotRunError, Processes
from rounds import LIMIT, Bench

CONNECTIONS = 64
_RATE = "unary, requests/s (64 connections)"
_ROWS = "unary, ledger rows for a request that the upstream served"


def run(bench: Bench) -> None:
    """Measure all gateways in turn."""
    bench.results.row(_RATE)
    bench.take_turns("unary", bench.gateways, lambda processes, each: _one(bench, processes, each))
    bench.results.against(_RATE, LIMIT, f"unary, share of {LIMIT}'s requests/s", 3)


def _one(bench: Bench, processes: Processes, gateway: Gateway) -> None:
    upstream = nginx.start_upstream(processes)
    before = nginx.served(upstream)
    with gateways.running(processes, gateway, bench.home, upstream) as running:
        gateways.check(running)
        request = running.request
        body = payloads.question(request.model)

        def load(seconds: float) -> wrk.Ran:
            return wrk.run(
                processes, running.port, request, body, connections=CONNECTIONS, seconds=seconds
            )

        load(1)  # connections, caches and compilers get warm
        found = load(bench.seconds)
        gateways.check(running)
    bench.results.row(_RATE).add(gateway.name, found.rate)
    if gateway.ledger:
        _reconcile(bench, gateway, running, nginx.served_since(upstream, before))


def _reconcile(bench: Bench, gateway: Gateway, running: gateways.Running, served: int) -> None:
    """Compare the ledger with what the upstream served.

    The load ends by hanging up, twice: of each connection's last call the upstream may or may not
    have seen the request, and the ledger has it in any case.
    """
    assert gateway.ledger
    rows = gateway.ledger(running.place)
    cut = 2 * CONNECTIONS
    if rows.settled != rows.all or not 0 <= rows.all - served <= cut:
        raise CannotRunError(
            f"the ledger has {rows.all} rows, {rows.settled} of them settled; "
            f"the upstream served {served}"
        )
    bench.results.row(_ROWS, 4).add(gateway.name, rows.all / served)
    bench.results.remark(
        f"{gateway.name}'s ledger has every request that the upstream served, settled; a round ends "
        f"by hanging up on at most {cut} calls, which have a row each whether or not they were served"
    )

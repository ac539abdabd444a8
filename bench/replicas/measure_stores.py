"""The same load on a file, on PostgreSQL, and with limits shared by Redis: what a store costs a call."""

from __future__ import annotations

from collections.abc import Callable

import gateways
import machine
import nginx
import payloads
import variants
import wrk
from gateways import Gateway, Running
from processes import CannotRunError, Processes
from rounds import Bench
from stores import spent

CONNECTIONS = 64
FILE = "sqlite"
NOTHING = "postgres, no leases"
_RATE = "unary, requests/s (64 connections)"
_CPU = "CPU of the gateway, us a request"
_BUSY = "share of its core that the gateway was busy"
_DATABASE = "CPU of PostgreSQL, us a request"
_REDIS = "round trips to Redis for 1,000 requests"
_STORE = "transactions in PostgreSQL for 1,000 requests"


def run(bench: Bench, shared: variants.Shared) -> None:
    """Measure them in turn."""
    for name, digits in (
        (_RATE, 0),
        (_CPU, 1),
        (_BUSY, 2),
        (_DATABASE, 1),
        (_REDIS, 2),
        (_STORE, 2),
    ):
        bench.results.row(name, digits)
    among = (
        variants.on_sqlite(FILE),
        variants.on_postgres(shared),
        variants.on_postgres(shared, "postgres, redis", redis=True),
        variants.on_postgres(shared, NOTHING, leases=False),
    )
    bench.take_turns("stores", among, lambda processes, each: _one(bench, shared, processes, each))
    bench.results.against(_RATE, FILE, "unary, share of SQLite's requests/s", 3)
    bench.results.against(_CPU, FILE, "CPU of the gateway, against SQLite's", 3)
    bench.results.against(
        _RATE, NOTHING, "unary, share of a key's that has no budget and no limit", 3
    )
    bench.results.remark(
        "the gateway has one core; PostgreSQL and Redis are on the other, with the load and the "
        "upstream, and syncs are on. Where the gateway's core is not busy all the time, the other one is "
        "what limits requests/s, and its CPU tells more"
    )


def _one(bench: Bench, shared: variants.Shared, processes: Processes, gateway: Gateway) -> None:
    upstream = nginx.start_upstream(processes)
    before = nginx.served(upstream)
    with gateways.running(processes, gateway, bench.home, upstream) as running:
        gateways.check(running)
        load(processes, running, 1)  # connections, caches and compilers get warm
        counts = _counts(shared, running, gateway)
        at = {name: count() for name, count in counts.items()}
        ran = load(processes, running, bench.seconds)
        for name, count in counts.items():
            per = 1_000 if name in (_REDIS, _STORE) else 1_000_000
            bench.results.row(name).add(gateway.name, (count() - at[name]) * per / ran.requests)
        busy = (counts[_CPU]() - at[_CPU]) / ran.seconds
        bench.results.row(_BUSY, 2).add(gateway.name, busy)
        gateways.check(running)
    bench.results.row(_RATE).add(gateway.name, ran.rate)
    reconcile(running, gateway, nginx.served_since(upstream, before))


def load(processes: Processes, running: Running, seconds: float) -> wrk.Ran:
    """Ask as many small chats as it carries."""
    request = running.request
    body = payloads.question(request.model)
    return wrk.run(processes, running.port, request, body, connections=CONNECTIONS, seconds=seconds)


def _counts(
    shared: variants.Shared, running: Running, gateway: Gateway
) -> dict[str, Callable[[], float]]:
    """Return what is counted of a run, and how it is read."""
    pid = running.process.pid
    counts: dict[str, Callable[[], float]] = {_CPU: lambda: machine.cpu_seconds(pid)}
    if gateway.name != FILE:
        url = shared.postgres.url(variants.database_of(running.place))
        counts[_DATABASE] = lambda: spent(shared.postgres)
        counts[_STORE] = lambda: shared.postgres.transactions(url)
    if "redis" in gateway.name:
        counts[_REDIS] = shared.redis.scripts
    return counts


def reconcile(running: Running, gateway: Gateway, served: int) -> None:
    """See that the ledger has every request that the upstream served, settled.

    A load ends by hanging up, twice: of each connection's last call the upstream may or may not have
    seen the request, and the ledger has it in any case.
    """
    assert gateway.ledger
    rows = gateway.ledger(running.place)
    if rows.settled != rows.all or not 0 <= rows.all - served <= 2 * CONNECTIONS:
        raise CannotRunError(
            f"the ledger has {rows.all} rows, {rows.settled} of them settled; the upstream served {served}"
        )

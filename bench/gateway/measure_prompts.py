"""Megabytes in a second: prompts of a megabyte on 8 connections."""

from __future__ import annotations

import gateways
import nginx
import payloads
import wrk
from gateways import Gateway
from processes import Processes
from rounds import LIMIT, Bench

CONNECTIONS = 8
FOR = ("trunkline", "nginx", "envoy", "vllm-router", "tensorzero")
_RATE = "prompts of 1 MB, MB/s (8 connections)"


def run(bench: Bench) -> None:
    """Measure gateways in turn."""
    bench.results.row(_RATE)
    bench.take_turns(
        "prompts", bench.among(FOR), lambda processes, each: _one(bench, processes, each)
    )
    bench.results.against(_RATE, LIMIT, f"prompts of 1 MB, share of {LIMIT}'s MB/s")


def _one(bench: Bench, processes: Processes, gateway: Gateway) -> None:
    upstream = nginx.start_upstream(processes)
    with gateways.running(processes, gateway, bench.home, upstream) as running:
        gateways.check(running)
        body = payloads.long_question(running.request.model)
        found = [
            wrk.run(
                processes,
                running.port,
                running.request,
                body,
                connections=CONNECTIONS,
                seconds=seconds,
            )
            for seconds in (1, bench.seconds)  # the first gets it warm
        ]
        gateways.check(running)
    bench.results.row(_RATE).add(gateway.name, found[1].rate * len(body) / payloads.MEGABYTE)

"""Half of what it can carry, for long, while keys and models come and go: is its memory flat?"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import gateways
import machine
import measure_unary
import nginx
import payloads
import under_test
import wrk
from gateways import Request, Running
from processes import CannotRunError, Processes
from rounds import Bench

CONNECTIONS = 256
SPELL = 10.0
"""Seconds with one set of keys and models."""
KEYS = 8
"""In use at a time; each spell has new ones, and those of the spell before are revoked."""
MODELS = 8
"""In use at a time, of four times as many."""
WARM = 0.25
"""Share of the time that is not judged."""
FLAT = 0.05
"""By how much memory may have grown after that."""
_SCRIPT = """
local requests = {{}}
function init(args)
  local file = io.open({requests}, "rb")
  for line in file:lines() do
    local path, key, body = line:match("^(%S+) (%S+) (.*)$")
    requests[#requests + 1] = wrk.format("POST", path, {{
      ["Host"] = "127.0.0.1", ["Authorization"] = "Bearer " .. key,
      ["Content-Type"] = "application/json" }}, body)
  end
  file:close()
end
function request() return requests[math.random(#requests)] end
function delay() return {delay} end
"""


@dataclass
class Soak:
    """One gateway under a long load, and what was seen of it."""

    processes: Processes
    running: Running
    memory: list[int] = field(default_factory=list)
    """Resident kB, about once a second."""
    requests: int = 0
    seconds: float = 0.0
    """Under load."""
    keys: int = 0
    """Keys that were made, used and revoked."""

    def measured_rate(self, seconds: float) -> float:
        """Return the requests a second that it can carry."""
        request = self.running.request
        ran = wrk.run(
            self.processes,
            self.running.port,
            request,
            payloads.question(request.model),
            connections=measure_unary.CONNECTIONS,
            seconds=seconds,
        )
        return ran.rate

    def last(self, seconds: float, rate: float) -> None:
        """Load it for `seconds` at about `rate`, a spell after the other."""
        until = time.monotonic() + seconds
        for spell in count():
            left = until - time.monotonic()
            if left < 1:
                return
            self._spell(spell, min(SPELL, left), rate)

    def _spell(self, spell: int, seconds: float, rate: float) -> None:
        keys = [under_test.new_key(self.running.port, f"spell {spell}") for _ in range(KEYS)]
        script = self._script(spell, keys, rate)
        process = wrk.start(
            self.processes, self.running.port, script, connections=CONNECTIONS, seconds=seconds
        )
        while process.poll() is None:
            self._churn()
            self.memory.append(machine.resident_kb(self.running.process.pid))
            time.sleep(1)
        ran = wrk.collect(self.processes, process)
        self.requests += ran.requests
        self.seconds += ran.seconds
        if ran.not_2xx or ran.errors:
            raise CannotRunError(
                f"of {ran.requests} answers {ran.not_2xx} not 2xx, {ran.errors} lost"
            )
        for key in keys:
            under_test.revoke_key(self.running.port, key)
        self.keys += len(keys)

    def _script(self, spell: int, keys: list[under_test.IssuedKey], rate: float) -> Path:
        folder = self.processes.folder
        models = [f"bench/model-{(spell + each) % (4 * MODELS)}" for each in range(MODELS)]
        lines = [
            f"{self.running.request.path} {key.secret} {payloads.question(model).decode()}\n"
            for key in keys
            for model in models
        ]
        requests = folder / "requests.txt"
        requests.write_text("".join(lines))
        requests.chmod(0o600)
        delay = max(1, round(CONNECTIONS / rate * 1000))
        script = folder / "soak.lua"
        lua = _SCRIPT.format(requests=json.dumps(str(requests)), delay=delay)
        script.write_text(lua + wrk.REPORT)
        return script

    def _churn(self) -> None:
        """Make a key, call with it, revoke it, and see it refused."""
        port = self.running.port
        key = under_test.new_key(port, "short-lived")
        request = Request().with_key(key.secret)
        body = payloads.question(request.model)
        status, _ = gateways.ask(port, request, body)
        if status != 200:
            raise CannotRunError(f"a new key was answered {status}")
        under_test.revoke_key(port, key)
        until = time.monotonic() + under_test.KNOWN_SECONDS
        while gateways.ask(port, request, body)[0] != 401:
            if time.monotonic() > until:
                raise CannotRunError("a revoked key is still accepted")
        self.keys += 1


def run(bench: Bench, minutes: float) -> None:
    """Soak Trunkline for `minutes`."""
    with bench.processes() as processes:
        upstream = nginx.start_upstream(processes)
        before = nginx.served(upstream)
        with gateways.running(processes, under_test.TRUNKLINE, bench.home, upstream) as running:
            soak = Soak(processes, running)
            rate = soak.measured_rate(bench.seconds)
            print(f"soak: {minutes:g} minutes at half of {rate:,.0f} requests/s", file=sys.stderr)
            soak.last(minutes * 60, rate / 2)
        served = nginx.served_since(upstream, before)
        rows = under_test.ledger_rows(running.place)
        report(bench, soak)
        bench.results.row("soak, ledger rows").add("trunkline", rows.all)
        bench.results.row("soak, of them settled").add("trunkline", rows.settled)
        bench.results.row("soak, requests that the upstream served").add("trunkline", served)


def report(bench: Bench, soak: Soak) -> None:
    """Put what was seen into the results."""
    judged = soak.memory[int(len(soak.memory) * WARM) :]
    part = max(1, len(judged) // 10)
    first, last = statistics.median(judged[:part]), statistics.median(judged[-part:])
    growth = last / first - 1
    row = bench.results.row
    row("soak, requests/s").add("trunkline", soak.requests / soak.seconds)
    row("soak, keys made, used and revoked").add("trunkline", soak.keys)
    row("soak, memory after the warm-up, MB", 1).add("trunkline", first * 1024 / 1e6)
    row("soak, memory at the end, MB", 1).add("trunkline", last * 1024 / 1e6)
    row("soak, most memory after the warm-up, MB", 1).add("trunkline", max(judged) * 1024 / 1e6)
    row("soak, growth, %", 2).add("trunkline", growth * 100)
    row("soak, memory, kB (median of all)").values["trunkline"] = [float(kb) for kb in soak.memory]
    said = "flat" if growth <= FLAT else "NOT flat"
    bench.results.remark(
        f"soak: memory is {said} within {FLAT:.0%}: {growth:+.2%} from the first to the last tenth "
        f"of what follows the warm-up ({WARM:.0%} of the time)"
    )

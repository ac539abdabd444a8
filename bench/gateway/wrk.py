"""wrk as a measure: a closed loop of connections that ask the same question again and again."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from gateways import Request
from processes import LOAD_CORE, CannotRunError, Processes

_SCRIPT = """
local file = io.open({body}, "rb")
wrk.method = "POST"
wrk.path = {path}
wrk.body = file:read("*a")
file:close()
for name, value in pairs({{ {headers} }}) do wrk.headers[name] = value end
"""
REPORT = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nBENCH {"requests": %d, "seconds": %f, "errors": %d, "not_2xx": %d}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.timeout, e.status))
end
"""
"""The end of every script: how it tells what was found."""


class Ran(NamedTuple):
    """What a run of wrk found."""

    requests: int
    seconds: float
    errors: int
    not_2xx: int

    @property
    def rate(self) -> float:
        """Requests in a second."""
        return self.requests / self.seconds


def _lua(text: str) -> str:
    return json.dumps(text)  # the escapes that keys, paths and tokens need are the same


def run(
    processes: Processes,
    port: int,
    request: Request,
    body: bytes,
    *,
    connections: int,
    seconds: float,
) -> Ran:
    """Send `body` over and over; raise CannotRunError where answers were wrong or missing."""
    folder = processes.folder
    (folder / "body.json").write_bytes(body)
    headers = ", ".join(f"[{_lua(k)}] = {_lua(v)}" for k, v in request.headers.items())
    script = folder / "wrk.lua"
    path = _lua(request.path)
    lua = _SCRIPT.format(body=_lua(str(folder / "body.json")), path=path, headers=headers)
    script.write_text(lua + REPORT)
    process = start(processes, port, script, connections=connections, seconds=seconds)
    ran = collect(processes, process)
    if ran.not_2xx or ran.errors:
        raise CannotRunError(f"of {ran.requests} answers {ran.not_2xx} not 2xx, {ran.errors} lost")
    return ran


def start(
    processes: Processes, port: int, script: Path, *, connections: int, seconds: float
) -> Popen[str]:
    """Start wrk with a script that ends as REPORT does."""
    whole = max(1, round(seconds))
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "30s", "-s", str(script)]
    return processes.start("wrk", [*argv, f"http://127.0.0.1:{port}"], core=LOAD_CORE, piped=True)


def collect(processes: Processes, process: Popen[str]) -> Ran:
    """Wait for wrk to end and return what it found."""
    output, _ = process.communicate()
    processes.stop(process)
    found = [line for line in output.splitlines() if line.startswith("BENCH ")]
    if not found:
        raise CannotRunError(f"wrk ended with {process.returncode}: {output.strip()}")
    return Ran(**json.loads(found[0].removeprefix("BENCH ")))

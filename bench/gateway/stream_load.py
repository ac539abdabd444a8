"""Starts the streams' upstream and their clients, and believes only streams that came whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from subprocess import Popen

import payloads
from gateways import Request, Running
from processes import CannotRunError, Processes

END = len(payloads.last_events())
"""Events of a stream after its content."""


def start_upstream(processes: Processes, events: int, pace: float) -> int:
    """Start a server that streams `events` content events, one every `pace` seconds."""
    process = processes.start_script("stream_upstream.py", events, pace)
    return int(_line(processes, process))


@dataclass(frozen=True)
class Load:
    """How many streams, and of what kind."""

    streams: int
    per_second: int
    """How many are opened in a second."""
    events: int
    """Content events of each."""
    seconds: float
    """After which a stream is given up."""


def read_all(
    processes: Processes,
    running: Running,
    load: Load,
    when_open: Callable[[], None] = lambda: None,
) -> None:
    """Read streams at the same time; raise CannotRunError unless each came whole.

    `when_open` is called when all are open.
    """
    request = _bytes_of(running.request).decode()
    plan = {"port": running.port, "request": request, **asdict(load)}
    process = processes.start_script("stream_client.py", json.dumps(plan))
    opened = json.loads(_line(processes, process))["open"]
    if opened == load.streams:
        when_open()
    found = json.loads(_line(processes, process))
    processes.stop(process)
    if found["whole"] != load.streams or opened != load.streams:
        raise CannotRunError(
            f"{found['whole']} of {load.streams} streams came whole, {opened} were open at once; "
            f"the others: {found['wrong']}"
        )


def _bytes_of(request: Request) -> bytes:
    body = payloads.question(request.model, stream=True)
    headers = {"Host": "127.0.0.1", **request.headers, "Content-Length": str(len(body))}
    lines = [f"POST {request.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def _line(processes: Processes, process: Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise CannotRunError(f"{process.args}: {processes.said(process)}")
    return line

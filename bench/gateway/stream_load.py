"""Starts the streams' upstream and their clients, and believes only streams that came whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import payloads
from gateways import Running
from processes import CannotRunError, Processes

END = len(payloads.last_events())
"""Events of a stream after its content."""


def start_upstream(processes: Processes, events: int, pace: float) -> int:
    """Start a server that streams `events` content events, one every `pace` seconds."""
    process = processes.start_script("stream_upstream.py", events, pace)
    return int(processes.line(process))


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
    body = payloads.question(running.request.model, stream=True)
    request = running.request.on_the_wire(body).decode()
    plan = {"port": running.port, "request": request, **asdict(load)}
    process = processes.start_plan("stream_client.py", plan)
    opened = json.loads(processes.line(process))["open"]
    if opened == load.streams:
        when_open()
    found = json.loads(processes.line(process))
    processes.stop(process)
    if found["whole"] != load.streams or opened != load.streams:
        raise CannotRunError(
            f"{found['whole']} of {load.streams} streams came whole, {opened} were open at once; "
            f"the others: {found['wrong']}"
        )

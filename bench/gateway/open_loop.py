"""Asks by a schedule, whatever the answers do, and times each answer from its scheduled moment.

So a stall is seen by all requests that were due meanwhile. A program of its own: a file with JSON
(see `Plan`) as argument; it prints JSON with latencies in seconds. The loop waits with select(2),
which keeps to microseconds where epoll has milliseconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import selectors
import statistics
import sys
from pathlib import Path
from typing import cast

import httptools
import msgspec

WARM_SECONDS = 1.0
"""At the beginning, which are not counted."""
MOST = 400
"""Connections; a request that finds none waits for one, and its time runs."""


class Plan(msgspec.Struct, frozen=True):
    """What to do."""

    port: int
    request: str
    """The request, head and body."""
    rate: float
    """Requests in a second, at random moments, the same ones each time."""
    seconds: float


class Connection(asyncio.Protocol):
    """One connection, which asks one thing at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, due: float) -> None:
        self._due = due
        self.transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_message_complete(self) -> None:
        due, self._due = self._due, None
        self._load.ended(self, due, ok=self._parser.get_status_code() == 200)
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self, self._due)


class Load:
    """The schedule and the connections."""

    def __init__(self, plan: Plan) -> None:
        self.request = plan.request.encode()
        self.latencies: list[float] = []
        self.failed = 0
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._waiting: list[float] = []
        self._open = 0
        self._asked = 0
        self._answered = 0
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send all that is due when it is due, and wait for the last answers."""
        chance = random.Random(7)  # noqa: S311 - the same schedule for every gateway
        began = due = self._loop.time() + 0.1
        end = began + WARM_SECONDS + self._plan.seconds
        self._counted_from = began + WARM_SECONDS
        while due < end:
            await asyncio.sleep(due - self._loop.time())
            self._send(due)
            due += chance.expovariate(self._plan.rate)
        until = self._loop.time() + 30
        while self._answered + self.failed < self._asked and self._loop.time() < until:
            await asyncio.sleep(0.02)
        self.failed += self._asked - self._answered - self.failed

    def _send(self, due: float) -> None:
        self._asked += 1
        if self._idle:
            self._idle.pop().ask(due)
            return
        self._waiting.append(due)
        if self._open < MOST:
            self._open += 1
            task = self._loop.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self._plan.port
            )
        except OSError:
            self._open -= 1
            self.failed += 1
            self._waiting.pop()
            return
        self._free(connection)

    def _free(self, connection: Connection) -> None:
        if self._waiting:
            connection.ask(self._waiting.pop(0))
        else:
            self._idle.append(connection)

    def ended(self, connection: Connection, due: float | None, *, ok: bool) -> None:
        """Note an answer and give the connection to who waits."""
        if due is None or not ok:
            self.failed += 1
        else:
            self._answered += 1
            if due >= self._counted_from:
                self.latencies.append(self._loop.time() - due)
        self._free(connection)

    def lost(self, connection: Connection, due: float | None) -> None:
        """Note a connection that is gone, with what it was asked."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if due is not None:
            self.failed += 1


async def main() -> None:
    load = Load(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
    gc.disable()  # its pauses would be taken for the gateway's
    await load.run()
    cuts = statistics.quantiles(load.latencies, n=1000, method="inclusive")
    found = {"p50": cuts[499], "p99": cuts[989], "p999": cuts[998], "max": max(load.latencies)}
    print(json.dumps({"answers": len(load.latencies), "failed": load.failed, **found}), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
    ) as runner:
        runner.run(main())

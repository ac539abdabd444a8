"""Many clients that read a stream each, at the same time, and look whether it came whole.

A program of its own: a file with JSON (see `Plan`) as argument. It prints two lines of JSON: how many
streams are `open` when all have their first event or have failed, and at the end what became of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import cast

import httptools
import msgspec
import payloads
import uvloop

SOURCES = 8
"""Loopback addresses to connect from: each has client ports of its own."""


class Plan(msgspec.Struct, frozen=True):
    """What to do."""

    port: int
    request: str
    """The request, head and body."""
    streams: int
    per_second: int
    """How many to open in a second."""
    events: int
    """Content events of a whole stream."""
    seconds: float
    """After which a stream is given up."""


class Reader(asyncio.Protocol):
    """One client. `ended` has None for an answer that ended, otherwise what went wrong."""

    def __init__(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.body: list[bytes] = []
        self.began: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[str | None] = loop.create_future()
        self._request = request
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"unreadable: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"lost: {exc}" if exc else "closed before its end")

    def on_body(self, data: bytes) -> None:
        self.body.append(data)
        if not self.began.done():
            self.began.set_result(None)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._end(None if status == 200 else f"status {status}")

    def _end(self, why: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
        if not self.began.done():
            self.began.set_result(None)


async def _read(plan: Plan, number: int, open_one: asyncio.Event) -> str | None:
    """Have one stream to its end and return what was wrong with it, None if nothing was."""
    loop = asyncio.get_running_loop()
    request = plan.request.encode()
    source = f"127.0.0.{2 + number % SOURCES}"
    try:
        async with asyncio.timeout(plan.seconds):
            _, reader = await loop.create_connection(
                lambda: Reader(request), "127.0.0.1", plan.port, local_addr=(source, 0)
            )
            try:
                await reader.began
                open_one.set()
                why = await reader.ended
            finally:
                reader.transport.close()
    except OSError as error:
        return f"no connection: {error}"
    except TimeoutError:
        return f"not over after {plan.seconds:.0f} s"
    finally:
        open_one.set()
    if why is None and not payloads.is_whole(b"".join(reader.body), plan.events):
        return "events are missing or wrong"
    return why


async def main() -> None:
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
    began = time.monotonic()
    opened = [asyncio.Event() for _ in range(plan.streams)]
    tasks: list[asyncio.Task[str | None]] = []
    for number, event in enumerate(opened):
        await asyncio.sleep(began + number / plan.per_second - time.monotonic())
        tasks.append(asyncio.create_task(_read(plan, number, event)))
    for event in opened:
        await event.wait()
    print(json.dumps({"open": sum(not task.done() for task in tasks)}), flush=True)
    found = await asyncio.gather(*tasks)
    wrong = [why for why in found if why is not None]
    print(
        json.dumps(
            {
                "whole": len(found) - len(wrong),
                "wrong": {why: wrong.count(why) for why in set(wrong)},
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    uvloop.run(main())

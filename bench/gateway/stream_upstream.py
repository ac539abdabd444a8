"""A model's server that streams: each chat gets its events one by one, at a steady pace.

A program of its own: EVENTS SECONDS_BETWEEN_THEM. It prints its port and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import payloads
import uvloop

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Stream(asyncio.Protocol):
    """One connection."""

    def __init__(self, writes: list[bytes], pace: float) -> None:
        self._writes = writes
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._parser.get_method() != b"POST":
            self._transport.write(_HEALTHY)
            return
        self._transport.write(_HEAD)
        self._next = 0
        self._began = self._loop.time()
        self._write()

    def _write(self) -> None:
        self._transport.write(self._writes[self._next])
        self._next += 1
        if self._next < len(self._writes):
            # from the beginning, so that a late event does not delay those after it
            at = self._began + self._next * self._pace
            self._timer = self._loop.call_at(at, self._write)


async def main() -> None:
    events, pace = int(sys.argv[1]), float(sys.argv[2])
    pieces = [payloads.event(number, events) for number in range(events)]
    writes = [_chunk(piece) for piece in (*pieces, *payloads.last_events())]
    writes[-1] += b"0\r\n\r\n"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stream(writes, pace), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())

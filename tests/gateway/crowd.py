"""Many callers at once and an upstream that counts them, on one event loop: what was sent, served and said.

Every request has a model name of its own, so that callers, upstream and ledger can be reconciled.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
from running import Gateway

from trunkline.store.postgres import PostgresStore

INPUT, OUTPUT = 10, 5
COST = INPUT * 10**6 + OUTPUT * 2 * 10**6
"""What an answer costs, in picodollars, at CONFIG's prices."""
CONFIG = """
default_upstream = "crowd"
unlisted_models = "pass"
[upstreams.crowd]
base_url = "{url}/v1"
idle_seconds = 20
prices."*" = {{ input = 1, output = 2, context = 10000 }}
"""
_USAGE = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}


class Upstream:
    """Answers chats, whole or streamed, and counts the models that were asked for."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.pause = 0.01
        """Seconds between two pieces of a stream, and before a whole answer."""
        self.pieces = 4
        self.usage = _USAGE
        self.open = 0
        self.port = 0
        self.gate = asyncio.Event()
        """While it is clear, no answer ends."""
        self.gate.set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def config(self) -> str:
        """A gateway's configuration with this upstream."""
        return CONFIG.format(url=f"http://127.0.0.1:{self.port}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await self._answer(json.loads(await reader.readexactly(length)), writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever asked has left
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.seen[asked["model"]] += 1
        if asked.get("stream"):
            await self._stream(writer)
            return
        await asyncio.sleep(self.pause)
        await self.gate.wait()
        message = {"role": "assistant", "content": "five small words of answer"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps({"id": "c", "choices": [choice], "usage": self.usage}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for number in range(self.pieces):
            _event(writer, {"choices": [{"index": 0, "delta": {"content": f"word{number} "}}]})
            await writer.drain()
            await asyncio.sleep(self.pause)
        await self.gate.wait()
        _event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        _event(writer, {"choices": [], "usage": self.usage})
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        await writer.drain()

    def hang_up(self) -> None:
        """Break off every answer."""
        for writer in list(self._writers):
            writer.transport.abort()


def _event(writer: asyncio.StreamWriter, chunk: dict[str, Any]) -> None:
    data = b"data: %b\n\n" % json.dumps({"id": "c", **chunk}).encode()
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    """Serve on a port of its own."""
    serving = Upstream()
    server = await asyncio.start_server(serving.serve, "127.0.0.1", 0, backlog=1000)
    serving.port = server.sockets[0].getsockname()[1]
    try:
        yield serving
    finally:
        serving.gate.set()
        server.close()
        serving.hang_up()
        while serving.open:
            await asyncio.sleep(0.005)


class Said(msgspec.Struct):
    """What a caller was answered."""

    status: int
    request_id: str
    body: bytes
    whole: bool
    """Whether the answer came to its end, as HTTP has it."""
    headers: dict[str, str] = {}

    @property
    def done(self) -> bool:
        """Whether it is a whole answer to a chat."""
        return (
            self.status == 200
            and self.whole
            and (b"[DONE]" in self.body or b'"usage"' in self.body)
        )

    @property
    def code(self) -> str:
        """The code of the error that was told."""
        text = self.body.rsplit(b"data: ", 1)[-1]
        return str(json.loads(text)["error"]["code"])


class Caller:
    """One connection to a gateway, opened anew where it broke."""

    def __init__(self, port: int, key: str, **headers: str) -> None:
        """Names of headers with `_` for `-`."""
        self.port = port
        self.key = key
        self.headers = headers
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, model: str, *, stream: bool = False, **more: Any) -> Said:
        """Ask and read the answer; raises OSError or EOFError where there is none."""
        reader, _ = await self.send(model, stream=stream, **more)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            return await self._read(head, reader)
        except BaseException:
            self.close()
            raise

    async def send(
        self, model: str, *, stream: bool = False, **more: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask, and leave the answer unread."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        wish: dict[str, Any] = {"messages": [{"role": "user", "content": "Five words."}]}
        wish |= {"model": model, "max_tokens": 20, "stream": stream} | more
        body = json.dumps(wish).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer %b\r\n"
            b"content-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"
            % (self.key.encode(), self._lines(), len(body), body)
        )
        return reader, writer

    def _lines(self) -> bytes:
        told = {name.replace("_", "-"): value for name, value in self.headers.items()}
        return "".join(f"{name}: {value}\r\n" for name, value in told.items()).encode()

    async def _read(self, head: bytes, reader: asyncio.StreamReader) -> Said:
        lines = head.decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        said = Said(int(lines[0].split()[1]), headers["x-request-id"], b"", whole=False)
        said.headers = headers
        try:
            if "content-length" in headers:
                said.body = await reader.readexactly(int(headers["content-length"]))
            else:
                while (size := int(await reader.readuntil(b"\r\n"), 16)) > 0:
                    said.body += (await reader.readexactly(size + 2))[:-2]
                await reader.readexactly(2)
            said.whole = True
        except (OSError, EOFError):
            self.close()
        if headers.get("connection") == "close":
            self.close()
        return said

    def close(self, *, at_once: bool = False) -> None:
        """Hang up."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            if at_once:
                writer.transport.abort()
            else:
                writer.close()


class Book(msgspec.Struct):
    """A store's ledger, read from its file while a gateway uses it."""

    rows: list[dict[str, Any]]
    charged: int
    """By the sums of spend."""
    calls: int
    open: int

    def by_model(self, models: Any = None) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each model."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows:
            found.setdefault(row["model"], []).append(row)
        return found


def book_of(gateway: Gateway, after: str = "") -> Book:
    """Read the rows behind an id, and the sums of all, from whichever store a gateway has."""
    if not gateway.url_of_store:
        return read_book(gateway.store, after)
    with closing(PostgresStore(gateway.url_of_store)) as store:
        found = store.entries(limit=1_000_000)
        spend = store.charged("")
    rows = [msgspec.structs.asdict(entry) for entry in reversed(found) if entry.id > after]
    still = sum(row["state"] == "open" for row in rows)
    return Book(rows, sum(row.charged for row in spend), sum(row.calls for row in spend), still)


def read_book(store: Path, after: str = "") -> Book:
    """Read the rows behind an id, and the sums of all, from a file."""
    with closing(sqlite3.connect(store, timeout=20)) as connection:
        connection.execute("BEGIN")
        cursor = connection.execute("SELECT * FROM ledger WHERE id > ? ORDER BY id", (after,))
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        mills, picos, calls = connection.execute(
            "SELECT COALESCE(SUM(charged_mills), 0), COALESCE(SUM(charged_picos), 0), "
            "COALESCE(SUM(calls), 0) FROM spend"
        ).fetchone()
    still = sum(row["state"] == "open" for row in rows)
    return Book(rows, mills * 10**9 + picos, calls, still)


async def settled_book(gateway: Gateway, after: str = "") -> Book:
    """Read the ledger once no call is in flight or open, and nothing waits for the store."""
    async with asyncio.timeout(20):
        while True:
            status = await asyncio.to_thread(gateway.admin, "GET", "/status")
            book = await asyncio.to_thread(book_of, gateway, after)
            if status["in_flight"] == 0 and status["ledger_waiting"] == 0 and book.open == 0:
                return book
            await asyncio.sleep(0.02)


async def ask_once(port: int, key: str, model: str, *, stream: bool = False) -> Said:
    """Ask on a connection of its own."""
    caller = Caller(port, key)
    try:
        return await caller.ask(model, stream=stream)
    finally:
        caller.close()
        await asyncio.sleep(0)


async def ask_all(
    port: int, keys: list[str], name: str, count: int, *, stream: bool = False
) -> list[Said]:
    """Ask with as many connections at once, the keys in turn; answers may end when the gate opens."""
    asking = [
        ask_once(port, keys[number % len(keys)], f"{name}/{number:03}", stream=stream)
        for number in range(count)
    ]
    return list(await asyncio.gather(*asking))

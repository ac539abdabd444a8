"""An exchange in memory, and what came of it: for tests of what is served over the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

from trunkline.gateway.bridge import Bridge
from trunkline.store.records import Key


class Known:
    """A caller."""

    def __init__(self, key: Key) -> None:
        self.key = key


class Carried:
    """One request and its answer, as the edge would hold them."""

    def __init__(
        self,
        method: str = "GET",
        target: str = "/",
        *,
        headers: dict[bytes, bytes] | None = None,
        body: bytes = b"",
        key: Key | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.path = unquote(target.partition("?")[0])
        self.query = target.partition("?")[2]
        self.headers = headers or {}
        self.body = body
        self.id = "req_1"
        self.client = ("127.0.0.1", 50_000)
        self.secure = False
        self.caller = None if key is None else Known(key)
        self.labels = b""
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self.on_flow: Callable[[bool], None] | None = None
        self.events: list[str] = []
        self.status = 0
        self.sent_headers: list[tuple[str, str]] = []
        self.pieces: list[bytes] = []
        self.over = asyncio.Event()
        self.arrived = asyncio.Event()

    def answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.events.append("answer")
        self.status, self.sent_headers = status, list(headers)
        self.pieces.append(body)
        self.over.set()

    def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self.events.append("begin")
        self.status, self.sent_headers = status, list(headers)

    def send(self, data: bytes) -> None:
        self.events.append("send")
        self.pieces.append(data)
        self.arrived.set()

    def end(self) -> None:
        self.events.append("end")
        self.over.set()

    def abort(self) -> None:
        self.events.append("abort")
        self.over.set()

    def leave(self) -> None:
        """Be a client that leaves."""
        self.gone = True
        if self.on_gone is not None:
            self.on_gone()

    @property
    def answered(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def told(self) -> dict[str, str]:
        """The answer's headers; each name is there once."""
        found = dict(self.sent_headers)
        assert len(found) == len(self.sent_headers)
        return found

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.answered)

    @property
    def error(self) -> dict[str, Any]:
        """The answer's error, which has OpenAI's shape."""
        assert set(self.json) == {"error"}
        error: dict[str, Any] = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert self.told["x-request-id"] == self.id
        return error


async def carried(bridge: Bridge, exchange: Carried) -> Carried:
    """Have an exchange answered."""
    bridge(exchange)
    await asyncio.wait_for(exchange.over.wait(), 30)
    return exchange

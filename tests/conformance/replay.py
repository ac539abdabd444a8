"""Replays a recorded answer to a real client, over a socket or in pieces of a chosen size.

What comes of it is an Outcome: everything that does not depend on the clock, fit to be compared.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from recordings import Exchange

from trunkline import AsyncClient, Client
from trunkline.errors import APIConnectionError, APIError, StreamTruncated
from trunkline.settings import read_settings
from trunkline.transport.seam import Transport
from trunkline.transport.trouble import closed_early, trouble
from trunkline.types import Attempt, Completion, Timeouts
from trunkline.wire.http1_read import HttpError, RequestReader, ResponseReader
from trunkline.wire.message import HttpRequest, ResponseHead

MESSAGES = [{"role": "user", "content": "Say this is a test."}]

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_RECORDED_DECODED = frozenset({"gzip", "deflate", "br"})


def answer_headers(exchange: Exchange) -> list[tuple[str, str]]:
    """Return the headers to replay.

    Those of the one connection are left out, and so is the encoding of a body that was recorded
    decoded. The unified route adds who served an answer; what was recorded on a provider's route
    of the router gets that header here.
    """
    kept = [
        (name, value)
        for name, value in exchange.headers
        if name not in _HOP_BY_HOP
        and not (name == "content-encoding" and value in _RECORDED_DECODED and not exchange.packed)
    ]
    if exchange.transport == "router":
        kept.append(("x-inference-provider", exchange.provider))
    return kept


def answer_bytes(exchange: Exchange, body: bytes | None = None, *extra: tuple[str, str]) -> bytes:
    """Return the answer as it travels: a stream in HTTP chunks, anything else with its length."""
    body = exchange.body if body is None else body
    headers = [*answer_headers(exchange), *extra]
    if exchange.header.get("content-type", "").startswith("text/event-stream"):
        headers.append(("transfer-encoding", "chunked"))
        sizes = random.Random(f"chunks of {exchange.id}")
        body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in split(body, sizes)) + b"0\r\n\r\n"
    else:
        headers.append(("content-length", str(len(body))))
    status = f"HTTP/1.1 {exchange.status} {HTTPStatus(exchange.status).phrase}"
    head = "\r\n".join([status, *(f"{name}: {value}" for name, value in headers)])
    return head.encode("ascii") + b"\r\n\r\n" + body


def split(data: bytes, sizes: random.Random) -> list[bytes]:
    """Return `data` in pieces of 1 to 4000 bytes, short ones more often."""
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size = sizes.randint(1, sizes.choice((3, 60, 400, 4000)))
        pieces.append(data[at : at + size])
        at += size
    return pieces


def single_bytes(data: bytes) -> list[bytes]:
    """Return `data` one byte at a time."""
    return [data[i : i + 1] for i in range(len(data))]


class ReplayServer:
    """A server on loopback that gives every request the answer it was last told, in its pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, name="replay", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    while self._answered(sock):
                        pass
                except ConnectionError:
                    continue  # the client has hung up: it had seen enough

    def _answered(self, sock: socket.socket) -> bool:
        reader = RequestReader()
        while not reader.complete:
            data = sock.recv(65536)
            if not data:
                return False
            reader.feed(data)
        for piece in self.pieces:
            sock.sendall(piece)
        return True


class PiecesTransport:
    """A transport whose every read finds exactly the next piece: nothing is merged on the way."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> PiecesExchange:
        return PiecesExchange(request, self._pieces)

    def close(self) -> None:
        """Nothing is open."""


class PiecesExchange:
    """One answer, read through the wire's own parser."""

    def __init__(self, request: HttpRequest, pieces: Iterator[bytes]) -> None:
        self.started = time.monotonic()
        self._url = request.url
        self._pieces = pieces
        self._reader = ResponseReader()
        while self._reader.head is None:
            self._feed()
        self.head: ResponseHead = self._reader.head

    def read(self, until: float) -> bytes:
        try:
            while True:
                data = self._reader.take()
                if data or self._reader.complete:
                    return data
                self._feed()
        except HttpError as error:
            raise trouble(error, self._url, "body", received=True) from error

    def close(self) -> None:
        """Nothing is open."""

    def _feed(self) -> None:
        piece = next(self._pieces, b"")
        if not piece:
            raise closed_early(self._url, "body", received=True)
        self._reader.feed(piece)


@dataclass(frozen=True)
class Outcome:
    """What came of a call: `completed`, or the name of the error's class, and what each says."""

    kind: str
    completion: dict[str, Any] | None = None
    chunks: tuple[dict[str, Any], ...] = ()
    receipt: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


def call(exchange: Exchange, address: str, transport: Transport | None = None) -> Outcome:
    """Make a real call that gets this answer from `address`, or from `transport`."""
    client = Client(settings=read_settings({}), transport=transport, max_retries=0)
    chunks: list[dict[str, Any]] = []
    with client:
        try:
            if not exchange.asked_stream:
                return _completed(client.chat(exchange.model, MESSAGES, api_base=address), chunks)
            with client.stream(exchange.model, MESSAGES, api_base=address) as stream:
                for chunk in stream:
                    chunks.append(chunk.model_dump())  # noqa: PERF401 - what came before an error counts
                return _completed(stream.completion, chunks)
        except APIError as error:
            return _failed(error, chunks)


async def call_async(exchange: Exchange, address: str) -> Outcome:
    """Make the same call with the awaiting client."""
    chunks: list[dict[str, Any]] = []
    async with AsyncClient(settings=read_settings({}), max_retries=0) as client:
        try:
            if not exchange.asked_stream:
                answer = await client.chat(exchange.model, MESSAGES, api_base=address)
                return _completed(answer, chunks)
            async with client.stream(exchange.model, MESSAGES, api_base=address) as stream:
                async for chunk in stream:
                    chunks.append(chunk.model_dump())  # noqa: PERF401 - what came before an error counts
                return _completed(stream.completion, chunks)
        except APIError as error:
            return _failed(error, chunks)


def call_in_pieces(exchange: Exchange, address: str, pieces: list[bytes]) -> Outcome:
    """Make the same call with nothing but the wire's parser between the pieces and the client."""
    return call(exchange, address, PiecesTransport(pieces))


class Replays:
    """Calls that get recorded answers; what came of an answer given whole is remembered."""

    def __init__(self, server: ReplayServer) -> None:
        self.server = server
        self._whole: dict[Exchange, Outcome] = {}

    def answer_with(self, pieces: list[bytes]) -> str:
        """Let the server answer with these pieces; returns its address."""
        self.server.pieces = pieces
        return self.server.address

    def whole(self, exchange: Exchange) -> Outcome:
        """Return what comes of an answer that arrives in one piece."""
        if exchange not in self._whole:
            address = self.answer_with([answer_bytes(exchange)])
            self._whole[exchange] = call(exchange, address)
        return self._whole[exchange]


def _completed(completion: Completion, chunks: list[dict[str, Any]]) -> Outcome:
    receipt = completion.receipt
    assert receipt is not None
    told = {
        "provider": receipt.provider,
        "model": receipt.model,
        "request_id": receipt.request_id,
        "tokens": receipt.tokens.model_dump(),
        "attempts": [_timeless(attempt) for attempt in receipt.attempts],
        "has_first_token_time": receipt.time_to_first_token is not None,
    }
    return Outcome("completed", completion.model_dump(), tuple(chunks), told)


def _failed(error: APIError, chunks: list[dict[str, Any]]) -> Outcome:
    names = ("message", "status", "request_id", "provider", "model", "code", "retry_after", "hint")
    said: dict[str, Any] = {name: getattr(error, name) for name in (*names, "body")}
    said["str"] = str(error)
    said["attempts"] = [_timeless(attempt) for attempt in error.attempts]
    if isinstance(error, APIConnectionError):
        said |= {"sent": error.sent, "received": error.received}
    if isinstance(error, StreamTruncated):
        said |= {"text": error.text, "usage": error.usage and error.usage.model_dump()}
        said["partial"] = error.partial and error.partial.model_dump()
    return Outcome(type(error).__name__, None, tuple(chunks), None, said)


def _timeless(attempt: Attempt) -> dict[str, Any]:
    told = attempt.model_dump()
    return {name: told[name] for name in told if name not in ("started", "seconds")}

"""One chat asked of a gateway over a socket of its own, heard to its end or the limit."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import msgspec

from trunkline.conformance.outcome import Heard, HowHeard
from trunkline.errors import ConfigurationError
from trunkline.transport.tls import client_context
from trunkline.wire.http1 import check_header
from trunkline.wire.http1_read import HttpError, HttpLimits, ResponseReader

_MOST = 16 << 20
"""Bytes of an answer that are heard: none that is right is larger."""
_LIMITS = HttpLimits(head=1 << 20, headers=10_000, body=1 << 30)


class Place(msgspec.Struct, frozen=True):
    """Where chats are asked."""

    host: str
    port: int
    path: str
    tls: bool
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def authority(self) -> str:
        """Host and port as the head names them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def place_of(url: str, headers: tuple[tuple[str, str], ...] = ()) -> Place:
    """Return where a gateway's URL takes chats; raises ConfigurationError for what is no URL."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url!r} is no URL of a gateway, as http://127.0.0.1:8000 is.")
    path = parts.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path += "/chat/completions" if path.endswith("/v1") else "/v1/chat/completions"
    tls = parts.scheme == "https"
    return Place(parts.hostname, parts.port or (443 if tls else 80), path, tls, headers)


async def ask(place: Place, body: bytes, limit: float, *, stream: bool) -> Heard:
    """Ask, and return what came within `limit` seconds; a refused connection is broken."""
    started = time.monotonic()
    hearing = _Hearing(stream=stream)
    ended: HowHeard
    try:
        async with asyncio.timeout(limit):
            ended = await hearing.exchange(place, body)
    except TimeoutError:
        ended = "limit"
    except (OSError, HttpError):
        ended = "broken"
    return hearing.heard(ended, time.monotonic() - started)


class _Hearing:
    """Gathers one answer."""

    def __init__(self, *, stream: bool) -> None:
        self._reader = ResponseReader(_LIMITS)
        self._parts: list[bytes] = []
        self._size = 0
        self._tail = b""
        self._stream = stream

    async def exchange(self, place: Place, body: bytes) -> HowHeard:
        """Send the request and take the answer; returns how it ended."""
        context = client_context() if place.tls else None
        reader, writer = await asyncio.open_connection(place.host, place.port, ssl=context)
        try:
            writer.write(_request(place, body))
            while True:
                data = await reader.read(1 << 16)
                if not data:
                    return "whole" if self._reader.end_of_input() and self._take() else "broken"
                self._reader.feed(data)
                if self._take():
                    return "whole"
                if self._size > _MOST:
                    return "large"
        finally:
            writer.transport.abort()

    def _take(self) -> bool:
        """Keep what has come of the body; returns whether it is whole, or a stream said so."""
        while data := self._reader.take():
            self._parts.append(data)
            self._size += len(data)
            if self._stream:
                self._tail = self._tail[-16:] + data
                if b"[DONE]" in self._tail:
                    return True
        return self._reader.complete

    def heard(self, ended: HowHeard, seconds: float) -> Heard:
        """Return what came."""
        head = self._reader.head
        return Heard(
            ended,
            head.status if head else None,
            dict(head.headers) if head else {},
            b"".join(self._parts),
            seconds,
        )


def _request(place: Place, body: bytes) -> bytes:
    headers = {
        "host": place.authority,
        "content-type": "application/json",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "trunkline-conformance",
        **{name.lower(): value for name, value in place.headers},
        "content-length": str(len(body)),
    }
    for name, value in headers.items():
        check_header(name, value)
    lines = [f"POST {place.path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

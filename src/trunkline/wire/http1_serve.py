"""HTTP/1.1 as a server reads it, without I/O: the requests of one connection, one after the other.

One parser serves a whole connection, so that a request costs its bytes and little more. Header names
and values stay bytes; what is refused here never reaches an application.
"""

from __future__ import annotations

from typing import Any, Protocol

import httptools

from trunkline.wire.http1_read import HttpError, HttpLimits, complaint

_ONCE = frozenset({b"host", b"authorization", b"content-length", b"content-type", b"expect"})
_NAMES = {
    name: name.lower()
    for lower in (
        b"accept",
        b"accept-encoding",
        b"authorization",
        b"connection",
        b"content-length",
        b"content-type",
        b"host",
        b"user-agent",
    )
    for name in (lower, lower.title())
}
"""The spellings that nearly every client uses: looked up, not made anew."""
_HOST_BAD = frozenset(b'/?#@\\ \t"<>^`{|}%')
_LONGEST_TARGET = 8192
AHEAD = 64 * 1024
"""Bytes of a body that may arrive before somebody has said how many it may have."""


class Incoming:
    """One request as it arrives."""

    __slots__ = (
        "_parts",
        "headers",
        "keep_alive",
        "length",
        "limit",
        "method",
        "path",
        "query",
        "size",
        "version",
    )

    def __init__(self) -> None:
        """Await its head."""
        self.headers: dict[bytes, bytes] = {}
        """Lower-case names; the values of a repeated one are joined by `, `."""
        self.method = b""
        self.path = b""
        """As sent, without the query and not decoded."""
        self.query = b""
        self.version = "1.1"
        self.keep_alive = True
        self.length: int | None = None
        """What `content-length` announces; None for a body in chunks, or without one."""
        self.size = 0
        self.limit = AHEAD
        """Bytes that the body may have; before its taker has decided, what may come ahead."""
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Take more of the body."""
        self.size += len(data)
        self._parts.append(data)

    def body(self) -> bytes:
        """Return the body that has come."""
        parts = self._parts
        if len(parts) == 1:
            return parts[0]
        if len(parts) > 1:
            self._parts = [b"".join(parts)]
            return self._parts[0]
        return b""

    @property
    def has_body(self) -> bool:
        """Whether the head announces a body."""
        return bool(self.length) or b"transfer-encoding" in self.headers


class Taker(Protocol):
    """Who is told of requests."""

    def head_arrived(self, request: Incoming) -> None:
        """Take a request whose head is whole; may raise HttpError."""
        ...

    def body_arrived(self, request: Incoming, data: bytes) -> None:
        """Take a piece of its body; may raise HttpError."""
        ...

    def request_arrived(self, request: Incoming) -> None:
        """Take a request that is whole."""
        ...


class RequestStream:
    """Feed it a connection's bytes; it tells `taker` of the requests in them."""

    __slots__ = (
        "_head_size",
        "_limits",
        "_parser",
        "_request",
        "_taker",
        "_url",
        "in_head",
        "reading",
    )

    def __init__(self, limits: HttpLimits, taker: Taker) -> None:
        """Await the first request; of `limits` the head's are kept here, the body's by `taker`."""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._limits = limits
        self._taker: Any = taker
        self._request = Incoming()
        self._url = b""
        self._head_size = 0
        self.reading = False
        """Whether a request has begun and is not whole."""
        self.in_head = True

    def feed(self, data: bytes) -> None:
        """Read more bytes; raises HttpError, whose status is the answer to give."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise HttpError("protocol upgrades are not served here") from error
        except httptools.HttpParserError as error:
            raise complaint(error, "the request") from None
        if self.in_head:
            self._head_size += len(data)
            if self.reading and self._head_size > self._limits.head * 2:
                raise HttpError("the request head is too large", 431)

    def close(self) -> None:
        """Let go of the parser and the taker: they hold each other."""
        self._parser = self._taker = None

    # called by the parser

    def on_message_begin(self) -> None:
        self._request = Incoming()
        self._url = b""
        self._head_size = 0
        self.reading = self.in_head = True

    def on_url(self, data: bytes) -> None:
        self._url += data
        if len(self._url) > _LONGEST_TARGET:
            raise HttpError("the request target is too long", 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        key = _NAMES.get(name) or name.lower()
        headers = self._request.headers
        self._head_size += len(name) + len(value)
        if key in headers:
            if key in _ONCE:
                raise HttpError(f"the header {key.decode('latin-1')} is there twice")
            headers[key] += b", " + value
        else:
            headers[key] = value
        if len(headers) > self._limits.headers:
            raise HttpError("the request has too many headers", 431)
        if self._head_size > self._limits.head:
            raise HttpError("the request head is too large", 431)

    def on_headers_complete(self) -> None:
        self.in_head = False
        request, parser = self._request, self._parser
        request.method = parser.get_method()
        path, mark, query = self._url.partition(b"?")
        if path[:1] != b"/":
            raise HttpError("the request target is not a path")
        request.path = path
        if mark:
            request.query = query
        headers = request.headers
        host = headers.get(b"host")
        if host is None or host == b"":
            if parser.get_http_version() != "1.0":
                raise HttpError("the request has no Host header")
        elif not _HOST_BAD.isdisjoint(host):
            raise HttpError("the Host header is not a host")
        request.keep_alive = parser.should_keep_alive()
        if not request.keep_alive:
            request.version = parser.get_http_version()
        length = headers.get(b"content-length")
        if length is not None:
            request.length = int(length)
        self._taker.head_arrived(request)

    def on_body(self, data: bytes) -> None:
        self._taker.body_arrived(self._request, data)

    def on_message_complete(self) -> None:
        self.reading = False
        self.in_head = True
        self._taker.request_arrived(self._request)

"""HTTP/1.1 as a server reads it, without I/O: the requests of one connection, one after the other.

One parser serves a whole connection, so that a request costs its bytes and little more. Header names
and values stay bytes; what is refused here never reaches an application.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import httptools

from trunkline.wire.http1_read import HttpError, HttpLimits, complaint

_ONCE = frozenset(
    {b"host", b"authorization", b"content-length", b"content-type", b"expect", b"x-api-key"}
)
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
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,261}")
_LONGEST_TARGET = 8192
_H2C = frozenset({b"h2c", b"h2c, tls/1.2"})
_OF_AN_OFFER = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Head:
    """A request's head. Never changed once it is read, so that one can stand for many requests."""

    __slots__ = (
        "chunked",
        "headers",
        "keep_alive",
        "known",
        "length",
        "method",
        "path",
        "plain",
        "query",
        "version",
    )

    def __init__(self) -> None:
        """Await the head."""
        self.headers: dict[bytes, bytes] = {}
        """Lower-case names; the values of a repeated one are joined by `, `."""
        self.method = b""
        self.path = b""
        """As sent, without the query and not decoded."""
        self.query = b""
        self.version = "1.1"
        self.keep_alive = True
        self.plain = True
        """Whether an answer keeps the connection and has its body: neither HEAD nor the last."""
        self.length: int | None = None
        """What `content-length` announces; None for a body in chunks, or without one."""
        self.chunked = False
        self.known: Any = None
        """What the application found out about it; its own affair."""


class Repeat:
    """A head as bytes, to recognise the next request that has the same but for the body's length.

    Clients send the same head for every request of a connection. The same bytes mean the same, so
    they need not be parsed again.
    """

    __slots__ = ("_cut", "_prefix", "_suffix", "head")

    def __init__(self, prefix: bytes, suffix: bytes, head: Head) -> None:
        """Take the bytes in front of the length's digits and those behind."""
        self._prefix = prefix
        self._suffix = suffix
        self._cut = len(prefix)
        self.head = head

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body, if `data` is one whole request with this head; else None."""
        cut = self._cut
        if not data.startswith(self._prefix):
            return None
        end = data.find(b"\r", cut, cut + 9)
        if end < 0 or not data.startswith(self._suffix, end):
            return None
        body = data[end + len(self._suffix) :]
        digits = data[cut:end]
        if not digits.isdigit() or int(digits) != len(body):
            return None
        return body


_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,8})(?=\r\n)", re.IGNORECASE)


def repeat_of(data: bytes, head: Head) -> Repeat | None:
    """Return how to recognise `head` again; None where `data` is not one whole, usual request."""
    if head.length is None or b"expect" in head.headers:
        return None
    end = len(data) - head.length
    found = _LENGTH.search(data, 0, end)
    if found is None or data.find(b"\r\n\r\n") != end - 4:  # or it is more than one request
        return None
    return Repeat(data[: found.start(1)], data[found.end(1) : end], head)


class Taker(Protocol):
    """Who is told of requests."""

    def head_arrived(self, head: Head) -> None:
        """Take the head of the next request; may raise HttpError."""
        ...

    def body_arrived(self, data: bytes) -> None:
        """Take a piece of its body; may raise HttpError."""
        ...

    def request_arrived(self) -> None:
        """Take note that it is whole."""
        ...


class RequestStream:
    """Feed it a connection's bytes; it tells `taker` of the requests in them."""

    __slots__ = (
        "_begun",
        "_head",
        "_head_size",
        "_limits",
        "_lines",
        "_offer",
        "_parser",
        "_raw",
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
        self._head = Head()
        self._url = b""
        self._head_size = self._lines = 0
        self._raw = 0
        """Bytes of a head that is not whole yet."""
        self._begun = 0
        self._offer = False
        self.reading = False
        """Whether a request has begun and is not whole."""
        self.in_head = True

    def feed(self, data: bytes) -> None:
        """Read more bytes; raises HttpError, whose status is the answer to give."""
        others = self._begun + (not self.reading)
        rest = data
        while rest:
            try:
                self._parser.feed_data(rest)
                break
            except httptools.HttpParserUpgrade as upgrade:
                rest = self._without_offer() + rest[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                raise complaint(error, "the request") from None
        if self.in_head and self.reading and self._begun == others:
            self._raw += len(data)
            if self._raw > self._limits.head * 2:
                raise HttpError("the request head is too large", 431)

    def close(self) -> None:
        """Let go of the parser and the taker: they hold each other."""
        self._parser = self._taker = None

    def _without_offer(self) -> bytes:
        """Return the head again without its offer of HTTP/2, which nobody has to take.

        The parser ends with the head of a request that has one, whatever body follows.
        """
        head = self._head
        lines = [b"%b: %b\r\n" % h for h in head.headers.items() if h[0] not in _OF_AN_OFFER]
        self._parser = httptools.HttpRequestParser(self)
        self._begun -= 1
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (head.method, self._url, b"".join(lines))

    # called by the parser

    def on_message_begin(self) -> None:
        self._head = Head()
        self._url = b""
        self._head_size = self._lines = self._raw = 0
        self._begun += 1
        self._offer = False
        self.reading = self.in_head = True

    def on_url(self, data: bytes) -> None:
        self._url += data
        if len(self._url) > _LONGEST_TARGET:
            raise HttpError("the request target is too long", 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        if self._lines > self._limits.headers:
            raise HttpError("the request has too many headers", 431)
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._limits.head:
            raise HttpError("the request head is too large", 431)
        if not self.in_head:
            return  # behind a body in chunks: too late to count for anything
        key = _NAMES.get(name) or name.lower()
        headers = self._head.headers
        if key in headers:
            if key in _ONCE:
                raise HttpError(f"the header {key.decode('latin-1')} is there twice")
            headers[key] += b", " + value
        else:
            headers[key] = value

    def on_headers_complete(self) -> None:
        head, parser = self._head, self._parser
        head.method = parser.get_method()
        path, mark, query = self._url.partition(b"?")
        if path[:1] != b"/" or head.method == b"CONNECT":
            raise HttpError("the request target is not a path")
        head.path = path
        if mark:
            head.query = query
        if parser.should_upgrade():
            if head.headers.get(b"upgrade", b"").lower() not in _H2C:
                raise HttpError("protocol upgrades are not served here")
            self._offer = True
            return
        self.in_head = False
        head.keep_alive = parser.should_keep_alive()
        _check_framing(head, parser.get_http_version())
        if not head.keep_alive or head.method == b"HEAD":
            head.plain = False
        self._taker.head_arrived(head)

    def on_body(self, data: bytes) -> None:
        self._taker.body_arrived(data)

    def on_message_complete(self) -> None:
        if self._offer:
            return
        self.reading = False
        self.in_head = True
        self._taker.request_arrived()


def _check_framing(head: Head, version: str) -> None:
    """See that nobody could read a request in another way: its version, host and length."""
    headers = head.headers
    if version != "1.1":
        if version != "1.0":
            raise HttpError("only HTTP/1.1 is served here", 505)
        head.version = version
        head.keep_alive = False
    host = headers.get(b"host")
    if not host:
        if version != "1.0":
            raise HttpError("the request has no Host header")
    elif _HOST.fullmatch(host) is None:
        raise HttpError("the Host header is not a host")
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or version == "1.0":
            raise HttpError("the only transfer-encoding that is read is chunked, in HTTP/1.1")
        head.chunked = True
    length = headers.get(b"content-length")
    if length is not None:
        head.length = int(length)

"""HTTP/1.1 without I/O: bytes of one exchange in, its head and body out, in both roles.

Parsing is llhttp's, strict; limits are arguments.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import httptools
import msgspec

from trunkline.wire.message import ResponseHead


class HttpLimits(msgspec.Struct, frozen=True):
    """How much of a peer's message is accepted, in bytes."""

    head: int = 64 * 1024
    headers: int = 256
    """Number of header lines."""
    body: int = 64 * 1024 * 1024

    def allowing(self, body: int | None) -> HttpLimits:
        """Return the same limits with another one for the body; None leaves it."""
        return self if body is None else msgspec.structs.replace(self, body=body)


class HttpError(ValueError):
    """The peer's bytes are not the HTTP that they should be; `status` is the answer to give."""

    def __init__(self, message: str, status: int = 400) -> None:
        """Keep the status that a server answers with."""
        super().__init__(message)
        self.status = status


def too_large(limit: int) -> HttpError:
    """Return the error for a body of more than `limit` bytes."""
    return HttpError(f"the body is larger than {limit} bytes", 413)


_ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's window bits for each
_UNPACKED = frozenset({"", "identity", "chunked"})  # Cloudflare has been seen to say `chunked`
_DEFAULT = HttpLimits()


class Body:
    """A message's body as it arrives: bounded, and decompressed where it says it is packed."""

    __slots__ = ("_inflate", "limit", "parts", "size")

    def __init__(self, limit: int) -> None:
        """Take at most `limit` bytes, counted when they are unpacked."""
        self.parts: list[bytes] = []
        self.size = 0
        self.limit = limit
        self._inflate: zlib._Decompress | None = None

    def unpack(self, encoding: str) -> None:
        """Expect a body that is packed so; raises HttpError for what cannot be unpacked."""
        name = encoding.strip().lower()
        if name in _UNPACKED:
            return
        if name not in _ENCODINGS:
            raise HttpError(f"the body is encoded as {encoding[:40]!r}, which was not asked for")
        self._inflate = zlib.decompressobj(_ENCODINGS[name])

    def add(self, data: bytes) -> None:
        """Take a piece as it came; raises HttpError."""
        if self._inflate is not None:
            if self._inflate.eof:
                raise HttpError("bytes follow the end of the compressed body")
            try:
                data = self._inflate.decompress(data, self.limit - self.size + 1)
            except zlib.error as error:
                raise HttpError(f"the body cannot be decompressed: {error}") from error
        self.size += len(data)
        if self.size > self.limit:
            raise too_large(self.limit)
        if data:
            self.parts.append(data)

    def check_whole(self) -> None:
        """Raise HttpError where a packed body has ended too early."""
        if self._inflate is not None and not self._inflate.eof:
            raise HttpError("the compressed body ends too early")

    def plain(self, pieces: list[bytes], *, last: bool) -> None:
        """Put what pieces say in their place; raises HttpError."""
        came = pieces[:]
        pieces.clear()
        for piece in came:
            self.add(piece)
        if last:
            self.check_whole()
        pieces.extend(self.parts)
        self.parts = []

    def take(self) -> bytes:
        """Return what has come since the last time."""
        parts = self.parts
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self.parts = []
        return data


class ResponseReader:
    """Reads one response: feed bytes, then look at `head`, `take()` and `complete`.

    Once there is a head, what is wrong with the bytes waits until all before it has been taken: so
    the same comes of a response however its bytes were split.
    """

    __slots__ = (
        "_body",
        "_failure",
        "_framed",
        "_head_bytes",
        "_headers",
        "_limits",
        "_parser",
        "complete",
        "head",
        "keep_alive",
    )

    def __init__(self, limits: HttpLimits = _DEFAULT) -> None:
        """Await a response to a GET or POST; `limits` bound what is accepted."""
        self._parser: Any = httptools.HttpResponseParser(self)
        self._limits = limits
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._body = Body(limits.body)
        self._failure: HttpError | None = None
        self._framed = True
        self.head: ResponseHead | None = None
        self.complete = False
        self.keep_alive = False

    def feed(self, data: bytes | memoryview) -> None:
        """Read more bytes; raises HttpError as long as there is no head, `take` after that."""
        if self.complete:
            raise HttpError("bytes arrived after the response was complete")
        if self._failure is not None:
            return
        try:
            self._feed(data)
        except HttpError as error:
            self._fail(error)
        self._part()

    def _part(self) -> None:
        """Let go of the parser at the end: they hold each other, which only a collection ends."""
        if self.complete:
            self._parser = None

    def _feed(self, data: bytes | memoryview) -> None:
        if self.head is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise HttpError("the server wants to change the protocol") from error
        except httptools.HttpParserError as error:
            self.keep_alive = False
            wrong = complaint(error, "the server's answer")
            if not self.complete:
                raise wrong from None
        if self.head is None and self._head_bytes > self._limits.head:
            raise HttpError(f"the response head is larger than {self._limits.head} bytes")

    def _fail(self, error: HttpError) -> None:
        if self.head is None:
            raise error
        self._failure = error
        self.keep_alive = False

    def take(self) -> bytes:
        """Return the body bytes that have arrived since the last time; raises HttpError."""
        data = self._body.take()
        if not data and self._failure is not None:
            raise self._failure
        return data

    def end_of_input(self) -> bool:
        """Tell that the peer closed; returns whether `take` has the rest, or what is wrong.

        Only a body without length and without chunks may end so.
        """
        if not self.complete and self.head is not None and not self._framed:
            try:
                self._body.check_whole()
                self.complete = self._failure is None
            except HttpError as error:
                self._fail(error)
        return self.complete or self._failure is not None

    # called by the parser; what follows a whole response in the same read is no part of it

    def on_message_begin(self) -> None:
        if self.complete:
            self.keep_alive = False
            raise HttpError("bytes arrived after the response was complete")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        if len(self._headers) > self._limits.headers:
            raise HttpError(f"the response has more than {self._limits.headers} headers")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            self._headers = []  # an interim answer; the real one follows
            return
        headers = read_headers(self._headers)
        self.head = ResponseHead(status, headers)
        chunked = headers.get("transfer-encoding", "").lower().endswith("chunked")
        self._framed = chunked or "content-length" in headers or status in (204, 304)
        if "content-encoding" in headers:
            self._body.unpack(headers["content-encoding"])
        announced = headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._limits.body:
            raise too_large(self._limits.body)

    def on_body(self, data: bytes) -> None:
        self._body.add(data)

    def on_message_complete(self) -> None:
        if self.head is not None:
            if self.head.status not in (204, 304):
                self._body.check_whole()
            self.complete = True
            self.keep_alive = self._framed and self._parser.should_keep_alive()


def complaint(error: httptools.HttpParserError, whose: str) -> HttpError:
    """Return what a callback of ours raised, or the parser's own complaint, as an HttpError.

    Raises what else came out of a callback, such as Ctrl-C: that is not the peer's doing.
    """
    ours = error.__context__
    if isinstance(ours, HttpError):
        return ours
    if ours is not None and isinstance(error, httptools.HttpParserCallbackError):
        raise ours
    return HttpError(f"{whose} is not valid HTTP: {error}")


class RequestHead(msgspec.Struct, frozen=True):
    """The head of a request as a server sees it; header names are lower-case."""

    method: str
    target: str
    """Path and query as sent."""
    path: str
    """Percent-decoded, without query."""
    query: str
    headers: dict[str, str]
    keep_alive: bool = True


_ONCE = frozenset({"host", "authorization", "content-length", "content-type"})


class RequestReader:
    """Reads one request: feed bytes, then look at `head`, `take()` and `complete`."""

    __slots__ = (
        "_body",
        "_head_bytes",
        "_headers",
        "_limits",
        "_parser",
        "_url",
        "complete",
        "head",
    )

    def __init__(self, limits: HttpLimits = _DEFAULT) -> None:
        """Await a request; `limits` bound what is accepted."""
        self._parser = httptools.HttpRequestParser(self)
        self._limits = limits
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._body = Body(limits.body)
        self._url = b""
        self.head: RequestHead | None = None
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Read more bytes; raises HttpError, whose status is the answer to give."""
        if self.head is None:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head and b"\r\n\r\n" not in data:
                raise HttpError("the request head is too large", 431)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise HttpError("protocol upgrades are not served here") from error
        except httptools.HttpParserError as error:
            raise complaint(error, "the request") from None

    def take(self) -> bytes:
        """Return the body bytes that have arrived since the last time."""
        return self._body.take()

    # called by the parser

    def on_message_begin(self) -> None:
        if self.complete:
            raise HttpError("pipelined requests are not served here")

    def on_url(self, data: bytes) -> None:
        self._url += data
        if len(self._url) > 8192:
            raise HttpError("the request target is too long", 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        if len(self._headers) > self._limits.headers:
            raise HttpError("the request has too many headers", 431)

    def on_headers_complete(self) -> None:
        names = [name.lower().decode("latin-1") for name, _ in self._headers]
        for name in _ONCE:
            if names.count(name) > 1:
                raise HttpError(f"the header {name} is there twice")
        headers = read_headers(self._headers)
        if "host" not in headers and self._parser.get_http_version() != "1.0":
            raise HttpError("the request has no Host header")
        target = self._url.decode("ascii", "replace")
        if not target.startswith("/"):
            raise HttpError("the request target is not a path")
        path, _, query = target.partition("?")
        self.head = RequestHead(
            method=self._parser.get_method().decode("ascii"),
            target=target,
            path=unquote(path),
            query=query,
            headers=headers,
            keep_alive=self._parser.should_keep_alive(),
        )

    def on_body(self, data: bytes) -> None:
        self._body.add(data)

    def on_message_complete(self) -> None:
        self.complete = True


def read_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name; the values of a repeated one are joined by `, `."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower().decode("latin-1")
        text = value.decode("latin-1").strip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers

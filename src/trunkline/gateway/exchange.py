"""One request and the one answer to it: what a page of the gateway holds in its hands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from trunkline.gateway.urgency import ORDINARY
from trunkline.wire.http1 import LAST_CHUNK, check_header

if TYPE_CHECKING:
    from trunkline.gateway.access import Caller
    from trunkline.gateway.connection import Connection
    from trunkline.gateway.voices import Voice
    from trunkline.wire.http1_serve import Head

REASONS = {
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    422: b"Unprocessable Content",
    424: b"Failed Dependency",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    499: b"Client Closed Request",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}
HELD_BACK = 64 * 1024
"""Bytes of an answer that may wait for a slow client before whoever writes it is told to pause."""
_LEFT = 64 * 1024
"""Bytes of a body that are read for nothing after an early answer, to keep the connection."""


class Exchange:
    """A request whose head, and later whose body, has arrived.

    It is answered once: whole by `answer`, or in pieces by `begin`, `send` and `end`.
    """

    __slots__ = (
        "began",
        "begun",
        "body",
        "caller",
        "client_id",
        "connection",
        "done",
        "gone",
        "head",
        "id",
        "labels",
        "looked",
        "on_flow",
        "on_gone",
        "page",
        "parts",
        "queued",
        "size",
        "status",
        "urgency",
        "voice",
        "whole",
    )

    parts: list[bytes]
    """The body as it arrives in pieces; not there where it came whole. A page that takes pieces finds
    them here, and no body."""

    def __init__(self, connection: Connection, head: Head, began: float) -> None:
        """Belongs to `connection`; `began` is monotonic, as of the last turn of the edge's clock."""
        self.connection = connection
        self.head = head
        self.began = began
        self.id = connection.edge.request_id()
        self.body = b""
        """All of it, once the request is whole."""
        self.size = 0
        self.page: Any = None
        """The row of the route table that the request was dispatched to."""
        self.caller: Caller | None = None
        self.client_id: str | None = None
        """The client's own id for the request, where it gave one."""
        self.whole = False
        """Whether all of the request has arrived."""
        self.begun = False
        self.done = False
        self.gone = False
        """Whether the client has left, or the answer was broken off."""
        self.status = 0
        self.labels = b""
        """Header lines that every answer to this request carries, each ended by CR LF."""
        self.looked = False
        """Whether the store was looked at for its key, which nobody here knew."""
        self.on_gone: Callable[[], None] | None = None
        """Called when the client leaves before the answer has ended."""
        self.on_flow: Callable[[bool], None] | None = None
        """Called with False when the client reads too slowly, with True when it has caught up."""
        self.urgency = ORDINARY
        """By when it has to be over, and whether it may wait behind others."""
        self.queued: float | None = None
        """Seconds that it waited for an upstream to let it in; None where it did not."""
        self.voice: Voice | None = None
        """Writes a chat's answer in the client's own API; None where that is OpenAI's chat."""

    # what pages that are not in a hurry ask for

    @property
    def method(self) -> str:
        """The method."""
        return self.head.method.decode("ascii")

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return unquote_to_bytes(self.head.path).decode("utf-8", "replace")

    @property
    def query(self) -> str:
        """What follows the question mark, as sent."""
        return self.head.query.decode("latin-1")

    @property
    def target(self) -> str:
        """Path and query as sent."""
        query = self.query
        return self.head.path.decode("latin-1") + (f"?{query}" if query else "")

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Header values by lower-case name."""
        return self.head.headers

    @property
    def client(self) -> tuple[str, int] | None:
        """Address and port of the client."""
        return self.connection.peer

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.connection.secure

    def pieces(self) -> Iterator[bytes]:
        """Yield the body in the pieces that it came in, letting go of each: it is read once."""
        parts = getattr(self, "parts", [])
        if not parts:
            yield self.body
            self.body = b""
        parts.reverse()
        while parts:
            yield parts.pop()

    def gather(self) -> None:
        """Take note that all has arrived, and put the body together unless the page takes pieces."""
        if self.page is None or not self.page.pieces:
            parts, self.parts = self.parts, []
            self.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self.whole = True

    # answering

    def invite(self) -> None:
        """Ask for the body, where the client waits to be asked."""
        if not self.done and self.head.headers.get(b"expect", b"").lower() == b"100-continue":
            self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def answer(
        self, status: int, headers: Iterable[tuple[str, str]], body: bytes, *, keep: bool = True
    ) -> None:
        """Answer whole; `keep=False` closes the connection afterwards."""
        self.answer_bytes(status, header_lines(headers), body, keep=keep)

    def answer_ok(self, lines: bytes, body: bytes) -> None:
        """Answer 200 with header lines that are bytes already: the way of nearly every call."""
        connection = self.connection
        if not self.head.plain or self.begun or self.gone:
            self.answer_bytes(200, lines, body)
            return
        self.begun = self.done = True
        self.status = 200
        self.on_gone = None
        connection.write(
            b"HTTP/1.1 200 OK\r\n%bx-request-id: %b\r\n%b%bcontent-length: %d\r\n\r\n%b"
            % (connection.edge.standing, self.id.encode(), self.labels, lines, len(body), body)
        )
        if self.whole:
            connection.next()

    def answer_bytes(self, status: int, lines: bytes, body: bytes, *, keep: bool = True) -> None:
        """Answer whole with header lines that are bytes already; head and body are one write."""
        if self.gone or self.begun:
            return
        self.begun = True
        self.status = status
        length = b"" if status == 204 else b"content-length: %d\r\n" % len(body)
        if self.head.method == b"HEAD" or status == 204:
            body = b""
        head = self._head(status, keep=keep)
        self.connection.write(b"%b%b%b\r\n%b" % (head, lines, length, body))
        self._finish()

    def begin(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Begin an answer whose length is not known."""
        self.begin_bytes(status, header_lines(headers), b"")

    def begin_bytes(self, status: int, lines: bytes, first: bytes) -> None:
        """Begin with header lines that are bytes already and a first piece, in one write."""
        if self.gone or self.begun:
            return
        self.begun = True
        self.status = status
        if self.head.version == "1.0":
            self.connection.write(b"%b%b\r\n%b" % (self._head(status, keep=False), lines, first))
            return
        head = self._head(status)
        lines += b"transfer-encoding: chunked\r\n"
        if first and self.head.method != b"HEAD":
            self.connection.write(b"%b%b\r\n%x\r\n%b\r\n" % (head, lines, len(first), first))
        else:
            self.connection.write(b"%b%b\r\n" % (head, lines))

    def send(self, data: bytes) -> None:
        """Send a piece of an answer that was begun."""
        if self.gone or self.done or not data:
            return
        if self.head.version == "1.1" and self.head.method != b"HEAD":
            self.connection.write(b"%x\r\n%b\r\n" % (len(data), data))
        elif self.head.method != b"HEAD":
            self.connection.write(data)

    def end(self, last: bytes = b"") -> None:
        """End an answer that was begun, with a last piece."""
        if self.gone or self.done:
            return
        if self.head.version == "1.0" or self.head.method == b"HEAD":
            self.send(last)
        elif last:
            self.connection.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))
        else:
            self.connection.write(LAST_CHUNK)
        self._finish()

    def abort(self) -> None:
        """Break the answer off: the client sees that it is not whole."""
        if not self.done:
            self.connection.abort()

    def _head(self, status: int, *, keep: bool = True) -> bytes:
        closing = b""
        if not (keep and self._stays()):
            self.connection.closing = True
            if not self.connection.edge.draining:  # it says so in every answer
                closing = b"connection: close\r\n"
        return b"HTTP/1.1 %d %b\r\n%bx-request-id: %b\r\n%b%b" % (
            status,
            REASONS.get(status, b"Unknown"),
            self.connection.edge.standing,
            self.id.encode(),
            self.labels,
            closing,
        )

    def _stays(self) -> bool:
        """Tell whether the connection can be used again: what is to come of the body must be little."""
        head = self.head
        if self.whole or not head.keep_alive:
            return head.keep_alive
        return not (head.chunked or b"expect" in head.headers or (head.length or 0) > _LEFT)

    def _finish(self) -> None:
        self.done = True
        self.on_gone = self.on_flow = None
        if self.whole:
            self.connection.next()


def header_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return headers as lines; raises InvalidInputError for one that would break out of its line."""
    lines: list[str] = []
    for name, value in headers:
        if name == "x-request-id":
            continue  # every answer has it
        check_header(name, value)
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("ascii")

"""Bytes to a gateway and answers back, with nothing in between that would mend them."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from running import CHAT, Gateway

REQUEST_ID = re.compile(r"req_[0-9a-f]{24}")
CHATS = "/v1/chat/completions"


class Answer(msgspec.Struct):
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    lines: list[tuple[str, str]]
    """Header lines in their order, names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error that is told, in OpenAI's shape and with its request id; anything else fails."""
        assert self.headers["content-type"] == "application/json", self
        error: dict[str, Any] = self.json["error"]
        assert {"message", "type", "param", "code", "request_id"} <= error.keys(), error
        assert error["message"] and error["type"] and error["code"], error
        assert error["request_id"] == self.headers["x-request-id"]
        assert REQUEST_ID.fullmatch(error["request_id"])
        return error


class Wire:
    """One connection; reads answers strictly, one after the other."""

    def __init__(
        self, gateway: Gateway, *, tls: ssl.SSLContext | None = None, buffer: int | None = None
    ) -> None:
        sock = socket.socket()
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(20)
        try:
            sock.connect(("127.0.0.1", gateway.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = (
                sock if tls is None else tls.wrap_socket(sock, server_hostname="localhost")
            )
        except OSError:
            sock.close()
            raise
        self.rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> Wire:
        """Send each piece by itself."""
        for piece in pieces:
            self.socket.sendall(piece)
        return self

    def _more(self) -> bool:
        data = self.socket.recv(1 << 16)
        self.rest += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Read up to a mark, and past it; returns what came before it."""
        while mark not in self.rest:
            assert self._more(), f"closed after {self.rest[:300]!r}"
        found, _, self.rest = self.rest.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self.rest) < size:
            assert self._more(), f"closed {size - len(self.rest)} bytes too early"
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def head(self) -> Answer:
        """Read an answer's head."""
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Z][A-Za-z -]+", first)
        assert found, first
        pairs = [(n.lower(), v) for n, _, v in (line.partition(": ") for line in lines)]
        headers = dict(pairs)
        assert len(headers) == len(pairs), f"a header is there twice: {pairs}"
        return Answer(int(found[1]), headers, pairs, b"")

    def answer(self, *, head_only: bool = False) -> Answer:
        """Read one answer; its length or its chunks must be told."""
        answer = self.head()
        if answer.status == 100:
            return answer
        headers = answer.headers
        chunked = headers.get("transfer-encoding") == "chunked"
        assert chunked != ("content-length" in headers), headers
        assert {"date", "x-request-id"} <= headers.keys()
        if head_only:
            return answer
        if not chunked:
            answer.body = self._exactly(int(headers["content-length"]))
            return answer
        while size := int(self.until(b"\r\n"), 16):
            answer.body += self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"
        return answer

    def ask(self, data: bytes, *, head_only: bool = False) -> Answer:
        """Send one request and read its answer."""
        return self.send(data).answer(head_only=head_only)

    def ended(self) -> bool:
        """Wait until the gateway has closed; whatever it still sent fails the test."""
        try:
            while self._more():
                pass
        except ConnectionError:
            pass
        assert self.rest == b"", f"sent beyond the answer: {self.rest[:300]!r}"
        return True

    def lives(self) -> bool:
        """Tell whether another request is answered on it."""
        return self.ask(get("/health/live")).status == 200


def ask(gateway: Gateway, data: bytes, *, head_only: bool = False) -> Answer:
    """Ask on a connection of its own."""
    with Wire(gateway) as wire:
        return wire.ask(data, head_only=head_only)


def get(path: str, *lines: str, method: str = "GET", key: str | None = None) -> bytes:
    """A request without a body."""
    return head(method, path, *lines, key=key) + b"\r\n"


def head(method: str, path: str, *lines: str, key: str | None = None) -> bytes:
    """The lines of a head, without the empty one."""
    more = [*lines, *([f"authorization: Bearer {key}"] if key else [])]
    text = "\r\n".join([f"{method} {path} HTTP/1.1", "host: gateway", *more, ""])
    return text.encode("latin-1")


def post(
    body: Any, key: str | None = None, *lines: str, path: str = CHATS, length: bool = True
) -> bytes:
    """A request with a body: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = [f"content-length: {len(data)}"] if length else []
    return head("POST", path, "content-type: application/json", *more, *lines, key=key) + (
        b"\r\n" + data
    )


def chat(**more: Any) -> dict[str, Any]:
    """A small chat."""
    return {**CHAT, "max_tokens": 5, **more}


def chunks(data: bytes, size: int = 1000) -> bytes:
    """A body in chunks, whole."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def resident(gateway: Gateway) -> int:
    """Bytes of memory that the process has."""
    text = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", text)[0]) * 1024


def mib(what: str, grown: int) -> float:
    """Return by how many MiB the process has grown; `-s` shows it."""
    print(f"{what}: grown by {grown / (1 << 20):.1f} MiB")
    return grown / (1 << 20)


def eventually(true: Any, what: str, seconds: float = 10.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.01)

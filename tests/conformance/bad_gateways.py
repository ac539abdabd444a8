"""Gateways that misbehave, on real sockets: each asks the sandbox and makes something of the answer."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

SECRET = "hf_the_key_of_the_upstream"
HANG = "hang"
BREAK = "break"


class Answer(msgspec.Struct, frozen=True):
    """What came from the upstream, or goes to the client."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    ends: str = ""
    """`hang` or `break` in place of an end."""


Behave = Callable[[Answer], Answer]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = self.server.behave(_asked(self.server.upstream, body))
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if not answer.ends:
            self.send_header("content-length", str(len(answer.body)))
        else:
            self.send_header("content-length", str(len(answer.body) + 100))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()
        if answer.ends == HANG:
            self.server.done.wait(60)
        if answer.ends:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _asked(port: int, body: bytes) -> Answer:
    """Ask the sandbox, as a gateway that takes whatever comes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        sent = {"content-type": "application/json", "authorization": f"Bearer {SECRET}"}
        connection.request("POST", "/v1/chat/completions", body, sent)
        answer = connection.getresponse()
        kept = [
            (n, v) for n, v in answer.getheaders() if n.lower() in ("content-type", "retry-after")
        ]
        try:
            data = answer.read()
        except http.client.IncompleteRead as cut:
            data = cut.partial
        return Answer(answer.status, data, tuple(kept))
    finally:
        connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that leave."""


@contextmanager
def bad_gateway(port: int, behave: Behave) -> Iterator[str]:
    """Serve a gateway in front of the sandbox at `port`; gives its URL."""
    server: Any = _Server(("127.0.0.1", 0), _Handler)
    server.upstream, server.behave, server.done = port, behave, threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.done.set()
        server.shutdown()
        thread.join()
        server.server_close()

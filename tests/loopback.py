"""A server on loopback that does what a script says, step by step: threads and plain sockets.

A script is a function of one Visit (a connection); the n-th connection runs the n-th script, and
the last one serves all that follow. Events, by name, are how test and script wait for each other.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed."""

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
UNFRAMED_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
"""Head of a stream that ends when the connection does."""
LAST = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


class Gone(Exception):
    """The client closed while the script expected more of it."""


class Request(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    head: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Visit:
    """One connection, as a script sees it."""

    def __init__(self, upstream: Upstream, sock: socket.socket, number: int) -> None:
        self.upstream = upstream
        self.sock = sock
        self.number = number
        self.requests: list[Request] = []
        self.gone_at: float | None = None
        self.gone = threading.Event()
        self.over = threading.Event()
        self._rest = b""

    def request(self) -> Request:
        """Read one whole request; raises Gone when the client closes instead."""
        head = self.head()
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        lines = head.decode().split("\r\n")[1:]
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        request = Request(method, target, headers, body, head)
        self.requests.append(request)
        return request

    def head(self) -> bytes:
        """Read a request's head alone."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        return head

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are, in one piece."""
        self.sock.sendall(b"".join(parts))

    def answer(self, body: bytes | None = None, status: int = 200, **headers: str) -> None:
        """Send a whole answer, a chat completion unless told otherwise."""
        self.send(whole(completion() if body is None else body, status, **headers))

    def note(self, name: str) -> None:
        """Tell the test that the script has come this far."""
        self.upstream.event(name).set()

    def hold(self, name: str) -> None:
        """Wait until the test says `name`."""
        assert self.upstream.event(name).wait(PATIENCE), f"nobody said {name!r}"

    def until_gone(self) -> None:
        """Wait until the client has closed or reset, and note when."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionError:
            pass
        self._left()

    def close(self) -> None:
        """Close properly: FIN after what was sent."""
        self.sock.close()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> None:
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._left()
            raise Gone
        self._rest += data

    def _left(self) -> None:
        if self.gone_at is None:
            self.gone_at = time.monotonic()
        self.gone.set()


Script = Callable[[Visit], None]


class Upstream:
    """The server."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        """Listen, and run `scripts`."""
        self.visits: list[Visit] = []
        self.failures: list[BaseException] = []
        self._scripts = scripts or (answers,)
        self._tls = tls
        self._events: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """What `api_base=` is given."""
        scheme, host = ("https", "localhost") if self._tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}/v1"

    @property
    def requests(self) -> list[Request]:
        """Every request of every connection, in the order of the connections."""
        return [request for visit in self.visits for request in visit.requests]

    def event(self, name: str) -> threading.Event:
        with self._lock:
            return self._events[name]

    def wait(self, name: str) -> None:
        """Wait until a script notes `name`."""
        assert self.event(name).wait(PATIENCE), f"the server never came to {name!r}"

    def say(self, name: str) -> None:
        """Let scripts that hold on `name` go on."""
        self.event(name).set()

    def seconds_until_gone(self, since: float, number: int = 0) -> float:
        """Wait until the client has closed a connection; return how long after `since` it was."""
        visit = self.visits[number]
        assert visit.over.wait(PATIENCE), "the client never closed"
        return (visit.gone_at or time.monotonic()) - since

    def deafen(self) -> None:
        """Take no more connections; those that are open stay."""
        _shut(self._listening)

    def close(self) -> None:
        """Stop, and raise what a script raised."""
        _shut(self._listening)
        for visit in self.visits:
            _shut(visit.sock)
        for event in list(self._events.values()):
            event.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        if self.failures:
            raise self.failures[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            visit = Visit(self, sock, len(self.visits))
            thread = threading.Thread(target=self._serve, args=(visit,), daemon=True)
            self._threads.append(thread)
            self.visits.append(visit)
            thread.start()

    def _serve(self, visit: Visit) -> None:
        script = self._scripts[min(visit.number, len(self._scripts) - 1)]
        try:
            if self._tls is not None:
                visit.sock = self._tls.wrap_socket(visit.sock, server_side=True)
            script(visit)
        except (OSError, Gone):
            pass  # the client left, which the test sees for itself
        except BaseException as error:
            self.failures.append(error)
        finally:
            visit.sock.close()
            visit.over.set()


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # not connected, or closed already
    sock.close()


# what it says


def completion(text: str = "Hello", **more: object) -> bytes:
    """A chat completion as JSON."""
    message = {"role": "assistant", "content": text}
    body = {
        "id": "c1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        **more,
    }
    return json.dumps(body).encode()


def whole(body: bytes, status: int = 200, **headers: str) -> bytes:
    """A response with a length; header names are written with underscores."""
    sent = {"content_type": "application/json", "content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in sent.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status} Said", *lines, "", ""]).encode() + body


def event(text: str | None = None, finish: str | None = None, **more: object) -> bytes:
    """One event of a streamed chat."""
    delta = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return data({"id": "c1", "model": "m", "choices": choices, **more})


def usage_event(prompt: int = 3, answer: int = 2) -> bytes:
    """The last event, with usage and without choices."""
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
    return data({"id": "c1", "model": "m", "choices": [], "usage": usage})


def data(body: object) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chunk(piece: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def stream(*pieces: bytes) -> bytes:
    """A whole streamed response, a chunk for each piece."""
    return STREAM_HEAD + b"".join(chunk(piece) for piece in pieces) + LAST


HELLO = (event("Hel"), event("lo"), event(finish="stop"), usage_event(), DONE)
"""A stream's usual events."""


# what it does


def answers(visit: Visit) -> None:
    """Answer every request of a connection, streamed where that is asked for."""
    while True:
        asked = visit.request().json
        visit.send(stream(*HELLO) if asked.get("stream") else whole(completion()))


def saying(*responses: bytes) -> Script:
    """Answer the requests of a connection with these bytes in turn, then close."""

    def script(visit: Visit) -> None:
        for response in responses:
            visit.request()
            visit.send(response)

    return script


def then_resets(*pieces: bytes) -> Script:
    """Send these bytes to the first request, then RST once the test says "reset"."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(*pieces)
        visit.note("sent")
        visit.hold("reset")
        visit.reset()

    return script


def then_waits(*pieces: bytes) -> Script:
    """Send these bytes to the first request, note "sent" and wait for the client to leave."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(*pieces)
        visit.note("sent")
        visit.until_gone()

    return script


# what it is asked about


def open_sockets() -> int:
    """Return how many sockets this process has open."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            pass  # the listing's own
    return sum(link.startswith("socket:") for link in links)


def sockets_settle(most: int) -> bool:
    """Tell whether this process comes down to `most` open sockets.

    The server's own ends are among them, and it closes those a moment after it has noted that the
    client is gone.
    """
    until = time.monotonic() + 10
    while open_sockets() > most:
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True

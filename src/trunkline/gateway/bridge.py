"""Serves an ASGI 3 application on the gateway's edge: what is not in a hurry is written that way.

An application sees requests without their credentials; who calls is in `scope["state"]["caller"]`.
It must not know what the application is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from trunkline.dialects.openai_server import error_body
from trunkline.errors import InvalidInputError
from trunkline.gateway.lifespan import AsgiApp, Lifespan, Message, Scope, version
from trunkline.store.records import Key
from trunkline.wire.http1 import check_header

__all__ = ["AsgiApp", "Bridge", "Caller", "Exchange", "serve"]

CREDENTIALS = frozenset({b"authorization", b"proxy-authorization", b"x-api-key"})
"""Headers that applications do not get: the edge has read them, and nobody else needs to."""
OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)
"""Headers that are the edge's to write; an application's own are left out."""

_log = logging.getLogger(__name__)


class Caller(Protocol):
    """Who sent a request."""

    @property
    def key(self) -> Key:
        """The key that it was sent with."""
        ...


class Exchange(Protocol):
    """One request, and the one answer to it; the edge's own exchange is one."""

    on_gone: Callable[[], None] | None
    """Called when the client leaves before the answer has ended."""
    on_flow: Callable[[bool], None] | None
    """Called with False when the client reads too slowly, with True when it has caught up."""

    @property
    def method(self) -> str:
        """The method."""
        ...

    @property
    def target(self) -> str:
        """Path and query as sent."""
        ...

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        ...

    @property
    def query(self) -> str:
        """What follows the question mark, as sent."""
        ...

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Header values by lower-case name."""
        ...

    @property
    def body(self) -> bytes:
        """The whole body."""
        ...

    @property
    def id(self) -> str:
        """The request id."""
        ...

    @property
    def client(self) -> tuple[str, int] | None:
        """Address and port of the client."""
        ...

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        ...

    @property
    def caller(self) -> Caller | None:
        """Who sent it; None for an anonymous request."""
        ...

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        ...

    @property
    def labels(self) -> bytes:
        """Header lines that every answer to this request carries anyway."""
        ...

    def answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Answer whole."""
        ...

    def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Begin an answer whose length is not known."""
        ...

    def send(self, data: bytes) -> None:
        """Send a piece of an answer that was begun."""
        ...

    def end(self) -> None:
        """End an answer that was begun."""
        ...

    def abort(self) -> None:
        """Break the answer off: the client sees that it is not whole."""
        ...


class AnswerError(RuntimeError):
    """An application does not answer as ASGI has it."""


def serve(app: AsgiApp) -> Bridge:
    """Return what serves `app`: call it with each exchange, and close it at the end."""
    return Bridge(app)


class Bridge:
    """Serves one application. It is started by its first request, and each request is a task."""

    def __init__(self, app: AsgiApp) -> None:
        """Nothing is run before the first request."""
        self._app = app
        self._lifespan = Lifespan(app)
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, exchange: Exchange) -> None:
        """Serve one request; returns at once."""
        answering = _Answering(exchange)
        task = asyncio.get_running_loop().create_task(self._serve(exchange, answering))
        self._tasks.add(task)  # a task that nobody holds may vanish
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Break off what still runs and let the application shut down."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._lifespan.end()

    async def _serve(self, exchange: Exchange, answering: _Answering) -> None:
        try:
            state = await self._lifespan.begin()
            await self._app(scope_of(exchange, state), answering.receive, answering.send)
            answering.check()
        except asyncio.CancelledError:
            answering.fail(503, "The gateway is shutting down.", "shutting_down")
            raise
        except Exception as error:
            if exchange.gone:
                return  # nobody is there to be answered, and leaving is no failure
            _log.error("Request %s: the application failed.", exchange.id, exc_info=error)
            message = f"The gateway failed to answer; its log tells why, under {exchange.id}."
            answering.fail(500, message, "internal_error")


def scope_of(exchange: Exchange, state: dict[str, Any]) -> Scope:
    """Return a request as ASGI describes it, its credentials left out."""
    raw_path = exchange.target.partition("?")[0]
    headers = [pair for pair in exchange.headers.items() if pair[0] not in CREDENTIALS]
    return {
        "type": "http",
        "asgi": version(),
        "http_version": "1.1",
        "method": exchange.method,
        "scheme": "https" if exchange.secure else "http",
        "path": exchange.path,
        "raw_path": raw_path.encode("latin-1"),
        "query_string": exchange.query.encode("latin-1"),
        "root_path": "",
        "headers": headers,
        "client": exchange.client,
        "server": None,
        "state": {**state, "caller": exchange.caller, "request_id": exchange.id},
        "extensions": {},
    }


class _Answering:
    """The application's side of one exchange: what it receives and what it sends."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._asked = False
        self._start: tuple[int, list[tuple[str, str]]] | None = None
        self._length: int | None = None
        self._sent = 0
        self._begun = False
        self._over = asyncio.Event()
        """The answer has ended, or the client has left."""
        self._flowing = asyncio.Event()
        self._flowing.set()
        exchange.on_gone = self._gone
        exchange.on_flow = self._flow
        if exchange.gone:
            self._gone()

    def _gone(self) -> None:
        self._over.set()
        self._flowing.set()

    def _flow(self, flows: bool) -> None:  # noqa: FBT001 - the edge calls it so
        if flows:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def receive(self) -> Message:
        """Give the request, and then nothing before the end."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._exchange.body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take the answer's start, or a piece of its body; nothing, once the client has left."""
        if self._exchange.gone:
            await asyncio.sleep(0)  # one that never looks up must not hold the loop
            return
        if message["type"] == "http.response.start":
            self._take_start(message)
        elif message["type"] == "http.response.body":
            self._take_body(bytes(message.get("body", b"")), more=bool(message.get("more_body")))
            await asyncio.sleep(0)
            await self._flowing.wait()
        else:
            raise AnswerError(f"{message['type']!r} is no part of an answer.")

    def _take_start(self, message: Message) -> None:
        if self._start is not None:
            raise AnswerError("The answer was started twice.")
        status = message["status"]
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise AnswerError(f"{status!r} is no status of an answer.")
        headers, length = read_headers(message.get("headers", ()))
        if b"x-request-id:" not in self._exchange.labels:
            headers.append(("x-request-id", self._exchange.id))
        self._start, self._length = (status, headers), length

    def _take_body(self, data: bytes, *, more: bool) -> None:
        if self._start is None or self._over.is_set():
            when = "before the answer's start" if self._start is None else "after its end"
            raise AnswerError(f"A piece of a body was sent {when}.")
        self._sent += len(data)
        self._check_length(whole=not more)
        if more:
            self._begin()
            self._exchange.send(data)
            return
        if self._begun:
            self._exchange.send(data)
            self._exchange.end()
        else:
            self._exchange.answer(*self._start, data)
        self._over.set()

    def _begin(self) -> None:
        if not self._begun and self._start is not None:
            self._exchange.begin(*self._start)
            self._begun = True

    def _check_length(self, *, whole: bool) -> None:
        said = self._length
        if said is None or self._exchange.method == "HEAD":
            return
        if self._sent > said or (whole and self._sent != said):
            raise AnswerError(f"The body has {self._sent} bytes, its head said {said}.")

    def check(self) -> None:
        """Raise AnswerError where the application returned without a whole answer."""
        if not self._over.is_set():
            said = "did not end its answer" if self._begun else "did not answer"
            raise AnswerError(f"The application {said}.")

    def fail(self, status: int, message: str, code: str) -> None:
        """Answer with an error; an answer that has begun is broken off, a whole one stands."""
        if self._over.is_set():
            return
        self._over.set()
        if self._begun:
            self._exchange.abort()
            return
        headers = [("content-type", "application/json")]
        if b"x-request-id:" not in self._exchange.labels:
            headers.append(("x-request-id", self._exchange.id))
        self._exchange.answer(status, headers, error_body(message, kind="api_error", code=code))


def read_headers(pairs: Any) -> tuple[list[tuple[str, str]], int | None]:
    """Return an application's headers, and the length that they tell; raises AnswerError."""
    headers: list[tuple[str, str]] = []
    length: int | None = None
    for raw_name, raw_value in pairs:
        name, value = bytes(raw_name).decode("latin-1").lower(), bytes(raw_value).decode("latin-1")
        try:
            check_header(name, value)
        except InvalidInputError as error:
            raise AnswerError(error.message) from error
        if name == "content-length":
            if not value.isdigit():
                raise AnswerError("The content-length is no number.")
            length = int(value)
        if name not in OF_THE_CONNECTION:
            headers.append((name, value))
    return headers, length

"""ASGI's lifespan: an application's start before its first request, and its end after the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class StartError(RuntimeError):
    """An application said that it could not start."""


def version() -> dict[str, str]:
    """Return the version of ASGI that is spoken.

    By 2.3, what is sent to a client that has left is dropped, and an application that streams
    listens for the leaving: so it notices while it has nothing to send, too.
    """
    return {"version": "3.0", "spec_version": "2.3"}


class Lifespan:
    """One application's life; an application that knows nothing of lifespans is served anyway."""

    def __init__(self, app: AsgiApp) -> None:
        """Nothing is run yet."""
        self._app = app
        self._state: dict[str, Any] = {}
        self._starting: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._started: asyncio.Future[str | None] | None = None
        self._asked = False
        self._ending = asyncio.Event()

    async def begin(self) -> dict[str, Any]:
        """Start the application if it is not, and return its state; raises StartError."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        await asyncio.shield(self._starting)  # a request that is cancelled does not stop the start
        return self._state

    async def end(self) -> None:
        """Let the application shut down, if it was started."""
        if self._running is None:
            return
        self._ending.set()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _start(self) -> None:
        self._started = asyncio.get_running_loop().create_future()
        scope: Scope = {"type": "lifespan", "asgi": version(), "state": self._state}
        self._running = asyncio.create_task(self._live(scope))
        either: set[asyncio.Future[Any]] = {self._running, self._started}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._started.done() and (why := self._started.result()) is not None:
            raise StartError(f"The application did not start: {why or 'it did not say why'}.")

    async def _live(self, scope: Scope) -> None:
        try:
            await self._app(scope, self._receive, self._send)
        except Exception:  # as ASGI has it: an application may not know lifespans
            return

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        await self._ending.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        if self._started is None or self._started.done():
            return
        if message["type"] == "lifespan.startup.complete":
            self._started.set_result(None)
        elif message["type"] == "lifespan.startup.failed":
            self._started.set_result(str(message.get("message", "")))

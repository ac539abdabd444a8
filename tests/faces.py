"""Both clients behind one face, so that a promise is tested once for both."""

from __future__ import annotations

import asyncio
from typing import Any

from trunkline import APIError, AsyncClient, AsyncStream, Chunk, Client, Completion, Stream
from trunkline.settings import read_settings

try:
    import uvloop
except ImportError:  # the loop of the `fast` extra
    uvloop = None  # type: ignore[assignment]

ASKED = [{"role": "user", "content": "Hello?"}]
ONCE: dict[str, Any] = {"max_retries": 0}
"""For tests of one attempt."""


class Face:
    """Calls a client and, where it is asynchronous, runs its loop."""

    name = "blocking"

    def __init__(self) -> None:
        self._clients: list[Any] = []

    def client(self, url: str | None = None, **options: Any) -> Any:
        """Make a client that knows nothing of this machine's environment."""
        options.setdefault("settings", read_settings({}))
        client = self._make(api_base=url, **options)
        self._clients.append(client)
        return client

    def chat(self, client: Any, **parameters: Any) -> Completion:
        return self.run(client.chat("m", ASKED, **parameters))

    def stream(self, client: Any, **parameters: Any) -> Stream | AsyncStream:
        """Open a stream."""
        return self.opened(client.stream("m", ASKED, **parameters))

    def read(self, stream: Any) -> tuple[list[Chunk], APIError | None]:
        """Read a stream to its end; return its chunks, and the error that ended it."""
        chunks: list[Chunk] = []
        try:
            while (chunk := self.next(stream)) is not None:
                chunks.append(chunk)
        except APIError as error:
            return chunks, error
        return chunks, None

    def collect(self, client: Any, **parameters: Any) -> Completion:
        """Stream, and return the whole."""
        return self.run(self.stream(client, **parameters).collect())

    def close(self) -> None:
        """Close every client; harmless when done twice."""
        clients, self._clients = self._clients, []
        for client in clients:
            self.run(client.close())

    # where the two differ

    def _make(self, **options: Any) -> Any:
        return Client(**options)

    def run(self, outcome: Any) -> Any:
        return outcome

    def opened(self, stream: Any) -> Any:
        return stream

    def next(self, stream: Any) -> Chunk | None:
        return next(stream, None)


class AsyncioFace(Face):
    """AsyncClient on asyncio's own loop."""

    name = "asyncio"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=self._loop())
        self.runner.get_loop()

    def close(self) -> None:
        super().close()
        self.runner.close()

    def _loop(self) -> Any:
        return asyncio.new_event_loop

    def _make(self, **options: Any) -> Any:
        return AsyncClient(**options)

    def run(self, outcome: Any) -> Any:
        return self.runner.run(_awaited(outcome))

    def opened(self, stream: Any) -> Any:
        return self.run(stream)

    def next(self, stream: Any) -> Chunk | None:
        return self.run(_next(stream))


class UvloopFace(AsyncioFace):
    """AsyncClient on uvloop."""

    name = "uvloop"

    def _loop(self) -> Any:
        return uvloop.new_event_loop


async def _awaited(outcome: Any) -> Any:
    return await outcome


async def _next(stream: AsyncStream) -> Chunk | None:
    return await anext(stream, None)


FACES: dict[str, type[Face]] = {"blocking": Face, "asyncio": AsyncioFace}
if uvloop is not None:
    FACES["uvloop"] = UvloopFace

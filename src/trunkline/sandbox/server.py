"""The sandbox on a loopback port: a minimal HTTP server that plays what the application replies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager

from trunkline.errors import ConfigurationError
from trunkline.sandbox.app import Sandbox
from trunkline.sandbox.connection import Connection, Limits
from trunkline.sandbox.seen import Log

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class SandboxServer:
    """Serves a Sandbox on loopback. `requests` are the last that came."""

    def __init__(
        self,
        sandbox: Sandbox | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        keep: int = 1000,
    ) -> None:
        """Open nothing yet; port 0 takes a free one, `keep` is how many requests are kept.

        Raises ConfigurationError for a host that is not loopback: it asks nobody who they are.
        """
        if host not in _LOOPBACK:
            raise ConfigurationError(f"The sandbox serves on loopback only, not on {host!r}.")
        self.sandbox = sandbox or Sandbox()
        self.requests = Log(keep)
        self.host = host
        self.port = port
        self._limits = limits or Limits()
        self._server: asyncio.Server | None = None
        self._open: set[Connection] = set()
        self._opened = 0

    @property
    def url(self) -> str:
        """The base URL: `http://127.0.0.1:8377`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that send every client of ours here."""
        return {"TRUNKLINE_ROUTER": f"{self.url}/v1", "HF_ENDPOINT": self.url}

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def __str__(self) -> str:
        """Return the base URL."""
        return self.url

    async def start(self) -> None:
        """Begin to listen; raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close every connection, answers in progress included."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for connection in list(self._open):
                connection.close()
            await server.wait_closed()
            await asyncio.sleep(0)  # closed connections report it in the loop's next turn

    async def serve_forever(self) -> None:
        """Listen until cancelled."""
        await self.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.stop()

    def _connect(self) -> Connection:
        self._opened += 1
        return Connection(self.sandbox, self.requests, self._limits, self._open, self._opened)


@contextmanager
def serve_in_thread(
    sandbox: Sandbox | None = None,
    *,
    port: int = 0,
    limits: Limits | None = None,
    keep: int = 1000,
) -> Generator[SandboxServer]:
    """Serve in a thread of its own while the block runs, and give the server: `server.url`."""
    server = SandboxServer(sandbox, port=port, limits=limits, keep=keep)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="trunkline-sandbox", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

"""Several gateways on one database, and a balancer in front of them that knows only who can be connected to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from crowd import Upstream, upstream
from running import Gateway, running
from workers_side import wait_for


class Fleet:
    """Gateways whose journals are in one folder: so a new process takes the folder of a dead one."""

    def __init__(self, gateways: list[Gateway], serving: Upstream) -> None:
        self.gateways = gateways
        self.serving = serving

    def __getitem__(self, at: int) -> Gateway:
        return self.gateways[at]

    def new_key(self, **wish: Any) -> str:
        """Make a key, and wait until all know it."""
        secret = self[0].new_key(**wish)
        for gateway in self.gateways:
            wait_for(
                lambda g=gateway: g.ask("GET", "/v1/models", key=secret)[0] == 200,
                "the key is known",
            )
        return secret

    def replicas(self, at: int = 0) -> list[dict[str, Any]]:
        return list(self[at].admin("GET", "/replicas")["data"])

    def all_live(self) -> None:
        """Wait until each sees all of them, and nobody else."""
        for at in range(len(self.gateways)):
            wait_for(lambda a=at: self._states(a) == ["live"] * len(self.gateways), "all are live")

    def _states(self, at: int) -> list[str]:
        return [one["state"] for one in self.replicas(at)]

    def stop(self) -> list[int]:
        """End all of them."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(Gateway.stop, self.gateways))


@contextmanager
def running_fleet(
    folder: Path, config: str, count: int, environments: Mapping[int, Mapping[str, str]]
) -> Iterator[list[Gateway]]:
    def start(at: int) -> Gateway:
        own = folder / f"replica{at}"
        own.mkdir()
        return stack.enter_context(running(own, config, environments.get(at)))

    with ExitStack() as stack:
        first = start(0)  # makes the tables
        with ThreadPoolExecutor() as pool:
            yield [first, *pool.map(start, range(1, count))]


@asynccontextmanager
async def fleet(
    folder: Path,
    url: str,
    *,
    count: int = 3,
    store: str = "",
    environments: Mapping[int, Mapping[str, str]] | None = None,
) -> AsyncIterator[Fleet]:
    """Run gateways on a database in front of an upstream that counts; `store` are further settings."""
    async with upstream() as serving:
        config = f'store.url = "{url}"\nstore.journal = "{folder / "journal"}"\n{store}\n'
        manager = running_fleet(folder, config + serving.config, count, environments or {})
        gateways = await asyncio.to_thread(manager.__enter__)
        try:
            found = Fleet(gateways, serving)
            await asyncio.to_thread(found.all_live)
            yield found
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)


class Balancer:
    """Carries each connection to the next gateway that can be connected to."""

    def __init__(self, ports: list[int]) -> None:
        self.port = 0
        self._ports = ports
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            self._turn += 1
            port = self._ports[self._turn % len(self._ports)]
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.5):
                    there = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))
                return
        writer.close()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def balancing(gateways: list[Gateway]) -> AsyncIterator[Balancer]:
    balancer = Balancer([gateway.port for gateway in gateways])
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", 0, backlog=1000)
    balancer.port = server.sockets[0].getsockname()[1]
    try:
        yield balancer
    finally:
        server.close()

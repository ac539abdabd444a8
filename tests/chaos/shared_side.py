"""Several gateways on one PostgreSQL, callers that spread over them, and what the database then says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from crowd import Caller, Said, Upstream, upstream
from running import Gateway, running

MOST_OUTPUT = 20
"""`max_tokens` of every call, and what each answer then has."""


class Fleet:
    """Gateways that share a store; the first makes its tables."""

    def __init__(self, folder: Path, config: str, stack: ExitStack) -> None:
        self.gateways: list[Gateway] = []
        self._folder = folder
        self._config = config
        self._stack = stack
        self._number = 0

    def join(self, by: tuple[int, int] | None = None) -> Gateway:
        """Start one more; `by` a second port instead of a server's own, the first."""
        self._number += 1
        folder = self._folder / f"replica{self._number}"
        folder.mkdir()
        text = self._config.replace("JOURNAL", str(folder / "journal"))
        if by is not None:
            text = text.replace(f":{by[0]}/", f":{by[1]}/")
        gateway = self._stack.enter_context(running(folder, text))
        self.gateways.append(gateway)
        return gateway

    def kill(self, gateway: Gateway) -> None:
        gateway.kill()
        self.gateways.remove(gateway)

    @property
    def first(self) -> Gateway:
        return self.gateways[0]

    async def known(self, key: str) -> None:
        """Wait until every gateway knows a key."""
        for gateway in self.gateways:
            async with asyncio.timeout(20):
                while (await asyncio.to_thread(gateway.ask, "GET", "/v1/models", key=key))[
                    0
                ] != 200:
                    await asyncio.sleep(0.05)

    async def met(self) -> None:
        """Wait until every gateway knows of all others."""
        for gateway in self.gateways:
            async with asyncio.timeout(20):
                while len(
                    (await asyncio.to_thread(gateway.admin, "GET", "/replicas"))["data"]
                ) < len(self.gateways):
                    await asyncio.sleep(0.05)

    async def settled(self) -> None:
        """Wait until nothing is in flight, and all is in the store."""
        for gateway in self.gateways:
            async with asyncio.timeout(60):
                while True:
                    status = await asyncio.to_thread(gateway.admin, "GET", "/status")
                    if status["in_flight"] == 0 and status["ledger_waiting"] == 0:
                        break
                    await asyncio.sleep(0.02)


@contextmanager
def fleet(folder: Path, config: str, count: int) -> Iterator[Fleet]:
    with ExitStack() as stack:
        found = Fleet(folder, config, stack)
        for _ in range(count):
            found.join()
        yield found


@asynccontextmanager
async def serving(
    folder: Path, url: str, count: int = 3, store: str = "", more: str = ""
) -> AsyncIterator[tuple[Fleet, Upstream]]:
    """Serve with `count` gateways on the database `url`; each call costs all that was held for it."""
    async with upstream() as behind:
        behind.pause = 0.002
        costs_all_that_is_held(behind)
        text = f'store.url = "{url}"\nstore.journal = "JOURNAL"\n{store}\n{behind.config}'
        text += more.format(url=f"http://127.0.0.1:{behind.port}")
        with fleet(folder, text, count) as found:
            yield found, behind


def costs_all_that_is_held(behind: Upstream) -> None:
    """Have every answer use what its request could use at most."""
    size = len(json.dumps(body_of("x" * NAME)).encode())
    behind.usage = {
        "prompt_tokens": size,
        "completion_tokens": MOST_OUTPUT,
        "total_tokens": size + MOST_OUTPUT,
    }


NAME = 24
"""Characters of every model's name: so all requests have one size, and calls one price."""


def name_of(text: str) -> str:
    return f"{text:-<{NAME}}"


def body_of(model: str) -> dict[str, Any]:
    """Return the body that `crowd.Caller` sends."""
    wish: dict[str, Any] = {"messages": [{"role": "user", "content": "Five words."}]}
    return wish | {"model": model, "max_tokens": MOST_OUTPUT, "stream": False}


def price(behind: Upstream) -> int:
    """Return what a call is held for, and costs, in picodollars."""
    return behind.usage["prompt_tokens"] * 10**6 + MOST_OUTPUT * 2 * 10**6


async def crowd(fleet: Fleet, key: str, name: str, count: int) -> list[Said]:
    """Have `count` callers at each gateway ask once."""
    callers = [(gateway, number) for number in range(count) for gateway in fleet.gateways]
    return list(
        await asyncio.gather(
            *[
                ask(gateway, key, f"{name}/{at}/{number}")
                for at, (gateway, number) in enumerate(callers)
            ]
        )
    )


async def ask(gateway: Gateway, key: str, name: str, *, whole: bool = False) -> Said:
    """Ask once, for a model of `name` made as long as all others, unless it is `whole`."""
    caller = Caller(gateway.port, key)
    try:
        return await caller.ask(name if whole else name_of(name))
    finally:
        caller.close()


def told(said: list[Said]) -> Counter[str]:
    """Count answers by `ok`, or the code of the error."""
    return Counter("ok" if one.done else one.code for one in said)


class Books(msgspec.Struct):
    """What the database has of one key."""

    calls: int
    charged: int
    of_spend: int
    open: int
    granted: int
    """What is granted and not charged."""


async def books(url: str, key: str) -> Books:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            "SELECT count(*), coalesce(sum(charged), 0), count(*) FILTER (WHERE state = 'open') "
            "FROM ledger WHERE key = $1",
            key,
        )
        spend = await connection.fetchval(
            "SELECT coalesce(sum(charged), 0) FROM spend WHERE key = $1", key
        )
        granted = await connection.fetchval(
            "SELECT coalesce(sum(greatest(granted - settled, 0)), 0) FROM leases "
            "WHERE scope = 'key' AND whose = $1",
            key,
        )
    finally:
        await connection.close()
    return Books(row[0], int(row[1]), int(spend), row[2], int(granted))

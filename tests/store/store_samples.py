"""Records to put in stores, and the stores that keep the one contract."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from trunkline.store import postgres_statements as statements
from trunkline.store.postgres import PostgresStore
from trunkline.store.records import Batch, Content, Entry, Key, KeySecret, Replica, Spend
from trunkline.store.seam import SharedStore
from trunkline.store.sqlite import SqliteStore

NOON = 1_795_953_600.0
"""Of DAY."""


class Clock:
    """A store's clock, for all who have it open."""

    def __init__(self, now: float = NOON, url: str = "") -> None:
        self._now = now
        self.url = url
        """Of the database that has the clock, and whose stores look at it."""
        if url:
            self._run("CREATE SCHEMA clock; CREATE TABLE clock.clock (now float8)")
            self._run(f"INSERT INTO clock.clock VALUES ({now})")

    def __call__(self) -> float:
        return self._now

    @property
    def now(self) -> float:
        return self._now

    @now.setter
    def now(self, now: float) -> None:
        self._now = now
        if self.url:
            self._run(f"UPDATE clock.clock SET now = {now}")

    def _run(self, text: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            await connection.execute(text)
            await connection.close()

        with asyncio.Runner() as runner:
            runner.run(run())


CLOCK = "(SELECT now FROM clock.clock)"
Open = Callable[[Path, Clock], SharedStore]
STORES: dict[str, Open] = {
    "sqlite": lambda folder, clock: SqliteStore(folder / "gateway.db", clock=clock),
    "sqlite, not durable": lambda folder, clock: SqliteStore(
        folder / "gateway.db", durable=False, clock=clock
    ),
    "postgres": lambda _, clock: PostgresStore(clock.url, clock=CLOCK),
}
"""How to open each kind of store; what was opened in one place is the same store again."""
Opener = Callable[[], SharedStore]


def _new_files(
    request: Any, folder: Path, clock: Callable[[], float] = time.time
) -> Iterator[Opener]:
    for number in count():
        path = folder / f"{number}.db"
        yield lambda path=path: SqliteStore(path, durable=False, clock=clock)


def _new_schemas(
    request: Any, folder: Path, clock: Callable[[], float] = time.time
) -> Iterator[Opener]:
    url = request.getfixturevalue("postgres_url")
    server = request.getfixturevalue("postgres_server")
    sql = CLOCK if isinstance(clock, Clock) else statements.CLOCK
    for number in count():
        server.execute(f"CREATE SCHEMA s{number}", url=url)
        yield lambda number=number: PostgresStore(f"{url}?search_path=s{number}", clock=sql)


ANEW = {"sqlite": _new_files, "postgres": _new_schemas}
"""How to come to one new store after the other, each to be opened as often as is wished."""
DAY = "2026-11-29"


def unmeasured() -> dict[str, str]:
    """The environment for a process that will be killed: what it had covered would be half a file."""
    return {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}


def a_secret(key: str = "key_a", text: str = "s", **fields: Any) -> KeySecret:
    digest = hashlib.sha256(f"{key} {text}".encode()).digest()
    return KeySecret(digest=digest, key=key, hint="abcd", created=1.5, **fields)


def an_entry(number: int = 1, **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "id": f"req_{number:08}",
        "boot": "boot_1",
        "key": "key_a",
        "owner": None,
        "team": None,
        "endpoint": "chat",
        "model": "org/model",
        "stream": False,
        "started": 1_796_000_000.25 + number,
        "reserved": 10,
    }
    return Entry(**(given | fields))


def ended(number: int = 1, **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "state": "settled",
        "ended": 1_796_000_001.5 + number,
        "status": 200,
        "outcome": "ok",
        "cost": 7,
        "charged": 7,
    }
    return an_entry(number, **(given | fields))


def a_spend(**fields: Any) -> Spend:
    given: dict[str, Any] = {
        "day": DAY,
        "key": "key_a",
        "owner": "",
        "team": "",
        "model": "org/model",
        "provider": "groq",
        "calls": 1,
    }
    return Spend(**(given | fields))


def a_batch(
    position: int, *entries: Entry, spend: tuple[Spend, ...] = (), journal: str = "one"
) -> Batch:
    return Batch(list(entries), list(spend), journal, position)


def a_content(request_id: str = "req_1", **fields: Any) -> Content:
    given: dict[str, Any] = {
        "id": request_id,
        "prompt": "Why?",
        "answer": "So.",
        "kept": 1.0,
        "expires": 10.0,
    }
    return Content(**(given | fields))


def a_key(key_id: str = "key_a", **fields: Any) -> Key:
    return Key(id=key_id, created=1.5, **fields)


def a_replica(boot: str = "boot_1", **fields: Any) -> Replica:
    given: dict[str, Any] = {"host": "here 1", "started": 1.5, "config": "digest"}
    return Replica(boot=boot, **(given | fields))

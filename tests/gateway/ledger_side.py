"""Entries, calls that wait, and stores that fail, for the tests of what accounts for calls."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trunkline.gateway.journal import Written
from trunkline.store.records import Entry
from trunkline.store.seam import Store, StoreError
from trunkline.store.sqlite import SqliteStore
from trunkline.store.sums import spend_of

START = 1_796_000_000.0
PRICE = 7


def sent(number: int = 1, boot: str = "boot", **fields: Any) -> Entry:
    """Return the entry of a call that was sent."""
    given: dict[str, Any] = {
        "id": f"req_{number:06}",
        "boot": boot,
        "key": "key_a",
        "owner": None,
        "team": "red",
        "endpoint": "chat",
        "model": "org/model",
        "stream": False,
        "started": START + number,
        "reserved": 10,
    }
    return Entry(**(given | fields))


def settle(entry: Entry, cost: int | None = PRICE) -> Entry:
    """End a call, as the gateway does."""
    entry.status, entry.outcome, entry.cost = 200, "ok", cost
    entry.charged = entry.reserved if cost is None else cost
    entry.ended = entry.started + 1
    entry.state = "settled"
    return entry


def ended(number: int = 1, cost: int | None = PRICE, **fields: Any) -> Entry:
    """Return the entry of a call that has ended."""
    return settle(sent(number, **fields), cost)


class Caller:
    """A call that waits for its entry to be noted."""

    def __init__(self) -> None:
        self.told: list[OSError | None] = []

    def noted(self) -> None:
        self.told.append(None)

    def not_noted(self, error: OSError) -> None:
        self.told.append(error)

    @property
    def sent(self) -> bool:
        return self.told == [None]


class Taken(list[Written]):
    """What a journal wrote."""

    def ids(self) -> list[str]:
        return [e.id for written in self for e in (*written.sent, *written.ended)]


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's coroutine."""
    asyncio.run(work())


async def until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something to come true."""
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.005)


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file may grow beyond a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class BadStore:
    """A store of which chosen calls fail: before they are done, or after."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: Counter[str] = Counter()
        self.fails: Callable[[str, int], str | None] = lambda _name, _number: None
        """Given a method and how often it was called, `before`, `after` or None."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def call(*given: Any) -> Any:
            self.calls["all"] += 1
            self.calls[name] += 1
            when = self.fails(name, self.calls["all"])
            if when == "before":
                raise StoreError("The store is down.")
            result = method(*given)
            if when == "after":
                raise StoreError("The store went down while it answered.")
            return result

        return call


def new_store(folder: Path) -> SqliteStore:
    """Return a store with its schema."""
    store = SqliteStore(folder / "gateway.db", durable=False)
    store.migrate()
    return store


def check_books(store: Store, expected: dict[str, tuple[str, int]]) -> None:
    """Hold a ledger to `expected`, state and charge by id, and its sums to its rows."""
    rows = store.entries(limit=100_000)
    assert len({row.id for row in rows}) == len(rows)
    assert {row.id: (row.state, row.charged) for row in rows} == expected
    of_rows = {key_of(row): row for row in spend_of(rows)}
    assert {key_of(row): row for row in store.charged("")} == of_rows


def key_of(row: Any) -> tuple[str, ...]:
    """Return what a row of spend is for."""
    return (row.day, row.key, row.owner, row.team, row.model, row.provider)

"""Each kind of store, new and migrated; what was opened is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_samples import STORES, Clock

from trunkline.store.seam import SharedStore


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    """Which store."""
    return request.param


@pytest.fixture
def clock(kind: str, request: pytest.FixtureRequest) -> Clock:
    """What time it is for the store, and where it is, if it has a place of its own."""
    if kind == "postgres":
        return Clock(url=request.getfixturevalue("postgres_url"))
    return Clock()


@pytest.fixture
def reopen(kind: str, tmp_path: Path, clock: Clock) -> Iterator[Callable[[], SharedStore]]:
    """Open the same store once more, as another process would."""
    opened: list[SharedStore] = []

    def start() -> SharedStore:
        opened.append(STORES[kind](tmp_path, clock))
        return opened[-1]

    yield start
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: Callable[[], SharedStore]) -> SharedStore:
    """A store with its schema."""
    store = reopen()
    store.migrate()
    return store

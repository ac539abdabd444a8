"""Each kind of store, new and migrated; what was opened is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_samples import STORES, Clock

from trunkline.store.seam import SharedStore


@pytest.fixture
def clock() -> Clock:
    """What time it is for the store."""
    return Clock()


@pytest.fixture(params=STORES)
def reopen(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> Iterator[Callable[[], SharedStore]]:
    """Open the same store once more, as another process would."""
    opened: list[SharedStore] = []

    def start() -> SharedStore:
        opened.append(STORES[request.param](tmp_path, clock))
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

"""Each kind of store, new and migrated; what was opened is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_samples import STORES

from trunkline.store.seam import Store


@pytest.fixture(params=STORES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open the same store once more, as another process would."""
    opened: list[Store] = []

    def start() -> Store:
        opened.append(STORES[request.param](tmp_path))
        return opened[-1]

    yield start
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: Callable[[], Store]) -> Store:
    """A store with its schema."""
    store = reopen()
    store.migrate()
    return store

"""The server that replays, one for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from replay import Replays, ReplayServer


@pytest.fixture(scope="module")
def replays() -> Iterator[Replays]:
    server = ReplayServer()
    yield Replays(server)
    server.close()

"""What modules share: the server that replays, and an environment without a login."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from replay import Replays, ReplayServer


@pytest.fixture(scope="module")
def replays() -> Iterator[Replays]:
    server = ReplayServer()
    yield Replays(server)
    server.close()


@pytest.fixture(scope="module")
def no_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No token of whoever runs the tests, for a whole module: it has very many calls."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("HF_", "HUGGING")):
                patch.delenv(name)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("nobody")))
        yield

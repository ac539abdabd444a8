"""The server that replays, one for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from recordings import Exchange
from replay import Outcome, ReplayServer, answer_bytes, call


class Replays:
    """Calls that get recorded answers; what came of an answer given whole is remembered."""

    def __init__(self, server: ReplayServer) -> None:
        self.server = server
        self._whole: dict[Exchange, Outcome] = {}

    def answer_with(self, pieces: list[bytes]) -> str:
        """Let the server answer with these pieces; returns its address."""
        self.server.pieces = pieces
        return self.server.address

    def whole(self, exchange: Exchange) -> Outcome:
        """Return what comes of an answer that arrives in one piece."""
        if exchange not in self._whole:
            address = self.answer_with([answer_bytes(exchange)])
            self._whole[exchange] = call(exchange, address)
        return self._whole[exchange]


@pytest.fixture(scope="module")
def replays() -> Iterator[Replays]:
    server = ReplayServer()
    yield Replays(server)
    server.close()

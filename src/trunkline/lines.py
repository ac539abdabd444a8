"""What a blocking stream is read from, and how another exchange is had after one broke."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic

from trunkline.errors import APIError
from trunkline.progress import EventT, Open, Progress, WholeT
from trunkline.routing.carry import Flow
from trunkline.transport.seam import Exchange

Run = Callable[[Flow[Open[EventT, WholeT]]], Open[EventT, WholeT]]
"""Carries a flow on, blocking."""
RunAsync = Callable[[Flow[Open[EventT, WholeT]]], Awaitable[Open[EventT, WholeT]]]


class Line(Generic[EventT, WholeT]):
    """The exchange that a stream is read from, and how another one is had after it broke."""

    def __init__(self, exchange: Exchange, run: Run[EventT, WholeT] | None) -> None:
        """Begin with an open exchange; without `run` there is no other one."""
        self.exchange = exchange
        self.left = False
        self._run = run

    def hang_up(self) -> None:
        """Close it, for good."""
        self.left = True
        self.exchange.close()

    def mended(self, progress: Progress[EventT, WholeT]) -> bool:
        """Go on with another exchange, if there is a way to; raises APIError."""
        flow = None if self._run is None or self.left else progress.mending()
        if flow is None or self._run is None:
            return False
        self.exchange.close()
        try:
            opened = self._run(flow)
        except APIError as error:
            progress.broken(error)
            raise
        self.exchange = opened.reply.exchange
        if self.left:
            self.exchange.close()
        progress.mended(opened)
        return True

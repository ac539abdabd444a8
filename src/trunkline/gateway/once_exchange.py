"""An exchange between a call and its client, for a call that is done once: what is answered is kept.

The call does not notice. Its client may leave: the call goes on, since an answer that was paid for is
what the client will ask for again. The end of an answer goes to the client when it is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.gateway.call import Call
from trunkline.gateway.exchange import Exchange

_LOOK = 0.02
"""Seconds between two looks whether a call that was answered is settled."""


class KeptExchange(Exchange):
    """Takes a call's answer, hands it on to `client`, and keeps it up to a size."""

    __slots__ = (
        "_client",
        "_keep_open",
        "_kept",
        "_last",
        "_most",
        "_over",
        "_taken",
        "answered",
        "large",
        "lines",
    )

    def __init__(self, client: Exchange, most: int, over: Callable[[KeptExchange], None]) -> None:
        """Stand before `client`; `over` is called once when the call has ended, however it did.

        Up to `most` bytes of the answer are kept.
        """
        super().__init__(client.connection, client.head, client.began)
        for name in ("id", "body", "size", "caller", "whole", "client_id"):
            setattr(self, name, getattr(client, name))
        self.parts = getattr(client, "parts", [])
        self.lines = b""
        """Header lines of the answer."""
        self.answered = False
        """Whether the answer came to its end."""
        self.large = False
        """Whether it has more than is kept."""
        self._client = client
        self._kept: list[bytes] = []
        self._last = b""
        self._keep_open = True
        self._most = most
        self._taken = 0
        self._over: Callable[[KeptExchange], None] | None = over
        client.on_gone = self._client_left
        client.on_flow = self._client_flow

    @property
    def call(self) -> Call | None:
        """The call that was made for the request: it has asked to be told when the client leaves."""
        told = getattr(self.on_gone, "__self__", None)
        return told if isinstance(told, Call) else None

    @property
    def kept(self) -> bytes:
        """The answer's body, all of it, unless it is `large`."""
        return b"".join(self._kept)

    # called by whoever answers

    def answer_ok(self, lines: bytes, body: bytes) -> None:
        """Answer 200."""
        self.answer_bytes(200, lines, body)

    def answer_bytes(self, status: int, lines: bytes, body: bytes, *, keep: bool = True) -> None:
        """Answer whole, once it is kept."""
        if self.begun:
            return
        self.begun = True
        self.status, self.lines, self._keep_open = status, lines, keep
        self._end(body)

    def begin_bytes(self, status: int, lines: bytes, first: bytes) -> None:
        """Begin, to the client too."""
        if self.begun:
            return
        self.begun = True
        self.status, self.lines = status, lines
        self._keep(first)
        self._label()
        self._client.begin_bytes(status, lines, first)

    def send(self, data: bytes) -> None:
        """Send a piece."""
        if self.begun and not self.done and data:
            self._keep(data)
            self._client.send(data)

    def end(self, last: bytes = b"") -> None:
        """End an answer that was begun, to the client once it is kept."""
        if self.begun and not self.done:
            self._end(last)

    def abort(self) -> None:
        """Break the answer off."""
        if not self.done:
            self.done = True
            self._client.abort()
            self._end_soon()

    def deliver(self) -> None:
        """Hand the end on to the client: the answer is kept, or cannot be."""
        client = self._client
        if client.begun:
            client.end(self._last)
        else:
            self._label()
            client.answer_bytes(self.status, self.lines, self._last, keep=self._keep_open)

    def _end(self, last: bytes) -> None:
        self.done = self.answered = True
        self._last = last
        self._keep(last)
        self._end_soon()

    def _end_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._see_to_the_end)  # it is settled in this turn

    def _see_to_the_end(self) -> None:
        call = self.call
        if call is not None and not call.settled:
            asyncio.get_running_loop().call_later(_LOOK, self._see_to_the_end)
            return
        over, self._over = self._over, None
        if over is not None:
            over(self)

    def _keep(self, data: bytes) -> None:
        if self.large:
            return
        self._taken += len(data)
        if self._taken > self._most:
            self.large = True
            self._kept.clear()
            self._call_off()
        else:
            self._kept.append(data)

    def _label(self) -> None:
        self._client.labels += self.labels
        self.labels = b""

    # called by the client's exchange

    def _client_left(self) -> None:
        self._client_flow(True)
        if self.call is None and self.on_gone is not None and not self.done:
            self.done = True  # it waits for something, and nothing was sent
            self.on_gone()
            self._see_to_the_end()
        else:
            self._call_off()

    def _client_flow(self, go_on: bool) -> None:  # noqa: FBT001 - the edge calls it so
        if self.on_flow is not None and not self.done:
            self.on_flow(go_on)

    def _call_off(self) -> None:
        """End a call whose answer nobody will get: its client has left, and it is too large to keep."""
        if self.large and self._client.gone and not self.done and self.on_gone is not None:
            self.done = True
            self.on_gone()
            self._see_to_the_end()

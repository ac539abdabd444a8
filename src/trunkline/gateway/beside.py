"""A second target that is asked beside one that is slower than it nearly ever is: who answers first goes on.

It is asked before anything of the first one's answer has come. What wins hands all that comes to the relay.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from trunkline.gateway import verdicts
from trunkline.gateway.receiving import Receiver
from trunkline.gateway.upstream import UpstreamConnection

if TYPE_CHECKING:
    from trunkline.errors import APIError
    from trunkline.gateway.plans import Target


class Host(Receiver, Protocol):
    """The relay whose first target is slow."""

    def beside_ready(self, beside: Beside, connection: UpstreamConnection) -> None:
        """Send the request to the second target."""
        ...

    def beside_won(self, beside: Beside) -> None:
        """Go on with the second target, whose answer has begun."""
        ...

    def beside_failed(self, beside: Beside, error: APIError) -> None:
        """Take note that the second target will not answer."""
        ...


class Beside(Receiver):
    """The second target's side."""

    def __init__(self, host: Host, target: Target, at: int) -> None:
        """Ask nobody yet; `at` is its place among the targets."""
        self.target = target
        self.at = at
        self.connection: UpstreamConnection | None = None
        self.chosen = False
        """Whether the relay goes on with it."""
        self._host = host
        self._over = False
        self._opening: asyncio.Task[None] | None = None
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []

    def begin(self) -> None:
        """Ask."""
        pool = self.target.pool
        if pool is None:
            raise TypeError("a target without connections is not relayed")
        connection = pool.take()
        if connection is not None:
            self.connected(connection)
        else:
            self._opening = pool.open(self)

    def drop(self) -> None:
        """Hang up: the other one was sooner, or nobody waits any more."""
        if self._over or self.chosen:
            return
        self._over = True
        if self._opening is not None:
            self._opening.cancel()
        if self.connection is not None:
            self.connection.hang_up()

    # called by the upstream

    def connected(self, connection: UpstreamConnection) -> None:
        """Send the request."""
        self._opening = None
        if self._over:
            connection.hang_up()
            return
        self.connection = connection
        self._host.beside_ready(self, connection)

    def head(self, status: int, headers: dict[bytes, bytes]) -> None:
        """Take the head of an answer; one that is none of success has to say why first."""
        if self._over:
            return
        if status == 200 and not self.chosen:
            self._host.beside_won(self)
        if self.chosen:
            self._host.head(status, headers)
        else:
            self._status, self._headers = status, headers

    def piece(self, data: bytes) -> None:
        """Take a piece of it."""
        if self.chosen and not self._over:
            self._host.piece(data)
        else:
            self._parts.append(data)

    def ended(self, status: int, headers: dict[bytes, bytes], rest: bytes) -> None:
        """Take the rest of it."""
        if self._over:
            return
        if status == 200 and not self.chosen:
            self._host.beside_won(self)
        if self.chosen:
            if self._parts:
                self._host.piece(b"".join(self._parts))
            self._host.ended(status, headers, rest)
            return
        self._over = True
        told = b"".join([*self._parts, rest])
        self._host.beside_failed(self, verdicts.refusal(status, headers or self._headers, told))

    def broken(self, error: APIError) -> None:
        """Take note that there will be no answer."""
        if self._over:
            return
        if self.chosen:
            self._host.broken(error)
            return
        self._over = True
        self._host.beside_failed(self, error)

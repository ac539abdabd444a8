"""A relay's first moments at a target of a route: how long it may be silent, and who is asked beside it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trunkline.errors import APIError
from trunkline.gateway.beside import Beside
from trunkline.gateway.following import Following
from trunkline.gateway.outgoing import body_for
from trunkline.gateway.upstream import UpstreamConnection

if TYPE_CHECKING:
    from trunkline.gateway.course import Course


class Hedging(Following):
    """Asks a second target where the first is slower than it nearly ever is."""

    _token_by = float("inf")
    """When the first token of a stream is late, while another target remains."""
    _beside: Beside | None = None

    def _set_out(self, course: Course) -> None:
        """Take note that the present target was sent the request."""
        now = self.exchange.connection.edge.now
        others = self.plan.targets[self._at + 1 :]
        if self.asked.stream:
            self._token_by = now + course.silence(others, self.exchange.urgency.deadline)
            self.until = min(self.until, self._token_by)
        seconds = course.slow_after() if others else None
        if seconds is not None and self._cuts is None and not course.tries:
            loop = asyncio.get_running_loop()
            loop.call_later(seconds, self._ask_beside, course, self._target)

    def _ask_beside(self, course: Course, slow: object) -> None:
        """Ask a second target, if the first has said nothing yet."""
        waits = self._sent and not self._status and self._target is slow
        if self.settled or not waits or course.tries or self._beside is not None:
            return
        for at in range(self._at + 1, len(self.plan.targets)):
            target = self.plan.targets[at]
            if target.gates or not course.may(target):
                continue  # where calls are counted nobody is asked in vain
            if course.hedge(target):
                self._beside = Beside(self, target, at)
                course.drop_beside = self._beside.drop
                self._beside.begin()
            return

    # called by what asks the second target

    def beside_ready(self, beside: Beside, connection: UpstreamConnection) -> None:
        """Send the request to the second target."""
        self.entry.attempts += 1
        target = beside.target
        if beside.chosen:
            self._connection, self._sent = connection, True
        body = body_for(target, self.asked, self.exchange.body)
        connection.send(beside, b"%b%d\r\n\r\n%b" % (target.head, len(body), body))

    def beside_won(self, beside: Beside) -> None:
        """Go on with the second target, and hang up on the first."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self._drop()
        self._adopt(beside)

    def beside_failed(self, beside: Beside, error: APIError) -> None:
        """Go on waiting for the first target."""
        self.desk.attempted(beside.target.upstream, type(error).__name__)
        if self.course is not None and self._beside is beside:
            self._beside = None
            self.course.hedge_lost(error)

    def _was_sooner(self) -> None:
        """Hang up on the second target: the first one answers."""
        beside, self._beside = self._beside, None
        if beside is not None and self.course is not None:
            beside.drop()
            self.course.hedge_lost(None)

    def _instead(self) -> bool:
        """Wait for the second target, where the first has failed; tells whether there is one."""
        beside = self._beside
        if beside is None or self.settled:
            return False
        self._adopt(beside)
        return True

    def _adopt(self, beside: Beside) -> None:
        course, entry, target = self.course, self.entry, beside.target
        if course is None:
            raise TypeError("only a call with a route asks two targets")
        self._beside, beside.chosen = None, True
        course.hedge_won()
        self._at, self._target, self._connection = beside.at, target, beside.connection
        self._status, self._headers, self._tap, self._parts = 0, {}, None, None
        self._again, self._sent = False, beside.connection is not None
        entry.upstream, entry.target_model = target.upstream, target.model
        entry.provider = target.provider
        self.until = self.exchange.connection.edge.now + target.first_byte_seconds

    def _failed(self, error: APIError) -> None:
        """Wait for a second target that was asked beside, or do as the route says."""
        if self._beside is not None and self._first:
            free = 400 <= self._status < 600 or not self._sent
            self.not_answered(error, self._target, free=free)
            if self._instead():
                return
        super()._failed(error)

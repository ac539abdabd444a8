"""A call on one connection to its target: how it gets one, loses it, and tells what went wrong.

What goes over it, and what is made of the answer, is a subclass's affair.
"""

from __future__ import annotations

import asyncio

from trunkline import errors
from trunkline.errors import APIError
from trunkline.gateway import quote, verdicts
from trunkline.gateway.call import FREE, Call
from trunkline.gateway.plans import Target
from trunkline.gateway.quote import Tariff
from trunkline.gateway.receiving import Receiver
from trunkline.gateway.refusals import tell
from trunkline.gateway.tokens import Tokens
from trunkline.gateway.upstream import UpstreamConnection
from trunkline.gateway.verdicts import may_have_run


class Line(Call, Receiver):
    """Has a connection, at most, to the target that is being asked."""

    _target: Target
    """The target that is being asked."""
    _again = False
    """Whether this is the second try of a request whose connection had died while idle."""
    _sent = False
    """Whether the present target has been sent the request."""
    _status = 0
    _headers: dict[bytes, bytes] = {}  # noqa: RUF012 - replaced, never changed
    _connection: UpstreamConnection | None = None
    _opening: asyncio.Task[None] | None = None

    def _send_on(self, connection: UpstreamConnection) -> None:
        """Send the request."""
        raise NotImplementedError

    def _settle_partial(self, status: int, outcome: str, code: str | None) -> None:
        """Settle a call that did not end."""
        raise NotImplementedError

    def _tariff(self) -> Tariff:
        """Return what the answer costs."""
        raise NotImplementedError

    def _connect(self, *, fresh: bool) -> None:
        """Send the request on a connection that is kept; where `fresh` says so, on a new one."""
        self._sent = False
        pool = self._target.pool
        if pool is None:
            raise TypeError("a target without connections is not relayed")
        connection = None if fresh else pool.take()
        if connection is not None:
            self._send_on(connection)
        else:
            self._opening = pool.open(self)

    # called by the upstream and the exchange

    def connected(self, connection: UpstreamConnection) -> None:
        """Send the request."""
        self._opening = None
        if self.settled:
            connection.hang_up()
        else:
            self._send_on(connection)

    def gone(self) -> None:
        """Hang up: the client has left."""
        if self.settled:
            return
        if self._hung_up_unsent():
            self.never_sent()
        else:
            self._settle_partial(499, "cancelled", None)

    # pieces of what subclasses do

    def _broken_off(self, error: APIError) -> bool:
        """Take the end of the connection; tells whether it is the end of this try, too."""
        connection, self._connection = self._connection, None
        self._opening = None
        if self.settled:
            return False
        if (
            connection is not None
            and connection.used
            and verdicts.nothing_received(error)
            and not self._again
        ):
            self._again = True  # it had died while idle: once more, on a new one
            self.send()
            return False
        if not self._sent and isinstance(error, errors.APIConnectionError):
            self.entry.attempts += 1  # it was tried; where no connection was free it was not
        return True

    def _silence(self) -> errors.Timeout:
        """Return the error of an upstream that says nothing."""
        what = "stopped sending its answer" if self._status else "did not begin to answer in time"
        error = errors.Timeout(f"The upstream {self._target.upstream!r} {what}.")
        error.sent = True
        return error

    def _give_up(self, error: APIError) -> None:
        """Say what was wrong with the target that was asked last."""
        error.provider = error.provider or self.entry.provider
        fault = self.fault_of(error, self._target)
        if self.course is not None:
            fault = self.course.fault(error, fault)
        tell(self.exchange, fault)
        if 400 <= self._status < 600 or not self._sent or not may_have_run(error):
            # an upstream that refuses bills nothing; neither does one that was not reached
            self.settle(fault.status, "refused", Tokens(), FREE, code=fault.code)
        else:
            self.settle(fault.status, "failed", Tokens(), self._tariff(), code=fault.code)

    def _out_of_time(self, error: APIError) -> None:
        """Say that the call's deadline has passed, whichever target comes next."""
        self.desk.attempted(self._target.upstream, type(error).__name__)
        if self.course is not None:
            self.course.broke(error)
        self._give_up(error)

    def _estimated_input(self) -> int:
        return quote.text_tokens(self.exchange.size)

    def _hung_up_unsent(self) -> bool:
        """Stop what has not been sent; tells whether nothing was."""
        if self._opening is not None:
            self._opening.cancel()
        return not self._sent

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.hang_up()

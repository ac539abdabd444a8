"""Whoever takes an upstream's answer, and what becomes of the call when they fail at it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from trunkline.errors import APIError, InvalidResponseError

if TYPE_CHECKING:
    from trunkline.gateway.upstream import UpstreamConnection

_log = logging.getLogger(__name__)


class Receiver(Protocol):
    """What an upstream's answer is handed to, as it arrives."""

    def connected(self, connection: UpstreamConnection) -> None:
        """Take a connection that is ready for a request."""
        ...

    def head(self, status: int, headers: dict[bytes, bytes]) -> None:
        """Take the head of an answer whose body is still coming; names are spelt as they came."""
        ...

    def piece(self, data: bytes) -> None:
        """Take a piece of its body."""
        ...

    def ended(self, status: int, headers: dict[bytes, bytes], rest: bytes) -> None:
        """Take the rest of an answer that is whole now; `head` may not have been called."""
        ...

    def broken(self, error: APIError) -> None:
        """Take note that there will be no whole answer, and why."""
        ...


def end(receiver: Receiver, status: int, headers: dict[bytes, bytes], rest: bytes) -> None:
    """Hand over the rest of a whole answer; where that fails the call ends all the same."""
    try:
        receiver.ended(status, headers, rest)
    except Exception as error:
        at_fault(receiver, error)


def at_fault(receiver: Receiver, fault: Exception) -> None:
    """End the call whose answer could not be dealt with: nobody may wait for what does not come."""
    _log.error("an answer could not be dealt with", exc_info=fault)
    error = InvalidResponseError(
        f"The gateway failed at the upstream's answer ({type(fault).__name__}).",
        hint="The gateway's log says where; please report it.",
    )
    receiver.broken(error)

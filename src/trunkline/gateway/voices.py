"""How clients of another API than OpenAI's chat are answered: the seam that each such API fills in.

A call for them is read into a chat's body, carried like any chat, and its answer written by its voice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from trunkline.gateway.refusals import Fault

ErrorBody = Callable[["Fault", str], bytes]
"""Writes the body of an error; takes it and the request id."""


class Voice(Protocol):
    """Writes one chat's answer in another API. One a call; it may keep what it has said."""

    def whole(self, data: bytes) -> bytes:
        """Write an answer that came whole; raises InvalidResponseError for one that is no chat's."""
        ...

    def events(self, data: bytes) -> bytes:
        """Write whole events of a chat's stream; the mark of its end is not among them.

        Raises InvalidResponseError for what cannot be told.
        """
        ...

    def end(self) -> bytes:
        """Write what ends a stream whose chat has ended well; raises as `events`."""
        ...

    def broken(self, fault: Fault, request_id: str) -> bytes:
        """Write an error into a stream that has begun; it is the last of it."""
        ...


class Untouched:
    """Leaves an answer as it comes; a subclass writes the gateway's own errors into streams."""

    def whole(self, data: bytes) -> bytes:
        """Return it."""
        return data

    def events(self, data: bytes) -> bytes:
        """Return them."""
        return data

    def end(self) -> bytes:
        """Add nothing."""
        return b""

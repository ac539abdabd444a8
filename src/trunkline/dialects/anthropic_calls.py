"""Calls of tools in a stream, put one after the other: a message has one block open at a time.

Chats may send pieces of several calls in turns. A call's block is ended once its arguments are whole;
what comes of others before that waits.
"""

from __future__ import annotations

from trunkline.dialects.anthropic_answer import object_in
from trunkline.errors import InvalidResponseError
from trunkline.types import ToolCallDelta

_LATE = "A call goes on after its arguments were whole."


class _Call:
    __slots__ = ("id", "name", "pieces", "told")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.told = 0
        """How many of the pieces have been written."""


class Calls:
    """The calls of one message, in the order in which they appear."""

    def __init__(self, message_id: str) -> None:
        """Start without any; `message_id` is for calls that get no id from their server."""
        self._prefix = f"toolu_{message_id.removeprefix('msg_')}"
        self._calls: list[_Call] = []
        self.at = -1
        """The call whose turn it is."""

    @property
    def any(self) -> bool:
        """Whether there were calls."""
        return bool(self._calls)

    def take(self, delta: ToolCallDelta) -> None:
        """Take a piece of a call; raises InvalidResponseError for more of one that is over."""
        while len(self._calls) <= delta.index:
            self._calls.append(_Call())
        call, function = self._calls[delta.index], delta.function
        call.id = call.id or delta.id or ""
        if function is None:
            return
        call.name = call.name or function.name or ""
        if function.arguments:
            if delta.index < self.at and function.arguments.strip():
                raise InvalidResponseError(_LATE)
            call.pieces.append(function.arguments)

    def add(self, arguments: str) -> None:
        """Take a piece of the call whose turn it is, which is written as it comes."""
        call = self._calls[self.at]
        call.pieces.append(arguments)
        call.told = len(call.pieces)

    @property
    def waiting(self) -> bool:
        """Whether another call has begun."""
        return len(self._calls) > self.at + 1

    @property
    def complete(self) -> bool:
        """Whether the arguments of the call whose turn it is are whole."""
        if self.at < 0:
            return False
        pieces = self._calls[self.at].pieces
        # most that is not whole does not end as an object does: no need to read it
        return (
            bool(pieces)
            and pieces[-1].rstrip()[-1:] in ("}", "")
            and (object_in("".join(pieces)) is not None)
        )

    def next(self) -> bool:
        """Turn to the next call, if there is one with a name."""
        if self.at + 1 >= len(self._calls) or not self._calls[self.at + 1].name:
            return False
        self.at += 1
        return True

    def begun(self) -> dict[str, str]:
        """Return id and name of the call whose turn it is."""
        call = self._calls[self.at]
        return {"id": call.id or f"{self._prefix}_{self.at}", "name": call.name}

    def check_over(self) -> None:
        """Raise InvalidResponseError where there is more of the call whose block has ended."""
        if self.at >= 0 and self.taken().strip():
            raise InvalidResponseError(_LATE)

    def taken(self) -> str:
        """Return what has come of its arguments since it was last asked for."""
        call = self._calls[self.at]
        text = "".join(call.pieces[call.told :])
        call.told = len(call.pieces)
        return text

"""What a supervisor and its workers tell each other: a line of JSON each, over a pair of sockets.

A worker is told at its start where it stands; then it obeys orders, and reports when it could serve.
"""

from __future__ import annotations

import socket
from typing import Any

import msgspec


class Place(msgspec.Struct, frozen=True):
    """What a worker is started with."""

    slot: int
    """Its number; the worker that takes its place has the same."""
    control: int
    """Descriptor of its end of the pair."""
    sockets: tuple[tuple[int, ...], ...]
    """Descriptors of the sockets to accept from, of each slot."""
    room: str
    """A private folder, where workers tell each other how they are."""
    sole: bool = False
    """Whether no other process can be using the store."""


class Accept(msgspec.Struct, frozen=True, tag="accept"):
    """Accept from these slots' sockets, and from no others."""

    slots: tuple[int, ...]
    expected: tuple[int, ...]
    """Slots that all have to serve for the gateway to be ready."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """End: let answers end first."""

    handed_on: bool
    """Whether another worker accepts from the same sockets."""


class Hurry(msgspec.Struct, frozen=True, tag="hurry"):
    """Wait for answers no longer."""


class Reload(msgspec.Struct, frozen=True, tag="reload"):
    """Read the configuration again."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """All is open, and calls could be served."""

    boot: str
    admin_secret: str | None
    """Of the admin key that was made, to be shown once."""
    replayed: int
    unknown: int


Message = Accept | Drain | Hurry | Reload | Ready
_decoder = msgspec.json.Decoder(Message)


def place_of(told: str) -> Place:
    """Read what a supervisor has written behind its command."""
    return msgspec.json.decode(told, type=Place)


class Channel:
    """One end of the pair."""

    def __init__(self, end: socket.socket) -> None:
        """Reads of `end` do not wait."""
        end.setblocking(False)
        self._end = end
        self._part = b""
        self.closed = False
        """Whether the other side is gone."""

    def fileno(self) -> int:
        """Return the descriptor, to wait for."""
        return self._end.fileno()

    def send(self, message: Any) -> None:
        """Tell the other side; one that is gone is told nothing."""
        try:
            self._end.sendall(msgspec.json.encode(message) + b"\n")
        except OSError:
            self.closed = True

    def read(self) -> list[Message]:
        """Return what has come."""
        try:
            while data := self._end.recv(65536):
                self._part += data
            self.closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        *lines, self._part = self._part.split(b"\n")
        return [_decoder.decode(line) for line in lines]

    def close(self) -> None:
        """Close this end."""
        self._end.close()

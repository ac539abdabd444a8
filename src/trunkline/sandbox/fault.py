"""What a fault is: a row that turns the good reply to a request into a bad one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from trunkline.dialects.openai_server import DONE_EVENT
from trunkline.sandbox.reply import Framing, Reply, Step
from trunkline.wire import strict_json


class Case(msgspec.Struct, frozen=True):
    """A request that shall go wrong: its good reply, and what it asked."""

    good: Reply
    seconds: float = 0.0
    """How long this fault waits, where it waits."""
    asked: Mapping[str, Any] = {}
    """The request's body, decoded; empty where it is no object."""
    headers: Mapping[str, str] = {}
    """The request's headers."""

    @property
    def streamed(self) -> bool:
        """Whether the good reply is a stream of events."""
        return self.good.streamed

    @property
    def chats(self) -> bool:
        """Whether the good reply is a chat's answer."""
        pieces = self.pieces
        named = bool(pieces) and b'"object":"chat.completion' in pieces[0]
        return "messages" in self.asked and self.good.status == 200 and named

    @property
    def pieces(self) -> list[bytes]:
        """The good reply's events, or its one body."""
        return [step for step in self.good.steps if isinstance(step, bytes)]

    @property
    def content(self) -> list[bytes]:
        """The events in front of the one that tells the finish reason; of a body its half."""
        pieces = self.pieces
        if not self.streamed:
            return [piece[: len(piece) // 2] for piece in pieces]
        ends = [i for i, p in enumerate(pieces) if b'"finish_reason":null' not in p]
        if ends and ends[0] == 0:  # another kind of stream: leave out the events that close it
            return pieces[: max(len(pieces) * 2 // 3, 1)]
        return pieces[: ends[0]] if ends else pieces

    def opened(self) -> list[bytes]:
        """Return the first half of the content."""
        content = self.content
        return content[: len(content) // 2 + 1] if self.streamed else content

    def reply(self, steps: Iterable[Step], framing: Framing | None = None) -> Reply:
        """Return the good reply with other steps."""
        if not isinstance(steps, (list, tuple)):
            return msgspec.structs.replace(self.good, steps=steps, framing=framing or "chunked")
        kept = framing or self.good.framing
        return msgspec.structs.replace(self.good, steps=tuple(steps), framing=kept)

    def edited(self, edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Reply:
        """Return the good reply with its decoded events, or its one body, changed."""
        if not self.chats:
            return self.good
        if not self.streamed:
            bodies = edit([strict_json.decode(piece) for piece in self.pieces])
            return self.reply([strict_json.encode(body) for body in bodies])
        ends = [piece for piece in self.pieces if piece == DONE_EVENT]
        chunks = [strict_json.decode(p[6:]) for p in self.pieces if p != DONE_EVENT]
        return self.reply([*(event_of(chunk) for chunk in edit(chunks)), *ends])


class Fault(msgspec.Struct, frozen=True):
    """One way in which an answer goes wrong."""

    name: str
    row: str
    """The failure it belongs to: a number of the list of stream failures, or `status`."""
    says: str
    how: Callable[[Case], Reply]
    times: int | None = None
    """Fails so many times, lets one request through, and starts again; None fails always."""
    seconds: float = 0.0
    always: bool = False
    """Whether it answers requests, too, that would have been refused anyway."""
    late: bool = False
    """Whether it strikes the job or the file that comes of a request."""


class Chosen(msgspec.Struct, frozen=True):
    """A fault as a request asked for it."""

    row: Fault
    times: int | None
    seconds: float
    told: str
    """In which words."""


class UnknownFaultError(ValueError):
    """A request asks for a fault that is not in the table, or in a form that is none."""


class Counter:
    """Counts what has failed, so that a fault can end."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._failed: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def due(self, chosen: Chosen, key: tuple[str, str]) -> bool:
        """Tell whether this request fails, and count it; each `key` is counted by itself."""
        if chosen.times is None:
            return True
        with self._lock:
            failed = self._failed.get(key, 0)
            due = failed < chosen.times
            self._failed[key] = failed + 1 if due else 0
        return due


def choose_fault(told: str, table: Mapping[str, Fault]) -> Chosen:
    """Read `NAME[;times=N][;seconds=S]`; raises UnknownFaultError."""
    name, *options = [part.strip() for part in told.split(";")]
    row = table.get(name)
    if row is None:
        raise UnknownFaultError(f"The sandbox has no fault {name!r}.")
    given: dict[str, str] = {}
    for option in options:
        key, _, value = option.partition("=")
        given[key] = value
    try:
        times = int(given.pop("times")) if "times" in given else row.times
        seconds = float(given.pop("seconds", row.seconds))
    except ValueError as error:
        raise UnknownFaultError(f"{told!r} is not NAME;times=N;seconds=S.") from error
    if given or not 0 <= seconds < 86_400 or (times is not None and times < 0):
        raise UnknownFaultError(f"{told!r} is not NAME;times=N;seconds=S.")
    return Chosen(row, times, seconds, told)


def event_of(chunk: Any) -> bytes:
    """Write a decoded chunk as an event."""
    return b"data: " + strict_json.encode(chunk) + b"\n\n"

"""What the sandbox answers, as a value: a head, then steps to take; and the bytes that it makes.

Nothing here waits or sends: whoever plays the steps does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from trunkline.wire import strict_json
from trunkline.wire.http1 import LAST_CHUNK, write_chunk, write_head


class Pause(msgspec.Struct, frozen=True):
    """Wait this long before the next step."""

    seconds: float


class Cut(msgspec.Struct, frozen=True):
    """Close the connection here, finished or not."""


class Reset(msgspec.Struct, frozen=True):
    """Break the connection here (TCP RST)."""


Step: TypeAlias = bytes | Pause | Cut | Reset
Framing = Literal["length", "chunked", "close", "declared"]
"""How a client knows where the body ends: it is told, it sees the last chunk, or the end; or the
reply's own headers declare it, true or not."""


class Reply(msgspec.Struct, frozen=True):
    """One answer. The steps give the body; bytes that follow a Cut count for its length only."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    steps: Iterable[Step] = ()
    framing: Framing = "length"
    before: tuple[Step, ...] = ()
    """Steps in front of the head; bytes among them go out raw."""

    @property
    def streamed(self) -> bool:
        """Whether the body is a stream of events."""
        return any(value.startswith("text/event-stream") for _, value in self.headers)

    @property
    def body(self) -> bytes:
        """The whole body; only for a reply that ends."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))


class RefusedError(Exception):
    """A request that a page cannot answer; `reply` is what it gets."""

    def __init__(self, status: int, body: Any, *headers: tuple[str, str]) -> None:
        """Refuse with a status and a body, a value or JSON text already written."""
        super().__init__(status)
        self.reply = json_reply(status, body, *headers)

    @classmethod
    def carrying(cls, reply: Reply) -> RefusedError:
        """Refuse with a reply that is written already."""
        made = cls(reply.status, None)
        made.reply = reply
        return made


def json_reply(status: int, body: Any, *headers: tuple[str, str]) -> Reply:
    """Return a reply with `body`, a value or JSON text already written."""
    data = body if isinstance(body, bytes) else strict_json.encode(body)
    typed = ("content-type", "application/json; charset=utf-8")
    return Reply(status, (typed, *headers), (data,))


def with_headers(reply: Reply, *headers: tuple[str, str]) -> Reply:
    """Return `reply` with more headers."""
    return msgspec.structs.replace(reply, headers=(*reply.headers, *headers))


def wire_steps(reply: Reply, *, head_only: bool = False) -> Iterator[Step]:
    """Return the steps that put `reply` on a connection, its head and framing included."""
    for step in reply.before:
        yield step
        if isinstance(step, Cut | Reset):
            return
    yield write_head(reply.status, (*reply.headers, *_framing_headers(reply)))
    if head_only or reply.status in (204, 304):
        return
    chunked = reply.framing == "chunked"
    for step in reply.steps:
        if isinstance(step, bytes):
            if step:
                yield write_chunk(step) if chunked else step
            continue
        yield step
        if isinstance(step, Cut | Reset):
            return
    if chunked:
        yield LAST_CHUNK
    elif reply.framing in ("close", "declared"):
        yield Cut()


def _framing_headers(reply: Reply) -> tuple[tuple[str, str], ...]:
    if reply.framing == "chunked":
        return (("transfer-encoding", "chunked"),)
    if reply.framing == "close":
        return (("connection", "close"),)
    if reply.framing == "declared":
        return ()
    return () if reply.status in (204, 304) else (("content-length", str(len(reply.body))),)

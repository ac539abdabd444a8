"""What a network does to the bytes on their way: each toxic is a value, and treats one piece at a time.

A toxic opens nothing. It yields what goes on, waits between, or raises Ended: the link is then over.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Literal

import msgspec

Way = Literal["up", "down"]
"""Up is from the client to the server, down is back."""
End = Literal["reset", "close", "gone", "silence"]


class Ended(Exception):
    """The link is over for both sides; `how` says what the client sees of it.

    `gone`: nothing more comes and nothing is read, and no FIN says so; the server's side is closed.
    `silence`: the same to the client, while the server still waits.
    """

    def __init__(self, how: End) -> None:
        super().__init__(how)
        self.how = how


class Passage:
    """One way of one connection, as far as toxics need to know it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.arrived = 0.0
        """When the present piece came, by the loop's clock."""
        self.passed = 0
        """Bytes of the present exchange that have gone on."""


class Toxic(msgspec.Struct, frozen=True, kw_only=True):
    """Does nothing; `way` is which of the two ways is hit, `share` how many of the exchanges.

    An exchange is what a client says and what comes back, until it speaks again.
    """

    way: Way = "down"
    share: float = 1.0

    def treat(self, passage: Passage, data: bytes) -> AsyncGenerator[bytes]:
        """Yield what becomes of a piece."""
        return _as_it_is(data)

    def accept(self) -> None:
        """Take a new connection, before the server is connected to; may raise Ended."""

    async def part(self) -> None:
        """Take the end of the server's side, before the client is told."""


async def _as_it_is(data: bytes) -> AsyncGenerator[bytes]:
    yield data


class Latency(Toxic, frozen=True, kw_only=True):
    """Every piece comes later: by `seconds`, and up to `jitter` more; the order stays."""

    seconds: float
    jitter: float = 0.0

    async def treat(self, passage: Passage, data: bytes) -> AsyncGenerator[bytes]:
        due = passage.arrived + self.seconds + passage.chance.random() * self.jitter
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        yield data


class Bandwidth(Toxic, frozen=True, kw_only=True):
    """No more than `rate` bytes a second."""

    rate: int

    async def treat(self, passage: Passage, data: bytes) -> AsyncGenerator[bytes]:
        step = max(1, self.rate // 50)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            await asyncio.sleep(len(piece) / self.rate)
            yield piece


class Slicer(Toxic, frozen=True, kw_only=True):
    """Pieces of 1 to `size` bytes, so that cuts fall inside characters, lines and events.

    `seconds` is between two of them, at most.
    """

    size: int = 5
    seconds: float = 0.0

    async def treat(self, passage: Passage, data: bytes) -> AsyncGenerator[bytes]:
        at = 0
        while at < len(data):
            step = passage.chance.randint(1, self.size)
            yield data[at : at + step]
            at += step
            await asyncio.sleep(self.seconds * passage.chance.random())


class Corrupt(Toxic, frozen=True, kw_only=True):
    """Flips a bit of about one byte in `every`."""

    every: int = 200

    async def treat(self, passage: Passage, data: bytes) -> AsyncGenerator[bytes]:
        changed = bytearray(data)
        at = int(passage.chance.expovariate(1 / self.every))
        while at < len(changed):
            changed[at] ^= 1 << passage.chance.randrange(8)
            at += 1 + int(passage.chance.expovariate(1 / self.every))
        yield bytes(changed)


class _Ends(Toxic, frozen=True, kw_only=True):
    """Ends a link behind an exchange's first `after` bytes."""

    after: int = 0
    how: End = "close"

    async def treat(self, passage: Passage, data: bytes) -> AsyncGenerator[bytes]:
        left = self.after - passage.passed
        if len(data) < left:
            yield data
            return
        if left > 0:
            yield data[:left]
        raise Ended(self.how)


class Reset(_Ends, frozen=True, kw_only=True):
    """RST to both sides behind the first `after` bytes."""

    how: End = "reset"


class LimitData(_Ends, frozen=True, kw_only=True):
    """An orderly end, behind the first `after` bytes."""


class HalfOpen(_Ends, frozen=True, kw_only=True):
    """The peer is gone behind the first `after` bytes, and nobody says so."""

    how: End = "gone"


class Stall(_Ends, frozen=True, kw_only=True):
    """The server falls silent behind its first `after` bytes; within TLS's handshake, if those are few."""

    how: End = "silence"


class Blackhole(Toxic, frozen=True, kw_only=True):
    """Connections are taken, and nothing is said on them, nor on those that are there already."""

    way: Way = "up"

    def accept(self) -> None:
        raise Ended("gone")

    def treat(self, passage: Passage, data: bytes) -> AsyncGenerator[bytes]:
        raise Ended("gone")


class Refuse(Toxic, frozen=True, kw_only=True):
    """Nobody listens while it is on: all new connections are refused."""


class SlowClose(Toxic, frozen=True, kw_only=True):
    """The end of the server's side comes `seconds` late."""

    seconds: float

    async def part(self) -> None:
        await asyncio.sleep(self.seconds)


Treated = Callable[[bytes], Awaitable[None]]


async def through(toxics: tuple[Toxic, ...], passage: Passage, data: bytes, out: Treated) -> None:
    """Send a piece through toxics, the first first, and what is left of it on."""
    if not toxics:
        await out(data)
        return
    pieces = toxics[0].treat(passage, data)
    try:
        async for piece in pieces:
            await through(toxics[1:], passage, piece, out)
    finally:
        await pieces.aclose()

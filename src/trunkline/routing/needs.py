"""What a flow may ask of its driver, and what it is told. Values only."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from trunkline.dialects.reader import Reader
from trunkline.errors import APIError
from trunkline.providers.spec import Target
from trunkline.types import Secret, Timeouts
from trunkline.wire.message import HttpRequest, ResponseHead


class Send(msgspec.Struct, frozen=True):
    """Send a request; the answer is a Reply."""

    target: Target
    request: HttpRequest
    timeouts: Timeouts
    until: float
    """Monotonic time at which the whole answer, or a stream's first event, has to be there."""
    reader: Reader[Any] | None = None
    """Reads a streamed answer; None for an answer that is read whole."""


class Wait(msgspec.Struct, frozen=True):
    """Wait; the answer is the time afterwards."""

    seconds: float


class Renew(msgspec.Struct, frozen=True):
    """Look whether a credential has changed where it was found; the answer is a Secret or None."""

    secret: Secret


class Later(msgspec.Struct, frozen=True):
    """Carry another flow in the background; the answer is None, at once.

    Nobody hears what becomes of it: what it returns and every APIError that it raises are dropped.
    """

    flow: Generator[Any, Any, Any]


class Race(msgspec.Struct, frozen=True):
    """Send a request, and another one where the first is slow; the answer is a Raced."""

    first: Send
    second: Callable[[float], Send | None]
    """Makes the other one, at a time; None where there is to be none after all."""
    after: float
    """Seconds without an answer after which the first is slow."""


Need = Send | Wait | Renew | Later | Race


class Reply(msgspec.Struct, frozen=True):
    """What came of a Send. Times are monotonic."""

    started: float
    ended: float
    head: ResponseHead | None = None
    body: bytes = b""
    error: APIError | None = None
    """Why there is no head, or no whole body."""
    exchange: Any = None
    """The open exchange of a stream, whose first events are in `chunks`."""
    chunks: list[Any] = []


class Raced(msgspec.Struct, frozen=True):
    """What came of a Race: the first good reply, else the first one's."""

    won: int
    """0 for the first, 1 for the second."""
    reply: Reply
    other: Send | None = None
    """What was sent beside it."""
    lost: Reply | None = None
    """What came of that: its failure, or nothing, where it was not waited for."""

"""What a client got of one call, whoever the client was: the judge looks at nothing else."""

from __future__ import annotations

from typing import Literal

import msgspec

Shape = Literal["whole", "stream"]
SHAPES: tuple[Shape, ...] = ("whole", "stream")

Ending = Literal["finished", "ended", "error", "garbage", "broken", "limit"]
"""How it ended for the client: an answer that is called finished; a stream that ends without a word;
an error that says so; something that is no answer; a connection that breaks; nothing by the limit."""

Tokens = tuple[int | None, int | None, int | None]
"""Of the prompt, of the answer, and both together; None is "not told"."""


class Called(msgspec.Struct, frozen=True):
    """A tool call."""

    id: str
    name: str
    arguments: str


class Said(msgspec.Struct, frozen=True):
    """What an answer says, or what had come of it."""

    text: str = ""
    calls: tuple[Called, ...] = ()
    finish: str | None = None
    tokens: Tokens | None = None
    estimated: bool = False
    """Whether the tokens are marked as an estimate."""
    chunks: int = 0
    """How many chunks with choices it came in."""


class Told(msgspec.Struct, frozen=True):
    """An error as the client was told of it."""

    status: int | None
    message: str = ""
    retry_after: float | None = None
    in_stream: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """What a client got."""

    ended: Ending
    said: Said = Said()
    error: Told | None = None
    garbage: str = ""
    """What is wrong with what came, where it is no answer."""
    head: bytes = b""
    """The answer's head as it came."""
    raw: bytes = b""
    """All that came, or as much as was kept."""


HowHeard = Literal["whole", "broken", "limit", "large"]
"""How hearing an answer ended: its own end, a broken connection, the limit, too much."""


class Heard(msgspec.Struct, frozen=True):
    """An HTTP answer as it came, up to its end or a limit."""

    ended: HowHeard
    status: int | None = None
    headers: dict[str, str] = {}
    body: bytes = b""
    seconds: float = 0.0

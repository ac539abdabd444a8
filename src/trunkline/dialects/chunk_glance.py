"""A chunk of a chat's stream at a glance: typed, and no more than most of them say. Pure.

Whoever needs the rest of one, or meets one that is of another kind, reads it with `DeltaReader`.
"""

from __future__ import annotations

from typing import Any

import msgspec

_NO_RAW = msgspec.Raw()
_NULL_SIZE = 4
"""Bytes of `null`; a raw value that is no longer says nothing."""


class Function(msgspec.Struct, gc=False):
    """What a fragment says of its function."""

    name: str | None = None
    arguments: str | None = None


class Fragment(msgspec.Struct, gc=False):
    """A piece of a call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """What a chunk adds."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_text: str | None = None
    tool_calls: list[Fragment] | None = None
    refusal: str | None = None


class Choice(msgspec.Struct, gc=False):
    """One of a chunk's choices."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = _NO_RAW

    @property
    def has_logprobs(self) -> bool:
        """Whether it tells log-probabilities."""
        return len(self.logprobs) > _NULL_SIZE


class Chunk(msgspec.Struct, gc=False):
    """A chunk."""

    choices: list[Choice] = []
    usage: Any = None
    x_groq: Any = None


_decode = msgspec.json.Decoder(Chunk).decode


def only_choice(data: bytes) -> Choice | None:
    """Return the one choice of a chunk that adds to it and says no more; None for any other event."""
    try:
        chunk = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    choices = chunk.choices
    if len(choices) != 1 or chunk.usage is not None or chunk.x_groq is not None:
        return None
    choice = choices[0]
    return None if choice.delta is None or choice.finish_reason is not None else choice


def more_arguments(fragments: list[Fragment]) -> tuple[int | None, str] | None:
    """Return the index and text of the one fragment that only adds arguments; None for all else."""
    fragment = fragments[0]
    function = fragment.function
    if len(fragments) > 1 or fragment.id or function is None or function.name:
        return None
    return fragment.index, function.arguments or ""

"""What a tap reads of a chunk: the fields that matter, typed."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.gateway.tokens import UsageFrame

NO_RAW = msgspec.Raw()
NULL_SIZE = 4
"""Bytes of `null`; a raw value that is no longer says nothing."""


class DeltaFrame(msgspec.Struct, gc=False):
    """What a choice adds."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_text: str | None = None
    tool_calls: msgspec.Raw = NO_RAW
    refusal: str | None = None


NOTHING = DeltaFrame()


class ChoiceFrame(msgspec.Struct, gc=False):
    """One choice of a chunk, of a chat or a completion."""

    index: Any = None
    delta: DeltaFrame | None = None
    text: str | None = None
    finish_reason: str | None = None


class ChunkFrame(msgspec.Struct, gc=False):
    """A chunk."""

    choices: list[ChoiceFrame] | None = None
    usage: UsageFrame | None = None
    error: Any = None
    x_groq: dict[str, Any] | None = None


decode_chunk = msgspec.json.Decoder(ChunkFrame).decode


def index_of(told: Any, position: int) -> int:
    """Return a choice's index as it was told, or else its position."""
    return told if isinstance(told, int) and told >= 0 else position

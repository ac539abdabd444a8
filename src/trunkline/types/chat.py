"""What a caller wants: a chat, its messages and parameters. Immutable; knows nothing of wires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from trunkline.model_id import ModelId
from trunkline.types.completion import Message

MessageLike: TypeAlias = Mapping[str, Any] | Message
"""A message as its wire dict, or as an earlier answer's message."""

Messages: TypeAlias = Sequence[MessageLike]


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds that each stage of one HTTP exchange may take."""

    connect: float = 5.0
    """TCP, and again TLS."""
    total: float = 600.0
    """From sending the request to the end of a whole answer, or to a stream's first event."""
    idle: float = 30.0
    """Between two pieces of a stream, once it has begun."""
    quiet: float = 600.0
    """Between two events of a stream, however many keep-alive comments arrive."""
    stream: float = 3600.0
    """A whole stream."""


class Chat(msgspec.Struct, frozen=True):
    """A chat call: checked, and ready to be written in any dialect."""

    model: ModelId
    messages: list[dict[str, Any]]
    parameters: dict[str, Any] = {}
    """OpenAI's parameters under their wire names, only those that were given."""
    stream: bool = False
    extra_body: dict[str, Any] = {}
    extra_headers: dict[str, str] = {}
    bill_to: str | None = None
    session_id: str | None = None
    think_tags: bool = False
    """Read `<think>...</think>` at the start of the content as reasoning."""
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None
    """Seconds for the whole call, retries and waits included; None is no limit."""
    max_retries: int = 2

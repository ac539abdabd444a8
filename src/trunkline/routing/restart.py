"""A second answer after a cut one: delivered on only if it begins with exactly what was delivered. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import InvalidResponseError
from trunkline.types import Chunk, ChunkChoice, Delta

if TYPE_CHECKING:
    from trunkline.errors import APIError
    from trunkline.types import Completion


class Delivered(msgspec.Struct, frozen=True):
    """What of an answer the caller has."""

    content: str = ""
    reasoning: str = ""
    more: bool = False
    """Whether there was anything else: tool calls, another choice, a refusal."""


def delivered_of(partial: Completion) -> Delivered:
    """Return what was delivered of an answer that broke off."""
    if not partial.choices:
        return Delivered()
    first = partial.choices[0]
    message = first.message
    more = len(partial.choices) > 1 or bool(message.tool_calls or message.refusal)
    return Delivered(
        message.content or "", message.reasoning or "", more or first.finish_reason is not None
    )


class RestartReader(ChunkReader):
    """Reads a second answer, and hands out what the first one did not have of it.

    One that begins otherwise fails as InvalidResponseError.
    """

    __slots__ = ("_beside", "_content", "_left", "_reasoning", "_there", "cause")

    def __init__(self, delivered: Delivered, cause: APIError, reader: ChunkReader) -> None:
        """Read as `reader` would; `cause` is what broke the first answer."""
        super().__init__(think_tags=reader.think_tags, keep_usage_frames=reader.keeps_usage_frames)
        self._there = delivered
        self.cause = cause
        self._content = self._reasoning = ""
        self._left = False
        """Whether the second answer is past what was delivered."""
        self._beside = False
        """Whether something of another choice of it was handed out."""

    @property
    def delivered(self) -> Delivered:
        """What of both answers the caller has."""
        if self._left:
            return delivered_of(self.fold.completion())
        return msgspec.structs.replace(self._there, more=self._there.more or self._beside)

    def feed(self, data: bytes) -> list[Chunk]:
        """Return the chunks that go on from what was delivered."""
        return self._beyond(super().feed(data))

    def finish(self, cut: APIError | None = None) -> list[Chunk]:
        """Take the end of the input, as ChunkReader does."""
        return self._beyond(super().finish(cut))

    def _beyond(self, chunks: list[Chunk]) -> list[Chunk]:
        found: list[Chunk] = []
        for chunk in chunks:
            if self._left:
                found.append(chunk)
                continue
            rest = self._rest(chunk)
            if rest is None:
                self.done, self.failure = True, _otherwise()
                return found
            found.append(rest)
        if self.done and self.failure is None and not self._left and not self._is_past():
            self.failure = _otherwise()  # it ended before it had come that far
        return found

    def _rest(self, chunk: Chunk) -> Chunk | None:
        """Return a chunk without what was delivered of it; None where the answers differ."""
        delta = next((c.delta for c in chunk.choices if c.index == 0), None)
        self._beside = self._beside or any(choice.index for choice in chunk.choices)
        if delta is None:
            return chunk
        there = self._there
        reasoning, content = delta.reasoning or "", delta.content or ""
        self._reasoning, old_reasoning = self._reasoning + reasoning, self._reasoning
        self._content, old_content = self._content + content, self._content
        if content and len(self._reasoning) < len(there.reasoning):
            return None
        if there.content and len(self._reasoning) > len(there.reasoning):
            return None
        if not (_agree(self._reasoning, there.reasoning) and _agree(self._content, there.content)):
            return None
        self._left = self._is_past()
        if not self._left and _is_more(chunk):
            return None  # it ends, or turns to calling tools, before it has come that far
        return _cut(
            chunk,
            content[max(0, len(there.content) - len(old_content)) :],
            reasoning[max(0, len(there.reasoning) - len(old_reasoning)) :],
        )

    def _is_past(self) -> bool:
        there = self._there
        return len(self._content) >= len(there.content) and len(self._reasoning) >= len(
            there.reasoning
        )


def _otherwise() -> InvalidResponseError:
    return InvalidResponseError(
        "The second answer begins otherwise than what was delivered of the first.",
        should_retry=False,
    )


def _is_more(chunk: Chunk) -> bool:
    """Tell whether a chunk has an end or another kind of answer for the first choice."""
    return any(
        choice.finish_reason is not None or choice.delta.tool_calls or choice.delta.refusal
        for choice in chunk.choices
        if not choice.index
    )


def _agree(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _cut(chunk: Chunk, content: str, reasoning: str) -> Chunk:
    def cut(choice: ChunkChoice) -> ChunkChoice:
        if choice.index:
            return choice
        delta: Delta = msgspec.structs.replace(
            choice.delta, content=content or None, reasoning=reasoning or None
        )
        return msgspec.structs.replace(choice, delta=delta)

    return msgspec.structs.replace(chunk, choices=[cut(choice) for choice in chunk.choices])

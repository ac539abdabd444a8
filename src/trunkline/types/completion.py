"""Answers of a chat, whole and in chunks: the shapes that OpenAI's users know."""

from __future__ import annotations

import html
from typing import Any

import msgspec

from trunkline.types.receipt import Receipt
from trunkline.types.record import Record, shorten
from trunkline.types.usage import Usage


class FunctionCall(Record, msgspec.Struct, frozen=True):
    """The function a model wants called, its arguments as JSON text."""

    name: str
    arguments: str = "{}"
    extra: dict[str, Any] = {}


class ToolCall(Record, msgspec.Struct, frozen=True):
    """One tool call of an assistant's message."""

    id: str
    function: FunctionCall
    type: str = "function"
    extra: dict[str, Any] = {}

    def __repr__(self) -> str:
        """Show it as a call."""
        return f"ToolCall({self.function.name}({shorten(self.function.arguments)}), id={self.id})"


class Message(Record, msgspec.Struct, frozen=True):
    """An assistant's message."""

    role: str = "assistant"
    content: str | None = None
    reasoning: str | None = None
    """The model's reasoning, whichever name its provider gives it."""
    tool_calls: list[ToolCall] | None = None
    refusal: str | None = None
    extra: dict[str, Any] = {}

    @property
    def reasoning_content(self) -> str | None:
        """`reasoning`, under the name that some providers and clients use."""
        return self.reasoning

    def __repr__(self) -> str:
        """Show what was said, shortly."""
        said = [shorten(self.content)] if self.content else []
        if self.reasoning:
            said.append(f"reasoning={shorten(self.reasoning, 30)}")
        if self.tool_calls:
            said.append(f"tool_calls={self.tool_calls}")
        return f"Message({self.role}: {', '.join(said)})"


class Choice(Record, msgspec.Struct, frozen=True):
    """One of the `n` answers. `finish_reason` is None where the provider gave none."""

    index: int
    message: Message
    finish_reason: str | None = None
    logprobs: Any = None
    extra: dict[str, Any] = {}


class Completion(Record, msgspec.Struct, frozen=True):
    """A whole answer."""

    id: str | None
    model: str | None
    choices: list[Choice]
    created: int | None = None
    usage: Usage | None = None
    object: str = "chat.completion"
    system_fingerprint: str | None = None
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    @property
    def text(self) -> str:
        """The first choice's content; empty where it has none."""
        return (self.choices[0].message.content or "") if self.choices else ""

    @property
    def reasoning(self) -> str | None:
        """The first choice's reasoning."""
        return self.choices[0].message.reasoning if self.choices else None

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The first choice's tool calls; empty where it has none."""
        return (self.choices[0].message.tool_calls or []) if self.choices else []

    def __repr__(self) -> str:
        """Show the first message, how it ended and its receipt."""
        first = self.choices[0] if self.choices else None
        ended = f"{first.message!r}, finish={first.finish_reason}" if first else "no choices"
        return f"Completion({ended}, model={self.model}, {self.usage}, {self.receipt})"

    def _repr_markdown_(self) -> str:
        """Show the answer in a notebook; markup in it stays text."""
        return markdown(self)


class FunctionDelta(Record, msgspec.Struct, frozen=True):
    """A fragment of a function call."""

    name: str | None = None
    arguments: str | None = None
    extra: dict[str, Any] = {}


class ToolCallDelta(Record, msgspec.Struct, frozen=True):
    """A fragment of a tool call; `index` says which call it continues."""

    index: int
    id: str | None = None
    function: FunctionDelta | None = None
    type: str | None = None
    extra: dict[str, Any] = {}


class Delta(Record, msgspec.Struct, frozen=True):
    """What one chunk adds to a message."""

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    refusal: str | None = None
    extra: dict[str, Any] = {}

    @property
    def reasoning_content(self) -> str | None:
        """`reasoning`, under the name that some providers and clients use."""
        return self.reasoning


class ChunkChoice(Record, msgspec.Struct, frozen=True):
    """One choice's part of a chunk."""

    index: int
    delta: Delta
    finish_reason: str | None = None
    logprobs: Any = None
    extra: dict[str, Any] = {}


class Chunk(Record, msgspec.Struct, frozen=True):
    """One event of a streamed answer."""

    id: str | None
    model: str | None
    choices: list[ChunkChoice]
    created: int | None = None
    usage: Usage | None = None
    object: str = "chat.completion.chunk"
    system_fingerprint: str | None = None
    extra: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """Content that this chunk adds to the first choice; empty where it adds none."""
        for choice in self.choices:
            if choice.index == 0:
                return choice.delta.content or ""
        return ""

    def __repr__(self) -> str:
        """Show what the chunk adds."""
        said: list[str] = []
        for choice in self.choices:
            delta = choice.delta
            at = f"[{choice.index}] " if choice.index else ""
            if delta.content:
                said.append(f"{at}{shorten(delta.content)}")
            if delta.reasoning:
                said.append(f"{at}reasoning={shorten(delta.reasoning)}")
            if delta.tool_calls:
                said.append(f"{at}tool_calls={delta.tool_calls}")
            if choice.finish_reason:
                said.append(f"{at}finish={choice.finish_reason}")
        if self.usage:
            said.append(repr(self.usage))
        return f"Chunk({', '.join(said)})"


def markdown(completion: Completion) -> str:
    """Render `completion` for a notebook: the answer as inert text, then a line on who and how.

    HTML in the answer is escaped, so that a model cannot put active content into the page.
    """
    parts: list[str] = []
    for choice in completion.choices:
        message = choice.message
        if message.reasoning:
            parts.append("\n".join("> " + line for line in _inert(message.reasoning).split("\n")))
        if message.content:
            parts.append(_inert(message.content))
        parts += [
            f"`{_inert(call.function.name)}({_inert(call.function.arguments)})`"
            for call in message.tool_calls or []
        ]
    receipt = completion.receipt
    if receipt:
        foot = [receipt.provider or "unknown provider", f"{receipt.total_time:.2f} s"]
        if receipt.tokens.source != "unknown":
            foot.append(f"{receipt.tokens.input}+{receipt.tokens.output} tokens")
        parts.append(f"<sub>{_inert(completion.model or '?')} · {_inert(' · '.join(foot))}</sub>")
    return "\n\n".join(parts)


def _inert(text: str) -> str:
    escaped = html.escape(text, quote=False)
    # neither a link's or image's target, nor the definition of one, keeps its meaning
    return escaped.replace("](", "]\\(").replace("]:", "]\\:")

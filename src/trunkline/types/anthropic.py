"""Answers of Anthropic's Messages API, whole and in events."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.types.receipt import Receipt
from trunkline.types.record import Record, shorten


class TextBlock(Record, msgspec.Struct, frozen=True):
    """Text of the answer."""

    text: str = ""
    citations: list[Any] | None = None
    type: str = "text"
    extra: dict[str, Any] = {}


class ThinkingBlock(Record, msgspec.Struct, frozen=True):
    """What the model thought; its `signature` goes back with it."""

    thinking: str = ""
    signature: str | None = None
    type: str = "thinking"
    extra: dict[str, Any] = {}


class ToolUseBlock(Record, msgspec.Struct, frozen=True):
    """A tool that the model wants called."""

    name: str = ""
    input: dict[str, Any] = {}
    """The arguments. Those of a stream that broke off are as text in `extra["partial_json"]`."""
    id: str | None = None
    """What the answer (`tool_result`) names it by."""
    type: str = "tool_use"
    extra: dict[str, Any] = {}


class OtherBlock(Record, msgspec.Struct, frozen=True):
    """A block of a kind that is not declared here; its fields are there by their names."""

    type: str | None = None
    extra: dict[str, Any] = {}


ContentBlock = TextBlock | ThinkingBlock | ToolUseBlock | OtherBlock


class AnthropicUsage(Record, msgspec.Struct, frozen=True):
    """Token counts as the provider reported them; None is "not told"."""

    input_tokens: int | None = None
    """Those of the prompt that were neither read from a cache nor written to one."""
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    extra: dict[str, Any] = {}

    @property
    def prompt_tokens(self) -> int | None:
        """All tokens of the prompt, the cached ones included."""
        if self.input_tokens is None:
            return None
        cached = (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)
        return self.input_tokens + cached

    @property
    def completion_tokens(self) -> int | None:
        """`output_tokens`, under the name that a chat's usage has."""
        return self.output_tokens

    @property
    def cached_tokens(self) -> int | None:
        """Tokens of the prompt that the provider read from its cache."""
        return self.cache_read_input_tokens

    def __repr__(self) -> str:
        """Show the counts only."""
        return f"AnthropicUsage(input={self.input_tokens}, output={self.output_tokens})"


class AnthropicMessage(Record, msgspec.Struct, frozen=True):
    """A whole answer of the Messages API."""

    id: str | None = None
    model: str | None = None
    content: list[ContentBlock] = []
    role: str = "assistant"
    stop_reason: str | None = None
    """`end_turn`, `max_tokens`, `tool_use`, `stop_sequence`, ...; None where none was told."""
    stop_sequence: str | None = None
    usage: AnthropicUsage | None = None
    type: str = "message"
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    @property
    def text(self) -> str:
        """The blocks of text, joined."""
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))

    @property
    def thinking(self) -> str | None:
        """What the model thought; None where none of it is told."""
        thoughts = [b.thinking for b in self.content if isinstance(b, ThinkingBlock)]
        return "".join(thoughts) or None

    @property
    def tool_uses(self) -> list[ToolUseBlock]:
        """The tools that are to be called."""
        return [block for block in self.content if isinstance(block, ToolUseBlock)]

    def __repr__(self) -> str:
        """Show the text, how it ended and its receipt."""
        uses = f", tool_uses={self.tool_uses}" if self.tool_uses else ""
        return (
            f"AnthropicMessage({shorten(self.text)}{uses}, stop={self.stop_reason}, "
            f"model={self.model}, {self.usage}, {self.receipt})"
        )


class TextDelta(Record, msgspec.Struct, frozen=True):
    """More text of a block."""

    text: str
    type: str = "text_delta"
    extra: dict[str, Any] = {}


class InputJsonDelta(Record, msgspec.Struct, frozen=True):
    """More of a tool's arguments, as JSON text."""

    partial_json: str
    type: str = "input_json_delta"
    extra: dict[str, Any] = {}


class ThinkingDelta(Record, msgspec.Struct, frozen=True):
    """More of what the model thinks."""

    thinking: str
    type: str = "thinking_delta"
    extra: dict[str, Any] = {}


class SignatureDelta(Record, msgspec.Struct, frozen=True):
    """A thought's signature."""

    signature: str
    type: str = "signature_delta"
    extra: dict[str, Any] = {}


class OtherDelta(Record, msgspec.Struct, frozen=True):
    """A delta of a kind that is not declared here; its fields are there by their names."""

    type: str | None = None
    extra: dict[str, Any] = {}


BlockDelta = TextDelta | InputJsonDelta | ThinkingDelta | SignatureDelta | OtherDelta


class MessageStart(Record, msgspec.Struct, frozen=True):
    """`message_start`: the message, still without content."""

    message: AnthropicMessage
    type: str = "message_start"
    extra: dict[str, Any] = {}


class ContentBlockStart(Record, msgspec.Struct, frozen=True):
    """`content_block_start`: a block begins."""

    index: int
    content_block: ContentBlock
    type: str = "content_block_start"
    extra: dict[str, Any] = {}


class ContentBlockDelta(Record, msgspec.Struct, frozen=True):
    """`content_block_delta`: more of a block."""

    index: int
    delta: BlockDelta
    type: str = "content_block_delta"
    extra: dict[str, Any] = {}


class ContentBlockStop(Record, msgspec.Struct, frozen=True):
    """`content_block_stop`: a block is whole."""

    index: int
    type: str = "content_block_stop"
    extra: dict[str, Any] = {}


class Stopped(Record, msgspec.Struct, frozen=True):
    """Why a message ended."""

    stop_reason: str | None = None
    stop_sequence: str | None = None
    extra: dict[str, Any] = {}


class MessageDelta(Record, msgspec.Struct, frozen=True):
    """`message_delta`: why the message ended, and what it used."""

    delta: Stopped
    usage: AnthropicUsage | None = None
    type: str = "message_delta"
    extra: dict[str, Any] = {}


class MessageStop(Record, msgspec.Struct, frozen=True):
    """`message_stop`: the end."""

    type: str = "message_stop"
    extra: dict[str, Any] = {}


class Ping(Record, msgspec.Struct, frozen=True):
    """`ping`: the server is still there."""

    type: str = "ping"
    extra: dict[str, Any] = {}


class OtherMessageEvent(Record, msgspec.Struct, frozen=True):
    """An event of a type that is not declared here; its fields are there by their names."""

    type: str | None = None
    extra: dict[str, Any] = {}


MessageEvent = (
    MessageStart
    | ContentBlockStart
    | ContentBlockDelta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | OtherMessageEvent
)

"""Answers of OpenAI's Responses API, whole: what was written, thought and called, item by item."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.types.receipt import Receipt
from trunkline.types.record import Record, shorten


class OutputText(Record, msgspec.Struct, frozen=True):
    """Text that a message is made of."""

    text: str = ""
    annotations: list[Any] = []
    logprobs: Any = None
    type: str = "output_text"
    extra: dict[str, Any] = {}


class OutputRefusal(Record, msgspec.Struct, frozen=True):
    """A refusal within a message."""

    refusal: str = ""
    type: str = "refusal"
    extra: dict[str, Any] = {}


class OtherPart(Record, msgspec.Struct, frozen=True):
    """A part of a kind that is not declared here; its fields are there by their names."""

    type: str | None = None
    extra: dict[str, Any] = {}


ContentPart = OutputText | OutputRefusal | OtherPart


class OutputMessage(Record, msgspec.Struct, frozen=True):
    """What the model says."""

    content: list[ContentPart] = []
    id: str | None = None
    role: str = "assistant"
    status: str | None = None
    type: str = "message"
    extra: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The parts of text, joined."""
        return "".join(part.text for part in self.content if isinstance(part, OutputText))


class ReasoningItem(Record, msgspec.Struct, frozen=True):
    """What the model thought: its own text, a summary of it, or an encrypted form."""

    id: str | None = None
    summary: list[Any] = []
    content: list[Any] | None = None
    encrypted_content: str | None = None
    status: str | None = None
    type: str = "reasoning"
    extra: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The reasoning's text; the summary's where only that is told."""
        return _joined(self.content) or _joined(self.summary)


class FunctionCallItem(Record, msgspec.Struct, frozen=True):
    """A function that the model wants called, its arguments as JSON text."""

    name: str = ""
    arguments: str = ""
    call_id: str | None = None
    """What the answer (`function_call_output`) names it by."""
    id: str | None = None
    status: str | None = None
    type: str = "function_call"
    extra: dict[str, Any] = {}

    def __repr__(self) -> str:
        """Show it as a call."""
        return f"FunctionCallItem({self.name}({shorten(self.arguments)}), call_id={self.call_id})"


class McpCall(Record, msgspec.Struct, frozen=True):
    """A tool of an MCP server that was called on the model's behalf, and what it answered."""

    name: str | None = None
    server_label: str | None = None
    arguments: str | None = None
    output: str | None = None
    error: Any = None
    id: str | None = None
    type: str = "mcp_call"
    extra: dict[str, Any] = {}


class McpListTools(Record, msgspec.Struct, frozen=True):
    """The tools that an MCP server offers."""

    server_label: str | None = None
    tools: list[Any] = []
    error: Any = None
    id: str | None = None
    type: str = "mcp_list_tools"
    extra: dict[str, Any] = {}


class OtherItem(Record, msgspec.Struct, frozen=True):
    """An item of a kind that is not declared here; its fields are there by their names."""

    type: str | None = None
    extra: dict[str, Any] = {}


OutputItem = OutputMessage | ReasoningItem | FunctionCallItem | McpCall | McpListTools | OtherItem


class ResponseUsage(Record, msgspec.Struct, frozen=True):
    """Token counts of a response, as its provider reported them; None is "not told"."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: dict[str, Any] | None = None
    output_tokens_details: dict[str, Any] | None = None
    extra: dict[str, Any] = {}

    @property
    def prompt_tokens(self) -> int | None:
        """`input_tokens`, under the name that a chat's usage has."""
        return self.input_tokens

    @property
    def completion_tokens(self) -> int | None:
        """`output_tokens`, under the name that a chat's usage has."""
        return self.output_tokens

    @property
    def cached_tokens(self) -> int | None:
        """Input tokens that the provider read from its cache."""
        told = (self.input_tokens_details or {}).get("cached_tokens")
        return told if isinstance(told, int) else None

    @property
    def reasoning_tokens(self) -> int | None:
        """Output tokens that went into reasoning."""
        told = (self.output_tokens_details or {}).get("reasoning_tokens")
        return told if isinstance(told, int) else None

    def __repr__(self) -> str:
        """Show the counts only."""
        return f"ResponseUsage(input={self.input_tokens}, output={self.output_tokens})"


class Response(Record, msgspec.Struct, frozen=True):
    """A whole answer of the Responses API."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    """`completed`, `incomplete`, `failed`, `in_progress`; None where it is not told."""
    output: list[OutputItem] = []
    usage: ResponseUsage | None = None
    created_at: float | None = None
    error: Any = None
    incomplete_details: dict[str, Any] | None = None
    """Why it is incomplete: `{"reason": "max_output_tokens"}`."""
    object: str = "response"
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    @property
    def output_text(self) -> str:
        """The text of all messages."""
        return "".join(item.text for item in self.output if isinstance(item, OutputMessage))

    @property
    def text(self) -> str:
        """`output_text`, under the name that every answer has."""
        return self.output_text

    @property
    def reasoning_text(self) -> str | None:
        """What the model thought; None where none of it is told."""
        thoughts = [item.text for item in self.output if isinstance(item, ReasoningItem)]
        return "".join(thoughts) or None

    @property
    def function_calls(self) -> list[FunctionCallItem]:
        """The functions that are to be called."""
        return [item for item in self.output if isinstance(item, FunctionCallItem)]

    def __repr__(self) -> str:
        """Show the text, how it ended and its receipt."""
        calls = f", function_calls={self.function_calls}" if self.function_calls else ""
        return (
            f"Response({shorten(self.output_text)}{calls}, status={self.status}, "
            f"model={self.model}, {self.usage}, {self.receipt})"
        )


def _joined(parts: list[Any] | None) -> str:
    texts = [part.get("text") for part in parts or () if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))

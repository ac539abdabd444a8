"""Chunks folded into the completion that they spell out."""

from __future__ import annotations

from typing import Any

from trunkline.types import (
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    FunctionCall,
    Message,
    ToolCall,
    ToolCallDelta,
    Usage,
)


class _CallParts:
    """A tool call as its fragments arrive."""

    __slots__ = ("arguments", "extra", "id", "name", "type")

    def __init__(self) -> None:
        self.id = ""
        self.type = "function"
        self.name = ""
        self.arguments: list[str] = []
        self.extra: dict[str, Any] = {}

    def add(self, delta: ToolCallDelta) -> None:
        self.id = self.id or delta.id or ""
        self.type = delta.type or self.type
        self.extra.update(delta.extra)
        if delta.function:
            self.name = self.name or delta.function.name or ""
            if delta.function.arguments:
                self.arguments.append(delta.function.arguments)

    def call(self, index: int) -> ToolCall:
        function = FunctionCall(self.name, "".join(self.arguments) or "{}")
        return ToolCall(self.id or f"call_{index}", function, self.type, self.extra)


class _ChoiceParts:
    """One choice as its deltas arrive."""

    __slots__ = (
        "calls",
        "choice_extra",
        "content",
        "delta_extra",
        "finish",
        "logprobs",
        "reasoning",
        "refusal",
        "role",
    )

    def __init__(self) -> None:
        self.role = ""
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, _CallParts] = {}
        self.finish: str | None = None
        self.logprobs: Any = None
        self.choice_extra: dict[str, Any] = {}
        self.delta_extra: dict[str, Any] = {}

    def add(self, choice: ChunkChoice) -> None:
        delta = choice.delta
        if delta.content:
            self.content.append(delta.content)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        if delta.role and not self.role:
            self.role = delta.role
        if choice.finish_reason:
            self.finish = choice.finish_reason
        self._add_rare(choice, delta)

    def _add_rare(self, choice: ChunkChoice, delta: Delta) -> None:
        if delta.refusal:
            self.refusal.append(delta.refusal)
        for call in delta.tool_calls or ():
            self.calls.setdefault(call.index, _CallParts()).add(call)
        if choice.logprobs is not None:
            self.logprobs = _joined(self.logprobs, choice.logprobs)
        if choice.extra:
            self.choice_extra.update(choice.extra)
        if delta.extra:
            self.delta_extra.update(delta.extra)

    def choice(self, index: int) -> Choice:
        message = Message(
            role=self.role or "assistant",
            content="".join(self.content) if self.content or not self.calls else None,
            reasoning="".join(self.reasoning) or None,
            tool_calls=[self.calls[i].call(i) for i in sorted(self.calls)] or None,
            refusal="".join(self.refusal) or None,
            extra=self.delta_extra,
        )
        return Choice(index, message, self.finish, self.logprobs, self.choice_extra)


class Fold:
    """Adds chunks up; `completion()` is the whole so far."""

    __slots__ = ("_choices", "_extra", "_first", "usage")

    def __init__(self) -> None:
        """Start with nothing."""
        self._first: Chunk | None = None
        self._choices: dict[int, _ChoiceParts] = {}
        self._extra: dict[str, Any] = {}
        self.usage: Usage | None = None

    def add(self, chunk: Chunk) -> None:
        """Add one chunk; its choices may come in any order."""
        if self._first is None or (self._first.id is None and chunk.id is not None):
            self._first = chunk
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.extra:
            self._extra.update(chunk.extra)
        for choice in chunk.choices:
            parts = self._choices.get(choice.index)
            if parts is None:
                parts = self._choices[choice.index] = _ChoiceParts()
            parts.add(choice)

    @property
    def empty(self) -> bool:
        """Whether no chunk has come."""
        return self._first is None

    @property
    def finished(self) -> bool:
        """Whether every choice that began has a finish reason, and at least one began."""
        return bool(self._choices) and all(c.finish for c in self._choices.values())

    @property
    def text(self) -> str:
        """The first choice's content so far."""
        return "".join(self._choices[0].content) if 0 in self._choices else ""

    def completion(self) -> Completion:
        """Return the whole so far; a choice that has not ended has no finish reason."""
        first = self._first
        return Completion(
            id=first.id if first else None,
            model=first.model if first else None,
            created=first.created if first else None,
            system_fingerprint=first.system_fingerprint if first else None,
            choices=[self._choices[i].choice(i) for i in sorted(self._choices)],
            usage=self.usage,
            extra=self._extra,
        )


def _joined(before: Any, more: Any) -> Any:
    """Return logprobs of two chunks as one; their `content` lists follow each other."""
    if isinstance(before, dict) and isinstance(more, dict):
        joined = {**before, **more}
        for key, value in more.items():
            if isinstance(value, list) and isinstance(before.get(key), list):
                joined[key] = before[key] + value
        return joined
    return more

"""Tokens as a provider reports them."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.types.record import Record


class Usage(Record, msgspec.Struct, frozen=True):
    """Token counts of one answer, as its provider reported them; None is "not told"."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None
    extra: dict[str, Any] = {}

    @property
    def cached_tokens(self) -> int | None:
        """Prompt tokens that the provider read from its cache."""
        told = (self.prompt_tokens_details or {}).get("cached_tokens")
        return told if isinstance(told, int) else self.extra.get("cached_tokens")

    @property
    def reasoning_tokens(self) -> int | None:
        """Completion tokens that went into reasoning."""
        told = (self.completion_tokens_details or {}).get("reasoning_tokens")
        return told if isinstance(told, int) else self.extra.get("reasoning_tokens")

    def __repr__(self) -> str:
        """Show the counts only."""
        return (
            f"Usage(prompt={self.prompt_tokens}, completion={self.completion_tokens}, "
            f"total={self.total_tokens})"
        )

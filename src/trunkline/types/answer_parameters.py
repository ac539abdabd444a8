"""The parameters of the APIs beside chat, declared once for every face, under their own names.

From OpenAI's reference of the Responses API, Anthropic's of the Messages API, and OpenAI's of
completions; which of them a model takes is for its provider to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Required, TypeAlias

from trunkline.types.parameters import EveryCall, TaskOptions, ToolLike
from trunkline.types.record import Record

ItemLike: TypeAlias = Mapping[str, Any] | Record
"""An item of the input as its wire dict, or one of an earlier answer."""


class ResponsesParameters(EveryCall, total=False):
    """What a response takes by keyword, but its model, input and `stream`."""

    background: bool | None
    include: Sequence[str] | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: Mapping[str, str] | None
    parallel_tool_calls: bool | None
    previous_response_id: str | None
    """The router stores nothing, so it refuses this: send the earlier items in `input`."""
    prompt_cache_key: str | None
    reasoning: Mapping[str, Any] | None
    """`{"effort": "low"}`"""
    safety_identifier: str | None
    service_tier: str | None
    store: bool | None
    temperature: float | None
    text: Mapping[str, Any] | None
    """The form of the text: `{"format": {"type": "json_schema", "name": ..., "schema": ...}}`."""
    tool_choice: str | Mapping[str, Any] | None
    tools: Sequence[ToolLike] | None
    """Tools as this API or as a chat has them, or typed Python functions."""
    top_logprobs: int | None
    top_p: float | None
    truncation: str | None
    user: str | None


class MessagesParameters(EveryCall, total=False):
    """What a message takes by keyword, but its model, messages and `stream`."""

    max_tokens: Required[int]
    metadata: Mapping[str, Any] | None
    service_tier: str | None
    stop_sequences: Sequence[str] | None
    system: str | Sequence[Mapping[str, Any]] | None
    temperature: float | None
    thinking: Mapping[str, Any] | None
    """`{"type": "enabled", "budget_tokens": 1024}`"""
    tool_choice: Mapping[str, Any] | None
    tools: Sequence[ToolLike] | None
    """Tools as this API or as a chat has them, or typed Python functions."""
    top_k: int | None
    top_p: float | None


class TextParameters(TaskOptions, total=False):
    """What a text completion takes by keyword, but its model, prompt and `stream`."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    n: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    repetition_penalty: float | None
    logprobs: int | None
    echo: bool | None
    suffix: str | None

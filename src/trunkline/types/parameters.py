"""The parameters of a chat, declared once for every face: OpenAI's, and what is ours.

OpenAI's keep their names, types and meaning (its API reference of chat completions); which of
them a model takes is for its provider to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from trunkline.types.chat import Timeouts
from trunkline.types.job import JobProgress
from trunkline.types.route import RouteLike

ToolLike = Mapping[str, Any] | Callable[..., Any]
"""A tool as its wire dict, or a typed Python function to make one from."""


class OpenAIParameters(TypedDict, total=False):
    """What goes into the request's body under the same name."""

    audio: Mapping[str, Any] | None
    frequency_penalty: float | None
    function_call: str | Mapping[str, Any] | None
    functions: Sequence[Mapping[str, Any]] | None
    logit_bias: Mapping[str, float] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    metadata: Mapping[str, str] | None
    modalities: Sequence[str] | None
    n: int | None
    parallel_tool_calls: bool | None
    prediction: Mapping[str, Any] | None
    presence_penalty: float | None
    prompt_cache_key: str | None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None
    response_format: Mapping[str, Any] | None
    safety_identifier: str | None
    seed: int | None
    service_tier: str | None
    stop: str | Sequence[str] | None
    store: bool | None
    stream_options: Mapping[str, Any] | None
    temperature: float | None
    tool_choice: str | Mapping[str, Any] | None
    tool_prompt: str | None
    tools: Sequence[ToolLike] | None
    top_logprobs: int | None
    top_p: float | None
    user: str | None
    verbosity: str | None
    web_search_options: Mapping[str, Any] | None


class EveryCall(TypedDict, total=False):
    """How a call is made, whatever its task."""

    api_base: str | None
    """Address of a dedicated endpoint or any OpenAI-compatible server."""
    token: str | None
    """A Hugging Face token, or a provider's own key."""
    api_key: str | None
    """The same as `token`."""
    direct: bool | None
    """Go to the provider itself (True) or through Hugging Face (False), whatever the token's form."""
    bill_to: str | None
    """The organisation that pays."""
    session_id: str | None
    """Groups calls in the usage report and keeps them near the same cache."""
    extra_body: Mapping[str, Any] | None
    """Fields to add to the request's body as they are."""
    extra_headers: Mapping[str, str] | None
    timeout: float | Timeouts | None
    """Seconds for one attempt, or each stage's limits."""
    deadline: float | None
    """Seconds for the whole call, with retries and waits."""
    max_retries: int | None
    route: RouteLike | None
    """Which providers may serve it, in which order, and what is done where one fails: a policy's name,
    a list of providers, or a Policy."""
    drop_params: bool
    """Leave out parameters that the provider does not take, instead of refusing the call."""


class CallOptions(EveryCall, total=False):
    """How a chat is made."""

    think_tags: bool
    """Read `<think>...</think>` at the start of the content as reasoning."""


class TaskOptions(EveryCall, total=False):
    """How a call of another task is made."""

    engine: Literal["openai", "tei", "tgi", "pipeline"] | None
    """What runs at `api_base`; without it the server is asked once."""
    download: bool
    """Fetch the files that a result names (the default), or leave their URLs."""
    max_bytes: int | None
    """The most that one file may have, fetched or sent."""
    on_progress: Callable[[JobProgress], object] | None
    """Told how a job goes, at each poll; what it raises cancels the job and ends the call."""


class ChatParameters(OpenAIParameters, CallOptions, total=False):
    """Everything that a chat takes by keyword, but its model, messages and `stream`."""

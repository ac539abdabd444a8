"""A whole answer in the pieces that a stream sends, one token each, and each provider's ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from trunkline.dialects.openai_server import DONE_EVENT, chunk_event
from trunkline.sandbox.answers import tokens
from trunkline.types import (
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    FunctionDelta,
    Message,
    ToolCall,
    ToolCallDelta,
    Usage,
)

_Said = TypeVar("_Said", Message, Delta)


class Manner(msgspec.Struct, frozen=True):
    """How a provider's answers differ from OpenAI's."""

    usage_aside: bool = False
    """Usage of a stream stands in `x_groq` on the last chunk."""
    usage_always: bool = False
    """Usage comes on the last chunk, asked for or not."""
    reasoning_name: str = "reasoning"
    done: bool = True
    """Whether a stream ends with `[DONE]`."""
    extra: dict[str, Any] = {}
    """Fields beside OpenAI's on an answer and on every chunk."""


PLAIN = Manner()
MANNERS = {
    "cerebras": Manner(usage_always=True, done=False),
    "fireworks-ai": Manner(usage_always=True),
    "groq": Manner(usage_aside=True),
    "novita": Manner(extra={"sla_metrics": {"ttft_ms": 120, "ts_ms": 140}}),
    "together": Manner(usage_always=True, extra={"prompt": []}),
    "zai-org": Manner(reasoning_name="reasoning_content"),
}
"""The ways of some providers; the others keep to OpenAI's form."""


def mannered(completion: Completion, manner: Manner) -> Completion:
    """Return a whole answer as the provider would write it."""
    choices = [
        msgspec.structs.replace(choice, message=_renamed(choice.message, manner.reasoning_name))
        for choice in completion.choices
    ]
    return msgspec.structs.replace(completion, choices=choices, extra=dict(manner.extra))


def events(completion: Completion, manner: Manner, *, include_usage: bool) -> list[bytes]:
    """Return the events that spell out `completion`, the last one `[DONE]` where there is one."""
    found = [
        chunk_event(chunk) for chunk in _chunks(completion, manner, include_usage=include_usage)
    ]
    return [*found, DONE_EVENT] if manner.done else found


def _chunks(completion: Completion, manner: Manner, *, include_usage: bool) -> Iterator[Chunk]:
    blank = Chunk(
        completion.id,
        completion.model,
        [],
        completion.created,
        system_fingerprint=completion.system_fingerprint,
        extra=dict(manner.extra),
    )
    last = len(completion.choices) - 1
    for position, choice in enumerate(completion.choices):
        parts = list(_deltas(choice))
        for delta in parts:
            renamed = _renamed(delta, manner.reasoning_name)
            shown = _logprob_of(choice, delta)
            yield _with(blank, ChunkChoice(choice.index, renamed, logprobs=shown))
        end = _with(
            blank, ChunkChoice(choice.index, Delta(), choice.finish_reason, extra=choice.extra)
        )
        yield _closing(end, completion.usage, manner) if position == last else end
    if include_usage and not manner.usage_aside and not manner.usage_always:
        yield msgspec.structs.replace(blank, usage=completion.usage)


def _closing(chunk: Chunk, usage: Usage | None, manner: Manner) -> Chunk:
    """Return the last chunk with usage, where the provider puts it there."""
    if usage is None or not (manner.usage_aside or manner.usage_always):
        return chunk
    if manner.usage_always:
        return msgspec.structs.replace(chunk, usage=usage)
    aside = {"id": chunk.id, "usage": usage.model_dump(exclude_none=True)}
    return msgspec.structs.replace(chunk, extra={**chunk.extra, "x_groq": aside})


def _deltas(choice: Choice) -> Iterator[Delta]:
    message = choice.message
    yield Delta(role="assistant", content="" if message.content is not None else None)
    for token in tokens(message.reasoning or ""):
        yield Delta(reasoning=token)
    for token in tokens(message.content or ""):
        yield Delta(content=token)
    for index, call in enumerate(message.tool_calls or ()):
        yield from _call_deltas(index, call)


def _call_deltas(index: int, call: ToolCall) -> Iterator[Delta]:
    first = ToolCallDelta(index, call.id, FunctionDelta(call.function.name, ""), call.type)
    yield Delta(tool_calls=[first])
    for token in tokens(call.function.arguments):
        yield Delta(tool_calls=[ToolCallDelta(index, function=FunctionDelta(arguments=token))])


def _logprob_of(choice: Choice, delta: Delta) -> Any:
    """Return the logprobs of one piece of content, where they were asked for."""
    if not choice.logprobs or not delta.content:
        return None
    found = next((e for e in choice.logprobs["content"] if e["token"] == delta.content), None)
    return {"content": [found]} if found else None


def _with(chunk: Chunk, choice: ChunkChoice) -> Chunk:
    return msgspec.structs.replace(chunk, choices=[choice])


def _renamed(said: _Said, name: str) -> _Said:
    """Return a message or delta with its reasoning under the provider's name."""
    if said.reasoning is None or name == "reasoning":
        return said
    return msgspec.structs.replace(said, reasoning=None, extra={**said.extra, name: said.reasoning})

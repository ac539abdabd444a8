"""OpenAI's chat answers, as the one who answers writes them: whole, in chunks, and errors."""

from __future__ import annotations

from typing import Any

from trunkline.types import (
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    Message,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from trunkline.wire import strict_json
from trunkline.wire.sse import write_event

DONE_EVENT = b"data: [DONE]\n\n"
"""The mark behind a stream's last chunk."""


def completion_body(completion: Completion) -> bytes:
    """Write a whole answer."""
    return strict_json.encode(
        _filled(
            {
                "id": completion.id,
                "object": completion.object,
                "created": completion.created,
                "model": completion.model,
                "choices": [_choice(choice) for choice in completion.choices],
                "usage": completion.usage and _usage(completion.usage),
                "system_fingerprint": completion.system_fingerprint,
                **completion.extra,
            }
        )
    )


def chunk_event(chunk: Chunk) -> bytes:
    """Write one chunk as a server-sent event."""
    return write_event(
        strict_json.encode(
            _filled(
                {
                    "id": chunk.id,
                    "object": chunk.object,
                    "created": chunk.created,
                    "model": chunk.model,
                    "choices": [_chunk_choice(choice) for choice in chunk.choices],
                    "usage": chunk.usage and _usage(chunk.usage),
                    "system_fingerprint": chunk.system_fingerprint,
                    **chunk.extra,
                }
            )
        )
    )


def error_body(
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | int | None = None,
    **more: Any,
) -> bytes:
    """Write an error as OpenAI does; `more` are further fields of the error object."""
    error = {"message": message, "type": kind, "param": param, "code": code, **more}
    return strict_json.encode({"error": error})


def error_event(message: str, *, kind: str, code: str | int | None = None, **more: Any) -> bytes:
    """Write an error inside a stream that has begun; no `[DONE]` may follow it."""
    error = {"type": kind, "code": code, "message": message, **more}
    return write_event(strict_json.encode({"error": error}))


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _choice(choice: Choice) -> dict[str, Any]:
    written = {
        "index": choice.index,
        "message": _message(choice.message),
        "finish_reason": choice.finish_reason,
        **choice.extra,
    }
    return written if choice.logprobs is None else {**written, "logprobs": choice.logprobs}


def _message(message: Message) -> dict[str, Any]:
    optional = {
        "reasoning": message.reasoning,
        "tool_calls": [_call(call) for call in message.tool_calls or ()] or None,
        "refusal": message.refusal,
    }
    return {
        "role": message.role,
        "content": message.content,
        **_filled(optional),
        **message.extra,
    }


def _call(call: ToolCall) -> dict[str, Any]:
    function = call.function
    return {
        "id": call.id,
        "type": call.type,
        "function": {"name": function.name, "arguments": function.arguments, **function.extra},
        **call.extra,
    }


def _chunk_choice(choice: ChunkChoice) -> dict[str, Any]:
    written = {
        "index": choice.index,
        "delta": _delta(choice.delta),
        "finish_reason": choice.finish_reason,
        **choice.extra,
    }
    return written if choice.logprobs is None else {**written, "logprobs": choice.logprobs}


def _delta(delta: Delta) -> dict[str, Any]:
    return _filled(
        {
            "role": delta.role,
            "content": delta.content,
            "reasoning": delta.reasoning,
            "tool_calls": delta.tool_calls and [_call_delta(call) for call in delta.tool_calls],
            "refusal": delta.refusal,
            **delta.extra,
        }
    )


def _call_delta(call: ToolCallDelta) -> dict[str, Any]:
    function = call.function
    return {
        "index": call.index,
        **_filled(
            {
                "id": call.id,
                "type": call.type,
                "function": function
                and {
                    **_filled({"name": function.name, "arguments": function.arguments}),
                    **function.extra,
                },
                **call.extra,
            }
        ),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return _filled(
        {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": usage.prompt_tokens_details,
            "completion_tokens_details": usage.completion_tokens_details,
            **usage.extra,
        }
    )

"""Anthropic's Messages API, as the one who asks: a body out, a message in. Lenient in what it reads.

What nobody declared stays in `extra`; blocks of unknown kinds are kept whole.
"""

from __future__ import annotations

from typing import Any

from trunkline.dialects import failures
from trunkline.dialects.answer_form import decoded, objects, take_list, texts_in
from trunkline.dialects.bodies import merged
from trunkline.dialects.fields import take_count, take_text
from trunkline.errors import InvalidResponseError
from trunkline.types.anthropic import (
    AnthropicMessage,
    AnthropicUsage,
    ContentBlock,
    OtherBlock,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
)
from trunkline.types.tasks import TaskCall
from trunkline.wire import strict_json

VERSION = (("anthropic-version", "2023-06-01"),)
"""The header that every request has."""


def message_body(call: TaskCall, model: str, stream: bool) -> dict[str, Any]:  # noqa: FBT001 - a row's
    """Return the request's body."""
    body = {"model": model, "messages": call.inputs, **call.parameters, "stream": stream}
    return merged(body, call.extra_body)


def read_answer(data: bytes) -> AnthropicMessage:
    """Read the body of a 200 that was not streamed.

    Raises the mapped error where the body is one all the same, else InvalidResponseError.
    """
    body = decoded(data)
    if not isinstance(body.get("content"), list):
        failure = failures.failure_in_body(body)
        if failure:
            raise failures.error_for(failure)
        raise InvalidResponseError("The answer has no content.", body=body)
    return read_message(body)


def read_message(body: dict[str, Any]) -> AnthropicMessage:
    """Read a message as it stands, also one without content yet."""
    row = dict(body)
    content = objects(row.pop("content", None))
    return AnthropicMessage(
        id=take_text(row, "id"),
        model=take_text(row, "model"),
        content=[read_block(block) for block in content],
        role=take_text(row, "role") or "assistant",
        stop_reason=take_text(row, "stop_reason"),
        stop_sequence=take_text(row, "stop_sequence"),
        usage=read_usage(row.pop("usage", None)),
        type=take_text(row, "type") or "message",
        extra=row,
    )


def read_usage(body: Any) -> AnthropicUsage | None:
    """Read token counts; what is no count stays in `extra`."""
    if not isinstance(body, dict):
        return None
    row = dict(body)
    return AnthropicUsage(
        input_tokens=take_count(row, "input_tokens"),
        output_tokens=take_count(row, "output_tokens"),
        cache_creation_input_tokens=take_count(row, "cache_creation_input_tokens"),
        cache_read_input_tokens=take_count(row, "cache_read_input_tokens"),
        extra=row,
    )


def read_block(body: dict[str, Any]) -> ContentBlock:
    """Read one block of the content."""
    row = dict(body)
    kind = take_text(row, "type")
    if kind == "text" and isinstance(row.get("text"), str):
        return TextBlock(row.pop("text"), citations=take_list(row, "citations"), extra=row)
    if kind == "thinking" and isinstance(row.get("thinking"), str):
        return ThinkingBlock(row.pop("thinking"), signature=take_text(row, "signature"), extra=row)
    if kind == "tool_use" and isinstance(row.get("input"), dict):
        return ToolUseBlock(
            name=take_text(row, "name") or "",
            input=row.pop("input"),
            id=take_text(row, "id"),
            extra=row,
        )
    return OtherBlock(type=kind, extra=row)


def asked(call: TaskCall) -> list[str]:
    """Return the texts of a question."""
    system = call.parameters.get("system")
    system_texts = texts_in([{"content": system}])
    return [*texts_in(call.inputs), *system_texts]


def said(message: AnthropicMessage) -> list[str]:
    """Return all texts of an answer: what was said, thought and called."""
    uses = [use.name + strict_json.encode(use.input).decode() for use in message.tool_uses]
    return [message.text, message.thinking or "", *uses]

"""OpenAI's Responses API, as the one who asks: a body out, a Response in. Lenient in what it reads.

What nobody declared stays in `extra`; items and parts of unknown kinds are kept whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.dialects import failures
from trunkline.dialects.answer_form import decoded, objects, take_list, take_object, texts_in
from trunkline.dialects.bodies import merged
from trunkline.dialects.fields import take_count, take_number, take_text
from trunkline.errors import APIError, InvalidResponseError
from trunkline.types.responses import (
    ContentPart,
    FunctionCallItem,
    McpCall,
    McpListTools,
    OtherItem,
    OtherPart,
    OutputItem,
    OutputMessage,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    Response,
    ResponseUsage,
)
from trunkline.types.tasks import TaskCall


def response_body(call: TaskCall, model: str, stream: bool) -> dict[str, Any]:  # noqa: FBT001 - a row's
    """Return the request's body. `stream` is always said: some servers stream unless told not to."""
    body = {"model": model, "input": call.inputs, **call.parameters, "stream": stream}
    return merged(body, call.extra_body)


def read_answer(data: bytes) -> Response:
    """Read the body of a 200 that was not streamed.

    Raises the mapped error for a response that failed, InvalidResponseError for what is none.
    """
    body = decoded(data)
    if body.get("object") != "response" or body.get("error"):
        failure = failures.failure_in_body(body)
        if failure:
            failed = failures.error_for(failure)
            failed.partial = read_response(body) if isinstance(body.get("output"), list) else None
            raise failed
    if not isinstance(body.get("output"), list):
        raise InvalidResponseError("The answer has no output.", body=body)
    response = read_response(body)
    if response.status in ("failed", "cancelled"):
        raise failed_response(response, body)
    return response


def failed_response(response: Response, body: dict[str, Any]) -> APIError:
    """Return the error that a failed response tells of, with the response as its `partial`."""
    failure = failures.failure_in_body(body) or failures.Failure(
        f"The response ended as {response.status} and says nothing more.", 500, body=body
    )
    error = failures.error_for(failure)
    error.partial = response
    return error


def read_response(body: dict[str, Any]) -> Response:
    """Read a response as it stands, also one without output yet."""
    row = dict(body)
    output = take_list(row, "output")
    return Response(
        id=take_text(row, "id"),
        model=take_text(row, "model"),
        status=take_text(row, "status"),
        output=[read_item(item) for item in output or () if isinstance(item, dict)],
        usage=read_usage(row.pop("usage", None)),
        created_at=take_number(row, "created_at"),
        error=row.pop("error", None),
        incomplete_details=take_object(row, "incomplete_details"),
        object=take_text(row, "object") or "response",
        extra=row,
    )


def read_usage(body: Any) -> ResponseUsage | None:
    """Read token counts; what is no count stays in `extra`."""
    if not isinstance(body, dict):
        return None
    row = dict(body)
    return ResponseUsage(
        input_tokens=take_count(row, "input_tokens"),
        output_tokens=take_count(row, "output_tokens"),
        total_tokens=take_count(row, "total_tokens"),
        input_tokens_details=take_object(row, "input_tokens_details"),
        output_tokens_details=take_object(row, "output_tokens_details"),
        extra=row,
    )


def read_item(body: dict[str, Any]) -> OutputItem:
    """Read one item of the output."""
    kind = body.get("type")
    read = _ITEMS.get(kind) if isinstance(kind, str) else None
    row = dict(body)
    if read is not None:
        del row["type"]
        return read(row)
    return OtherItem(type=take_text(row, "type"), extra=row)


def _message(row: dict[str, Any]) -> OutputMessage:
    return OutputMessage(
        content=[read_part(part) for part in objects(row.pop("content", None))],
        id=take_text(row, "id"),
        role=take_text(row, "role") or "assistant",
        status=take_text(row, "status"),
        extra=row,
    )


def _reasoning(row: dict[str, Any]) -> ReasoningItem:
    return ReasoningItem(
        id=take_text(row, "id"),
        summary=take_list(row, "summary") or [],
        content=take_list(row, "content"),
        encrypted_content=take_text(row, "encrypted_content"),
        status=take_text(row, "status"),
        extra=row,
    )


def _function_call(row: dict[str, Any]) -> FunctionCallItem:
    return FunctionCallItem(
        name=take_text(row, "name") or "",
        arguments=take_text(row, "arguments") or "",
        call_id=take_text(row, "call_id"),
        id=take_text(row, "id"),
        status=take_text(row, "status"),
        extra=row,
    )


def _mcp_call(row: dict[str, Any]) -> McpCall:
    return McpCall(
        name=take_text(row, "name"),
        server_label=take_text(row, "server_label"),
        arguments=take_text(row, "arguments"),
        output=take_text(row, "output"),
        error=row.pop("error", None),
        id=take_text(row, "id"),
        extra=row,
    )


def _mcp_list(row: dict[str, Any]) -> McpListTools:
    return McpListTools(
        server_label=take_text(row, "server_label"),
        tools=take_list(row, "tools") or [],
        error=row.pop("error", None),
        id=take_text(row, "id"),
        extra=row,
    )


_ITEMS: dict[str, Callable[[dict[str, Any]], OutputItem]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "mcp_call": _mcp_call,
    "mcp_list_tools": _mcp_list,
}


def read_part(body: dict[str, Any]) -> ContentPart:
    """Read one part of a message."""
    row = dict(body)
    kind = take_text(row, "type")
    if kind == "output_text" and isinstance(row.get("text"), str):
        return OutputText(
            text=row.pop("text"),
            annotations=take_list(row, "annotations") or [],
            logprobs=row.pop("logprobs", None),
            extra=row,
        )
    if kind == "refusal" and isinstance(row.get("refusal"), str):
        return OutputRefusal(refusal=row.pop("refusal"), extra=row)
    return OtherPart(type=kind, extra=row)


def asked(call: TaskCall) -> list[str]:
    """Return the texts of a question."""
    instructions = call.parameters.get("instructions")
    return [*texts_in(call.inputs), *([instructions] if isinstance(instructions, str) else [])]


def said(response: Response) -> list[str]:
    """Return all texts of an answer: what was said, thought and called."""
    calls = [call.name + call.arguments for call in response.function_calls]
    return [response.output_text, response.reasoning_text or "", *calls]

"""Answers of Anthropic's Messages API, as the one who gives them: a chat's answer in, a message out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trunkline.dialects.think import split_think
from trunkline.errors import InvalidResponseError
from trunkline.types import Completion, Message, ToolCall, Usage
from trunkline.wire import strict_json
from trunkline.wire.sse import write_event

_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Why a chat ended, and how a message says it; another reason stays as it is."""
_BYTES_PER_TOKEN = 4
_IMAGE_TOKENS = 1600
"""About what the largest image takes of a prompt."""
_KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Told:
    """What a message says of its request, whatever the answer."""

    __slots__ = ("guess", "hide_thinking", "id", "model", "stops")

    def __init__(
        self,
        message_id: str,
        model: str,
        *,
        guess: int = 0,
        stops: Iterable[str] = (),
        hide_thinking: bool = False,
    ) -> None:
        """`guess` is about how many tokens the prompt has; `stops` are the texts that end an answer."""
        self.id = message_id
        self.model = model
        self.guess = guess
        self.stops = frozenset(stops)
        self.hide_thinking = hide_thinking


def guessed_tokens(text_bytes: int, images: int = 0) -> int:
    """Return about how many tokens a prompt has, of whatever model."""
    return -(-text_bytes // _BYTES_PER_TOKEN) + images * _IMAGE_TOKENS


def message_body(completion: Completion, told: Told) -> dict[str, Any]:
    """Return a whole answer; raises InvalidResponseError for one that cannot be told."""
    choice = completion.choices[0]
    message = choice.message
    calls = message.tool_calls or ()
    cut = choice.finish_reason == "length"
    reason, sequence = stop_of(
        choice.finish_reason,
        choice.extra.get("stop_reason"),
        told,
        calls=bool(calls),
        refused=bool(message.refusal),
    )
    return {
        "id": told.id,
        "type": "message",
        "role": "assistant",
        "model": told.model,
        "content": list(_content(message, told, cut=cut)),
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_of(completion.usage, told, _said(message)),
    }


def _content(message: Message, told: Told, *, cut: bool) -> Iterator[dict[str, Any]]:
    thought, text = message.reasoning, message.content or ""
    if not thought:
        thought, text = split_think(text)
    if thought and not told.hide_thinking:
        yield {"type": "thinking", "thinking": thought, "signature": ""}
    text += message.refusal or ""
    if text:
        yield {"type": "text", "text": text}
    for call in message.tool_calls or ():
        yield {
            "type": "tool_use",
            "id": call.id,
            "name": call.function.name,
            **_input(call, cut=cut),
        }


def _input(call: ToolCall, *, cut: bool) -> dict[str, Any]:
    """Return the arguments of a call; those that were cut off are given as their text, too."""
    text = call.function.arguments
    given = object_in(text)
    if given is not None:
        return {"input": given}
    if not text.strip() or text.strip() == "null":
        return {"input": {}}
    if cut:
        return {"input": {}, "partial_json": text}
    raise InvalidResponseError(
        f"The model called {call.function.name!r} with arguments that are no JSON object."
    )


def object_in(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is; None for any other text."""
    try:
        value = strict_json.decode(text.encode("utf-8", "surrogatepass"))
    except strict_json.JsonError:
        return None
    return value if isinstance(value, dict) else None


def stop_of(
    finish: str | None, sequence: Any, told: Told, *, calls: bool, refused: bool
) -> tuple[str | None, str | None]:
    """Return why a message ended, and the text that ended it where the server told one."""
    if refused:
        return "refusal", None
    if finish == "stop" and calls:  # some servers say so of an answer that ends with a call
        return "tool_use", None
    if finish == "stop" and isinstance(sequence, str) and sequence in told.stops:
        return "stop_sequence", sequence
    return _REASONS.get(finish or "", finish), None


def usage_of(usage: Usage | None, told: Told, said_bytes: int) -> dict[str, Any]:
    """Return token counts. The API demands them: what was not told is estimated, and marked so."""
    prompt = usage.prompt_tokens if usage else None
    output = usage.completion_tokens if usage else None
    cached = usage.cached_tokens if usage else None
    estimated = prompt is None or output is None
    if prompt is None:
        prompt, cached = told.guess, None
    if output is None:
        output = guessed_tokens(said_bytes)
    if cached is not None and cached <= prompt:
        prompt -= cached
    else:
        cached = None
    written: dict[str, Any] = {"input_tokens": prompt, "output_tokens": output}
    if cached is not None:
        written["cache_read_input_tokens"] = cached
    if estimated:
        written["estimated"] = True
    return written


def _said(message: Message) -> int:
    texts = [message.content, message.reasoning, message.refusal]
    texts += [call.function.arguments for call in message.tool_calls or ()]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts if text)


def error_body(
    status: int,
    message: str,
    *,
    code: str | None = None,
    request_id: str | None = None,
    **details: Any,
) -> bytes:
    """Write an error; `code` and `details` say more exactly what is wrong."""
    return strict_json.encode(_error(status, message, code, request_id, details))


def error_event(
    status: int,
    message: str,
    *,
    code: str | None = None,
    request_id: str | None = None,
    **details: Any,
) -> bytes:
    """Write an error inside a stream that has begun; it is the last of it."""
    return write_event(
        error_body(status, message, code=code, request_id=request_id, **details), "error"
    )


def _error(
    status: int, message: str, code: str | None, request_id: str | None, details: dict[str, Any]
) -> dict[str, Any]:
    error: dict[str, Any] = {"type": error_kind(status), "message": message}
    more = {"error_code": code, **details}
    error["details"] = {name: value for name, value in more.items() if value is not None}
    if not error["details"]:
        del error["details"]
    body: dict[str, Any] = {"type": "error", "error": error}
    if request_id is not None:
        body["request_id"] = request_id
    return body


def error_kind(status: int) -> str:
    """Return the type of an error with this status."""
    return _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")

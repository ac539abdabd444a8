"""OpenAI's chat answers, read leniently: what providers vary is made one, nothing is dropped.

Readers take decoded JSON apart (`pop`), so that what is left over is what nobody declared.
"""

from __future__ import annotations

from typing import Any

from trunkline.errors import InvalidResponseError
from trunkline.types import (
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    FunctionCall,
    FunctionDelta,
    Message,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from trunkline.wire import strict_json

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_REASONING_NAMES = ("reasoning", "reasoning_content", "reasoning_text")


def read_completion(body: dict[str, Any]) -> Completion:
    """Read a whole, decoded answer; raises InvalidResponseError where it is none."""
    choices = body.pop("choices", None)
    if not isinstance(choices, list) or not choices:
        raise InvalidResponseError("The answer has no choices.", body={**body, "choices": choices})
    usage = body.pop("usage", None)
    return Completion(
        id=_string(body.pop("id", None)),
        model=_string(body.pop("model", None)),
        created=_count(body.pop("created", None)),
        object=_string(body.pop("object", None)) or "chat.completion",
        system_fingerprint=_string(body.pop("system_fingerprint", None)),
        choices=[_choice(item, index) for index, item in enumerate(choices)],
        usage=read_usage(usage) or _usage_aside(body),
        extra=body,
    )


def read_usage(body: Any) -> Usage | None:
    """Read token counts; one that is no count (negative, text) becomes None and is kept aside."""
    if not isinstance(body, dict):
        return None
    extra = dict(body)
    counts: list[int | None] = []
    for name in _COUNTS:
        count = _count(extra.get(name))
        if count is not None:
            del extra[name]
        counts.append(count)
    prompt_details = completion_details = None
    if extra:
        prompt_details = extra.pop("prompt_tokens_details", None)
        completion_details = extra.pop("completion_tokens_details", None)
        extra = {name: value for name, value in extra.items() if value is not None}
    return Usage(
        prompt_tokens=counts[0],
        completion_tokens=counts[1],
        total_tokens=counts[2],
        prompt_tokens_details=prompt_details if isinstance(prompt_details, dict) else None,
        completion_tokens_details=(
            completion_details if isinstance(completion_details, dict) else None
        ),
        extra=extra,
    )


class DeltaReader:
    """Reads the chunks of one stream; it remembers only which tool call a fragment continues."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        """Start at a stream's beginning."""
        self._calls: dict[int, list[tuple[Any, str]]] = {}

    def read(self, body: dict[str, Any]) -> Chunk | None:
        """Read a decoded event; None for a frame that says nothing (a keep-alive)."""
        pop = body.pop
        usage = pop("usage", None)
        read = read_usage(usage) if usage is not None else None
        choices = pop("choices", None)
        chunk = Chunk(
            _string(pop("id", None)),
            _string(pop("model", None)),
            [self._choice(item, index) for index, item in enumerate(choices)]
            if isinstance(choices, list)
            else [],
            _count(pop("created", None)),
            read or (_usage_aside(body) if body else None),
            _string(pop("object", None)) or "chat.completion.chunk",
            _string(pop("system_fingerprint", None)),
            body,
        )
        return chunk if chunk.choices or chunk.usage is not None else None

    def continued(self, choice: int, told: Any) -> int:
        """Return which call a fragment that only tells an index continues; -1 for none yet."""
        slots = self._calls.get(choice, ())
        for position in range(len(slots) - 1, -1, -1):
            if slots[position][0] == told:
                return position
        return -1

    def _choice(self, body: Any, position: int) -> ChunkChoice:
        if not isinstance(body, dict):
            raise InvalidResponseError("A choice of the stream is no object.", body=body)
        pop = body.pop
        told = pop("index", None)
        index = told if isinstance(told, int) and told >= 0 else position
        delta = pop("delta", None)
        if delta is None:
            delta = pop("message", None)  # some servers send a last, whole message
        return ChunkChoice(
            index,
            self._delta(delta if isinstance(delta, dict) else {}, index),
            _finish(pop("finish_reason", None)),
            pop("logprobs", None),
            body,
        )

    def _delta(self, body: dict[str, Any], choice: int) -> Delta:
        pop = body.pop
        content = pop("content", None)
        calls = pop("tool_calls", None)
        role = _string(pop("role", None))
        refusal = _string(pop("refusal", None))
        reasoning = _reasoning(body) if body else None
        if content is not None and not isinstance(content, str):
            content, thought = _content_parts(content)
            reasoning = reasoning or thought
        return Delta(
            role,
            content,
            reasoning,
            self._tool_calls(calls, choice) if calls else None,
            refusal,
            body,
        )

    def _tool_calls(self, calls: Any, choice: int) -> list[ToolCallDelta]:
        items = [calls] if isinstance(calls, dict) else calls
        if not isinstance(items, list):
            raise InvalidResponseError("The stream's tool_calls are no list.", body=calls)
        return [self._tool_call(item, choice) for item in items if isinstance(item, dict)]

    def _tool_call(self, body: dict[str, Any], choice: int) -> ToolCallDelta:
        function = body.pop("function", None)
        function = function if isinstance(function, dict) else {}
        call_id = _call_id(body.pop("id", None))
        name = _string(function.pop("name", None)) or None
        index = self._slot(choice, body.pop("index", None), call_id, begins=bool(name))
        arguments = function.pop("arguments", None)
        return ToolCallDelta(
            index=index,
            id=call_id or None,
            type=_string(body.pop("type", None)),
            function=FunctionDelta(name, _arguments(arguments), function),
            extra=body,
        )

    def _slot(self, choice: int, told: Any, call_id: str, *, begins: bool) -> int:
        """Return which call, in order of appearance, a fragment continues: by index, then by id."""
        slots = self._calls.setdefault(choice, [])
        for position in range(len(slots) - 1, -1, -1):
            told_before, id_before = slots[position]
            another = call_id and id_before and call_id != id_before
            if told is not None and told == told_before and not another:
                slots[position] = (told, id_before or call_id)
                return position
            if told is None and call_id and call_id == id_before:
                return position
        if told is None and not call_id and not begins:
            if not slots:
                raise InvalidResponseError("A tool call's fragment belongs to no call.")
            return len(slots) - 1
        slots.append((told, call_id))
        return len(slots) - 1


def _choice(body: Any, position: int) -> Choice:
    if not isinstance(body, dict):
        raise InvalidResponseError("A choice of the answer is no object.", body=body)
    told = body.pop("index", None)
    message = body.pop("message", None)
    if not isinstance(message, dict):
        raise InvalidResponseError("A choice of the answer has no message.", body=body)
    return Choice(
        index=told if isinstance(told, int) and told >= 0 else position,
        message=_message(message),
        finish_reason=_finish(body.pop("finish_reason", None)),
        logprobs=body.pop("logprobs", None),
        extra=body,
    )


def _message(body: dict[str, Any]) -> Message:
    content = body.pop("content", None)
    reasoning = _reasoning(body)
    if content is not None and not isinstance(content, str):
        content, thought = _content_parts(content)
        reasoning = reasoning or thought
    calls = body.pop("tool_calls", None)
    items = [calls] if isinstance(calls, dict) else calls if isinstance(calls, list) else []
    return Message(
        role=_string(body.pop("role", None)) or "assistant",
        content=content,
        reasoning=reasoning,
        tool_calls=[_tool_call(c, i) for i, c in enumerate(items) if isinstance(c, dict)] or None,
        refusal=_string(body.pop("refusal", None)),
        extra=body,
    )


def _tool_call(body: dict[str, Any], position: int) -> ToolCall:
    function = body.pop("function", None)
    function = function if isinstance(function, dict) else {}
    body.pop("index", None)
    arguments = function.pop("arguments", None)
    if arguments is None and isinstance(function.get("parameters"), dict):
        arguments = function.pop("parameters")  # what models, and with them old TGI, call it
    return ToolCall(
        id=_call_id(body.pop("id", None)) or f"call_{position}",
        type=_string(body.pop("type", None)) or "function",
        function=FunctionCall(
            name=_string(function.pop("name", None)) or "",
            arguments=_arguments(arguments) or "{}",
            extra=function,
        ),
        extra=body,
    )


def _reasoning(body: dict[str, Any]) -> str | None:
    """Take the reasoning out of a message or delta, under whichever name it has."""
    found = None
    for name in _REASONING_NAMES:
        if name in body:
            value = body[name]
            if value is None or isinstance(value, str):
                del body[name]
                found = found or value
    return found


def _content_parts(content: Any) -> tuple[str | None, str | None]:
    """Return text and reasoning of content given as a list of parts, as Mistral gives it."""
    if not isinstance(content, list):
        raise InvalidResponseError("The message's content is neither text nor parts.", body=content)
    text: list[str] = []
    thoughts: list[str] = []
    for part in content:
        if isinstance(part, dict) and part.get("type") == "thinking":
            inner = part.get("thinking")
            thoughts += [inner] if isinstance(inner, str) else [_content_parts(inner)[0] or ""]
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            text.append(part["text"])
        elif isinstance(part, str):
            text.append(part)
    return "".join(text) or None, "".join(thoughts) or None


def _usage_aside(body: dict[str, Any]) -> Usage | None:
    """Find usage where Groq's streams put it."""
    aside = body.get("x_groq")
    return read_usage(aside.get("usage")) if isinstance(aside, dict) else None


def _arguments(value: Any) -> str | None:
    """Return arguments as JSON text; old TGI sends the object itself."""
    if value is None or isinstance(value, str):
        return value
    return strict_json.encode(value).decode()


def _call_id(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _finish(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and value >= 0 else None

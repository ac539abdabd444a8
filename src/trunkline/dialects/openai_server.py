"""OpenAI's chat completions, as the one who answers: bytes in, a Chat out; answers and errors back.

The gateway and the sandbox read and write with this; it opens nothing and knows no provider.
"""

from __future__ import annotations

from typing import Any

from trunkline.dialects.openai_rules import (
    FLAG,
    OBJECT,
    STOP,
    TEXT,
    RequestError,
    Rule,
    check_stream_options,
    count,
    number,
    of,
    parted,
    read_object,
    take_model,
    take_stream,
)
from trunkline.dialects.openai_write import (
    DONE_EVENT,
    chunk_event,
    completion_body,
    error_body,
    error_event,
)
from trunkline.model_id import ModelId
from trunkline.types import Chat

__all__ = [
    "DONE_EVENT",
    "RequestError",
    "chunk_event",
    "completion_body",
    "error_body",
    "error_event",
    "read_chat",
    "wants_usage",
]

_ROLES = ("assistant", "developer", "function", "system", "tool", "user")


def read_chat(data: bytes) -> Chat:
    """Read a request's body.

    The model's name stays as the client wrote it (`chat.model.name`); what it means is for the
    server to say. Fields that OpenAI does not have are kept in `extra_body`. Raises
    RequestError, naming the parameter, for anything that is not a chat.
    """
    body = read_object(data)
    model = take_model(body)
    messages = _messages(body.pop("messages", None))
    stream = take_stream(body)
    known, unknown = parted(body, _PARAMETERS)
    check_stream_options(known, stream=stream)
    _check_named_tool(known)
    return Chat(
        model=ModelId("served", model),
        messages=messages,
        parameters=known,
        stream=stream,
        extra_body=unknown,
    )


def wants_usage(chat: Chat) -> bool:
    """Tell whether the client asked for a last chunk with token counts."""
    return bool((chat.parameters.get("stream_options") or {}).get("include_usage"))


def _messages(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise RequestError("'messages' must be a list with at least one message.", param="messages")
    for index, message in enumerate(value):
        _check_message(message, f"messages[{index}]")
    return value


def _check_message(message: Any, at: str) -> None:
    if not isinstance(message, dict):
        raise RequestError(f"'{at}' must be an object.", param=at)
    role = message.get("role")
    if role not in _ROLES:
        raise RequestError(f"'{at}.role' must be one of {', '.join(_ROLES)}.", param=f"{at}.role")
    content = message.get("content")
    if content is None and role != "assistant":
        raise RequestError(f"'{at}.content' is missing.", param=f"{at}.content")
    if isinstance(content, list):
        for index, part in enumerate(content):
            _check_part(part, f"{at}.content[{index}]")
    elif content is not None and not isinstance(content, str):
        raise RequestError(f"'{at}.content' must be text or a list.", param=f"{at}.content")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise RequestError(f"'{at}.tool_call_id' is missing.", param=f"{at}.tool_call_id")
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(map(_is_call, calls))):
        raise RequestError(
            f"'{at}.tool_calls' must be a list of function calls.", param=f"{at}.tool_calls"
        )


def _check_part(part: Any, at: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise RequestError(f"'{at}' must be an object with a type.", param=at)
    if kind == "text" and not isinstance(part.get("text"), str):
        raise RequestError(f"'{at}.text' must be text.", param=f"{at}.text")
    if kind == "image_url":
        image = part.get("image_url")
        if not isinstance(image, dict) or not isinstance(image.get("url"), str):
            raise RequestError(f"'{at}.image_url.url' is missing.", param=f"{at}.image_url")


def _is_call(value: Any) -> bool:
    function = value.get("function") if isinstance(value, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _check_named_tool(given: dict[str, Any]) -> None:
    choice = given.get("tool_choice")
    tools = given.get("tools") or []
    if choice not in (None, "auto", "none") and not tools:
        raise RequestError(
            "'tool_choice' is only allowed when 'tools' are given.", param="tool_choice"
        )
    if isinstance(choice, dict):
        wanted = choice["function"]["name"]
        if wanted not in [tool["function"]["name"] for tool in tools if _is_tool(tool)]:
            raise RequestError(
                f"'tool_choice' names {wanted!r}, which is not in 'tools'.", param="tool_choice"
            )


def _is_tool(value: Any) -> bool:
    return (
        _is_call(value)
        and value.get("type", "function") == "function"
        and isinstance(value["function"].get("parameters"), (dict, type(None)))
    )


def _is_format(value: Any) -> bool:
    return isinstance(value, dict) and (
        value.get("type") in ("text", "json_object")
        or (
            value.get("type") == "json_schema"
            # Together's form has the schema one level higher
            and (
                isinstance(value.get("json_schema"), dict) or isinstance(value.get("schema"), dict)
            )
        )
    )


_PARAMETERS: dict[str, Rule] = {
    "audio": OBJECT,
    "frequency_penalty": number(-2, 2),
    "function_call": of((str, dict), "text or an object"),
    "functions": of(list, "a list"),
    "logit_bias": OBJECT,
    "logprobs": FLAG,
    "max_completion_tokens": count(1),
    "max_tokens": count(1),
    "metadata": OBJECT,
    "modalities": of(list, "a list"),
    "n": count(1, 128),
    "parallel_tool_calls": FLAG,
    "prediction": OBJECT,
    "presence_penalty": number(-2, 2),
    "prompt_cache_key": TEXT,
    "reasoning_effort": TEXT,
    "response_format": (_is_format, "an object of type text, json_object or json_schema"),
    "safety_identifier": TEXT,
    "seed": of(int, "a whole number"),
    "service_tier": TEXT,
    "stop": STOP,
    "store": FLAG,
    "stream_options": OBJECT,
    "temperature": number(0, 2),
    "tool_choice": (
        lambda v: v in ("auto", "none", "required") or _is_call(v),
        "'auto', 'none', 'required' or a function",
    ),
    "tools": (
        lambda v: isinstance(v, list) and all(map(_is_tool, v)),
        "a list of functions, each with a name, and a schema that is an object",
    ),
    "top_logprobs": count(0, 20),
    "top_p": number(0, 1),
    "user": TEXT,
    "verbosity": TEXT,
    "web_search_options": OBJECT,
}
"""OpenAI's parameters, each with its rule; what is not here is passed on unread."""

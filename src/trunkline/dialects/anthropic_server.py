"""Anthropic's Messages API, as the one who answers: a request in, the chat that it stands for out.

Fields that only hint have no effect; what a chat cannot do is refused by name; what nobody here knows
is the server's affair and stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.dialects.anthropic_content import Conversation, wrong
from trunkline.dialects.openai_rules import RequestError, Rule, count, number, read_object
from trunkline.wire import strict_json

_LONGEST_USER = 64
"""Characters that OpenAI takes for a user's id; a longer one is sent as its digest."""
_LOW_BUDGET, _MEDIUM_BUDGET = 4096, 16384
"""Tokens of thinking below which an effort is low, and medium."""
_OUTPUT_FIELDS = frozenset({"effort", "format"})
_FORMAT_FIELDS = frozenset({"type", "schema"})
_THINKING_FIELDS = frozenset({"type", "budget_tokens", "display"})
_TOOL_FIELDS = frozenset(
    {"type", "name", "description", "input_schema", "strict", "input_examples", "allowed_callers"}
    | {"cache_control", "defer_loading", "eager_input_streaming"}
)
"""What is read of a tool; those of the second line only hint."""
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


class MessageRequest(msgspec.Struct, frozen=True):
    """A request for a message, read."""

    model: str
    stream: bool
    chat: bytes
    """The body of the chat that it stands for."""
    text_bytes: int
    """Bytes of that which are text: all but its images."""
    images: int
    stops: tuple[str, ...] = ()
    hide_thinking: bool = False
    """Whether the client wants to see nothing of what was thought."""


def read_request(data: bytes, *, counting: bool = False) -> MessageRequest:
    """Read a request's body; raises RequestError, naming the place.

    `counting` reads one whose tokens are only to be counted, which has no `max_tokens`.
    """
    return request_of(read_object(data), counting=counting)


def request_of(body: dict[str, Any], *, counting: bool = False) -> MessageRequest:
    """Read a request whose JSON has been read; raises RequestError as `read_request` does."""
    model = _model(body)
    told = Conversation()
    told.read(body.get("system"), body.get("messages"))
    chat: dict[str, Any] = {"model": model, "messages": told.messages}
    _check_most(body, needed=not counting)
    for name, value in body.items():
        if value is not None and name not in _READ:
            write = _FIELDS.get(name)
            chat |= {name: value} if write is None else write(name, value)
    chat |= _choice(body.get("tool_choice"), chat.get("tools") or [])
    chat |= _effort(body)
    stream = body.get("stream") is True
    if stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    written = strict_json.encode(chat)
    thinking = body.get("thinking")
    return MessageRequest(
        model=model,
        stream=stream,
        chat=written,
        text_bytes=len(written) - told.image_bytes,
        images=told.images,
        stops=tuple(chat.get("stop") or ()),
        hide_thinking=isinstance(thinking, dict) and thinking.get("display") == "omitted",
    )


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise wrong("model", "must be the name of a model.")
    return model


def _check_most(body: dict[str, Any], *, needed: bool) -> None:
    most = body.get("max_tokens")
    if most is None and not needed:
        return
    if type(most) is not int or most < 1:
        raise wrong("max_tokens", "must be a whole number from 1 up.")


# each of these writes one field of the request into the chat

_Write = Callable[[str, Any], dict[str, Any]]


def _same(rule: Rule, under: str | None = None) -> _Write:
    """Write a field as it is, if it keeps its rule."""

    def write(name: str, value: Any) -> dict[str, Any]:
        if not rule[0](value):
            raise wrong(name, f"must be {rule[1]}.")
        return {under or name: value}

    return write


def _nothing(name: str, value: Any) -> dict[str, Any]:  # noqa: ARG001 - a row's
    """Leave out what only hints."""
    return {}


def _never(why: str) -> _Write:
    """Refuse a field, unless it says nothing."""

    def write(name: str, value: Any) -> dict[str, Any]:
        if value in ([], {}, ""):
            return {}
        raise RequestError(f"{name}: {why}", param=name, code="unsupported_parameter")

    return write


def _thread(name: str, value: Any) -> dict[str, Any]:  # noqa: ARG001 - a row's
    """Refuse to keep a conversation, in the words that make clients send all of it instead."""
    raise RequestError(
        f"{name}: conversations are not kept here; send every message.",
        param=name,
        code="thread_unsupported_request",
    )


def _stream(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, bool):
        raise wrong(name, "must be true or false.")
    return {}


def _stops(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, list) or not all(isinstance(s, str) and s for s in value):
        raise wrong(name, "must be a list of texts, none of them empty.")
    return {"stop": value} if value else {}


def _metadata(name: str, value: Any) -> dict[str, Any]:
    user = value.get("user_id") if isinstance(value, dict) else 0
    if user is None:
        return {}
    if not isinstance(user, str):
        raise wrong(name, "must be an object whose user_id is text.")
    if len(user) > _LONGEST_USER:
        user = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    return {"user": user} if user else {}


def _output(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(name, "must be an object.")
    _only(name, value, _OUTPUT_FIELDS)
    form = value.get("format")
    return {} if form is None else _format(f"{name}.format", form)


def _format(name: str, value: Any) -> dict[str, Any]:
    schema = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(schema, dict) or value.get("type") != "json_schema":
        raise wrong(name, "must be of type json_schema, with a schema.")
    _only(name, value, _FORMAT_FIELDS)
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _only(at: str, value: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse a part of a field that would be left out in silence."""
    for name, told in value.items():
        if name not in known and told not in (None, False):
            raise RequestError(
                f"{at}.{name[:100]}: cannot be said in a chat; leave it out.",
                param=f"{at}.{name[:100]}",
                code="unsupported_parameter",
            )


def _tools(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, list):
        raise wrong(name, "must be a list.")
    tools = [_tool(f"{name}.{index}", tool) for index, tool in enumerate(value)]
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        called = tool["function"]["name"]
        if called in seen:
            raise wrong(f"{name}.{index}.name", f"the tool {called[:200]!r} is there twice.")
        seen.add(called)
    return {"tools": tools} if tools else {}


def _tool(at: str, tool: Any) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise wrong(at, "must be an object.")
    kind = tool.get("type")
    if kind not in (None, "custom"):
        raise wrong(
            at,
            f"{str(kind)[:60]!r} is a tool of Anthropic's own, which other models do not have. "
            "Give a tool with a name and an input_schema.",
        )
    _check_tool(at, tool)
    schema = tool["input_schema"]
    if tool.get("input_examples"):
        schema = {**schema, "examples": tool["input_examples"]}
    function: dict[str, Any] = {"name": tool["name"], "parameters": schema}
    for field in ("description", "strict"):
        if tool.get(field) is not None:
            function[field] = tool[field]
    return {"type": "function", "function": function}


def _check_tool(at: str, tool: dict[str, Any]) -> None:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise wrong(f"{at}.name", "a tool needs a name.")
    if not isinstance(tool.get("input_schema"), dict):
        raise wrong(f"{at}.input_schema", "must be a JSON schema, as an object.")
    if tool.get("allowed_callers") not in (None, [], ["direct"]):
        raise wrong(f"{at}.allowed_callers", "only the model itself ('direct') calls tools here.")
    if not isinstance(tool.get("description"), (str, type(None))):
        raise wrong(f"{at}.description", "must be text.")
    if not isinstance(tool.get("strict"), (bool, type(None))):
        raise wrong(f"{at}.strict", "must be true or false.")
    _only(at, tool, _TOOL_FIELDS)


_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_CHOICE_FIELDS = frozenset({"type", "name", "disable_parallel_tool_use"})


def _choice(value: Any, tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how tools are to be chosen; raises RequestError."""
    if value is None:
        return {}
    kind = value.get("type") if isinstance(value, dict) else None
    written: dict[str, Any] = {}
    if kind == "tool":
        name = value.get("name")
        if name not in [tool["function"]["name"] for tool in tools]:
            raise wrong("tool_choice.name", f"{str(name)[:200]!r} is not among the tools.")
        written["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif not isinstance(kind, str) or kind not in _CHOICES:
        raise wrong("tool_choice.type", "must be auto, any, tool or none.")
    elif kind == "any" and not tools:
        raise wrong("tool_choice", "there are no tools to choose from.")
    elif tools:
        written["tool_choice"] = _CHOICES[kind]
    _only("tool_choice", value, _CHOICE_FIELDS)
    if value.get("disable_parallel_tool_use") is True and tools and kind != "none":
        written["parallel_tool_calls"] = False
    return written


def _effort(body: dict[str, Any]) -> dict[str, Any]:
    """Return how much the model is to think, as chats say it; nothing where that is left to it."""
    thinking = body.get("thinking")
    if thinking is None:
        thinking = {}
    kind = thinking.get("type") if isinstance(thinking, dict) else ""
    if kind not in (None, "adaptive", "between_tools", "disabled", "enabled"):
        raise wrong("thinking", "must be an object of type enabled, adaptive or disabled.")
    _only("thinking", thinking, _THINKING_FIELDS)
    output = body.get("output_config")
    effort = output.get("effort") if isinstance(output, dict) else None
    if effort is not None and (not isinstance(effort, str) or effort not in _EFFORTS):
        raise wrong("output_config.effort", f"must be one of {', '.join(_EFFORTS)}.")
    if kind in (None, "disabled"):
        return {}
    if effort is not None:
        return {"reasoning_effort": _EFFORTS[effort]}
    if kind != "enabled":
        return {}
    budget = thinking.get("budget_tokens")
    if type(budget) is not int or budget < 1:
        raise wrong("thinking.budget_tokens", "must be a whole number of tokens.")
    for most, name in ((_LOW_BUDGET, "low"), (_MEDIUM_BUDGET, "medium")):
        if budget < most:
            return {"reasoning_effort": name}
    return {"reasoning_effort": "high"}


def _say_as(name: str) -> _Write:
    return _never(f"is a chat's word; this API's is {name}.")


_ONE_ANSWER = _never("a message is one answer of text and tools; leave it out.")
_READ = frozenset({"messages", "model", "system", "thinking", "tool_choice"})
"""Fields that are read together with others."""
_FIELDS: dict[str, _Write] = {
    "max_tokens": lambda name, value: {name: value},
    "metadata": _metadata,
    "output_config": _output,
    "output_format": _format,
    "stop_sequences": _stops,
    "stream": _stream,
    "temperature": _same(number(0, 1)),
    "tools": _tools,
    "top_k": _same(count(0)),
    "top_p": _same(number(0, 1)),
    # hints
    **dict.fromkeys(
        (
            "anthropic_beta",
            "anthropic_version",
            "betas",
            "cache_control",
            "context_management",
            "diagnostics",
            "service_tier",
            "speed",
        ),
        _nothing,
    ),
    # what only Anthropic's servers can do
    "container": _never("containers are Anthropic's; leave it out."),
    "inference_geo": _never("where a model runs is not chosen here; leave it out."),
    "mcp_servers": _never(
        "servers of tools are called by Anthropic's servers; call them yourself."
    ),
    "thread": _thread,
    # what a chat has under another name, or a message has not
    "max_completion_tokens": _say_as("max_tokens"),
    "parallel_tool_calls": _say_as("tool_choice.disable_parallel_tool_use"),
    "response_format": _say_as("output_config.format"),
    "stop": _say_as("stop_sequences"),
    **dict.fromkeys(
        (
            "audio",
            "best_of",
            "function_call",
            "functions",
            "logprobs",
            "modalities",
            "n",
            "stream_options",
            "top_logprobs",
        ),
        _ONE_ANSWER,
    ),
}
"""What is not here is passed on as it is."""

__all__ = ["MessageRequest", "RequestError", "read_request", "request_of"]

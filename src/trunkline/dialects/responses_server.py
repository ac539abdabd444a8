"""Requests to OpenAI's Responses API, read as chats. For those who answer. Pure.

What a chat cannot express is an error that names it. Fields that nobody here knows pass on, as they do
in chats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.dialects.openai_rules import (
    FLAG,
    OBJECT,
    TEXT,
    RequestError,
    Rule,
    count,
    number,
)
from trunkline.dialects.responses_input import read_input, shown, wrong
from trunkline.dialects.responses_tools import read_tools

Body = dict[str, Any]


class ResponsesRequest(msgspec.Struct, frozen=True):
    """A request for a response that a chat can answer."""

    chat: Body
    """The chat's body."""
    echo: Body
    """What the answer repeats of its request."""


_LOGPROBS = "message.output_text.logprobs"
_INCLUDED = (_LOGPROBS, "reasoning.encrypted_content")
_EFFORT = frozenset({"effort", "summary", "generate_summary"})
_TEXT_FIELDS = frozenset({"format", "verbosity"})
_FORMAT_FIELDS = ("type", "name", "description", "schema", "strict")
_MOST_LABELS = 16
_LONGEST_LABEL = (64, 512)

_SAME: dict[str, Rule] = {
    "parallel_tool_calls": FLAG,
    "prompt_cache_key": TEXT,
    "prompt_cache_options": OBJECT,
    "prompt_cache_retention": TEXT,
    "safety_identifier": TEXT,
    "service_tier": TEXT,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "user": TEXT,
}
"""What a chat calls by the same name."""
_KEPT: dict[str, Rule] = {
    "instructions": TEXT,
    "max_output_tokens": count(1),
    "max_tool_calls": count(1),
    "model": TEXT,
    "store": FLAG,
    "stream": FLAG,
    "top_logprobs": count(0, 20),
}
"""What is read here; `max_tool_calls` limits hosted tools, of which there are none."""
_UNSAYABLE = {
    "background": "calls are answered while their client waits.",
    "background_options": "calls are answered while their client waits.",
    "access_programs": "a chat has no such thing.",
    "context_management": "a chat has no such thing. Send the items that the model shall see.",
    "conversation": "nothing is kept here. Send the earlier items in 'input'.",
    "image": "a chat has no such thing.",
    "moderation": "a chat has no such thing.",
    "previous_response_id": "nothing is kept here. Send the earlier items in 'input'.",
    "prompt": "no prompts are kept here. Send 'instructions' and 'input'.",
}
"""What chats cannot express, and why; false is as good as nothing."""
_CHATS_OWN = {
    "audio": None,
    "function_call": "tool_choice",
    "functions": "tools",
    "logprobs": f"include: [{_LOGPROBS!r}]",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "modalities": None,
    "n": None,
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
"""Names that chats have for what is said here in another way, or not at all."""


def read_request(body: Body) -> ResponsesRequest:
    """Read a decoded request; raises RequestError, naming the place of what is wrong with it."""
    given = {name: value for name, value in body.items() if value is not None}
    _check(given)
    chat: Body = {"model": given.get("model"), "messages": _messages(given)}
    chat |= {name: value for name, value in given.items() if name not in _READ}
    if "max_output_tokens" in given:
        chat["max_tokens"] = given["max_output_tokens"]
    reasoning, text = _reasoning(given), _text(given)
    if reasoning.get("effort") is not None:
        chat["reasoning_effort"] = reasoning["effort"]
    chat |= text[1]
    chat |= _logprobs(given)
    tools, sent, choice = read_tools(given.get("tools"), given.get("tool_choice"))
    if sent:
        chat["tools"] = sent
    else:  # chats take it with tools alone
        chat.pop("parallel_tool_calls", None)
    if choice is not None:
        chat["tool_choice"] = choice
    if given.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    echo = {"reasoning": reasoning, "text": text[0], "tools": tools}
    return ResponsesRequest(chat, _echo(given, echo))


def _messages(given: Body) -> list[Body]:
    told = given.get("instructions")
    return [
        *([{"role": "system", "content": told}] if told else []),
        *read_input(given.get("input")),
    ]


def _check(given: Body) -> None:
    for name, value in given.items():
        if name in _UNSAYABLE and value is not False:
            why = _UNSAYABLE[name]
            raise wrong(name, f"is not taken for this model: {why}", "unsupported_parameter")
        if name in _CHATS_OWN:
            instead = _CHATS_OWN[name]
            says = f"is a chat's: say '{instead}'." if instead else "cannot be said here."
            raise wrong(name, says, "unsupported_parameter")
        rule = _SAME.get(name) or _KEPT.get(name)
        if rule is not None and not rule[0](value):
            raise wrong(name, f"must be {rule[1]}.")
    for name, check in _CHECKS.items():
        if name in given:
            check(given[name])


def _check_truncation(value: Any) -> None:
    if value == "auto":
        says = "'auto' cannot be said in a chat: send no more than the model takes."
        raise wrong("truncation", says, "unsupported_value")
    if value != "disabled":
        raise wrong("truncation", "must be 'disabled'.")


def _check_metadata(value: Any) -> None:
    longest, most = _LONGEST_LABEL
    if not isinstance(value, dict) or len(value) > _MOST_LABELS:
        raise wrong("metadata", f"must be an object with at most {_MOST_LABELS} keys.")
    for name, told in value.items():
        if len(name) > longest or not isinstance(told, str) or len(told) > most:
            raise wrong(
                f"metadata.{name[:longest]}",
                f"must be text of at most {most} characters, its name of at most {longest}.",
            )


def _check_stream_options(value: Any) -> None:
    """Check options; noise in the stream (`include_obfuscation`) is never added here."""
    if not isinstance(value, dict):
        raise wrong("stream_options", "must be an object.")
    for name, told in value.items():
        if name != "include_obfuscation":
            raise wrong(f"stream_options.{name[:100]}", "is not known.", "unknown_parameter")
        if not isinstance(told, bool):
            raise wrong(f"stream_options.{name}", "must be true or false.")


def _check_include(value: Any) -> None:
    """Check what is to be included; reasoning is told openly, and so needs no encrypted form."""
    if not isinstance(value, list):
        raise wrong("include", "must be a list.")
    for index, told in enumerate(value):
        if told not in _INCLUDED:
            says = f"is {shown(told)}, which no chat tells. It takes {' and '.join(_INCLUDED)}."
            raise wrong(f"include[{index}]", says, "unsupported_value")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "include": _check_include,
    "metadata": _check_metadata,
    "stream_options": _check_stream_options,
    "truncation": _check_truncation,
}
_READ = frozenset(
    {"input", "reasoning", "text", "tool_choice", "tools", *_CHECKS, *_KEPT, *_UNSAYABLE}
)
"""What does not go on as it is."""


def _reasoning(given: Body) -> Body:
    """Read how much to think, and whether to tell of it: what is told is the thinking itself."""
    value = _fields(given, "reasoning", _EFFORT)
    effort = value.get("effort")
    if effort is not None and not isinstance(effort, str):
        raise wrong("reasoning.effort", "must be text.")
    for name in ("summary", "generate_summary"):
        if value.get(name) not in (None, "auto"):
            says = "may be 'auto' alone: a chat tells what was thought as it was, or not at all."
            raise wrong(f"reasoning.{name}", says, "unsupported_value")
    return {"effort": effort, "summary": value.get("summary")}


def _text(given: Body) -> tuple[Body, Body]:
    """Return how the text shall be, as an answer repeats it and as a chat says it."""
    value = _fields(given, "text", _TEXT_FIELDS)
    form, verbosity = value.get("format"), value.get("verbosity")
    form = {"type": "text"} if form is None else form
    kind = form.get("type") if isinstance(form, dict) else None
    chat: Body = {}
    if isinstance(form, dict):
        known = _FORMAT_FIELDS if kind == "json_schema" else ("type",)
        _only("text.format", form, frozenset(known))
    if kind == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        chat["response_format"] = {"type": "json_schema", "json_schema": _schema(form)}
    elif kind != "text":
        says = f"must have the type text, json_object or json_schema; it is {shown(kind)}."
        raise wrong("text.format", says)
    if verbosity is None:
        return {"format": form}, chat
    if not isinstance(verbosity, str):
        raise wrong("text.verbosity", "must be text.")
    return {"format": form, "verbosity": verbosity}, {**chat, "verbosity": verbosity}


def _schema(form: Body) -> Body:
    if not isinstance(form.get("name"), str) or not form["name"]:
        raise wrong("text.format.name", "is missing.")
    if not isinstance(form.get("schema"), dict):
        raise wrong("text.format.schema", "must be an object, as JSON Schema has it.")
    return {name: form[name] for name in _FORMAT_FIELDS[1:] if form.get(name) is not None}


def _fields(given: Body, name: str, known: frozenset[str]) -> Body:
    value = given.get(name, {})
    if not isinstance(value, dict):
        raise wrong(name, "must be an object.")
    _only(name, value, known)
    return value


def _only(at: str, value: Body, known: frozenset[str]) -> None:
    for field, told in value.items():
        if field not in known and told is not None:
            raise wrong(f"{at}.{field[:100]}", "cannot be said in a chat.", "unsupported_value")


def _logprobs(given: Body) -> Body:
    if "top_logprobs" in given:
        return {"logprobs": True, "top_logprobs": given["top_logprobs"]}
    return {"logprobs": True} if _LOGPROBS in given.get("include", ()) else {}


_ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "model": None,
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": None,
    "tool_choice": "auto",
    "top_logprobs": None,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What an answer repeats, and what it says where nothing was asked."""


def _echo(given: Body, read: Body) -> Body:
    told = {name: given.get(name, otherwise) for name, otherwise in _ECHOED.items()}
    return {**told, **read, "background": False, "previous_response_id": None, "store": False}


__all__ = ["RequestError", "ResponsesRequest", "read_request"]

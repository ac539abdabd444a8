"""The APIs beside chat: what each function takes, checked and made into a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from trunkline.errors import InvalidInputError
from trunkline.parameters import unknown_parameter
from trunkline.types.answer_parameters import (
    ItemLike,
    MessagesParameters,
    ResponsesParameters,
)
from trunkline.types.anthropic import AnthropicMessage
from trunkline.types.parameters import EveryCall
from trunkline.types.record import Record
from trunkline.types.responses import Response

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.routing.ask import Ask

_OPTIONS = frozenset(EveryCall.__annotations__)
_RESPONSES = frozenset(ResponsesParameters.__annotations__)
_MESSAGES = frozenset(MessagesParameters.__annotations__)


def responses(
    calls: Calls,
    model: str,
    input: str | Sequence[ItemLike],  # noqa: A002 - OpenAI's name
    **given: Unpack[ResponsesParameters],
) -> Ask[Response]:
    """Make a call of the Responses API; raises InvalidInputError before anything is sent."""
    parameters, options = _parted(dict(given), _RESPONSES)
    if parameters.get("tools") is not None:
        parameters["tools"] = _tools(parameters["tools"], _flat, _from_flat)
    choice = parameters.get("tool_choice")
    if isinstance(choice, Mapping) and isinstance(choice.get("function"), Mapping):
        parameters["tool_choice"] = {"type": "function", "name": choice["function"].get("name")}
    inputs = input if isinstance(input, str) else _items(input, "input")
    return calls.ask("responses", model, inputs, parameters, options)


def messages(
    calls: Calls,
    model: str,
    messages: Sequence[ItemLike],
    **given: Unpack[MessagesParameters],
) -> Ask[AnthropicMessage]:
    """Make a call of the Messages API; raises InvalidInputError before anything is sent."""
    parameters, options = _parted(dict(given), _MESSAGES)
    if parameters.get("max_tokens") is None:
        raise InvalidInputError(
            "max_tokens is missing, which the Messages API demands.",
            hint="Say how many tokens the answer may have: max_tokens=1024.",
        )
    if parameters.get("tools") is not None:
        parameters["tools"] = _tools(parameters["tools"], _described, _from_described)
    inputs = [
        {"role": "assistant", "content": row["content"]} if _is_answer(row) else row
        for row in _items(messages, "messages")
    ]
    return calls.ask("messages", model, inputs, parameters, options)


def _is_answer(row: dict[str, Any]) -> bool:
    """Tell whether a message is a whole answer of the Messages API, which it takes back in part."""
    return row.get("type") == "message" and row.get("role") == "assistant" and "content" in row


def _parted(given: dict[str, Any], known: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell what goes into the body from how the call is made."""
    for name in given:
        if name not in known:
            raise unknown_parameter(name, known)
    options = {name: value for name, value in given.items() if name in _OPTIONS}
    body = {n: v for n, v in given.items() if n not in _OPTIONS and v is not None}
    return body, options


def _items(value: Any, name: str) -> list[dict[str, Any]]:
    """Return items as dicts; those of an earlier answer as they go back."""
    if isinstance(value, (str, bytes, Mapping, Record)) or not isinstance(value, Sequence):
        raise InvalidInputError(f"{name} is a {type(value).__name__}; a list is expected.")
    if not value:
        raise InvalidInputError(f"{name} is empty.")
    return [_item(item, f"{name}[{place}]") for place, item in enumerate(value)]


def _item(item: Any, name: str) -> dict[str, Any]:
    if isinstance(item, Record):
        return item.to_dict()
    if isinstance(item, Mapping):
        return dict(item)
    raise InvalidInputError(f"{name} is a {type(item).__name__}; a dict is expected.")


_Wire = dict[str, Any]


def _tools(
    tools: Any, write: Callable[[_Wire], _Wire], own: Callable[[Mapping[str, Any]], _Wire | None]
) -> list[_Wire] | None:
    """Return tools in an API's form: `own` reads those that are in it already."""
    from trunkline.tools import tool_schemas  # loads inspection code that few calls need

    known: Any = tools
    if isinstance(tools, Sequence) and not isinstance(tools, str):
        known = [(isinstance(tool, Mapping) and own(tool)) or tool for tool in tools]
    wires = tool_schemas(known)
    # some servers refuse an empty list
    return [write(wire) if wire["type"] == "function" else wire for wire in wires] or None


def _flat(wire: _Wire) -> _Wire:
    """Write a tool as the Responses API has it: without an object of its own."""
    return {"type": "function", **wire["function"]}


def _from_flat(tool: Mapping[str, Any]) -> _Wire | None:
    if tool.get("type") != "function" or "function" in tool:
        return None
    return {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}


_INPUT_SCHEMA = "input_schema"


def _described(wire: _Wire) -> _Wire:
    """Write a tool as the Messages API has it."""
    function = dict(wire["function"])
    schema = function.pop("parameters", None) or {"type": "object", "properties": {}}
    function.pop("strict", None)
    return {**function, _INPUT_SCHEMA: schema}


def _from_described(tool: Mapping[str, Any]) -> _Wire | None:
    if _INPUT_SCHEMA not in tool:
        return None
    rest = {k: v for k, v in tool.items() if k not in (_INPUT_SCHEMA, "type")}
    return {"type": "function", "function": {**rest, "parameters": tool[_INPUT_SCHEMA]}}

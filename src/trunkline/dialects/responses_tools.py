"""Tools in a request to OpenAI's Responses API, as chats have them. For those who answer. Pure."""

from __future__ import annotations

from typing import Any

from trunkline.dialects.openai_rules import RequestError
from trunkline.dialects.responses_input import shown, wrong

_FIELDS = frozenset({"type", "name", "description", "parameters", "strict"})
MOST_TOOLS = 1_000
_CHOICES = ("auto", "none", "required")
Tool = dict[str, Any]


def read_tools(value: Any, choice: Any) -> tuple[list[Tool], list[Tool], Any]:
    """Return the tools as an answer repeats them, those for the chat, and its choice among them.

    Raises RequestError for what a chat cannot express: whatever is no function of the client's.
    """
    if value is not None and not isinstance(value, list):
        raise wrong("tools", "must be a list.")
    if value is not None and len(value) > MOST_TOOLS:
        raise wrong("tools", f"are too many: {MOST_TOOLS} may be offered at once.")
    tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(value or ())]
    chosen, names = _choice(choice, {tool["name"] for tool in tools})
    sent = [_sent(tool) for tool in tools if names is None or tool["name"] in names]
    return tools, sent, chosen


def _tool(tool: Any, at: str) -> Tool:
    if not isinstance(tool, dict):
        raise wrong(at, "must be an object with a type.")
    kind = tool.get("type")
    if kind != "function":
        raise wrong(
            at,
            f"is a tool {shown(kind)}, and the target of this model is asked by chats, which know "
            "functions alone. Take another model for it, or offer a function.",
            "unsupported_value",
        )
    name, parameters, strict = tool.get("name"), tool.get("parameters"), tool.get("strict")
    if not isinstance(name, str) or not name:
        raise wrong(f"{at}.name", "is missing.")
    if parameters is not None and not isinstance(parameters, dict):
        raise wrong(f"{at}.parameters", "must be an object, as JSON Schema has it.")
    if strict is not None and not isinstance(strict, bool):
        raise wrong(f"{at}.strict", "must be true or false.")
    if not isinstance(tool.get("description", ""), (str, type(None))):
        raise wrong(f"{at}.description", "must be text.")
    for field, told in tool.items():
        if field not in _FIELDS and told not in (None, False):
            raise wrong(f"{at}.{field[:100]}", "cannot be said in a chat.", "unsupported_value")
    kept = {field: told for field, told in tool.items() if field in _FIELDS}
    return {**kept, "parameters": parameters, "strict": strict}


def _sent(tool: Tool) -> Tool:
    function = {k: v for k, v in tool.items() if k != "type" and v is not None}
    return {"type": "function", "function": function}


def _choice(choice: Any, known: set[str]) -> tuple[Any, set[str] | None]:
    """Return a chat's tool_choice, and the names of the tools that are offered at all."""
    if choice is None:
        return None, None
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise wrong("tool_choice", f"must be {', '.join(_CHOICES)} or an object.")
        if choice == "required" and not known:
            raise wrong("tool_choice", "is only allowed when 'tools' are given.")
        return (choice if known else None), None
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function":
        return {
            "type": "function",
            "function": {"name": _named(choice, known, "tool_choice")},
        }, None
    if kind == "allowed_tools":
        return _allowed(choice, known)
    raise wrong(
        "tool_choice",
        f"is an object {shown(kind)}, and chats know function and allowed_tools.",
        "unsupported_value",
    )


def _allowed(choice: dict[str, Any], known: set[str]) -> tuple[Any, set[str]]:
    """Offer the allowed tools alone, which is what allowing them comes to."""
    mode, tools = choice.get("mode"), choice.get("tools")
    if mode not in ("auto", "required"):
        raise wrong("tool_choice.mode", "must be auto or required.")
    if not isinstance(tools, list) or not tools:
        raise wrong("tool_choice.tools", "must be a list of tools.")
    names = {_named(t, known, f"tool_choice.tools[{index}]") for index, t in enumerate(tools)}
    return mode, names


def _named(tool: Any, known: set[str], at: str) -> str:
    name = tool.get("name") if isinstance(tool, dict) else None
    if isinstance(tool, dict) and tool.get("type") != "function":
        raise wrong(at, f"is a tool {shown(tool.get('type'))}, and chats know functions alone.")
    if not isinstance(name, str) or name not in known:
        raise _unknown(at, name)
    return name


def _unknown(at: str, name: Any) -> RequestError:
    return wrong(at, f"names {shown(name)}, which is not in 'tools'.")

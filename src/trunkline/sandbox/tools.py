"""Which tools an answer without a model calls, and with what arguments."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from trunkline.sandbox.scalars import Hints
from trunkline.sandbox.schemas import value_for
from trunkline.types import Chat, FunctionCall, ToolCall
from trunkline.wire import strict_json

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")


def calls_for(chat: Chat, mark: str) -> list[ToolCall]:
    """Return the calls that answer `chat`; none where an answer in words is due.

    With `auto` a user's message is answered by a call and a tool's result by words. One tool is
    called, the one whose words the user used; with `parallel_tool_calls` up to three.
    """
    tools = [tool["function"] for tool in chat.parameters.get("tools") or ()]
    choice = chat.parameters.get("tool_choice", "auto")
    last = chat.messages[-1]
    if not tools or choice == "none" or (choice == "auto" and last.get("role") != "user"):
        return []
    said = _said(chat)
    if isinstance(choice, dict):
        wanted = choice["function"]["name"]
        chosen = [tool for tool in tools if tool["name"] == wanted]
    else:
        chosen = sorted(tools, key=lambda tool: -_shared_words(tool, said))
    if chat.parameters.get("parallel_tool_calls"):
        chosen = chosen[:3] if len(chosen) > 1 else chosen * 2
    else:
        chosen = chosen[:1]
    hints = _hints(said)
    return [_call(tool, f"{mark}/{index}", hints) for index, tool in enumerate(chosen)]


def _call(tool: dict[str, Any], mark: str, hints: Hints) -> ToolCall:
    schema = tool.get("parameters") or {"type": "object"}
    arguments = value_for({"type": "object", **schema}, mark, hints)
    digest = hashlib.blake2b(mark.encode(), digest_size=12).hexdigest()
    return ToolCall(
        f"call_{digest}", FunctionCall(tool["name"], strict_json.encode(arguments).decode())
    )


def _said(chat: Chat) -> str:
    """Return the text of the last user's message."""
    for message in reversed(chat.messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return " ".join(str(part.get("text", "")) for part in content or ())
    return ""


def _shared_words(tool: dict[str, Any], said: str) -> int:
    named = f"{tool['name'].replace('_', ' ')} {tool.get('description') or ''}"
    return len(_words(named) & _words(said))


def _words(text: str) -> set[str]:
    return {word for word in map(str.lower, _WORD.findall(text)) if len(word) > 2}


def _hints(said: str) -> Hints:
    """Return names (words with a capital inside a sentence) and numbers that the user gave."""
    names = [
        found.group()
        for found in re.finditer(r"(?<=[a-z,;:] )[A-Z][A-Za-z'-]*(?: [A-Z][A-Za-z'-]*)*", said)
    ]
    numbers = [float(n) if "." in n else int(n) for n in _NUMBER.findall(said)]
    return Hints(names, list(numbers))

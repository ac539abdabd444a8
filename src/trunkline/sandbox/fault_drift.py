"""Answers that are whole and well formed, and not those of the model's own weights or template.

What a provider gives that serves a model too small, cut short or wrapped wrongly: status 200 and no
word of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.sandbox.fault import Case, Fault
from trunkline.sandbox.reply import Pause, Reply

_WORD = re.compile(r"[A-Za-z]{2,}|\d+")
_LONG = 2_000
"""Characters of a request that a context cut short does not hold."""

Body = dict[str, Any]


def _other(word: re.Match[str]) -> str:
    """Return another word of the same length, or a number that is one off."""
    text = word.group()
    return text[::-1].lower() if text.isalpha() else str(int(text) + 1)


def _texts(change: Callable[[str], str]) -> Callable[[Case], Reply]:
    """Return a fault that changes the text of an answer, piece by piece."""

    def edit(bodies: list[Body]) -> list[Body]:
        for body in bodies:
            for choice in body.get("choices", ()):
                said = choice.get("delta") or choice.get("message") or {}
                if said.get("content"):
                    said["content"] = change(said["content"])
        return bodies

    return lambda case: case.edited(edit)


_words = _texts(lambda text: _WORD.sub(_other, text))


def _context(case: Case) -> Reply:
    """Answer otherwise where the request is long: its beginning was lost."""
    size = sum(len(str(message)) for message in case.asked.get("messages") or ())
    return _words(case) if size > _LONG else case.good


def _chatty_json(case: Case) -> Reply:
    """Put words in front of JSON that was asked for."""
    if not case.asked.get("response_format"):
        return case.good
    begun = False

    def edit(bodies: list[Body]) -> list[Body]:
        nonlocal begun
        for body in bodies:
            for choice in body.get("choices", ()):
                said = choice.get("delta") or choice.get("message") or {}
                if said.get("content") and not begun:
                    begun = True
                    said["content"] = "Sure! Here is the JSON: " + said["content"]
        return bodies

    return case.edited(edit)


def _spelt(function: Body) -> str:
    return (function.get("name") or "") + (function.get("arguments") or "")


def _spelt_tools(case: Case) -> Reply:
    """Write a call as text, as a server does whose template nobody parses."""

    def edit(bodies: list[Body]) -> list[Body]:
        for body in bodies:
            for choice in body.get("choices", ()):
                said = choice.get("delta") or choice.get("message") or {}
                calls = said.pop("tool_calls", None)
                if calls:
                    said["content"] = "".join(_spelt(call["function"]) for call in calls)
                if choice.get("finish_reason") == "tool_calls":
                    choice["finish_reason"] = "stop"
        return bodies

    return case.edited(edit)


def _late(case: Case) -> Reply:
    return msgspec.structs.replace(case.good, before=(Pause(case.seconds), *case.good.before))


DRIFTS = (
    Fault("slow", "F10", "the answer begins after `seconds`", _late, seconds=0.3),
    Fault("drift-words", "drift", "other words and numbers, as of other weights", _words),
    Fault("drift-context", "drift", "the same, where more than 2,000 characters came", _context),
    Fault("drift-json", "drift", "words in front of JSON that was asked for", _chatty_json),
    Fault("drift-tools", "drift", "calls of tools written as text", _spelt_tools),
)

"""Answers in a notebook: markup that a model wrote stays text."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from trunkline.types import (
    Choice,
    Completion,
    FunctionCall,
    Message,
    Receipt,
    TokenCount,
    ToolCall,
)

RENDERER = MarkdownIt("commonmark", {"html": True})
INNOCENT = {
    "<p>",
    "<sub>",
    "<em>",
    "<strong>",
    "<blockquote>",
    "<code>",
    "<br />",
    "<br>",
    "<hr />",
}


def tags(page: str) -> set[str]:
    """Return the opening tags of a page, attributes and all."""
    return set(re.findall(r"<[^/][^>]*>", page))


def rendered(**fields: object) -> str:
    answer = Completion(None, "org/m", [Choice(0, Message(**fields))])  # type: ignore[arg-type]
    return str(RENDERER.render(answer._repr_markdown_()))


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=https://evil.example/x onerror=alert(1)>",
    "<https://evil.example/>",
    "[click](javascript:alert(1))",
    "[click](https://evil.example)",
    "![pixel](https://evil.example/track.png)",
    "![pixel]\n\n[pixel]: https://evil.example/track.png",
    "[click][to]\n\n[to]: javascript:alert(1)",
    "![pixel][]\n\n[pixel]:\n  https://evil.example/track.png",
    "<!-- -->\n<iframe src=//evil.example>",
    "a <b\nonclick=x> c",
    "[x]\\(https://evil.example)",
    "[x\\](https://evil.example)",
    "[x\\\\](https://evil.example)",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["content", "reasoning"])
def test_markup_of_a_model_is_inert(field: str, text: str) -> None:
    assert tags(rendered(**{field: text})) <= INNOCENT


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_a_tool_call_is_inert(text: str) -> None:
    call = ToolCall("c", FunctionCall(text, text + "`" + text))
    assert tags(rendered(tool_calls=[call])) <= INNOCENT


def test_an_answer_reads_as_markdown_with_who_and_how_below() -> None:
    receipt = Receipt("groq", "org/m", "r", (), None, 1.5, TokenCount(3, 2, "provider"))
    message = Message(content="**Bold** & plain", reasoning="One.\nTwo.")
    answer = Completion(None, "org/m", [Choice(0, message)], receipt=receipt)
    assert answer._repr_markdown_() == (
        "> One.\n> Two.\n\n**Bold** &amp; plain\n\n<sub>org/m · groq · 1.50 s · 3+2 tokens</sub>"
    )


def test_what_is_not_known_is_not_made_up() -> None:
    receipt = Receipt(None, None, None, (), None, 1.5, TokenCount(None, None, "unknown"))
    answer = Completion(None, None, [Choice(0, Message(content="x"))], receipt=receipt)
    assert answer._repr_markdown_() == "x\n\n<sub>? · unknown provider · 1.50 s</sub>"


def test_a_hostile_model_name_is_inert_too() -> None:
    receipt = Receipt("<script>", None, None, (), None, 1.5, TokenCount(None, None, "unknown"))
    answer = Completion(None, "<img>", [], receipt=receipt)
    assert "<script>" not in answer._repr_markdown_()
    assert "<img>" not in answer._repr_markdown_()

"""Anthropic's Messages API in the server's role: requests, each with the chat that it stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic_requests import (
    CACHED,
    CALL,
    FUNCTION,
    IMAGE,
    REMINDER,
    RESULT,
    SHOWN,
    TEXT,
    TOOL,
    USE,
    USER,
    body,
    chat_of,
    turns,
)

from trunkline.dialects.anthropic_server import read_request
from trunkline.dialects.openai_server import read_chat


def test_the_least_request_is_the_least_chat() -> None:
    assert chat_of() == {"model": "org/name:groq", "max_tokens": 9, "messages": [USER]}


def test_a_stream_asks_for_usage() -> None:
    told = chat_of(stream=True)
    assert told["stream"] is True
    assert told["stream_options"] == {"include_usage": True}
    assert "stream" not in chat_of(stream=False)


FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "temperature": ({"temperature": 0.5}, {"temperature": 0.5}),
    "top_p": ({"top_p": 0.5}, {"top_p": 0.5}),
    "top_k as servers that have it call it": ({"top_k": 5}, {"top_k": 5}),
    "stops": ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
    "no stops": ({"stop_sequences": []}, {}),
    "nulls": ({"temperature": None, "tools": None, "thinking": None, "system": None}, {}),
    "a user": ({"metadata": {"user_id": "u1"}}, {"user": "u1"}),
    "a user without an id": ({"metadata": {"user_id": None}}, {}),
    "a long user": (
        {"metadata": {"user_id": "u" * 65}},
        {"user": "f20e249d15fa4b9f44ba21d154f62e1efa76ddfdce5d25139a33a4787cee5a8b"},
    ),
    "no metadata": ({"metadata": {}}, {}),
    "tools": ({"tools": [TOOL]}, {"tools": [FUNCTION]}),
    "no tools": ({"tools": []}, {}),
    "a custom tool": ({"tools": [{**TOOL, "type": "custom"}]}, {"tools": [FUNCTION]}),
    "a tool with hints": (
        {"tools": [{**TOOL, "cache_control": CACHED, "defer_loading": True}]},
        {"tools": [FUNCTION]},
    ),
    "a strict tool with examples": (
        {"tools": [{**TOOL, "strict": True, "input_examples": [{"a": 1}]}]},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "description": "Does.",
                        "parameters": {"type": "object", "examples": [{"a": 1}]},
                        "strict": True,
                    },
                }
            ]
        },
    ),
    "auto": (
        {"tools": [TOOL], "tool_choice": {"type": "auto"}},
        {"tools": [FUNCTION], "tool_choice": "auto"},
    ),
    "any": (
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        {"tools": [FUNCTION], "tool_choice": "required"},
    ),
    "none": (
        {"tools": [TOOL], "tool_choice": {"type": "none"}},
        {"tools": [FUNCTION], "tool_choice": "none"},
    ),
    "one tool": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
        {
            "tools": [FUNCTION],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
    ),
    "one at a time": (
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tools": [FUNCTION], "tool_choice": "auto", "parallel_tool_calls": False},
    ),
    "a choice among none": ({"tool_choice": {"type": "auto"}}, {}),
    "little thinking": (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"reasoning_effort": "low"},
    ),
    "some thinking": (
        {"thinking": {"type": "enabled", "budget_tokens": 8000}},
        {"reasoning_effort": "medium"},
    ),
    "much thinking": (
        {"thinking": {"type": "enabled", "budget_tokens": 31999}},
        {"reasoning_effort": "high"},
    ),
    "thinking as the model likes": ({"thinking": {"type": "adaptive"}}, {}),
    "no thinking": ({"thinking": {"type": "disabled"}}, {}),
    "an effort": (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        {"reasoning_effort": "high"},
    ),
    "an effort without thinking": (
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}},
        {},
    ),
    "an effort alone": ({"output_config": {"effort": "low"}}, {}),
    "a form": (
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
            }
        },
    ),
    "a form by its older name": (
        {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
            }
        },
    ),
    "hints": (
        {
            "cache_control": CACHED,
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
            "service_tier": "auto",
            "speed": "fast",
            "betas": ["x"],
            "diagnostics": {"previous_message_id": None},
        },
        {},
    ),
    "what says nothing of what is not taken": ({"mcp_servers": [], "container": None}, {}),
    "what nobody here knows": ({"min_p": 0.1, "seed": 7}, {"min_p": 0.1, "seed": 7}),
}


@pytest.mark.parametrize(("given", "told"), FIELDS.values(), ids=FIELDS.keys())
def test_a_field_is_written_as_a_chat_has_it(given: dict[str, Any], told: dict[str, Any]) -> None:
    plain = {"model", "max_tokens", "messages"}
    assert {k: v for k, v in chat_of(**given).items() if k not in plain} == told


SYSTEMS: dict[str, tuple[Any, str | None]] = {
    "text": ("Be brief.", "Be brief."),
    "blocks": (
        [
            TEXT,
            {"type": "text", "text": "b", "cache_control": CACHED},
            {"type": "text", "text": ""},
        ],
        "a\n\nb",
    ),
    "nothing": ("", None),
    "no blocks": ([], None),
}


@pytest.mark.parametrize(("given", "told"), SYSTEMS.values(), ids=SYSTEMS.keys())
def test_the_system_prompt_is_the_first_message(given: Any, told: str | None) -> None:
    start = [] if told is None else [{"role": "system", "content": told}]
    assert chat_of(system=given)["messages"] == [*start, USER]


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": ""}
TURNS: dict[str, tuple[list[Any], list[Any]]] = {
    "one block of text is text": (
        [{"role": "user", "content": [TEXT]}],
        [{**USER, "content": "a"}],
    ),
    "several stay parts": (
        [{"role": "user", "content": [TEXT, {**TEXT, "cache_control": CACHED}]}],
        [{"role": "user", "content": [TEXT, TEXT]}],
    ),
    "turns of one role are one": (
        [USER, USER, {"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y"}],
        [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}] * 2},
            {"role": "assistant", "content": "xy"},
        ],
    ),
    "an instruction in front": (
        [{"role": "system", "content": "a"}, {"role": "system", "content": [TEXT]}, USER],
        [{"role": "system", "content": "a\n\na"}, USER],
    ),
    "an instruction among the messages": (
        [USER, {"role": "assistant", "content": "x"}, {"role": "system", "content": "a"}, USER],
        [
            USER,
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": [REMINDER, {"type": "text", "text": "Hi"}]},
        ],
    ),
    "an instruction at the end": (
        [USER, {"role": "system", "content": [TEXT]}],
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}, REMINDER]}],
    ),
    "an instruction of nothing but effort": (
        [
            USER,
            {"role": "system", "content": [], "output_config": {"effort": "low"}},
            {"role": "assistant", "content": "x"},
            {"role": "system", "content": []},
            {"role": "assistant", "content": "y"},
        ],
        [USER, {"role": "assistant", "content": "xy"}],
    ),
    "images": (
        [
            {
                "role": "user",
                "content": [
                    IMAGE,
                    {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}},
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    SHOWN,
                    {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}},
                ],
            }
        ],
    ),
    "a document of text": (
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "title": "T",
                        "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                    }
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "T"}, {"type": "text", "text": "d"}],
            }
        ],
    ),
    "a document of blocks": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "document", "source": {"type": "content", "content": [TEXT, IMAGE]}}
                ],
            }
        ],
        [{"role": "user", "content": [TEXT, SHOWN]}],
    ),
    "a call and its result": (
        [
            USER,
            {"role": "assistant", "content": [THOUGHT, TEXT, USE]},
            {"role": "user", "content": [RESULT, {"type": "text", "text": "Go on."}]},
        ],
        [
            USER,
            {"role": "assistant", "content": "a", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "t1", "content": "18"},
            {"role": "user", "content": "Go on."},
        ],
    ),
    "a call without a word, and a result of blocks": (
        [
            USER,
            {"role": "assistant", "content": [USE]},
            {"role": "user", "content": [{**RESULT, "content": [TEXT, TEXT]}]},
        ],
        [
            USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "t1", "content": "a\n\na"},
        ],
    ),
    "a result that is an error": (
        [
            USER,
            {"role": "assistant", "content": [USE]},
            {"role": "user", "content": [{**RESULT, "is_error": True, "content": "no"}]},
        ],
        [
            USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "t1", "content": "Error: no"},
        ],
    ),
    "a result of nothing": (
        [
            USER,
            {"role": "assistant", "content": [USE]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]},
        ],
        [
            USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "t1", "content": ""},
        ],
    ),
    "a result with an image": (
        [
            USER,
            {"role": "assistant", "content": [USE]},
            {"role": "user", "content": [{**RESULT, "content": [TEXT, IMAGE]}]},
        ],
        [
            USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "t1", "content": "a"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Images in the result of t1:"}, SHOWN],
            },
        ],
    ),
    "the beginning of an answer": (
        [USER, {"role": "assistant", "content": "The"}],
        [USER, {"role": "assistant", "content": "The"}],
    ),
    "an empty beginning of an answer": ([USER, {"role": "assistant", "content": []}], [USER]),
    "thoughts alone": (
        [USER, {"role": "assistant", "content": [THOUGHT]}, USER],
        [USER, USER],
    ),
    "a hidden thought": (
        [
            USER,
            {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}, TEXT]},
            USER,
        ],
        [USER, {"role": "assistant", "content": "a"}, USER],
    ),
}


@pytest.mark.parametrize(("given", "told"), TURNS.values(), ids=TURNS.keys())
def test_messages_are_written_as_a_chat_has_them(given: list[Any], told: list[Any]) -> None:
    assert turns(*given) == told


@pytest.mark.parametrize(("given", "told"), TURNS.values(), ids=TURNS.keys())
def test_every_chat_that_is_written_can_be_read(given: list[Any], told: list[Any]) -> None:
    chat = read_chat(read_request(json.dumps(body(messages=given, stream=True)).encode()).chat)
    assert chat.messages == told


def test_a_count_needs_no_length_and_tells_text_and_images_apart() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": [TEXT, IMAGE]}]}
    with_image = read_request(json.dumps(asked).encode(), counting=True)
    assert with_image.images == 1
    assert with_image.text_bytes == len(with_image.chat) - len(SHOWN["image_url"]["url"])  # type: ignore[index]  # typed as a union


def test_what_was_thought_is_hidden_where_the_client_wants_it_omitted() -> None:
    shown = {"type": "adaptive", "display": "summarized"}
    hidden = {"type": "adaptive", "display": "omitted"}
    asked = [read_request(json.dumps(body(thinking=t)).encode()) for t in (shown, hidden)]
    assert [one.hide_thinking for one in asked] == [False, True]

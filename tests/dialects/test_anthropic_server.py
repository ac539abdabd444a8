"""Anthropic's Messages API in the server's role: requests, each with the chat that it stands for."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.dialects.anthropic_server import RequestError, read_request
from trunkline.dialects.openai_server import read_chat

USER = {"role": "user", "content": "Hi"}
TOOL = {"name": "f", "description": "Does.", "input_schema": {"type": "object"}}
FUNCTION = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object"}, "description": "Does."},
}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
SHOWN = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "18"}
CACHED = {"type": "ephemeral"}
REMINDER = {"type": "text", "text": "<system-reminder>\na\n</system-reminder>"}


def body(**more: Any) -> dict[str, Any]:
    return {"model": "org/name:groq", "max_tokens": 9, "messages": [USER], **more}


def chat_of(**more: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(read_request(json.dumps(body(**more)).encode()).chat)
    return told


def turns(*messages: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = chat_of(messages=list(messages))["messages"]
    return told


def refused(**more: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        chat_of(**more)
    return caught.value


def test_the_least_request_is_the_least_chat() -> None:
    assert chat_of() == {"model": "org/name:groq", "max_tokens": 9, "messages": [USER]}


def test_a_stream_asks_for_usage() -> None:
    told = chat_of(stream=True)
    assert told["stream"] is True
    assert told["stream_options"] == {"include_usage": True}
    assert "stream" not in chat_of(stream=False)


TEXT = {"type": "text", "text": "a"}
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


@pytest.mark.parametrize(("given", "_"), TURNS.values(), ids=TURNS.keys())
def test_every_chat_that_is_written_can_be_read(given: list[Any], _: Any) -> None:
    read_chat(read_request(json.dumps(body(messages=given, stream=True)).encode()).chat)


def calling(*content: Any) -> list[Any]:
    return [USER, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [*content]}]


def showing(**source: Any) -> list[Any]:
    return [{"role": "user", "content": [TEXT, {"type": "image", "source": source}]}]


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no model": ({"model": None}, "model", "name of a model"),
    "a model that is a number": ({"model": 5}, "model", "name of a model"),
    "no messages": ({"messages": []}, "messages", "at least one"),
    "messages that are text": ({"messages": "Hi"}, "messages", "list"),
    "no length": ({"max_tokens": None}, "max_tokens", "whole number"),
    "a length of nothing": ({"max_tokens": 0}, "max_tokens", "from 1 up"),
    "a length that is text": ({"max_tokens": "9"}, "max_tokens", "whole number"),
    "a temperature above 1": ({"temperature": 1.5}, "temperature", "from 0 to 1"),
    "a top_k that is text": ({"top_k": "a"}, "top_k", "whole number"),
    "stops that are text": ({"stop_sequences": "a"}, "stop_sequences", "list of texts"),
    "an empty stop": ({"stop_sequences": [""]}, "stop_sequences", "empty"),
    "a stream that is text": ({"stream": "yes"}, "stream", "true or false"),
    "metadata that is text": ({"metadata": "u"}, "metadata", "user_id"),
    "a user that is a number": ({"metadata": {"user_id": 5}}, "metadata", "user_id"),
    "tools that are an object": ({"tools": {}}, "tools", "list"),
    "a tool that is text": ({"tools": ["f"]}, "tools.0", "object"),
    "a tool without a name": ({"tools": [{"input_schema": {}}]}, "tools.0.name", "name"),
    "a tool without a schema": ({"tools": [{"name": "f"}]}, "tools.0.input_schema", "schema"),
    "a tool twice": ({"tools": [TOOL, TOOL]}, "tools.1.name", "twice"),
    "a tool of Anthropic's": (
        {"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}]},
        "tools.1",
        "web_search_20250305",
    ),
    "a tool that only code may call": (
        {"tools": [{**TOOL, "allowed_callers": ["code_execution_20250825"]}]},
        "tools.0.allowed_callers",
        "direct",
    ),
    "a choice that is none": ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice.type", "auto"),
    "any of no tools": ({"tool_choice": {"type": "any"}}, "tool_choice", "no tools"),
    "a tool that is not there": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        "tool_choice.name",
        "'g'",
    ),
    "thinking that is text": ({"thinking": "yes"}, "thinking", "enabled"),
    "thinking without a budget": (
        {"thinking": {"type": "enabled"}},
        "thinking.budget_tokens",
        "whole number",
    ),
    "an unknown effort": ({"output_config": {"effort": "x"}}, "output_config.effort", "low"),
    "a form without a schema": (
        {"output_config": {"format": {"type": "json_schema"}}},
        "output_config.format",
        "schema",
    ),
    "a form that is text": ({"output_format": "json"}, "output_format", "json_schema"),
    "output that is text": ({"output_config": "json"}, "output_config", "object"),
    "a container": ({"container": "c1"}, "container", "Anthropic"),
    "servers of tools": ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers", "call them"),
    "a place": ({"inference_geo": "us"}, "inference_geo", "not chosen here"),
    "a conversation that is kept": ({"thread": {}}, "thread", "every message"),
    "several answers": ({"n": 2}, "n", "one answer"),
    "a chat's word": ({"response_format": {"type": "json"}}, "response_format", "output_config"),
    "an unknown role": (
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages.0.role",
        "user",
    ),
    "a message that is text": ({"messages": ["Hi"]}, "messages.0.role", "user"),
    "no content": ({"messages": [{"role": "user"}]}, "messages.0.content", "text or a list"),
    "empty content": ({"messages": [{**USER, "content": ""}]}, "messages.0.content", "empty"),
    "empty blocks": ({"messages": [{**USER, "content": []}]}, "messages.0.content", "empty"),
    "an answer of nothing": (
        {"messages": [USER, {"role": "assistant", "content": ""}, USER]},
        "messages.1.content",
        "empty",
    ),
    "a block that is text": (
        {"messages": [{**USER, "content": ["Hi"]}]},
        "messages.0.content.0",
        "type",
    ),
    "an empty text": (
        {"messages": [USER, {**USER, "content": [TEXT, {"type": "text", "text": ""}]}]},
        "messages.1.content.1.text",
        "empty",
    ),
    "a text that is a number": (
        {"messages": [{**USER, "content": [{"type": "text", "text": 5}]}]},
        "messages.0.content.0.text",
        "text",
    ),
    "an unknown block": (
        {"messages": [{**USER, "content": [{"type": "video"}]}]},
        "messages.0.content.0",
        "'video'",
    ),
    "a file": (
        {
            "messages": [
                {
                    **USER,
                    "content": [{"type": "document", "source": {"type": "base64", "data": "x"}}],
                }
            ]
        },
        "messages.0.content.0.source",
        "send its text",
    ),
    "a document to cite": (
        {
            "messages": [
                {
                    **USER,
                    "content": [
                        {
                            "type": "document",
                            "citations": {"enabled": True},
                            "source": {"type": "text", "data": "x"},
                        }
                    ],
                }
            ]
        },
        "messages.0.content.0.citations",
        "cite",
    ),
    "what a server's tool found": (
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [{"type": "web_search_tool_result"}]},
            ]
        },
        "messages.1.content.0",
        "Anthropic's servers",
    ),
    "an image in an answer": (
        {"messages": [USER, {"role": "assistant", "content": [IMAGE]}]},
        "messages.1.content.0",
        "assistant",
    ),
    "a call in a question": (
        {"messages": [{**USER, "content": [USE]}]},
        "messages.0.content.0",
        "user's message",
    ),
    "a result without a call": (
        {"messages": [{**USER, "content": [RESULT]}]},
        "messages.0.content.0.tool_use_id",
        "'t1'",
    ),
    "a result of another call": (
        {"messages": calling({**RESULT, "tool_use_id": "t2"}, RESULT)},
        "messages.2.content.0.tool_use_id",
        "'t2'",
    ),
    "a result twice": (
        {"messages": calling(RESULT, RESULT)},
        "messages.2.content.1.tool_use_id",
        "'t1'",
    ),
    "a call without its result": (
        {"messages": calling(TEXT)},
        "messages.1.content.0",
        "t1 has no tool_result",
    ),
    "a call at the end": (
        {"messages": calling(RESULT)[:2]},
        "messages.1.content.0",
        "t1 has no tool_result",
    ),
    "a call twice": (
        {"messages": [USER, {"role": "assistant", "content": [USE, USE]}]},
        "messages.1.content.1.id",
        "twice",
    ),
    "a call without an id": (
        {"messages": [USER, {"role": "assistant", "content": [{**USE, "id": ""}]}]},
        "messages.1.content.0.id",
        "id",
    ),
    "a call without a name": (
        {"messages": [USER, {"role": "assistant", "content": [{**USE, "name": None}]}]},
        "messages.1.content.0.name",
        "name",
    ),
    "a call with text for input": (
        {"messages": [USER, {"role": "assistant", "content": [{**USE, "input": "{}"}]}]},
        "messages.1.content.0.input",
        "object",
    ),
    "a system prompt with an image": ({"system": [IMAGE]}, "system.0", "only text"),
    "a system prompt that is a number": ({"system": 5}, "system", "text or a list"),
    "an image of another kind": (
        {"messages": showing(type="base64", media_type="image/bmp", data=PIXEL)},
        "messages.0.content.1.source.media_type",
        "image/png",
    ),
    "an image that is not base64": (
        {"messages": showing(type="base64", media_type="image/png", data="é!")},
        "messages.0.content.1.source.data",
        "base64",
    ),
    "an image over the limit": (
        {"messages": showing(type="base64", media_type="image/png", data="A" * 7_000_000)},
        "messages.0.content.1.source.data",
        "5 MiB",
    ),
    "an image without data": (
        {"messages": showing(type="base64", media_type="image/png")},
        "messages.0.content.1.source.data",
        "base64",
    ),
    "an image on a disk": (
        {"messages": showing(type="url", url="file:///etc/passwd")},
        "messages.0.content.1.source.url",
        "https://",
    ),
    "an image by a file's id": (
        {"messages": showing(type="file", file_id="f1")},
        "messages.0.content.1.source",
        "'file'",
    ),
    "an image without a source": (
        {"messages": [{**USER, "content": [{"type": "image"}]}]},
        "messages.0.content.0.source",
        "base64 or url",
    ),
}


@pytest.mark.parametrize(("given", "at", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_by_its_place(given: dict[str, Any], at: str, said: str) -> None:
    error = refused(**given)
    assert error.status == 400
    assert error.param == at
    assert error.message.startswith(f"{at}: ")
    assert said in error.message


@pytest.mark.parametrize("data", [b"", b"nothing", b"[]", b'{"a": 1, "a": 2}', b'{"a": "\xff"}'])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError):
        read_request(data)


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


# properties

WORDS = st.sampled_from(
    ["text", "image", "tool_use", "tool_result", "thinking", "document", "base64", "url", "user",
     "assistant", "system", "t1", "f", "auto", "enabled", "json_schema", "https://e.org/a", ""]
)  # fmt: skip
NAMES = st.sampled_from(
    ["type", "text", "content", "source", "role", "id", "name", "input", "tool_use_id", "data",
     "media_type", "url", "input_schema", "budget_tokens", "format", "schema", "effort", "user_id"]
)  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
FIELD_NAMES = st.sampled_from(
    ["system", "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata",
     "stop_sequences", "stream", "temperature", "top_k", "top_p", "max_tokens", "thread", "container",
     "mcp_servers", "cache_control", "n", "unknown"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(FIELD_NAMES, ANY, max_size=4), st.lists(ANY, max_size=3) | ANY)
def test_whatever_is_sent_is_read_or_refused_by_its_place(
    fields: dict[str, Any], messages: Any
) -> None:
    asked = {**body(), **fields}
    if messages:
        asked["messages"] = messages
    try:
        told = read_request(json.dumps(asked).encode())
    except RequestError as error:
        assert error.status == 400
        assert error.param is None or error.message.startswith(f"{error.param}")
    else:
        assert json.loads(told.chat)["model"] == asked["model"]


BLOCKS = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text(min_size=1, max_size=5)}),
    min_size=1,
    max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), BLOCKS), min_size=1, max_size=6))
def test_every_text_of_a_conversation_is_sent_in_its_order(
    spoken: list[tuple[str, list[dict[str, str]]]],
) -> None:
    messages = [{"role": role, "content": blocks} for role, blocks in spoken]
    told = chat_of(messages=messages)["messages"]
    texts = []
    for message in told:
        content = message["content"]
        texts += [content] if isinstance(content, str) else [part["text"] for part in content]
    assert "".join(texts) == "".join(block["text"] for _, blocks in spoken for block in blocks)
    roles = [message["role"] for message in told]
    assert all(one != other for one, other in itertools.pairwise(roles))

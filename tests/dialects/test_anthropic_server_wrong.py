"""Anthropic's Messages API in the server's role: what is wrong with a request is named by its place."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from anthropic_requests import (
    IMAGE,
    PIXEL,
    RESULT,
    TEXT,
    TOOL,
    USE,
    USER,
    body,
    chat_of,
    refused,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.dialects.anthropic_server import RequestError, read_request


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
    "a budget of a task": (
        {"output_config": {"task_budget": {"type": "tokens", "total": 9}}},
        "output_config.task_budget",
        "cannot be said in a chat",
    ),
    "a form's unknown field": (
        {"output_config": {"format": {"type": "json_schema", "schema": {}, "loose": True}}},
        "output_config.format.loose",
        "cannot be said in a chat",
    ),
    "thinking's unknown field": (
        {"thinking": {"type": "adaptive", "depth": 3}},
        "thinking.depth",
        "cannot be said in a chat",
    ),
    "a choice's unknown field": (
        {"tools": [TOOL], "tool_choice": {"type": "auto", "most": 2}},
        "tool_choice.most",
        "cannot be said in a chat",
    ),
    "a tool's unknown field": (
        {"tools": [{**TOOL, "timeout": 3}]},
        "tools.0.timeout",
        "cannot be said in a chat",
    ),
    "a tool's description that is a list": (
        {"tools": [{**TOOL, "description": ["Does."]}]},
        "tools.0.description",
        "text",
    ),
    "a tool that is strict by a word": (
        {"tools": [{**TOOL, "strict": "yes"}]},
        "tools.0.strict",
        "true or false",
    ),
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


@settings(max_examples=often(400), deadline=None)
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


@settings(max_examples=often(200), deadline=None)
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

"""Requests to OpenAI's Responses API, read as chats."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.dialects.openai_server import RequestError, read_chat
from trunkline.dialects.responses_input import LARGEST_IMAGE, MOST_IMAGES, MOST_ITEMS
from trunkline.dialects.responses_server import read_request
from trunkline.dialects.responses_tools import MOST_TOOLS

PNG = "data:image/png;base64," + base64.b64encode(b"picture").decode()
HELLO = {"role": "user", "content": "Hello"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"}
TOOL: Any = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
SENT_TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object"}, "strict": True},
}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
TOLD = {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"}


def chat(**body: Any) -> dict[str, Any]:
    """Return the chat that a request comes to; the sandbox's reader has to take it, too."""
    request = read_request({"model": "org/m", "input": "Hello", **body})
    read_chat(msgspec.json.encode(request.chat))
    return request.chat


def echo(**body: Any) -> dict[str, Any]:
    return read_request({"model": "org/m", "input": "Hello", **body}).echo


def refused(**body: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read_request({"model": "org/m", "input": "Hello", **body})
    return caught.value


def part(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ("Hello", [HELLO]),
        ([HELLO], [HELLO]),
        ([{**HELLO, "type": "message"}], [HELLO]),
        ([{"role": "developer", "content": "Be short."}], [{"role": "system", "content": "Be short."}]),
        ([{"role": "user", "content": [part("input_text", text="Hello")]}], [HELLO]),
        (
            [{"role": "user", "content": [part("input_text", text="a"), part("input_text", text="b")]}],
            [{"role": "user", "content": [part("text", text="a"), part("text", text="b")]}],
        ),
        (
            [{"role": "user", "content": [part("input_image", image_url=PNG, detail="auto")]}],
            [{"role": "user", "content": [part("image_url", image_url={"url": PNG})]}],
        ),
        (
            [{"role": "user", "content": [part("input_image", image_url="https://a.b/c", detail="low")]}],
            [{"role": "user", "content": [part("image_url", image_url={"url": "https://a.b/c", "detail": "low"})]}],
        ),
        (
            [{"role": "user", "content": [part("input_file", file_data="data:x", filename="a.pdf")]}],
            [{"role": "user", "content": [part("file", file={"file_data": "data:x", "filename": "a.pdf"})]}],
        ),
        (
            [{"role": "user", "content": [part("input_audio", input_audio={"data": "AA", "format": "wav"})]}],
            [{"role": "user", "content": [part("input_audio", input_audio={"data": "AA", "format": "wav"})]}],
        ),
        (
            [{"role": "assistant", "id": "msg_1", "status": "completed", "type": "message",
              "content": [part("output_text", text="It is ", annotations=[]), part("output_text", text="so.")]}],
            [{"role": "assistant", "content": "It is so."}],
        ),
        (
            [{"role": "assistant", "content": [part("refusal", refusal="No.")]}],
            [{"role": "assistant", "refusal": "No."}],
        ),
        ([CALL, OUTPUT], [{"role": "assistant", "tool_calls": [CALLED]}, TOLD]),
        (
            [{"role": "assistant", "content": "Let me see."}, CALL, OUTPUT],
            [{"role": "assistant", "content": "Let me see.", "tool_calls": [CALLED]}, TOLD],
        ),
        (
            [part("reasoning", id="rs_1", summary=[], content=[]), CALL, OUTPUT, HELLO],
            [{"role": "assistant", "tool_calls": [CALLED]}, TOLD, HELLO],
        ),
        (
            [CALL, {**OUTPUT, "output": [part("input_text", text="18 degrees")]}],
            [{"role": "assistant", "tool_calls": [CALLED]}, TOLD],
        ),
    ],
)  # fmt: skip
def test_an_input_becomes_messages(given: Any, messages: list[Any]) -> None:
    assert chat(input=given)["messages"] == messages


def test_calls_at_once_are_one_turn_and_calls_one_after_another_are_several() -> None:
    second = {**CALL, "call_id": "call_2"}
    answer = {**OUTPUT, "call_id": "call_2"}
    at_once = chat(input=[CALL, second, answer, OUTPUT])["messages"]
    assert [message["role"] for message in at_once] == ["assistant", "tool", "tool"]
    assert [call["id"] for call in at_once[0]["tool_calls"]] == ["call_1", "call_2"]
    assert [message["tool_call_id"] for message in at_once[1:]] == ["call_1", "call_2"]
    in_turn = chat(input=[CALL, OUTPUT, second, answer])["messages"]
    assert [message["role"] for message in in_turn] == ["assistant", "tool"] * 2


def test_outputs_stand_right_behind_their_calls_and_servers_may_use_an_id_again() -> None:
    late = chat(input=[CALL, HELLO, OUTPUT])["messages"]
    assert [message["role"] for message in late] == ["assistant", "tool", "user"]
    again = chat(input=[CALL, OUTPUT, CALL, {**OUTPUT, "output": "19 degrees"}])["messages"]
    assert [message.get("content") for message in again] == [None, "18 degrees", None, "19 degrees"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"max_output_tokens": 20}, {"max_tokens": 20}),
        ({"temperature": 0.5, "top_p": 0.1}, {"temperature": 0.5, "top_p": 0.1}),
        ({"user": "u", "safety_identifier": "s"}, {"user": "u", "safety_identifier": "s"}),
        ({"prompt_cache_key": "k", "service_tier": "flex"}, {"prompt_cache_key": "k", "service_tier": "flex"}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {}}, {}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True, "description": None}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}}},
        ),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        ({"tools": [TOOL], "parallel_tool_calls": False}, {"tools": [SENT_TOOL], "parallel_tool_calls": False}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [SENT_TOOL], "tool_choice": "required"}),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "name": "f"}},
            {"tools": [SENT_TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        (
            {"tools": [TOOL, {**TOOL, "name": "g"}],
             "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}},
            {"tools": [SENT_TOOL], "tool_choice": "required"},
        ),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
        ({"store": True, "metadata": {"a": "b"}, "truncation": "disabled", "background": False}, {}),
        ({"previous_response_id": None, "conversation": None, "prompt": None, "max_tool_calls": 3}, {}),
        ({"stream": True, "stream_options": {"include_obfuscation": False}},
         {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False}, {}),
        ({"seed": 7, "vendor": {"a": None}}, {"seed": 7, "vendor": {"a": None}}),
    ],
)  # fmt: skip
def test_parameters_are_said_as_chats_say_them(asked: dict[str, Any], said: dict[str, Any]) -> None:
    assert chat(**asked) == {"model": "org/m", "messages": [HELLO], **said}


def test_instructions_come_first_and_of_an_earlier_answer_nothing_is_lost() -> None:
    messages = chat(instructions="Be short.", input=[HELLO, {"role": "system", "content": "Now."}])
    assert messages["messages"] == [
        {"role": "system", "content": "Be short."},
        HELLO,
        {"role": "system", "content": "Now."},
    ]


@pytest.mark.parametrize(
    ("items", "param", "says"),
    [
        ([], "input", "at least one item"),
        (None, "input", "at least one item"),
        (5, "input", "at least one item"),
        (["Hello"], "input[0]", "must be an object"),
        ([{}], "input[0]", "without a type"),
        ([{"type": 5}], "input[0]", "of type int"),
        ([HELLO, {"type": "file_search_call", "id": "x"}], "input[1]", "'file_search_call'"),
        ([{"type": "custom_tool_call", "call_id": "x"}], "input[0]", "'custom_tool_call'"),
        ([{"type": "item_reference", "id": "msg_1"}], "input[0]", "'msg_1', and nothing is kept"),
        ([{"role": "tool", "content": "x"}], "input[0].role", "must be one of"),
        ([{"role": ["user"], "content": "x"}], "input[0].role", "must be one of"),
        ([{"role": "user"}], "input[0].content", "text or a list"),
        ([{"role": "user", "content": []}], "input[0].content", "text or a list"),
        ([{"role": "user", "content": ["x"]}], "input[0].content[0]", "an object with a type"),
        ([{"role": "user", "content": [{"type": "video"}]}], "input[0].content[0].type", "'video'"),
        ([{"role": "user", "content": [{"type": {}}]}], "input[0].content[0].type", "of type dict"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].text", "is missing"),
        ([{"role": "user", "content": [{"type": "input_text", "text": 5}]}], "input[0].content[0].text", "must be text"),
        ([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}], "input[0].content[0].file_id", "Send 'image_url'"),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": {"url": "x"}}]}], "input[0].content[0].image_url", "http(s) URL"),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": "file:///etc/passwd"}]}], "input[0].content[0].image_url", "http(s) URL"),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": PNG, "detail": "huge"}]}], "input[0].content[0].detail", "must be one of"),
        ([{"role": "user", "content": [{"type": "input_file", "file_url": "https://a.b/c"}]}], "input[0].content[0].file_url", "Send 'file_data'"),
        ([{"role": "user", "content": [{"type": "input_file", "filename": "a"}]}], "input[0].content[0].file_data", "is missing"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "input[0].content[0].input_audio", "data and format"),
        ([{"role": "assistant", "content": [{"type": "input_image"}]}], "input[0].content[0].type", "output_text or refusal"),
        ([{"role": "assistant", "content": 5}], "input[0].content", "text or a list"),
        ([OUTPUT], "input[0].call_id", "no function_call before it"),
        ([OUTPUT, CALL], "input[0].call_id", "no function_call before it"),
        ([CALL, OUTPUT, OUTPUT], "input[2].call_id", "no function_call before it"),
        ([HELLO, CALL], "input[1]", "no function_call_output for the call 'call_1'"),
        ([CALL, CALL, OUTPUT], "input[1].call_id", "that of a call before"),
        ([{**CALL, "arguments": {}}, OUTPUT], "input[0].arguments", "must be text"),
        ([{**CALL, "name": ""}, OUTPUT], "input[0].name", "must not be empty"),
        ([{**CALL, "call_id": ""}, OUTPUT], "input[0].call_id", "must not be empty"),
        ([CALL, {**OUTPUT, "output": None}], "input[1].output", "text or a list"),
        ([CALL, {**OUTPUT, "output": [{"type": "input_image", "image_url": PNG}]}], "input[1].output[0].type", "'input_image'"),
    ],
)  # fmt: skip
def test_a_wrong_item_is_named_by_its_place(items: Any, param: str, says: str) -> None:
    error = refused(input=items)
    assert error.param == param
    assert says in error.message
    assert f"'{param}'" in error.message


@pytest.mark.parametrize(
    ("asked", "param", "says"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "nothing is kept here"),
        ({"conversation": "conv_1"}, "conversation", "nothing is kept here"),
        ({"background": True}, "background", "while their client waits"),
        ({"prompt": {"id": "p"}}, "prompt", "Send 'instructions'"),
        ({"context_management": []}, "context_management", "no such thing"),
        ({"moderation": {}}, "moderation", "no such thing"),
        ({"truncation": "auto"}, "truncation", "cannot be said"),
        ({"truncation": 5}, "truncation", "must be 'disabled'"),
        ({"include": ["file_search_call.results"]}, "include[0]", "which no chat tells"),
        ({"include": "x"}, "include", "must be a list"),
        ({"include": [{}]}, "include[0]", "which no chat tells"),
        ({"stream_options": {"include_usage": True}}, "stream_options.include_usage", "not known"),
        ({"stream_options": {"include_obfuscation": 1}}, "stream_options.include_obfuscation", "true or false"),
        ({"stream_options": []}, "stream_options", "must be an object"),
        ({"messages": []}, "messages", "say 'input'"),
        ({"max_tokens": 5}, "max_tokens", "say 'max_output_tokens'"),
        ({"response_format": {}}, "response_format", "say 'text.format'"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "say 'reasoning.effort'"),
        ({"n": 2}, "n", "cannot be said here"),
        ({"max_output_tokens": 0}, "max_output_tokens", "a whole number"),
        ({"max_output_tokens": "5"}, "max_output_tokens", "a whole number"),
        ({"temperature": 3}, "temperature", "a number from 0 to 2"),
        ({"temperature": True}, "temperature", "a number from 0 to 2"),
        ({"top_logprobs": 21}, "top_logprobs", "from 0 to 20"),
        ({"instructions": ["x"]}, "instructions", "must be text"),
        ({"store": "yes"}, "store", "true or false"),
        ({"stream": 1}, "stream", "true or false"),
        ({"metadata": []}, "metadata", "an object"),
        ({"metadata": {str(i): "x" for i in range(17)}}, "metadata", "at most 16"),
        ({"metadata": {"a": 5}}, "metadata.a", "at most 512"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a", "at most 512"),
        ({"reasoning": "low"}, "reasoning", "must be an object"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort", "must be text"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary", "'auto' alone"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode", "cannot be said"),
        ({"text": []}, "text", "must be an object"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format", "'grammar'"),
        ({"text": {"format": "json"}}, "text.format", "without a type"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "loose": 1}}},
            "text.format.loose",
            "cannot be said",
        ),
        ({"text": {"format": {"type": "text", "schema": {}}}}, "text.format.schema", "cannot be said"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", "is missing"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", "an object"),
        ({"text": {"verbosity": 5}}, "text.verbosity", "must be text"),
        ({"text": {"tone": "kind"}}, "text.tone", "cannot be said"),
        ({"tools": {}}, "tools", "must be a list"),
        ({"tools": ["f"]}, "tools[0]", "must be an object"),
        ({"tools": [TOOL, {"type": "web_search"}]}, "tools[1]", "'web_search'"),
        ({"tools": [{"type": "mcp", "server_url": "https://a.b"}]}, "tools[0]", "'mcp'"),
        ({"tools": [{"type": "custom", "name": "c"}]}, "tools[0]", "'custom'"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "is missing"),
        ({"tools": [{**TOOL, "parameters": "x"}]}, "tools[0].parameters", "must be an object"),
        ({"tools": [{**TOOL, "strict": 1}]}, "tools[0].strict", "true or false"),
        ({"tools": [{**TOOL, "description": 1}]}, "tools[0].description", "must be text"),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading", "cannot be said"),
        ({"tool_choice": "required"}, "tool_choice", "only allowed when 'tools'"),
        ({"tool_choice": "any"}, "tool_choice", "must be auto"),
        ({"tool_choice": 5}, "tool_choice", "without a type"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice", "'g', which is not in"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice", "'web_search'"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "x", "tools": []}}, "tool_choice.mode", "auto or required"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.tools", "a list of tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}}, "tool_choice.tools[0]", "'mcp'"),
    ],
)  # fmt: skip
def test_what_a_chat_cannot_express_is_named(asked: dict[str, Any], param: str, says: str) -> None:
    error = refused(**asked)
    assert (error.param, error.status) == (param, 400)
    assert says in error.message


def test_images_have_limits_in_number_and_size() -> None:
    many = [part("input_image", image_url="https://a.b/c")] * MOST_IMAGES
    assert (
        len(chat(input=[{"role": "user", "content": many}])["messages"][0]["content"])
        == MOST_IMAGES
    )
    error = refused(
        input=[{"role": "user", "content": many}, {"role": "user", "content": many[:1]}]
    )
    assert error.param == "input[1].content[0]"
    large = "data:image/png;base64," + "A" * (LARGEST_IMAGE * 4 // 3 + 8)
    error = refused(input=[{"role": "user", "content": [part("input_image", image_url=large)]}])
    assert (error.param, error.code) == ("input[0].content[0].image_url", "image_too_large")
    assert "20 MiB" in error.message


def test_a_request_has_a_bound_in_items_parts_and_tools() -> None:
    assert len(chat(input=[HELLO] * MOST_ITEMS)["messages"]) == MOST_ITEMS
    assert refused(input=[HELLO] * (MOST_ITEMS + 1)).param == f"input[{MOST_ITEMS}]"
    parts = [part("input_text", text="x")] * MOST_ITEMS
    assert refused(input=[{"role": "user", "content": parts}]).param == "input[0].content"
    said = [part("output_text", text="x")] * MOST_ITEMS
    assert refused(input=[{"role": "assistant", "content": said}]).param == "input[0].content"
    assert refused(tools=[TOOL] * (MOST_TOOLS + 1)).param == "tools"


def test_an_answer_repeats_what_was_asked_and_keeps_nothing() -> None:
    told = echo(store=True, tools=[TOOL], metadata={"a": "b"}, temperature=0.5, user="u")
    assert told["tools"] == [TOOL]
    assert (told["metadata"], told["temperature"], told["user"]) == ({"a": "b"}, 0.5, "u")
    assert (told["store"], told["background"], told["previous_response_id"]) == (False, False, None)
    assert (told["tool_choice"], told["parallel_tool_calls"], told["top_p"]) == ("auto", True, None)
    assert told["text"] == {"format": {"type": "text"}}
    asked = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}
    assert echo(tools=[TOOL], tool_choice=asked)["tool_choice"] == asked


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "include",
        "metadata",
        "truncation",
        "stream",
        "store",
        "stream_options",
        "max_output_tokens",
        "top_logprobs",
        "previous_response_id",
        "temperature",
        "n",
    ]
)
ITEMS = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "role",
            "content",
            "call_id",
            "name",
            "arguments",
            "output",
            "image_url",
            "text",
            "id",
        ]
    ),
    JSON
    | st.sampled_from(["message", "function_call", "function_call_output", "user", "input_text"]),
    max_size=5,
)


@settings(max_examples=often(400), deadline=None)
@given(st.dictionaries(NAMES, JSON | st.lists(ITEMS, max_size=3), max_size=4))
def test_whatever_is_asked_is_a_chat_or_an_error_that_names_a_place(body: dict[str, Any]) -> None:
    try:
        request = read_request({"model": "m", **body})
    except RequestError as error:
        assert error.param
        assert f"'{error.param}'" in error.message
    else:
        assert request.chat["messages"]
        msgspec.json.encode(request.chat)

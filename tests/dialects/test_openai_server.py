"""OpenAI's chat dialect in the server's role."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.openai_chat import ChunkReader, chat_body, read_answer
from trunkline.dialects.openai_server import (
    DONE_EVENT,
    RequestError,
    chunk_event,
    completion_body,
    error_body,
    error_event,
    read_chat,
    wants_usage,
)
from trunkline.errors import RateLimitError
from trunkline.types import (
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    FunctionCall,
    FunctionDelta,
    Message,
    ToolCall,
    ToolCallDelta,
    Usage,
)

MESSAGES = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def body(**more: Any) -> dict[str, Any]:
    return {"model": "org/name:groq", "messages": MESSAGES, **more}


def read(**more: Any) -> Any:
    return read_chat(msgspec.json.encode(body(**more)))


def test_a_request_is_read_into_a_chat() -> None:
    chat = read(temperature=0.5, stop=None, made_up=[1], stream=False)
    assert chat.model.name == "org/name:groq"
    assert chat.messages == MESSAGES
    assert chat.parameters == {"temperature": 0.5}
    assert chat.extra_body == {"made_up": [1]}
    assert chat.stream is False


def test_what_the_client_writes_the_server_reads() -> None:
    given = read(tools=[TOOL], tool_choice="auto", seed=7, stream=True, made_up=1)
    again = read_chat(msgspec.json.encode(chat_body(given, given.model.name)))
    assert again.model == given.model
    assert again.extra_body == given.extra_body
    assert wants_usage(again)
    assert not wants_usage(given)


def test_whole_numbers_of_any_size_stay_exact() -> None:
    assert read(seed=2**63 + 1).parameters["seed"] == 2**63 + 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"model": NaN}', "not valid JSON"),
        (b'{"a": Infinity}', "not valid JSON"),
        (b'{"model": "a", "model": "b"}', "'model' is there twice"),
        (b'{"m": {"x": 1, "x": 1}}', "'x' is there twice"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'\xef\xbb\xbf{"model": "a"}', "not valid JSON"),
        ('{"model": "a"}'.encode("utf-16"), "is not UTF-8"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b'{"a": ' + b"[" * 129 + b"]" * 129 + b"}", "deeper than 128"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_bytes_that_parsers_disagree_about_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        read_chat(data)
    assert caught.value.status == 400


def test_colons_and_quotes_in_text_are_no_keys() -> None:
    odd = [{"role": "user", "content": 'a": 1, "b\\": \\\\'}]
    data = msgspec.json.encode({"model": 'x":"y', "messages": odd, 'k"e:y': {":": '":"'}})
    assert read_chat(data).messages == odd


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    )
)
def test_no_json_without_repeated_keys_is_taken_for_one_with_them(value: Any) -> None:
    assert read(extra_thing=value).extra_body.get("extra_thing") == value


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": ["hello"]}, "messages[0]"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "messages[0].content[0].image_url",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [7]}]}, "messages[0].tool_calls"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"n": 129}, "n"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, "tools"),
        ({"tools": [{"type": "web", "function": {"name": "f"}}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"function": {"name": "g"}}}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"logprobs": "yes"}, "logprobs"),
    ],
)
def test_a_wrong_parameter_is_named(more: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(**more)
    assert caught.value.param == param
    error = msgspec.json.decode(caught.value.body())["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [{"role": "assistant", "content": None}, *MESSAGES]},
        {"tool_choice": "none"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tools": [TOOL], "tool_choice": {"function": {"name": "f"}}},
        {"response_format": {"type": "json_schema", "schema": {}}},
        {"stop": "x"},
        {"temperature": 0},
        {"stream": True, "stream_options": {"include_usage": False}},
        {"stream": None, "stream_options": None},
    ],
)
def test_what_is_allowed_is_read(more: dict[str, Any]) -> None:
    assert read(**more).model.name == "org/name:groq"


COMPLETION = Completion(
    id="c1",
    model="m",
    created=1,
    choices=[
        Choice(
            0,
            Message(
                content=None,
                reasoning="hm",
                tool_calls=[ToolCall("t1", FunctionCall("f", '{"a":1}'))],
                extra={"odd": 1},
            ),
            "tool_calls",
        ),
        Choice(1, Message(content="Hi", refusal="no"), "stop", {"content": []}, {"seed": 3}),
    ],
    usage=Usage(1, 2, 3, {"cached_tokens": 1}, {"reasoning_tokens": 1}, {"estimated_cost": 0.1}),
    system_fingerprint="fp",
    extra={"metadata": {}},
)

CHUNKS = [
    Chunk("c1", "m", [ChunkChoice(0, Delta(role="assistant", content=""))], 1),
    Chunk(
        "c1", "m", [ChunkChoice(0, Delta(content="é", reasoning="hm"), None, {"content": []})], 1
    ),
    Chunk(
        "c1",
        "m",
        [
            ChunkChoice(
                0,
                Delta(tool_calls=[ToolCallDelta(0, "t1", FunctionDelta("f", "{}"), "function")]),
            )
        ],
        1,
    ),
    Chunk("c1", "m", [ChunkChoice(0, Delta(), "tool_calls")], 1, extra={"x": 1}),
    Chunk("c1", "m", [], 1, Usage(1, 2, 3)),
]


def test_a_whole_answer_is_read_back_as_it_was() -> None:
    assert read_answer(completion_body(COMPLETION)) == COMPLETION


def test_what_is_not_known_is_left_out_and_never_invented() -> None:
    bare = Completion(None, None, [Choice(0, Message())])
    assert msgspec.json.decode(completion_body(bare)) == {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": None}
        ],
    }


def test_a_stream_is_read_back_as_it_was() -> None:
    reader = ChunkReader(keep_usage_frames=True)
    found = [chunk for chunk in CHUNKS for chunk in reader.feed(chunk_event(chunk))]
    assert found == CHUNKS
    reader.feed(DONE_EVENT)
    assert reader.said_done
    assert reader.failure is None


def test_an_error_in_a_stream_is_read_as_what_it_means() -> None:
    reader = ChunkReader()
    reader.feed(error_event("slow down", kind="rate_limit_error", partial=True))
    assert isinstance(reader.failure, RateLimitError)
    assert reader.failure.message == "slow down"


def test_an_error_has_openais_fields() -> None:
    assert msgspec.json.decode(error_body("no", code="x", request_id="r")) == {
        "error": {
            "message": "no",
            "type": "invalid_request_error",
            "param": None,
            "code": "x",
            "request_id": "r",
        }
    }

"""Whole answers, read leniently; and what should have been an answer and is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline import errors
from trunkline.dialects.openai_chat import is_event_stream, read_answer, refuse_unstreamed
from trunkline.errors import InvalidResponseError
from trunkline.types import Usage
from trunkline.wire.message import ResponseHead


def body(message: Any = None, **more: Any) -> bytes:
    choice = {"index": 0, "message": message or {"role": "assistant", "content": "Hi"}}
    return json.dumps({"id": "c1", "model": "m", "choices": [choice], **more}).encode()


def test_an_answer_is_read_with_what_nobody_declared() -> None:
    answer = read_answer(body(usage={"prompt_tokens": 1, "cost": 2}, sla=3, object=None))
    assert (answer.text, answer.id, answer.object, answer.sla) == ("Hi", "c1", "chat.completion", 3)
    assert answer.usage == Usage(1, extra={"cost": 2})
    assert answer.choices[0].finish_reason is None


@pytest.mark.parametrize(
    ("message", "content", "reasoning"),
    [
        ({"content": "Hi", "reasoning": "Hm"}, "Hi", "Hm"),
        ({"content": "Hi", "reasoning_content": "Hm"}, "Hi", "Hm"),
        ({"content": "Hi", "reasoning": None, "reasoning_content": "Hm"}, "Hi", "Hm"),
        ({"content": "Hi", "reasoning": "", "reasoning_text": "Hm"}, "Hi", "Hm"),
        ({"content": [{"type": "text", "text": "Hi"}]}, "Hi", None),
        ({"content": [{"type": "thinking", "thinking": "Hm"}, "Hi"]}, "Hi", "Hm"),
        ({"content": []}, None, None),
        ({"content": None}, None, None),
        ({"content": "<think>Hm</think>Hi"}, "<think>Hm</think>Hi", None),
    ],
)
def test_content_and_reasoning_are_found(
    message: dict[str, Any], content: str | None, reasoning: str | None
) -> None:
    read = read_answer(body(message)).choices[0].message
    assert (read.content, read.reasoning, read.role) == (content, reasoning, "assistant")


def test_reasoning_that_is_no_text_is_kept_aside() -> None:
    message = read_answer(body({"content": "Hi", "reasoning": {"steps": 2}})).choices[0].message
    assert message.reasoning is None
    assert message.extra == {"reasoning": {"steps": 2}}


@pytest.mark.parametrize(
    ("calls", "read"),
    [
        ([{"id": "a", "function": {"name": "f", "arguments": "{}"}}], [("a", "f", "{}")]),
        ({"id": "a", "function": {"name": "f", "arguments": "{}"}}, [("a", "f", "{}")]),
        ([{"id": 0, "function": {"name": "f", "arguments": {"x": 1}}}], [("0", "f", '{"x":1}')]),
        ([{"function": {"name": "f"}}, {"function": {"name": "g"}}],
         [("call_0", "f", "{}"), ("call_1", "g", "{}")]),
        ([{"id": "a", "function": {"name": "f", "parameters": {"x": 1}}}], [("a", "f", '{"x":1}')]),
        ([{"id": "a"}, "text"], [("a", "", "{}")]),
        ([], []),
        (None, []),
        ("text", []),
        (5, []),
    ],
)  # fmt: skip
def test_tool_calls_are_read_in_every_shape(calls: Any, read: list[tuple[str, str, str]]) -> None:
    found = read_answer(body({"content": None, "tool_calls": calls})).tool_calls
    assert [(c.id, c.function.name, c.function.arguments) for c in found] == read


@pytest.mark.parametrize(
    ("usage", "aside", "read"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, None, Usage(1, 2, 3)),
        (None, {"usage": {"prompt_tokens": 1}}, Usage(1)),
        ([], {"usage": {"prompt_tokens": 1}}, Usage(1)),
        (None, None, None),
        (None, "x", None),
        ({"prompt_tokens": True}, None, Usage(extra={"prompt_tokens": True})),
        ({"prompt_tokens_details": "x", "completion_tokens_details": [1]}, None, Usage()),
        ({"prompt_tokens": 2.0, "total_tokens": 2.5}, None, Usage(2, extra={"total_tokens": 2.5})),
    ],
)
def test_usage_is_read_where_and_as_it_is(usage: Any, aside: Any, read: Usage | None) -> None:
    assert read_answer(body(usage=usage, x_groq=aside)).usage == read


@pytest.mark.parametrize(
    ("content", "answer", "reasoning"),
    [
        ("<think>Hm.</think>Hi", "Hi", "Hm."),
        ("Hm.\n</think>\n\nHi", "Hi", "Hm."),
        ("Hi", "Hi", None),
        ("<think>\n\n</think>\n\nHi", "Hi", None),
        (None, None, None),
    ],
)
def test_think_tags_are_read_where_asked(
    content: str | None, answer: str | None, reasoning: str | None
) -> None:
    message = read_answer(body({"content": content}), think_tags=True).choices[0].message
    assert (message.content, message.reasoning) == (answer, reasoning)


def test_reasoning_that_has_its_own_field_leaves_the_content_alone() -> None:
    told = body({"content": "<think>a</think>b", "reasoning": "c"})
    message = read_answer(told, think_tags=True).choices[0].message
    assert (message.content, message.reasoning) == ("<think>a</think>b", "c")


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"{", b"[]", b"7", b'"text"', b"{}", b'{"choices":[]}', b'{"choices":{}}',
     b'{"choices":["x"]}', b'{"choices":[{}]}', b'{"choices":[{"message":"x"}]}',
     b'{"choices":[{"message":{"content":5}}]}', b'{"object":"list","data":[]}'],
)  # fmt: skip
def test_what_is_no_answer_is_an_error_that_shows_it(data: bytes) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        read_answer(data)
    assert caught.value.body is not None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"error":{"message":"No.","code":429}}', errors.RateLimitError),
        (b'{"error":"No."}', errors.InternalServerError),
        (b'{"object":"error","message":"No.","code":"400"}', errors.BadRequestError),
        (b'{"detail":"No."}', errors.InternalServerError),
        (b'{"error":{"message":"No.","type":"overloaded_error"},"choices":[]}',
         errors.ServiceUnavailableError),
    ],
)  # fmt: skip
def test_an_error_in_a_200_is_its_class(data: bytes, kind: type[errors.APIError]) -> None:
    with pytest.raises(kind, match="No"):
        read_answer(data)
    assert type(refuse_unstreamed(ResponseHead(200), data)) is kind


def test_a_damaged_answer_is_mended() -> None:
    assert (
        read_answer(b'{"choices":[{"message":{"content":"a\xff\\ud83d"}}]}').text == "a\ufffd\ufffd"
    )


@pytest.mark.parametrize("data", [b"<html>", b'{"choices":[]}', b"", b"\xff"])
def test_an_answer_that_should_have_been_a_stream_says_what_came(data: bytes) -> None:
    error = refuse_unstreamed(ResponseHead(200, {"content-type": "text/html; x=y"}), data)
    assert isinstance(error, InvalidResponseError)
    assert "text/html came" in error.message
    assert "without stream=True" in str(error)
    assert "something without a type" in refuse_unstreamed(ResponseHead(200), data).message


@pytest.mark.parametrize(
    ("kind", "stream"),
    [
        ("text/event-stream", True),
        ("text/event-stream; charset=utf-8", True),
        ("Text/Event-Stream", True),
        ("text/plain", True),
        ("application/octet-stream", True),
        ("", True),
        ("application/json", False),
        ("text/html", False),
    ],
)
def test_what_may_be_events_is_told_by_its_type(kind: str, stream: bool) -> None:
    headers = {"content-type": kind} if kind else {}
    assert is_event_stream(ResponseHead(200, headers)) is stream


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "message", "content", "tool_calls", "function", "index", "id",
                         "usage", "error", "role", "name", "arguments", "finish_reason", "text",
                         "type", "thinking", "model", "created", "object", "x_groq", "detail"]),
        inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@given(JSON, st.booleans())
@settings(max_examples=often(400), deadline=None)
def test_arbitrary_json_is_an_answer_or_an_error_of_ours(value: Any, think: bool) -> None:
    for told in (value, {"choices": [value]}, {"choices": [{"message": value}]}):
        try:
            answer = read_answer(json.dumps(told).encode(), think_tags=think)
        except errors.APIError:
            continue
        assert len(json.loads(answer.model_dump_json())["choices"]) == len(answer.choices)
        assert repr(answer).startswith("Completion(")
        assert isinstance(answer._repr_markdown_(), str)

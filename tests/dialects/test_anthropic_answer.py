"""Anthropic's Messages API in the server's role: whole answers and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects import anthropic, failures
from trunkline.dialects.anthropic_answer import (
    Told,
    error_body,
    error_event,
    error_kind,
    guessed_tokens,
    message_body,
)
from trunkline.dialects.openai_chat import read_answer
from trunkline.errors import InvalidResponseError, RateLimitError
from trunkline.types.anthropic import TextBlock, ThinkingBlock, ToolUseBlock

USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
COUNTED = {"input_tokens": 10, "output_tokens": 5}


def call(arguments: Any, call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def written(
    message: dict[str, Any],
    finish: str | None = "stop",
    *,
    usage: Any = USAGE,
    told: Told | None = None,
    **choice: Any,
) -> dict[str, Any]:
    chosen = {"index": 0, "message": message, "finish_reason": finish, **choice}
    chat = json.dumps({"id": "x", "choices": [chosen], "usage": usage}).encode()
    return message_body(read_answer(chat), told or Told("msg_1", "asked", guess=7, stops=["END"]))


def test_an_answer_is_a_message_under_the_name_that_was_asked_for() -> None:
    assert written({"content": "Hi"}) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "asked",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": COUNTED,
    }


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": ""}
TEXT = {"type": "text", "text": "Hi"}
USE = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
CONTENTS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "reasoning": ({"content": "Hi", "reasoning": "hm"}, [THOUGHT, TEXT]),
    "reasoning_content": ({"content": "Hi", "reasoning_content": "hm"}, [THOUGHT, TEXT]),
    "tags": ({"content": "<think>\nhm\n</think>\n\nHi"}, [THOUGHT, TEXT]),
    "a tag that the template opened": ({"content": "hm\n</think>\n\nHi"}, [THOUGHT, TEXT]),
    "thoughts that never end": ({"content": "<think>hm"}, [THOUGHT]),
    "parts": ({"content": [{"type": "text", "text": "Hi"}]}, [TEXT]),
    "a call": ({"content": None, "tool_calls": [call('{"a":1}')]}, [USE]),
    "text and a call": ({"content": "Hi", "tool_calls": [call('{"a":1}')]}, [TEXT, USE]),
    "a call with an object": ({"content": None, "tool_calls": [call({"a": 1})]}, [USE]),
    "a call without arguments": (
        {"content": None, "tool_calls": [call("")]},
        [{**USE, "input": {}}],
    ),
    "a call with null": ({"content": None, "tool_calls": [call("null")]}, [{**USE, "input": {}}]),
    "a refusal": ({"content": None, "refusal": "No."}, [{"type": "text", "text": "No."}]),
    "nothing": ({"content": ""}, []),
}


@pytest.mark.parametrize(("message", "blocks"), CONTENTS.values(), ids=CONTENTS.keys())
def test_content_is_told_in_blocks(message: dict[str, Any], blocks: list[dict[str, Any]]) -> None:
    assert written(message)["content"] == blocks


def test_what_was_thought_is_left_out_where_the_client_wants_that() -> None:
    told = Told("msg_1", "asked", hide_thinking=True)
    for message in ({"content": "Hi", "reasoning": "hm"}, {"content": "<think>hm</think>Hi"}):
        assert written(message, told=told)["content"] == [TEXT]


REASONS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str | None, str | None]]] = {
    "stop": ({}, {"finish": "stop"}, ("end_turn", None)),
    "length": ({}, {"finish": "length"}, ("max_tokens", None)),
    "calls": ({"tool_calls": [call("{}")]}, {"finish": "tool_calls"}, ("tool_use", None)),
    "a call that ended with stop": (
        {"tool_calls": [call("{}")]},
        {"finish": "stop"},
        ("tool_use", None),
    ),
    "an old call": ({}, {"finish": "function_call"}, ("tool_use", None)),
    "a filter": ({}, {"finish": "content_filter"}, ("refusal", None)),
    "a refusal": ({"refusal": "No."}, {"finish": "stop"}, ("refusal", None)),
    "a stop that the server names": (
        {},
        {"finish": "stop", "stop_reason": "END"},
        ("stop_sequence", "END"),
    ),
    "a stop that is the model's own": (
        {},
        {"finish": "stop", "stop_reason": 128001},
        ("end_turn", None),
    ),
    "a stop that nobody asked for": (
        {},
        {"finish": "stop", "stop_reason": "</s>"},
        ("end_turn", None),
    ),
    "another reason": ({}, {"finish": "insufficient_system_resource"}, (
        "insufficient_system_resource", None,
    )),
    "no reason": ({}, {"finish": None}, (None, None)),
}  # fmt: skip


@pytest.mark.parametrize(("message", "choice", "ended"), REASONS.values(), ids=REASONS.keys())
def test_why_it_ended_is_told_and_never_made_up(
    message: dict[str, Any], choice: dict[str, Any], ended: tuple[str | None, str | None]
) -> None:
    found = written({"content": "Hi", **message}, **choice)
    assert (found["stop_reason"], found["stop_sequence"]) == ended


USAGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "counted": (USAGE, COUNTED),
    "some read from a cache": (
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 8}},
        {"input_tokens": 2, "output_tokens": 5, "cache_read_input_tokens": 8},
    ),
    "more cached than there was": (
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 80}},
        COUNTED,
    ),
    "nothing told": (None, {"input_tokens": 7, "output_tokens": 2, "estimated": True}),
    "the prompt alone": (
        {"prompt_tokens": 10},
        {"input_tokens": 10, "output_tokens": 2, "estimated": True},
    ),
    "below zero": (
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"input_tokens": 7, "output_tokens": 5, "estimated": True},
    ),
}


@pytest.mark.parametrize(("usage", "told"), USAGES.values(), ids=USAGES.keys())
def test_tokens_are_the_upstreams_or_marked_as_an_estimate(usage: Any, told: Any) -> None:
    assert written({"content": "Hello"}, usage=usage)["usage"] == told


def test_arguments_that_are_no_object_are_no_answer_unless_they_were_cut() -> None:
    broken = {"content": None, "tool_calls": [call('{"a":')]}
    with pytest.raises(InvalidResponseError, match="'f'"):
        written(broken, "tool_calls")
    with pytest.raises(InvalidResponseError):
        written({"content": None, "tool_calls": [call("[1]")]}, "tool_calls")
    (cut,) = written(broken, "length")["content"]
    assert cut == {**USE, "input": {}, "partial_json": '{"a":'}


def test_our_own_reader_reads_what_is_written() -> None:
    message = {"content": "Hi", "reasoning": "hm", "tool_calls": [call('{"a":1}')]}
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 8}}
    body = json.dumps(written(message, "tool_calls", usage=usage)).encode()
    read = anthropic.read_answer(body)
    assert read.content == [
        ThinkingBlock("hm", signature=""),
        TextBlock("Hi"),
        ToolUseBlock("f", {"a": 1}, "c1"),
    ]
    assert (read.id, read.model, read.stop_reason) == ("msg_1", "asked", "tool_use")
    assert read.usage is not None
    assert (read.usage.prompt_tokens, read.usage.cached_tokens) == (10, 8)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (408, "timeout_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_an_errors_type_is_that_of_its_status(status: int, kind: str) -> None:
    assert error_kind(status) == kind
    assert json.loads(error_body(status, "No.")) == {
        "type": "error",
        "error": {"type": kind, "message": "No."},
    }


def test_an_error_says_more_in_its_details() -> None:
    told = error_body(400, "No.", code="x", request_id="req_1", param="model", provider=None)
    assert json.loads(told) == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "No.",
            "details": {"error_code": "x", "param": "model"},
        },
        "request_id": "req_1",
    }


def test_an_error_in_a_stream_is_an_event_that_readers_know() -> None:
    event = error_event(429, "Slow down.", code="tokens_exceeded")
    head, data, *rest = event.split(b"\n")
    assert (head, rest) == (b"event: error", [b"", b""])
    failure = failures.failure_in_stream(data.removeprefix(b"data: "))
    assert isinstance(failures.error_for(failure), RateLimitError)


def test_a_guess_is_four_bytes_a_token_and_as_much_for_each_image() -> None:
    assert [guessed_tokens(n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert guessed_tokens(4, images=2) == 3201

"""What is read of an answer that was not streamed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_streams import USAGE

from trunkline import errors
from trunkline.dialects.openai_chat import read_answer
from trunkline.gateway.tokens import Tokens, read_usage, read_whole

CHOICES = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"choices": CHOICES, "usage": USAGE}, Tokens(30, 20)),
        ({"choices": CHOICES, "usage": None}, Tokens()),
        ({"choices": CHOICES}, Tokens()),
        ({"choices": CHOICES, "usage": USAGE, "error": None}, Tokens(30, 20)),
        ({"choices": CHOICES, "usage": USAGE, "error": {}}, Tokens(30, 20)),
        ({"choices": CHOICES, "usage": {**USAGE, "prompt_tokens": "30"}}, Tokens(None, 20)),
        ({"choices": CHOICES, "usage": {**USAGE, "prompt_tokens": -1}}, Tokens(None, 20)),
        ({"choices": CHOICES, "usage": {**USAGE, "prompt_tokens": 30.0}}, Tokens(30, 20)),
        ({"choices": CHOICES, "usage": [1]}, Tokens()),
        ({"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 4}}, Tokens(4)),
        ({"data": [], "usage": {"prompt_tokens": 0}}, Tokens(0)),
    ],
)
def test_an_answer_tells_its_tokens(body: object, tokens: Tokens) -> None:
    for indent in (None, 1):
        assert read_whole(json.dumps(body, indent=indent).encode()) == tokens


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b"5", b"<html>", b"{}", b'{"choices":[]}', b'{"choices":[      \n    ]}',
        b'{"choices":null,"data":null}', b'{"choices":5}', b'{"choices": [', b"{" * 3000,
        b'{"error":{"message":"Oh."}}', b'{"choices":[{"message":{}}],"error":{"message":"Oh."}}',
        b'{"object":"error","message":"Oh.","code":400}', b'{"usage":{"prompt_tokens":5}}',
    ],
)  # fmt: skip
def test_what_is_no_answer_is_none(data: bytes) -> None:
    assert read_whole(data) is None


def test_an_answer_with_damaged_text_is_one() -> None:
    raw = json.dumps({"choices": CHOICES, "usage": USAGE, "more": {"a": "?"}}).encode()
    assert read_whole(raw.replace(b"Hi", b"\xff\xfe")) == Tokens(30, 20)
    assert read_whole(raw.replace(b'"?"', b"NaN")) == Tokens(30, 20)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "cached_tokens",
                                        "prompt_tokens_details"]), JSON))  # fmt: skip
def test_whatever_stands_for_usage_counts_are_whole_numbers_or_nothing(usage: object) -> None:
    told = read_whole(json.dumps({"choices": CHOICES, "usage": usage}).encode())
    assert told == read_usage(usage)
    for count in (told.input, told.output, told.cached):
        assert count is None or (type(count) is int and count >= 0)


@given(
    st.dictionaries(st.sampled_from(["choices", "data", "usage", "error", "message", "code"]), JSON)
)
def test_an_answer_that_the_sdk_reads_is_one(body: dict[str, object]) -> None:
    data = json.dumps(body).encode()
    try:
        read_answer(data)
    except errors.APIError:
        return
    assert read_whole(data) is not None

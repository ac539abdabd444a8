"""What is read of a request, and what is said of one that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.openai_server import RequestError
from trunkline.gateway.asked import FORBIDDEN, Asked, read_asked
from trunkline.store.records import Endpoint

CHAT: dict[str, Any] = {"model": "org/m", "messages": [{"role": "user", "content": "Hi"}]}
TEXT: dict[str, Any] = {"model": "org/m", "prompt": "Once"}
WORDS: dict[str, Any] = {"model": "org/m", "input": "Once"}


def read(body: object, endpoint: Endpoint = "chat") -> Asked:
    return read_asked(body if isinstance(body, bytes) else json.dumps(body).encode(), endpoint)


def refused(body: object, endpoint: Endpoint = "chat") -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(body, endpoint)
    return caught.value


@pytest.mark.parametrize(
    ("body", "param", "code", "says"),
    [
        (b"", None, "invalid_json", "not valid JSON"),
        (b"{", None, "invalid_json", "not valid JSON"),
        (b'{"model": "a", "model": "b"}', None, "invalid_json", "'model' is there twice"),
        (b'{"model": NaN}', None, "invalid_json", "not valid JSON"),
        (b'{"model": "\xff"}', None, "invalid_json", "is not UTF-8"),
        (b"[" * 200 + b"]" * 200, None, "invalid_json", "nest deeper"),
        ([], None, None, "must be a JSON object"),
        ("text", None, None, "must be a JSON object"),
        ({}, "model", None, "provide a model"),
        ({**CHAT, "model": ""}, "model", None, "provide a model"),
        ({**CHAT, "model": 5}, "model", None, "provide a model"),
        ({**CHAT, "model": "m" * 501}, "model", None, "501 characters"),
        ({"model": "m"}, "messages", None, "at least one message"),
        ({"model": "m", "messages": []}, "messages", None, "at least one message"),
        ({"model": "m", "messages": "Hi"}, "messages", None, "at least one message"),
        ({**CHAT, "max_tokens": "5"}, "max_tokens", None, "whole number"),
        ({**CHAT, "max_tokens": -1}, "max_tokens", None, "whole number"),
        ({**CHAT, "max_tokens": 1.5}, "max_tokens", None, "whole number"),
        ({**CHAT, "max_tokens": True}, "max_tokens", None, "whole number"),
        ({**CHAT, "max_tokens": 1 << 40}, "max_tokens", None, "larger than it may be"),
        ({**CHAT, "max_completion_tokens": 0}, "max_completion_tokens", None, "whole number"),
        ({**CHAT, "n": 0}, "n", None, "whole number"),
        ({**CHAT, "n": 129}, "n", None, "larger than it may be"),
        ({**CHAT, "best_of": 129}, "best_of", None, "larger than it may be"),
        ({**CHAT, "stream": "yes"}, "stream", None, "true or false"),
        ({**CHAT, "stream": 1}, "stream", None, "true or false"),
        ({**CHAT, "stream": 0}, "stream", None, "true or false"),
        ({**CHAT, "stream": True, "stream_options": [1]}, "stream_options", None, "an object"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_what_is_wrong(
    body: object, param: str | None, code: str | None, says: str
) -> None:
    error = refused(body)
    assert (error.param, error.code, error.status) == (param, code, 400)
    assert says in error.message


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_nothing_that_chooses_address_or_account_is_taken(name: str) -> None:
    bodies: list[dict[str, Any]] = [
        {**CHAT, name: "http://127.0.0.1:1"},
        {**CHAT, name: None},
        {**CHAT, "extra_body": {name: "x"}},
        {"model": "", name: "x"},
        {"model": "m", name: "x"},
    ]
    for body in bodies:
        error = refused(body)
        assert (error.param, error.code) == (name, "parameter_not_allowed")
        assert "127.0.0.1" not in error.message


@pytest.mark.parametrize(
    ("endpoint", "body", "param"),
    [
        ("completions", {"model": "m"}, "prompt"),
        ("completions", {"model": "m", "prompt": 5}, "prompt"),
        ("completions", {"model": "m", "prompt": None}, "prompt"),
        ("embeddings", {"model": "m"}, "input"),
        ("embeddings", {"model": "m", "input": ""}, "input"),
        ("embeddings", {"model": "m", "input": []}, "input"),
        ("embeddings", {"model": "m", "input": {}}, "input"),
        ("embeddings", {**WORDS, "stream": True}, "stream"),
    ],
)
def test_the_other_endpoints_want_their_text(endpoint: Endpoint, body: object, param: str) -> None:
    assert refused(body, endpoint).param == param


@pytest.mark.parametrize(
    ("more", "stream", "hidden", "options"),
    [
        ({}, False, False, None),
        ({"stream": False}, False, False, None),
        ({"stream": None}, False, False, None),
        ({"stream": True}, True, True, {"include_usage": True}),
        ({"stream": True, "stream_options": None}, True, True, {"include_usage": True}),
        ({"stream": True, "stream_options": {}}, True, True, {"include_usage": True}),
        (
            {"stream": True, "stream_options": {"include_usage": False, "x": 1}},
            True,
            True,
            {"include_usage": True, "x": 1},
        ),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, False, None),
    ],
)
def test_usage_is_asked_for_in_every_stream_and_hidden_where_only_we_asked(
    more: dict[str, Any], stream: bool, hidden: bool, options: object
) -> None:
    asked = read({**CHAT, **more})
    assert (asked.stream, asked.hide_usage) == (stream, hidden)
    changed = asked.changes.get("stream_options")
    assert (None if changed is None else json.loads(changed)) == options


IMAGE = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ("text", False),
        (None, False),
        ([], False),
        ([{"type": "text", "text": "Hi"}], False),
        ([{"type": "text", "text": "Hi"}, IMAGE], True),
        ([{"image_url": {"url": "https://x/y.png"}}], True),
        (["text"], True),
        (IMAGE, True),
        ([{"type": "file", "file": {"file_id": "f"}}], True),
    ],
)
def test_parts_that_a_size_does_not_bound_are_seen(content: object, more: bool) -> None:
    body = {**CHAT, "messages": [*CHAT["messages"], {"role": "user", "content": content}]}
    assert read(body).more_than_text is more
    escaped = json.dumps(body).replace("type", "\\u0074ype").replace("image", "\\u0069mage")
    assert read(escaped.encode()).more_than_text is more


@pytest.mark.parametrize(
    ("endpoint", "body", "answers", "most"),
    [
        ("chat", CHAT, 1, None),
        ("chat", {**CHAT, "max_tokens": 0}, 1, 0),
        ("chat", {**CHAT, "max_tokens": 5, "max_completion_tokens": 9}, 1, 9),
        ("chat", {**CHAT, "max_tokens": 9, "max_completion_tokens": 5}, 1, 9),
        ("chat", {**CHAT, "max_tokens": None, "max_completion_tokens": None, "n": None}, 1, None),
        ("chat", {**CHAT, "n": 3}, 3, None),
        ("completions", {**TEXT, "n": 2, "best_of": 5, "max_tokens": 7}, 5, 7),
        ("completions", {**TEXT, "prompt": ["a", "b", "c"], "max_tokens": 7}, 3, 7),
        ("completions", {**TEXT, "prompt": ["a", "b", "c"], "n": 2}, 6, None),
        ("completions", {**TEXT, "prompt": [1, 2, 3], "n": 2}, 2, None),
        ("completions", {**TEXT, "prompt": [[1], [2]]}, 2, None),
        ("completions", {**TEXT, "prompt": []}, 1, None),
        ("embeddings", WORDS, 1, None),
    ],
)  # fmt: skip
def test_as_many_answers_are_counted_as_are_generated(
    endpoint: Endpoint, body: object, answers: int, most: int | None
) -> None:
    asked = read(body, endpoint)
    assert (asked.answers, asked.most_output) == (answers, most)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["stream", "stream_options", "n", "max_tokens", "messages", "prompt", "input",
                         "extra_body", "best_of", "max_completion_tokens", "tools"])  # fmt: skip


@given(st.dictionaries(NAMES, JSON), st.sampled_from(["chat", "completions", "embeddings"]))
def test_any_body_is_carried_or_refused_with_a_reason(
    more: dict[str, Any], endpoint: Endpoint
) -> None:
    try:
        asked = read({**CHAT, **TEXT, **WORDS, **more}, endpoint)
    except RequestError as error:
        assert error.message
        return
    assert asked.model == "org/m"
    assert asked.answers >= 1
    assert asked.most_output is None or asked.most_output >= 0


@pytest.mark.parametrize(
    ("more", "param", "says"),
    [
        ({"input": None}, "input", "at least one item"),
        ({"input": []}, "input", "at least one item"),
        ({"input": {}}, "input", "at least one item"),
        ({"max_output_tokens": 0}, "max_output_tokens", "whole number"),
        ({"max_output_tokens": 1 << 40}, "max_output_tokens", "larger than it may be"),
        ({"stream": "yes"}, "stream", "true or false"),
        ({"background": True}, "background", "while their client waits"),
        ({"api_base": "http://127.0.0.1:1"}, "api_base", "not taken here"),
    ],
)
def test_a_wrong_request_for_a_response_is_told_what_is_wrong(
    more: dict[str, Any], param: str, says: str
) -> None:
    error = refused({**WORDS, **more}, "responses")
    assert error.param == param
    assert says in error.message


@pytest.mark.parametrize(
    ("more", "unbounded"),
    [
        ({}, False),
        ({"input": [{"role": "user", "content": "x"}]}, False),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]}, False),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, True),
        ({"input": [{"type": "function_call_output", "output": [{"type": "input_file"}]}]}, True),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, False),
        ({"input": [{"type": "reasoning", "content": [{"type": "reasoning_text"}]}]}, False),
        ({"input": [{"type": "item_reference", "id": "x"}]}, True),
        ({"input": ["x"]}, True),
        ({"previous_response_id": "x"}, True),
        ({"input": None, "prompt": {"id": "x"}}, True),
        ({"conversation": "x"}, True),
        ({"tools": [{"type": "function"}]}, False),
        ({"tools": [{"type": "web_search"}]}, True),
        ({"tools": [5]}, True),
    ],
)
def test_a_responses_size_bounds_its_prompt_unless_something_else_comes_into_it(
    more: dict[str, Any], unbounded: bool
) -> None:
    assert read({**WORDS, **more}, "responses").more_than_text is unbounded


def test_a_response_is_streamed_only_where_that_is_said() -> None:
    asked = read({**WORDS, "max_output_tokens": 7}, "responses")
    assert (asked.stream, asked.most_output, asked.changes) == (False, 7, {"stream": b"false"})
    for stream in (True, False):
        asked = read({**WORDS, "stream": stream}, "responses")
        assert (asked.stream, asked.changes, asked.hide_usage) == (stream, {}, False)

"""Streams of text completions as bytes and values, in OpenAI's form and in TGI's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import event, events, split

from trunkline import errors
from trunkline.dialects.completions import COMPLETIONS
from trunkline.dialects.pipelines import PIPELINES
from trunkline.dialects.shape import Wish
from trunkline.dialects.text_streams import (
    CompletionReader,
    GenerateReader,
    TextReader,
    stream_form,
    streamed_wish,
)
from trunkline.dialects.tgi import GENERATE
from trunkline.types.results import TextCompletion
from trunkline.types.usage import Usage
from trunkline.wire import strict_json


def piece(text: str, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"text": text, "index": index, "finish_reason": finish, "logprobs": None, **more}
    return {"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [choice]}


USAGE = {
    "id": "cmpl-1",
    "choices": [],
    "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
}
DONE = b"data: [DONE]\n\n"
HELLO = events(piece("Hel"), piece("lo"), piece("", "length"), USAGE) + DONE


def token(text: str, generated: str | None = None, **more: Any) -> bytes:
    """Write an event as TGI does: no space after the colon."""
    told = {"id": 1, "text": text, "logprob": -0.5, "special": False, **more.pop("token", {})}
    body = {"index": 1, "token": told, "generated_text": generated, "details": None, **more}
    return b"data:" + strict_json.encode(body) + b"\n\n"


DETAILS = {"finish_reason": "eos_token", "generated_tokens": 3, "seed": None}
LAST = token("</s>", "Hello", token={"special": True}, details=DETAILS)
GENERATED = token("Hel") + token("lo") + LAST


def read(
    reader: TextReader, *pieces: bytes, cut: errors.APIError | None = None
) -> list[TextCompletion]:
    found = [one for data in pieces for one in reader.feed(data)]
    return found + reader.finish(cut)


# OpenAI's form


def test_pieces_are_completions_and_add_up_to_the_whole() -> None:
    reader = CompletionReader()
    found = read(reader, HELLO)
    assert reader.failure is None
    assert [one.text for one in found] == ["Hel", "lo", "", ""]
    assert found[-1].usage is not None
    whole = reader.whole()
    assert (whole.text, whole.id, whole.model) == ("Hello", "cmpl-1", "m")
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage == reader.usage == Usage(2, 3, 5)


def test_several_choices_and_their_logprobs_are_kept_apart() -> None:
    reader = CompletionReader()
    read(
        reader,
        events(
            piece("a", index=0, logprobs={"tokens": ["a"]}),
            piece("x", index=1),
            piece("b", "stop", index=0, logprobs={"tokens": ["b"]}),
            piece("y", "length", index=1),
        ),
    )
    whole = reader.whole()
    assert [(c.text, c.finish_reason) for c in whole.choices] == [("ab", "stop"), ("xy", "length")]
    assert whole.choices[0].logprobs == {"tokens": ["a", "b"]}
    assert reader.failure is None


@pytest.mark.parametrize("end", [b"", DONE])
def test_an_end_without_a_finish_reason_is_truncated(end: bytes) -> None:
    reader = CompletionReader()
    assert [one.text for one in read(reader, events(piece("Hel")), end)] == ["Hel"]
    failure = reader.failure
    assert isinstance(failure, errors.StreamTruncated)
    assert failure.text == failure.partial.text == "Hel"
    assert failure.partial.choices[0].finish_reason is None


def test_a_finish_reason_is_enough_of_an_end() -> None:
    reader = CompletionReader()
    read(reader, events(piece("Hi"), piece("", "stop")))
    assert reader.failure is None


@pytest.mark.parametrize("idle", [{}, {"choices": []}, {"choices": None}])
def test_keep_alives_are_passed_over(idle: dict[str, Any]) -> None:
    reader = CompletionReader()
    assert len(read(reader, event(idle), HELLO)) == 4
    assert reader.failure is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "slow", "code": 429}}, errors.RateLimitError),
        ({"error": "Input is wrong", "error_type": "validation"}, errors.UnprocessableEntityError),
        ({"choices": [{"delta": {"content": "x"}}]}, errors.InvalidResponseError),
        ({"choices": "none"}, errors.InvalidResponseError),
        ({"text": "x"}, errors.InvalidResponseError),
    ],
)
def test_what_is_no_piece_is_an_error(body: dict[str, Any], kind: type) -> None:
    reader = CompletionReader()
    assert read(reader, event(body)) == []
    assert isinstance(reader.failure, kind)


# TGI's form


def test_tokens_are_pieces_and_the_last_tells_the_whole() -> None:
    reader = GenerateReader()
    found = read(reader, GENERATED)
    assert reader.failure is None
    assert [one.text for one in found] == ["Hel", "lo", ""]
    assert found[0].choices[0]["token"]["logprob"] == -0.5
    whole = reader.whole()
    assert whole.text == "Hello"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage == Usage(completion_tokens=3)


def test_without_details_nothing_is_made_up() -> None:
    reader = GenerateReader()
    read(reader, token(",", ","))
    whole = reader.whole()
    assert reader.failure is None
    assert (whole.text, whole.choices[0].finish_reason, whole.usage) == (",", None, None)


def test_the_servers_own_text_is_the_whole_even_where_its_tokens_differ() -> None:
    reader = GenerateReader()
    assert [one.text for one in read(reader, token(" a"), token(" b", "a b"))] == [" a", " b"]
    assert reader.whole().text == "a b"


def test_tokens_without_an_end_are_truncated() -> None:
    reader = GenerateReader()
    read(reader, token("Hel"), token("lo"))
    assert isinstance(reader.failure, errors.StreamTruncated)
    assert reader.failure.text == "Hello"


def test_an_error_after_tokens_keeps_them() -> None:
    reader = GenerateReader()
    told = {"error": "Request failed during generation: oops", "error_type": "generation"}
    assert len(read(reader, token("Hel"), b"data:" + strict_json.encode(told) + b"\n\n")) == 1
    assert isinstance(reader.failure, errors.GenerationError)
    assert reader.whole().text == "Hel"


@pytest.mark.parametrize("body", [{"token": None}, {"token": {"text": None}}, {"choices": []}])
def test_what_is_no_token_is_an_error(body: dict[str, Any]) -> None:
    reader = GenerateReader()
    assert read(reader, event(body)) == []
    assert isinstance(reader.failure, errors.InvalidResponseError)


# both


@pytest.mark.parametrize(
    ("kind", "stream"), [(CompletionReader, HELLO), (GenerateReader, GENERATED)]
)
@given(st.lists(st.integers(0, 2000), max_size=12))
def test_however_a_stream_is_cut_into_reads_it_says_the_same(
    kind: type[TextReader], stream: bytes, cuts: list[int]
) -> None:
    reader, expected = kind(), kind()
    assert read(reader, *split(stream, cuts)) == read(expected, stream)
    assert reader.whole() == expected.whole()


@pytest.mark.parametrize("kind", [CompletionReader, GenerateReader])
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(kind: type[TextReader], data: bytes) -> None:
    reader = kind()
    read(reader, data, events(piece("x")), token("x"), data)
    assert reader.done
    reader.whole()


def test_a_stream_is_asked_for_in_each_form() -> None:
    wish = Wish("text-generation", "m", "Hi", {"max_new_tokens": 5}, {"stream_options": {"a": 1}})
    form = stream_form(COMPLETIONS)
    assert form is not None
    assert strict_json.decode(COMPLETIONS.write(streamed_wish(form, wish)).data) == {
        "model": "m",
        "prompt": "Hi",
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True, "a": 1},
    }
    form = stream_form(GENERATE)
    assert form is not None
    assert form.path == ("/generate", "/generate_stream")
    assert streamed_wish(form, wish) == wish


def test_shapes_of_other_tasks_have_no_stream() -> None:
    assert stream_form(PIPELINES["summarization"]) is None

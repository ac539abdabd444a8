"""Streamed answers: how they end, what is in them, and that no split of their bytes matters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import (
    DONE,
    END,
    STOP,
    USAGE,
    answer,
    delta,
    event,
    events,
    failure,
    read,
    read_chunks,
    split,
)

from trials import often
from trunkline import errors
from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import APIConnectionError, InvalidResponseError, StreamTruncated
from trunkline.types import Usage

HELLO = events(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"))
RESET = APIConnectionError("The connection broke.")


def test_a_stream_that_says_it_is_finished_is_whole() -> None:
    reader, chunks = read_chunks(HELLO + END)
    whole = reader.fold.completion()
    assert reader.failure is None
    assert reader.said_done
    assert [chunk.text for chunk in chunks] == ["", "Hel", "lo", ""]
    assert (whole.text, whole.choices[0].finish_reason) == ("Hello", "stop")
    assert (whole.id, whole.model, whole.created) == ("c1", "org/m", 1)


@pytest.mark.parametrize(
    "end",
    [event(STOP), event(STOP)[:-1], event(STOP)[:-2], event(STOP) + b"data: [DONE]",
     event(STOP) + b"data: [DONE]\n", event(STOP) + b"data:[DONE]\r\n", event(STOP) + b": bye\n"],
)  # fmt: skip
def test_a_finish_reason_is_enough_without_a_proper_end(end: bytes) -> None:
    assert answer(HELLO + end).text == "Hello"


def test_nothing_after_done_counts() -> None:
    reader, chunks = read_chunks(HELLO + END + HELLO + event({"error": "late"}))
    assert reader.fold.text == "Hello"
    assert len(chunks) == 4
    assert reader.failure is None
    assert reader.feed(HELLO) == []
    assert reader.finish() == []


@pytest.mark.parametrize(
    "end",
    [b"", event(DONE), b": ping\n\n", event(delta(content=""))[:-2], b"data: {", b'data: {"cho',
     b"data: ", b"data", b'data: {"choices":[{"delta":{"content":"!"}', b"data: [DON", b"event: e"],
)  # fmt: skip
def test_a_stream_without_a_finish_reason_is_truncated_with_its_text(end: bytes) -> None:
    error = failure(HELLO + end)
    assert isinstance(error, StreamTruncated)
    assert error.text == "Hello"
    assert error.partial is not None
    assert error.partial.choices[0].finish_reason is None
    assert error.received
    assert "not the whole answer" in str(error)


def test_a_stream_that_breaks_off_says_why_and_keeps_text_and_usage() -> None:
    stream = HELLO + event({"choices": [], "usage": USAGE}) + b"data: {"
    error = failure(stream, cut=RESET)
    assert isinstance(error, StreamTruncated)
    assert error.text == "Hello"
    assert error.usage == Usage(3, 2, 5)
    assert "The connection broke." in str(error)
    assert error.__cause__ is RESET


def test_a_connection_that_breaks_after_the_finish_reason_does_no_harm() -> None:
    assert read(HELLO + event(STOP), cut=RESET).failure is None


def test_a_stream_that_never_began_may_be_asked_for_again() -> None:
    error = failure(b": ping\n\n")
    assert isinstance(error, StreamTruncated)
    assert not error.received
    assert error.text == ""


ERRORS: dict[str, tuple[bytes, type[errors.APIError], int, str]] = {
    "object": (event({"error": {"message": "Too many.", "type": "rate_limit_error"}}),
               errors.RateLimitError, 429, "Too many."),
    "string": (event({"error": "Request failed", "error_type": "generation"}),
               errors.GenerationError, 424, "Request failed"),
    "TGI": (event({"error": {"message": "Input validation error", "http_status_code": 422}}),
            errors.UnprocessableEntityError, 422, "Input validation error"),
    "status in words": (event({"error": {"message": "No.", "code": "402"}}),
                        errors.PaymentRequiredError, 402, "No."),
    "nothing known": (event({"error": {"message": "Oh."}}), errors.InternalServerError, 500, "Oh."),
    "beside choices": (event({"choices": [], "error": {"message": "Oh.", "code": 503}}),
                       errors.ServiceUnavailableError, 503, "Oh."),
    "vLLM": (event({"object": "error", "message": "Bad.", "code": 400}),
             errors.BadRequestError, 400, "Bad."),
    "FastAPI": (event({"detail": "Broken."}), errors.InternalServerError, 500, "Broken."),
    "groq": (
        b'event: error\ndata: {"error":{"message":"Tool call validation failed: x",'
        b'"type":"invalid_request_error","code":"tool_use_failed","status_code":400}}\n\n',
        errors.BadRequestError, 400, "Tool call validation failed: x",
    ),
    "named, bare object": (b'event: error\ndata: {"message":"Slow down.","code":429}\n\n',
                           errors.RateLimitError, 429, "Slow down."),
    "named, text": (b"event: error\ndata: upstream failed\n\n",
                    errors.InternalServerError, 500, "upstream failed"),
    "named, empty": (b"event: error\ndata:\n\n", errors.InternalServerError, 500,
                     "The stream reports an error and says nothing more."),
    "named, no message": (b'event: error\ndata: {"a":1}\n\n',
                          errors.InternalServerError, 500, '{"a":1}'),
    "named, no blank line": (b'event: error\ndata: {"error":"Oh."}',
                             errors.InternalServerError, 500, "Oh."),
    "named, a list": (b'event: error\ndata: [{"error":{"message":"Oh.","code":429}}]\n\n',
                      errors.RateLimitError, 429, "Oh."),
}  # fmt: skip


@pytest.mark.parametrize(("data", "kind", "status", "message"), ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("before", [b"", HELLO], ids=["at once", "after chunks"])
def test_an_error_in_a_stream_is_its_class_and_comes_after_the_chunks(
    before: bytes, data: bytes, kind: type[errors.APIError], status: int, message: str
) -> None:
    reader, chunks = read_chunks(before + data)
    error = reader.failure
    assert type(error) is kind
    assert (error.status, error.message) == (status, message)
    assert len(chunks) == (3 if before else 0)
    assert reader.done


UNREADABLE = [
    event(b"<html>oops</html>"), event(b"{broken"), event(b"[1]"), event(b"null"),
    event({"choices": ["text"]}), event({"choices": [{"delta": {"content": 5}}]}),
    event({"choices": [{"delta": {"tool_calls": "f"}}]}),
    event({"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{"}}]}}]}),
]  # fmt: skip


@pytest.mark.parametrize("data", UNREADABLE)
def test_an_event_that_cannot_be_read_is_an_error_of_ours(data: bytes) -> None:
    assert isinstance(failure(data + END), InvalidResponseError)


@pytest.mark.parametrize("data", UNREADABLE)
def test_what_came_before_an_event_that_cannot_be_read_is_kept(data: bytes) -> None:
    reader, chunks = read_chunks(HELLO + data + END)
    assert isinstance(reader.failure, StreamTruncated)
    assert isinstance(reader.failure.__cause__, InvalidResponseError)
    assert reader.failure.text == "Hello"
    assert len(chunks) == 3


@pytest.mark.parametrize("data", UNREADABLE)
def test_rubbish_after_the_finish_reason_does_no_harm(data: bytes) -> None:
    assert answer(HELLO + event(STOP) + data).text == "Hello"


@pytest.mark.parametrize("size", [1 << 14, 1 << 22])
@pytest.mark.parametrize("before", [b"", HELLO], ids=["at once", "after chunks"])
def test_an_event_without_end_is_an_error_after_the_chunks_before_it(
    before: bytes, size: int
) -> None:
    stream = before + b"data: " + b"x" * (1 << 21)
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    reader, chunks = read_chunks(*pieces)
    assert type(reader.failure) is (StreamTruncated if before else InvalidResponseError)
    assert "larger than 1048576 bytes" in reader.failure.message
    assert len(chunks) == (3 if before else 0)


def test_what_comes_after_the_end_is_not_read_however_large() -> None:
    assert read(HELLO + END + b"data: " + b"x" * (1 << 21)).failure is None


@pytest.mark.parametrize(
    "frame",
    [b": ping\n\n", event(b"{}"), event({"choices": []}), event({"id": "x", "choices": None}),
     b"data:\n\n", b"event: ping\ndata: {}\n\n", b"event: ping\n\n", b"id: 7\nretry: 10\n\n"],
)  # fmt: skip
def test_a_frame_that_says_nothing_is_no_chunk(frame: bytes) -> None:
    reader, chunks = read_chunks(frame + HELLO + frame + END)
    assert reader.fold.completion().text == "Hello"
    assert len(chunks) == 4


def test_a_frame_with_an_empty_choice_adds_nothing() -> None:
    empty = event({"choices": [{}]})
    assert answer(empty + HELLO + empty + END).text == "Hello"


@pytest.mark.parametrize(
    "stream",
    [
        HELLO + events(STOP, {"choices": [], "usage": USAGE}, DONE),
        HELLO + events({"choices": [], "usage": USAGE}, STOP, DONE),
        HELLO + events({**STOP, "usage": USAGE}, DONE),
        HELLO + events({**STOP, "x_groq": {"id": "r", "usage": USAGE}}, DONE),
        event({**delta(content="Hello"), "usage": {**USAGE, "total_tokens": 1}})
        + events({**STOP, "usage": USAGE}, DONE),
        HELLO + events({**STOP, "usage": USAGE}, {"choices": [], "usage": None}, DONE),
        HELLO + events({**STOP, "usage": USAGE}, {"choices": [], "usage": USAGE}, DONE),
    ],
    ids=["after", "before", "with", "groq", "on every chunk", "then null", "twice"],
)
def test_usage_is_found_wherever_it_comes(stream: bytes) -> None:
    assert answer(stream).usage == Usage(3, 2, 5)


def test_usage_that_never_came_is_not_made_up() -> None:
    assert answer(HELLO + END).usage is None
    odd = {"prompt_tokens": -1, "completion_tokens": "2", "total_tokens": 5.0}
    told = answer(HELLO + events({**STOP, "usage": odd}, DONE)).usage
    assert told is not None
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == (None, None, 5)
    assert told.extra == {"prompt_tokens": -1, "completion_tokens": "2"}


def test_a_frame_of_usage_alone_has_a_choice_for_loops_unless_it_was_asked_for() -> None:
    stream = HELLO + events(STOP, {"choices": [], "usage": USAGE}, DONE)
    last = read_chunks(stream)[1][-1]
    assert (last.text, last.choices[0].finish_reason, last.usage) == ("", None, Usage(3, 2, 5))
    assert read_chunks(stream, keep_usage_frames=True)[1][-1].choices == []


def test_several_choices_are_kept_apart_and_all_have_to_finish() -> None:
    a, b = delta(0, content="a"), delta(1, content="b")
    ended = events(delta(1, "length"), delta(0, "stop"), DONE)
    whole = answer(events(b, a, a, b) + ended)
    assert [(c.index, c.message.content, c.finish_reason) for c in whole.choices] == [
        (0, "aa", "stop"),
        (1, "bb", "length"),
    ]
    assert isinstance(failure(events(a, b) + event(STOP)), StreamTruncated)


def test_choices_of_one_frame_are_told_apart_by_their_place_without_an_index() -> None:
    both = {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}
    ended = {"choices": [{"finish_reason": "stop"}, {"finish_reason": "stop"}]}
    assert [c.message.content for c in answer(events(both, ended)).choices] == ["a", "b"]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "reasoning_text"])
def test_reasoning_is_one_field_whatever_its_name(name: str) -> None:
    stream = events(delta(**{name: "Hm", "content": None}), delta(**{name: "m."}))
    assert answer(stream + HELLO + END).reasoning == "Hmm."


def test_content_in_parts_is_joined_and_its_thinking_is_reasoning() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Hel"},
        "lo",
        {"type": "image"},
    ]
    whole = answer(event(delta(content=parts)) + END)
    assert (whole.text, whole.reasoning) == ("Hello", "Hm.")


def test_a_last_whole_message_is_read_as_a_delta() -> None:
    message = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    assert answer(event(message)).text == "Hello"


def test_logprobs_of_chunks_follow_each_other() -> None:
    def said(token: str) -> dict[str, Any]:
        body = delta(content=token)
        body["choices"][0]["logprobs"] = {"content": [{"token": token}], "refusal": None}
        return body

    whole = answer(events(said("a"), said("b")) + END)
    assert whole.choices[0].logprobs == {
        "content": [{"token": "a"}, {"token": "b"}],
        "refusal": None,
    }


def test_undeclared_fields_and_refusals_of_chunks_are_kept() -> None:
    body = delta(role="assistant", refusal="No.", channel="analysis")
    body["choices"][0]["seed"] = 7
    whole = answer(event({**body, "sla": 1}) + END)
    assert (whole.sla, whole.choices[0].seed) == (1, 7)
    assert whole.choices[0].message.channel == "analysis"
    assert whole.choices[0].message.refusal == "No."


def test_the_first_chunk_that_has_an_id_names_the_answer() -> None:
    whole = answer(event({"choices": [{"delta": {"role": "assistant"}}]}) + HELLO + END)
    assert (whole.id, whole.model) == ("c1", "org/m")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'data: {"choices":[{"delta":{"content":"a\xffb"}}]}\n\n', "a\ufffdb"),
        (b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n', "\ufffd"),
        (b'data: {"choices":[{"delta":{"content":"a"},"logprobs":NaN}]}\n\n', "a"),
    ],
)
def test_damaged_text_is_mended_and_counted(data: bytes, text: str) -> None:
    reader = read(data + END)
    assert reader.fold.text == text
    assert reader.repaired == 1
    assert reader.failure is None


def test_white_space_around_an_event_does_no_harm() -> None:
    stream = b'data:  {"choices":[{"delta":{"content":"a"}}]} \n\n' + event(STOP)
    assert answer(stream + b"data:  [DONE] \n\n").text == "a"


def test_line_separators_within_text_are_text() -> None:
    text = "a\u2028b\u2029c\x85d"
    raw = b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text.encode()
    assert answer(raw + END).text == text


CUTS = st.lists(st.integers(min_value=0, max_value=2000), max_size=10)
BODIES = st.lists(
    st.one_of(
        st.builds(lambda i, t: delta(i, content=t), st.integers(0, 2), st.text(max_size=5)),
        st.builds(lambda t: delta(reasoning=t), st.text(max_size=5)),
        st.builds(lambda i, f: delta(i, f), st.integers(0, 2), st.sampled_from(["stop", "length"])),
        st.builds(
            lambda i, n, a: delta(tool_calls=[{"index": i, "function": {"name": n, "arguments": a}}]),
            st.integers(0, 2), st.sampled_from([None, "f"]), st.text(max_size=4),
        ),
        st.sampled_from([{"choices": [], "usage": USAGE}, {}, {"error": "Oh."}, b"[DONE]", b"{bad"]),
    ),
    max_size=12,
)  # fmt: skip
ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"])


@given(bodies=BODIES, end=ENDS, cuts=CUTS, think=st.booleans())
@settings(max_examples=often(300), deadline=None)
def test_any_split_of_a_stream_gives_the_same_chunks_and_the_same_end(
    bodies: list[Any], end: bytes, cuts: list[int], think: bool
) -> None:
    stream = events(*bodies).replace(b"\n\n", end)
    whole, chunks = read_chunks(stream, think_tags=think)
    again, other_chunks = read_chunks(*split(stream, cuts), think_tags=think)
    assert other_chunks == chunks
    assert again.fold.completion() == whole.fold.completion()
    assert (type(again.failure), str(again.failure)) == (type(whole.failure), str(whole.failure))
    assert again.done
    assert again.said_done == whole.said_done


@given(st.lists(st.binary(max_size=40) | st.binary(max_size=30).map(event), max_size=8))
@settings(max_examples=often(200), deadline=None)
def test_arbitrary_bytes_end_in_a_failure_of_ours(pieces: list[bytes]) -> None:
    reader = read(*pieces)
    assert isinstance(reader.failure, errors.APIError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "delta", "content", "tool_calls", "function", "index", "id",
                         "usage", "error", "message", "role", "name", "arguments", "finish_reason",
                         "refusal", "logprobs", "code", "x_groq", "detail", "reasoning"]),
        inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(st.lists(JSON, max_size=4), st.booleans())
@settings(max_examples=often(400), deadline=None)
def test_arbitrary_json_gives_chunks_or_a_failure_of_ours(bodies: list[Any], think: bool) -> None:
    reader = ChunkReader(think_tags=think)
    choices = [{"choices": [body]} for body in bodies] + [
        {"choices": [{"delta": body}]} for body in bodies
    ]
    for body in [*bodies, *choices]:
        reader.feed(event(body))
    reader.finish()
    assert reader.done
    assert reader.failure is None or isinstance(reader.failure, errors.APIError)
    assert json.loads(reader.fold.completion().model_dump_json())["object"] == "chat.completion"

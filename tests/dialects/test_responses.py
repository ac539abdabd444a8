"""The Responses API as bytes and values: what is written, read, folded, and how it fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import event, events, split

from trunkline import errors
from trunkline.dialects.openai_responses import read_answer, response_body
from trunkline.dialects.response_events import RESPONSES, ResponseReader
from trunkline.model_id import parse
from trunkline.types.response_events import (
    FunctionCallArgumentsDelta,
    OtherResponseEvent,
    OutputItemAdded,
    OutputTextDelta,
    ResponseCompleted,
    ResponseCreated,
    ResponseEvent,
)
from trunkline.types.responses import (
    FunctionCallItem,
    McpCall,
    McpListTools,
    OtherItem,
    OtherPart,
    OutputMessage,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    Response,
)
from trunkline.types.tasks import TaskCall

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 11,
}


def body(**more: Any) -> dict[str, Any]:
    """Return a response as a server writes it."""
    said = {"id": "resp_1", "object": "response", "created_at": 7.5, "model": "org/m"}
    return {**said, "status": "completed", "output": [MESSAGE], "usage": USAGE, **more}


def of(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def delta(text: str, **more: Any) -> dict[str, Any]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, **more}
    return of("output_text.delta", delta=text, **place)


CREATED = of("created", response=body(status="in_progress", output=[], usage=None))
RUNNING = of("in_progress", response=body(status="in_progress", output=[], usage=None))
BEGUN = {**MESSAGE, "status": "in_progress", "content": []}
PART = {"type": "output_text", "text": "", "annotations": []}
HELLO = [
    CREATED,
    RUNNING,
    of("output_item.added", output_index=0, item=BEGUN),
    of("content_part.added", item_id="msg_1", output_index=0, content_index=0, part=PART),
    delta("Hel"),
    delta("lo"),
    of("output_text.done", item_id="msg_1", output_index=0, content_index=0, text="Hello"),
    of("output_item.done", output_index=0, item=MESSAGE),
    of("completed", response=body()),
]


def read(
    *pieces: bytes, cut: errors.APIError | None = None
) -> tuple[ResponseReader, list[ResponseEvent]]:
    reader = ResponseReader()
    found = [one for piece in pieces for one in reader.feed(piece)]
    return reader, found + reader.finish(cut)


def whole(*bodies: dict[str, Any]) -> Response:
    return read(events(*bodies))[0].whole()


# whole answers


def test_a_whole_answer_is_read_and_nothing_of_it_lost() -> None:
    told = body(parallel_tool_calls=False, metadata={"a": "b"}, incomplete_details=None)
    response = read_answer(json.dumps(told).encode())
    assert response.output_text == response.text == "Hello"
    assert response.model_dump(exclude_none=True) == {
        name: value for name, value in told.items() if value is not None
    }
    assert response.usage is not None
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (9, 2)


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (MESSAGE, OutputMessage),
        (
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm"}]},
            ReasoningItem,
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            FunctionCallItem,
        ),
        ({"type": "mcp_call", "id": "m", "name": "t", "output": "o", "error": None}, McpCall),
        ({"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "t"}]}, McpListTools),
        ({"type": "web_search_call", "id": "w", "action": {"query": "q"}}, OtherItem),
        ({"id": "nameless"}, OtherItem),
    ],
    ids=lambda value: value.get("type", "?") if isinstance(value, dict) else value.__name__,
)
def test_each_kind_of_item_has_its_class_and_keeps_its_fields(
    item: dict[str, Any], kind: type
) -> None:
    (found,) = read_answer(json.dumps(body(output=[item])).encode()).output
    assert type(found) is kind
    dumped = found.to_dict()
    assert {name: dumped.get(name) for name in item} == item


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "output_text", "text": "a", "logprobs": [1]}, OutputText),
        ({"type": "refusal", "refusal": "No."}, OutputRefusal),
        ({"type": "output_audio", "data": "x"}, OtherPart),
        ({"type": "output_text", "text": None}, OtherPart),
    ],
)
def test_each_kind_of_part_has_its_class(part: dict[str, Any], kind: type) -> None:
    item = {**MESSAGE, "content": [part]}
    (message,) = read_answer(json.dumps(body(output=[item])).encode()).output
    assert isinstance(message, OutputMessage)
    assert type(message.content[0]) is kind
    assert message.text == ("a" if kind is OutputText else "")


def test_reasoning_is_its_own_text_or_else_its_summary() -> None:
    own = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "I think"}]}
    short = {"type": "reasoning", "summary": [{"type": "summary_text", "text": " so."}]}
    response = read_answer(json.dumps(body(output=[own, short, MESSAGE])).encode())
    assert response.reasoning_text == "I think so."
    assert response.output_text == "Hello"


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (b"<html>", errors.InvalidResponseError, "not JSON"),
        (b"[]", errors.InvalidResponseError, "no object"),
        (b'{"id": "x"}', errors.InvalidResponseError, "no output"),
        (b'{"error": {"message": "slow", "code": 429}}', errors.RateLimitError, "slow"),
        (b'{"detail": "Bad."}', errors.InternalServerError, "Bad"),
        (
            json.dumps(
                body(status="failed", error={"code": "server_error", "message": "broke"})
            ).encode(),
            errors.InternalServerError,
            "broke",
        ),
        (json.dumps(body(status="cancelled", error=None)).encode(), errors.APIError, "cancelled"),
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes, kind: type, says: str) -> None:
    with pytest.raises(kind, match=says):
        read_answer(answer)


def test_a_failed_response_is_on_its_error() -> None:
    told = body(status="failed", error={"code": "rate_limit_exceeded", "message": "slow"})
    with pytest.raises(errors.RateLimitError) as caught:
        read_answer(json.dumps(told).encode())
    assert caught.value.partial.output_text == "Hello"


def test_whether_to_stream_is_always_said() -> None:
    call = TaskCall("responses", parse("org/m"), "Hi", {"top_p": 0.5}, extra_body={"seed": 1})
    for stream in (True, False):
        assert response_body(call, "org/m:groq", stream) == {
            "model": "org/m:groq",
            "input": "Hi",
            "top_p": 0.5,
            "stream": stream,
            "seed": 1,
        }


# streams


def test_a_stream_is_read_as_typed_events_and_ends_in_the_whole() -> None:
    reader, found = read(events(*HELLO))
    assert reader.failure is None
    assert reader.done
    assert [one.type for one in found] == [told["type"] for told in HELLO]
    assert "".join(map(RESPONSES.text_of, found)) == "Hello"
    assert isinstance(found[0], ResponseCreated)
    assert isinstance(found[2], OutputItemAdded)
    assert isinstance(found[-1], ResponseCompleted)
    assert found[-1].response == reader.whole()
    assert reader.whole().output_text == "Hello"
    assert reader.usage == reader.whole().usage


def test_events_keep_their_number_and_what_nobody_declared() -> None:
    told = delta("x", sequence_number=5, obfuscation="zz")
    found = read(events(told))[1][0]
    assert isinstance(found, OutputTextDelta)
    assert found.sequence_number == 5
    assert found["obfuscation"] == "zz"
    dumped = found.model_dump()
    assert {name: dumped[name] for name in told} == told


def test_an_event_of_an_unknown_type_keeps_its_fields() -> None:
    told = {"type": "response.image.partial", "sequence_number": 3, "b64": "QQ=="}
    found = read(events(told))[1][0]
    assert isinstance(found, OtherResponseEvent)
    assert (found.type, found.sequence_number, found["b64"]) == (told["type"], 3, "QQ==")


def test_announcements_come_with_the_first_event_that_is_more() -> None:
    reader = ResponseReader()
    assert reader.feed(events(*HELLO[:2])) == []
    found = reader.feed(event(HELLO[2]))
    assert [one.type for one in found] == [told["type"] for told in HELLO[:3]]


@given(st.lists(st.integers(0, 5000), max_size=12))
def test_however_a_stream_is_cut_into_reads_it_says_the_same(cuts: list[int]) -> None:
    stream = events(*HELLO)
    reader, found = read(*split(stream, cuts))
    expected, all_events = read(stream)
    assert found == all_events
    assert reader.whole() == expected.whole()


@pytest.mark.parametrize("length", range(2, len(HELLO)))
def test_a_stream_that_ends_early_is_truncated_with_what_came(length: int) -> None:
    reader, found = read(events(*HELLO[:length]))
    failure = reader.failure
    assert isinstance(failure, errors.StreamTruncated)
    assert failure.text == failure.partial.output_text
    assert failure.text == {2: "", 3: "", 4: "", 5: "Hel"}.get(length, "Hello")
    assert failure.partial.status == "in_progress"
    assert failure.received is (length > 2)
    assert len(found) == (length if length > 2 else 0)


def test_an_incomplete_response_is_whole_in_its_way() -> None:
    cut = body(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    reader, found = read(events(*HELLO[:-1], of("incomplete", response=cut)))
    assert reader.failure is None
    assert found[-1].type == "response.incomplete"
    assert reader.whole().incomplete_details == {"reason": "max_output_tokens"}


@pytest.mark.parametrize(
    ("last", "kind", "says"),
    [
        (
            event(
                of(
                    "failed",
                    response=body(
                        status="failed",
                        output=[],
                        error={"code": "server_error", "message": "upstream broke"},
                    ),
                )
            ),
            errors.InternalServerError,
            "upstream broke",
        ),
        (
            event({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}),
            errors.RateLimitError,
            "slow down",
        ),
        (
            event({"type": "error", "code": "invalid_prompt", "message": "not so"}),
            errors.BadRequestError,
            "not so",
        ),
        (
            b'event: error\ndata: {"type": "error", "error": {"type": "invalid_request_error",'
            b' "message": "no"}}\n\n',
            errors.BadRequestError,
            "no",
        ),
        (
            event({"error": {"message": "gone", "code": 503}}),
            errors.ServiceUnavailableError,
            "gone",
        ),
    ],
    ids=["response.failed", "error event", "wrong prompt", "named error", "plain error"],
)
def test_a_failure_in_the_stream_keeps_what_came_before(last: bytes, kind: type, says: str) -> None:
    reader, found = read(events(*HELLO[:5]), last, event(delta("never")))
    assert isinstance(reader.failure, kind)
    assert says in str(reader.failure)
    assert len(found) == 5
    assert reader.whole().output_text == "Hel"


def test_items_are_folded_from_their_deltas() -> None:
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""}
    thought = {"type": "reasoning", "id": "rs", "summary": []}
    response = whole(
        CREATED,
        of("output_item.added", output_index=0, item=thought),
        of("reasoning_text.delta", output_index=0, content_index=0, delta="I "),
        of("reasoning_text.delta", output_index=0, content_index=0, delta="think"),
        of("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="Thought"),
        of("output_item.added", output_index=1, item=call),
        of("function_call_arguments.delta", output_index=1, delta='{"a"'),
        of("function_call_arguments.delta", output_index=1, delta=": 1}"),
        of("output_item.added", output_index=2, item=BEGUN),
        of("refusal.delta", output_index=2, content_index=0, delta="No."),
    )
    reasoning, function, message = response.output
    assert isinstance(reasoning, ReasoningItem)
    assert reasoning.text == "I think"
    assert reasoning.summary == [{"type": "summary_text", "text": "Thought"}]
    assert isinstance(function, FunctionCallItem)
    assert (function.name, function.arguments) == ("f", '{"a": 1}')
    assert isinstance(message, OutputMessage)
    assert isinstance(message.content[0], OutputRefusal)
    assert message.content[0].refusal == "No."


def test_arguments_that_are_told_whole_replace_their_pieces() -> None:
    reader, found = read(
        events(
            of("function_call_arguments.delta", output_index=0, item_id="fc", delta="{"),
            of("function_call_arguments.done", output_index=0, item_id="fc", arguments='{"a": 1}'),
        )
    )
    assert isinstance(found[0], FunctionCallArgumentsDelta)
    assert reader.whole().function_calls[0].arguments == '{"a": 1}'


def test_deltas_of_an_item_that_was_never_announced_are_not_lost() -> None:
    assert whole(delta("Hel"), delta("lo")).output_text == "Hello"


def test_items_stay_where_the_last_word_names_none() -> None:
    assert whole(*HELLO[:-1], of("completed", response=body(output=[]))).output_text == "Hello"


@pytest.mark.parametrize(
    "broken",
    [
        event(of("output_text.delta", output_index=0)),
        event(of("output_text.delta", output_index=0, delta=7)),
        event(of("output_item.added", output_index=0, item=None)),
        event(of("completed", response="done")),
        b"data: not json\n\n",
        b"data: [1]\n\n",
    ],
)
def test_an_event_without_what_it_is_for_is_refused(broken: bytes) -> None:
    assert isinstance(read(broken)[0].failure, errors.InvalidResponseError)
    failure = read(events(*HELLO[:5]), broken)[0].failure
    assert isinstance(failure, errors.StreamTruncated)
    assert failure.text == "Hel"
    assert isinstance(failure.__cause__, errors.InvalidResponseError)


def test_keep_alives_and_done_marks_are_passed_over() -> None:
    reader, found = read(b": ping\n\ndata: {}\n\n", events(*HELLO), b"data: [DONE]\n\n")
    assert reader.failure is None
    assert len(found) == len(HELLO)


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert read(events(*HELLO)[:-2])[0].failure is None


def test_a_broken_connection_is_the_cause() -> None:
    cut = errors.APIConnectionError("reset")
    failure = read(events(*HELLO[:5]), cut=cut)[0].failure
    assert isinstance(failure, errors.StreamTruncated)
    assert failure.__cause__ is cut


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    reader, _ = read(data, events(*HELLO[:4]), data)
    assert reader.done
    assert reader.whole().output is not None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    ["response", "item", "part", "delta", "output_index", "content_index", "text", "arguments"]
)


@given(st.lists(st.tuples(st.sampled_from(HELLO), _NAMES, _JSON), max_size=6))
def test_no_fields_make_it_raise(twisted: list[tuple[dict[str, Any], str, Any]]) -> None:
    reader, found = read(events(*({**told, name: value} for told, name, value in twisted)))
    assert reader.done
    reader.whole()
    for one in found:
        one.model_dump()

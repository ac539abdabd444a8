"""The Messages API as bytes and values: what is written, read, folded, and how it fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import event, events, split

from trunkline import errors
from trunkline.dialects import failures
from trunkline.dialects.anthropic import message_body, read_answer
from trunkline.dialects.anthropic_events import MESSAGES, MessageReader
from trunkline.model_id import parse
from trunkline.types.anthropic import (
    AnthropicMessage,
    ContentBlockDelta,
    MessageDelta,
    MessageEvent,
    MessageStart,
    MessageStop,
    OtherBlock,
    OtherDelta,
    OtherMessageEvent,
    Ping,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
)
from trunkline.types.tasks import TaskCall

USAGE = {"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 4}


def body(**more: Any) -> dict[str, Any]:
    """Return a message as a server writes it."""
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "org/m"}
    content = [{"type": "text", "text": "Hello"}]
    return {**said, "content": content, "stop_reason": "end_turn", "usage": USAGE, **more}


def delta(kind: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": f"{kind}_delta", **fields},
    }


def block(content: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


START = {
    "type": "message_start",
    "message": body(
        content=[], stop_reason=None, usage={"input_tokens": 9, "cache_read_input_tokens": 4}
    ),
}
PING = {"type": "ping"}
ENDED = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 2},
}
STOP = {"type": "message_stop"}
HELLO = [
    START,
    PING,
    block({"type": "text", "text": ""}),
    delta("text", text="Hel"),
    delta("text", text="lo"),
    {"type": "content_block_stop", "index": 0},
    ENDED,
    STOP,
]


def read(
    *pieces: bytes, cut: errors.APIError | None = None
) -> tuple[MessageReader, list[MessageEvent]]:
    reader = MessageReader()
    found = [one for piece in pieces for one in reader.feed(piece)]
    return reader, found + reader.finish(cut)


def whole(*bodies: dict[str, Any]) -> AnthropicMessage:
    return read(events(*bodies))[0].whole()


# whole answers


def test_a_whole_answer_is_read_and_nothing_of_it_lost() -> None:
    told = body(context_management={"a": 1})
    message = read_answer(json.dumps(told).encode())
    assert message.text == "Hello"
    assert message.model_dump(exclude_none=True) == told
    assert message.usage is not None
    assert (message.usage.prompt_tokens, message.usage.completion_tokens) == (13, 2)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"type": "text", "text": "Hi", "citations": [{"cited_text": "x"}]}, TextBlock),
        ({"type": "thinking", "thinking": "Hm", "signature": "s"}, ThinkingBlock),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}, ToolUseBlock),
        ({"type": "redacted_thinking", "data": "x"}, OtherBlock),
        ({"type": "text", "text": 7}, OtherBlock),
        ({"type": "tool_use", "name": "f", "input": "{}"}, OtherBlock),
    ],
)
def test_each_kind_of_block_has_its_class_and_keeps_its_fields(
    content: dict[str, Any], kind: type
) -> None:
    (found,) = read_answer(json.dumps(body(content=[content])).encode()).content
    assert type(found) is kind
    assert found.to_dict() == content


def test_counts_that_were_not_told_are_unknown() -> None:
    usage = read_answer(json.dumps(body(usage={"output_tokens": 2})).encode()).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (None, 2)
    assert read_answer(json.dumps(body(usage=None)).encode()).usage is None


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (b"<html>", errors.InvalidResponseError, "not JSON"),
        (b"[]", errors.InvalidResponseError, "no object"),
        (b'{"id": "x"}', errors.InvalidResponseError, "no content"),
        (
            b'{"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}',
            errors.RateLimitError,
            "slow",
        ),
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes, kind: type, says: str) -> None:
    with pytest.raises(kind, match=says):
        read_answer(answer)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", errors.BadRequestError),
        (401, "authentication_error", errors.AuthenticationError),
        (402, "billing_error", errors.PaymentRequiredError),
        (403, "permission_error", errors.PermissionDeniedError),
        (404, "not_found_error", errors.NotFoundError),
        (413, "request_too_large", errors.RequestTooLargeError),
        (429, "rate_limit_error", errors.RateLimitError),
        (500, "api_error", errors.InternalServerError),
        (504, "timeout_error", errors.GatewayTimeoutError),
        (529, "overloaded_error", errors.ServiceUnavailableError),
    ],
)
def test_an_error_has_the_same_class_by_its_status_and_in_a_stream(
    status: int, kind: str, expected: type
) -> None:
    said = {"type": "error", "error": {"type": kind, "message": "So it is."}, "request_id": "r"}
    answered = failures.error_for(failures.read_failure(status, {}, json.dumps(said).encode()))
    assert type(answered) is expected
    assert answered.message == "So it is."
    failure = read(events(*HELLO[:4]), b"event: error\n", event(said))[0].failure
    assert type(failure) is expected
    assert type(read(events(*HELLO[:4]), event(said))[0].failure) is expected


def test_the_body_has_the_parameters_and_says_whether_to_stream() -> None:
    asked = [{"role": "user", "content": "Hi"}]
    call = TaskCall("messages", parse("org/m"), asked, {"max_tokens": 5}, extra_body={"a": 1})
    assert message_body(call, "org/m", True) == {
        "model": "org/m",
        "messages": asked,
        "max_tokens": 5,
        "stream": True,
        "a": 1,
    }


# streams


def test_a_stream_is_read_as_typed_events_and_folded_into_the_whole() -> None:
    reader, found = read(events(*HELLO))
    assert reader.failure is None
    assert reader.done
    assert [one.type for one in found] == [told["type"] for told in HELLO]
    assert "".join(map(MESSAGES.text_of, found)) == "Hello"
    assert isinstance(found[0], MessageStart)
    assert isinstance(found[1], Ping)
    assert isinstance(found[-1], MessageStop)
    message = reader.whole()
    assert message.to_dict() == body()
    assert reader.usage == message.usage


def test_events_keep_what_nobody_declared() -> None:
    told = {**ENDED, "context_management": {"applied_edits": []}}
    found = read(events(*HELLO[:6], told))[1][-1]
    assert isinstance(found, MessageDelta)
    assert found["context_management"] == {"applied_edits": []}
    assert (found.delta.stop_reason, found.usage and found.usage.output_tokens) == ("end_turn", 2)


def test_unknown_events_and_deltas_keep_their_fields() -> None:
    _, found = read(events(*HELLO[:4], {"type": "new", "a": 1}, delta("new", b=2)))
    assert isinstance(found[-2], OtherMessageEvent)
    assert (found[-2].type, found[-2]["a"]) == ("new", 1)
    assert isinstance(found[-1], ContentBlockDelta)
    assert isinstance(found[-1].delta, OtherDelta)
    assert found[-1].delta["b"] == 2


def test_announcements_come_with_the_first_event_that_is_more() -> None:
    reader = MessageReader()
    assert reader.feed(events(START, PING)) == []
    assert [one.type for one in reader.feed(event(HELLO[2]))] == [
        "message_start",
        "ping",
        "content_block_start",
    ]
    assert [one.type for one in reader.feed(event(PING))] == ["ping"]


@given(st.lists(st.integers(0, 3000), max_size=12))
def test_however_a_stream_is_cut_into_reads_it_says_the_same(cuts: list[int]) -> None:
    stream = events(*HELLO)
    reader, found = read(*split(stream, cuts))
    expected, all_events = read(stream)
    assert found == all_events
    assert reader.whole() == expected.whole()


@pytest.mark.parametrize("length", range(1, 7))
def test_a_stream_that_ends_early_is_truncated_with_what_came(length: int) -> None:
    reader, found = read(events(*HELLO[:length]))
    failure = reader.failure
    assert isinstance(failure, errors.StreamTruncated)
    assert (
        failure.text == failure.partial.text == {4: "Hel", 5: "Hello", 6: "Hello"}.get(length, "")
    )
    assert failure.partial.stop_reason is None
    assert failure.received is (length > 2)
    assert len(found) == (length if length > 2 else 0)


def test_a_stop_reason_is_enough_of_an_end() -> None:
    assert read(events(*HELLO[:-1]))[0].failure is None


def test_every_kind_of_block_is_folded() -> None:
    message = whole(
        START,
        block({"type": "thinking", "thinking": ""}, 0),
        delta("thinking", 0, thinking="I "),
        delta("thinking", 0, thinking="think"),
        delta("signature", 0, signature="sig"),
        block({"type": "text", "text": "Well"}, 1),
        delta("text", 1, text=", so."),
        delta("citations", 1, citation={"cited_text": "x"}),
        block({"type": "tool_use", "id": "t", "name": "f", "input": {}}, 2),
        delta("input_json", 2, partial_json='{"a"'),
        delta("input_json", 2, partial_json=": 1}"),
        block({"type": "redacted_thinking", "data": "x"}, 3),
    )
    assert message.content == [
        ThinkingBlock("I think", signature="sig"),
        TextBlock("Well, so.", citations=[{"cited_text": "x"}]),
        ToolUseBlock("f", {"a": 1}, id="t"),
        OtherBlock("redacted_thinking", {"data": "x"}),
    ]
    assert (message.thinking, message.tool_uses[0].input) == ("I think", {"a": 1})


def test_a_tool_without_arguments_has_none() -> None:
    told = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    message = whole(START, block(told), delta("input_json", partial_json=""))
    assert message.content == [ToolUseBlock("f", {}, id="t")]


def test_arguments_that_broke_off_are_kept_as_their_text() -> None:
    told = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    (use,) = whole(START, block(told), delta("input_json", partial_json='{"a": ')).tool_uses
    assert use.input == {}
    assert use["partial_json"] == '{"a": '


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (delta("text", text="x"), TextBlock),
        (delta("thinking", thinking="x"), ThinkingBlock),
        (delta("input_json", partial_json="{}"), ToolUseBlock),
    ],
)
def test_deltas_of_a_block_that_was_never_announced_are_not_lost(
    told: dict[str, Any], kind: type
) -> None:
    assert [type(one) for one in whole(START, told).content] == [kind]


@pytest.mark.parametrize(
    "broken",
    [
        event({"type": "message_start", "message": None}),
        event({"type": "content_block_start", "index": 0}),
        event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}),
        event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}),
        event({"type": "content_block_stop", "index": "first"}),
        event({"type": "message_delta"}),
        b"data: not json\n\n",
    ],
)
def test_an_event_without_what_it_is_for_is_refused(broken: bytes) -> None:
    assert isinstance(read(broken)[0].failure, errors.InvalidResponseError)
    failure = read(events(*HELLO[:4]), broken)[0].failure
    assert isinstance(failure, errors.StreamTruncated)
    assert failure.text == "Hel"


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    reader, _ = read(data, events(*HELLO[:4]), data)
    assert reader.done
    reader.whole()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_NAMES = st.sampled_from(["message", "content_block", "delta", "index", "usage", "type", "text"])


@given(st.lists(st.tuples(st.sampled_from(HELLO), _NAMES, _JSON), max_size=6))
def test_no_fields_make_it_raise(twisted: list[tuple[dict[str, Any], str, Any]]) -> None:
    reader, found = read(events(*({**told, name: value} for told, name, value in twisted)))
    assert reader.done
    reader.whole()
    for one in found:
        one.model_dump()


def test_the_count_of_the_start_is_not_that_of_the_answer() -> None:
    start = {"type": "message_start", "message": body(content=[], stop_reason=None)}
    reader, _ = read(events(start, delta("text", text="Hel")))
    usage = reader.whole().usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.output_tokens) == (13, None)


def test_what_ends_a_message_may_say_more_of_it() -> None:
    more = {"context_management": {"applied_edits": []}}
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, **more}
    reader, found = read(events(START, delta("text", text="Hello"), stop, {"type": "message_stop"}))
    assert reader.whole()["context_management"] == {"applied_edits": []}
    assert [e["context_management"] for e in found if isinstance(e, MessageDelta)] == [
        {"applied_edits": []}
    ]


def test_arguments_that_came_with_the_start_are_not_lost() -> None:
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {"city": "Paris"}}
    reader, _ = read(events(START, block(use), delta("input_json", partial_json="")))
    (found,) = reader.whole().tool_uses
    assert found.input == {"city": "Paris"}


def test_citations_are_gathered_in_their_order() -> None:
    text = block({"type": "text", "text": "", "citations": [{"n": 0}]})
    cited = [delta("citations", citation={"n": n}) for n in (1, 2)]
    reader, _ = read(events(START, text, *cited, delta("text", text="So.")))
    (found,) = reader.whole().content
    assert found.to_dict() == {
        "type": "text",
        "text": "So.",
        "citations": [{"n": 0}, {"n": 1}, {"n": 2}],
    }


def test_a_tool_that_the_server_runs_is_folded_too() -> None:
    use = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"title": "T"}]}
    pieces = [delta("input_json", partial_json=p) for p in ("", '{"query": ', '"rain"}')]
    reader, _ = read(events(START, block(use), *pieces, {"type": "ping"}, block(result, 1)))
    assert [found.to_dict() for found in reader.whole().content] == [
        {**use, "input": {"query": "rain"}},
        result,
    ]

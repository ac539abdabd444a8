"""A chat's answer, told in OpenAI's Responses API: whole, and as events that spell out the same."""

from __future__ import annotations

import json
from typing import Any

import openai
import openai.types.responses as kinds
import pytest
from chat_streams import call, chunk, conversations, sse, usage, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.responses._responses import ResponseStreamState
from pydantic import TypeAdapter

from trials import often
from trunkline.dialects.openai_read import read_completion
from trunkline.dialects.response_events import ResponseReader
from trunkline.dialects.responses_answer import Envelope, answer_body
from trunkline.dialects.responses_server import read_request
from trunkline.dialects.responses_stream import ResponseStream
from trunkline.errors import InvalidResponseError
from trunkline.wire.sse import EventReader

Body = dict[str, Any]
REQUEST = read_request({"model": "org/m", "input": "Hello", "stream": True})
ENVELOPE = Envelope("abc", 1_700_000_000, REQUEST.echo)
STRICT: Any = TypeAdapter(kinds.ResponseStreamEvent)


def told(data: bytes) -> Body:
    """Return a whole answer as a response, which the client's own types have to take."""
    body: Body = json.loads(answer_body(ENVELOPE, read_completion(json.loads(data))))
    kinds.Response.model_validate(body, strict=False)
    return body


def events_of(data: bytes) -> list[Body]:
    """Return events; their names are their types, and they count from 0."""
    found = EventReader().feed(data)
    bodies: list[Body] = [json.loads(event.data) for event in found]
    assert [event.name for event in found] == [body["type"] for body in bodies]
    assert [body["sequence_number"] for body in bodies] == list(range(len(bodies)))
    for body in bodies:
        if body["type"] != "error":
            STRICT.validate_python(body)
    return bodies


def streamed(*chunks: Body) -> list[Body]:
    stream = ResponseStream(ENVELOPE)
    return events_of(b"".join([*[stream.feed(sse(c)) for c in chunks], stream.end()]))


def kinds_of(events: list[Body]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_text_is_a_message_with_usage_in_the_clients_own_types() -> None:
    body = told(whole(content="Hello there."))
    assert (body["id"], body["object"], body["model"]) == ("resp_abc", "response", "org/m")
    assert (body["status"], body["incomplete_details"], body["error"]) == ("completed", None, None)
    (item,) = body["output"]
    assert (item["id"], item["type"], item["status"]) == ("msg_abc0", "message", "completed")
    assert item["content"] == [
        {"type": "output_text", "text": "Hello there.", "annotations": [], "logprobs": []}
    ]
    assert body["usage"] == {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 50,
    }


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": 5}, None),
        ({"completion_tokens": 5}, None),
        ({"prompt_tokens": -1, "completion_tokens": 5}, None),
        ({"prompt_tokens": 5, "completion_tokens": 6}, (5, 0, 6, 0, 11)),
        ({"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 12}, (5, 0, 6, 0, 12)),
        (
            {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 3},
             "completion_tokens_details": {"reasoning_tokens": 4}},
            (5, 3, 6, 4, 11),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": None},
             "completion_tokens_details": {"reasoning_tokens": "4"}},
            (5, 0, 6, 0, 11),
        ),
    ],
)  # fmt: skip
def test_usage_is_what_was_told_or_null(usage: Any, counts: tuple[int, ...] | None) -> None:
    found = told(whole(content="x", told=usage))["usage"]
    if counts is None:
        assert found is None
        return
    details = (found["input_tokens_details"], found["output_tokens_details"])
    assert (
        found["input_tokens"],
        details[0]["cached_tokens"],
        found["output_tokens"],
        details[1]["reasoning_tokens"],
        found["total_tokens"],
    ) == counts


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("sensitive", "incomplete", "content_filter"),
        ("model_length", "incomplete", "max_output_tokens"),
        ("abort", "incomplete", None),
        ("eos_token", "completed", None),
    ],
)
def test_how_a_chat_ended_is_the_responses_status(
    finish: str, status: str, reason: str | None
) -> None:
    details = None if reason is None else {"reason": reason}
    body = told(whole(finish, content="Hel"))
    assert (body["status"], body["incomplete_details"]) == (status, details)
    assert body["output"][0]["status"] == status
    last = streamed(chunk(content="Hel"), chunk(finish))[-1]
    assert last["type"] == f"response.{status}"
    assert last["response"]["incomplete_details"] == details
    assert last["response"]["usage"] is None


def test_only_the_last_item_of_a_cut_answer_is_incomplete() -> None:
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": "{"}}
        for n in (1, 2)
    ]
    body = told(whole("length", content="x", reasoning="y", tool_calls=calls))
    states = [item["status"] for item in body["output"]]
    assert states == ["completed", "completed", "completed", "incomplete"]


def test_thoughts_are_an_item_of_their_own_whatever_they_are_called() -> None:
    for message in (
        {"reasoning": "Hm.", "content": "Yes."},
        {"reasoning_content": "Hm.", "content": "Yes."},
        {"content": "<think>\nHm.\n</think>\n\nYes."},
    ):
        thought, said = told(whole(**message))["output"]
        assert thought["content"] == [{"type": "reasoning_text", "text": "Hm."}]
        assert (thought["type"], thought["summary"]) == ("reasoning", [])
        assert said["content"][0]["text"] == "Yes."


def test_a_tag_that_is_split_between_chunks_is_found() -> None:
    pieces = ["<th", "ink>Hm", ". </thi", "nk>", "\n\nY", "es."]
    events = streamed(*[chunk(content=piece) for piece in pieces], chunk("stop"))
    thought, said = events[-1]["response"]["output"]
    assert thought["content"][0]["text"] == "Hm."
    assert said["content"][0]["text"] == "Yes."
    held = streamed(chunk(content="<thi"), chunk("stop"))[-1]["response"]["output"]
    assert held[0]["content"][0]["text"] == "<thi"


def test_a_stream_of_text_has_every_event_in_its_order() -> None:
    events = streamed(chunk(role="assistant", content=""), chunk(content="Hel"), chunk(content="lo"), chunk("stop"), usage())  # fmt: skip
    assert kinds_of(events) == [
        "created", "in_progress", "output_item.added", "content_part.added",
        "output_text.delta", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event["delta"] for event in events[4:6]] == ["Hel", "lo"]
    assert {event["item_id"] for event in events[3:8]} == {"msg_abc0"}
    assert events[-1]["response"]["usage"]["output_tokens"] == 20
    assert events[0]["response"]["status"] == "in_progress"


def test_calls_come_in_fragments_and_their_names_before_them() -> None:
    events = streamed(
        call(0, id="call_a", name="f"),
        call(0, '{"a"'),
        call(1, id="call_b", name="g"),
        call(0, ":1}"),
        chunk("tool_calls"),
    )
    assert kinds_of(events)[2:] == [
        "output_item.added", "function_call_arguments.delta", "output_item.added",
        "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    first, second = events[-1]["response"]["output"]
    assert (first["call_id"], first["name"], first["arguments"]) == ("call_a", "f", '{"a":1}')
    assert (second["call_id"], second["name"], second["arguments"]) == ("call_b", "g", "{}")


def test_a_call_is_told_once_its_name_is_known() -> None:
    late = [call(0, '{"a"', id="call_a"), call(0, ":1}", name="f"), call(0, "")]
    assert kinds_of(streamed(late[0]))[2:4] == [
        "output_item.added",
        "function_call_arguments.delta",
    ]
    events = streamed(*late, chunk("stop"))
    added = events[2]
    assert (added["item"]["name"], added["item"]["arguments"]) == ("f", "")
    assert events[-1]["response"]["output"][0]["arguments"] == '{"a":1}'


def test_servers_may_say_the_same_id_with_every_fragment() -> None:
    said = [call(0, piece, id="call_a", name="f") for piece in ('{"a"', ":1", "}")]
    (item,) = streamed(*said, chunk("tool_calls"))[-1]["response"]["output"]
    assert (item["call_id"], item["name"], item["arguments"]) == ("call_a", "f", '{"a":1}')


def test_text_closes_thoughts_and_a_call_closes_text() -> None:
    events = streamed(
        chunk(reasoning="Hm."), chunk(content="I look."), call(0, "{}", id="c", name="f"), chunk("tool_calls")
    )  # fmt: skip
    done = [e["output_index"] for e in events if e["type"] == "response.output_item.done"]
    assert done == [0, 1, 2]
    items = events[-1]["response"]["output"]
    assert [item["type"] for item in items] == ["reasoning", "message", "function_call"]


def test_refusals_and_log_probabilities_come_through() -> None:
    events = streamed(chunk(content="I"), chunk(refusal="No."), chunk("stop"))
    (item,) = events[-1]["response"]["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]
    assert "refusal.done" in kinds_of(events)
    row = {"token": "I", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "I", "logprob": -0.5, "bytes": [73]}]}  # fmt: skip
    wanted = [{"token": "I", "logprob": -0.5, "bytes": [], "top_logprobs": [{"token": "I", "logprob": -0.5, "bytes": [73]}]}]  # fmt: skip
    events = streamed(chunk(content="I", logprobs={"content": [row]}), chunk("stop"))
    assert next(e for e in events if e["type"].endswith("text.delta"))["logprobs"] == wanted
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == wanted
    body = told(whole(content="I", logprobs={"content": [row]}))
    assert body["output"][0]["content"][0]["logprobs"] == wanted


def test_an_error_in_a_stream_is_an_event_and_the_responses_end() -> None:
    stream = ResponseStream(ENVELOPE)
    cause = {"code": "upstream_truncated", "message": "It broke off.", "type": "api_error"}
    data = stream.feed(sse(chunk(content="Hel")))
    events = events_of(data + stream.fail("server_error", "It broke off.", cause))
    error, failed = events[-2:]
    assert (error["type"], error["code"], error["error"]) == ("error", "upstream_truncated", cause)
    assert error["param"] is None
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "It broke off."}
    assert failed["response"]["output"][0]["status"] == "incomplete"
    assert failed["response"]["output"][0]["content"][0]["text"] == "Hel"
    stream = ResponseStream(ENVELOPE)
    data = stream.feed(sse(chunk(reasoning="Hm."), chunk(content="Hel")))
    last = events_of(data + stream.fail("server_error", "It broke off.", cause))[-1]
    states = [item["status"] for item in last["response"]["output"]]
    assert states == ["completed", "incomplete"]
    early = events_of(ResponseStream(ENVELOPE).fail("server_error", "No.", cause))
    assert kinds_of(early) == ["created", "in_progress", "error", "failed"]


def test_a_chat_that_says_nothing_is_a_response_without_output() -> None:
    assert kinds_of(streamed()) == ["created", "in_progress", "completed"]
    assert streamed(chunk("stop"))[-1]["response"]["output"] == []
    assert told(whole(content=""))["output"] == []


@pytest.mark.parametrize("calls", ["text", [{"function": {"arguments": "x"}}]])
def test_what_is_no_chat_is_an_error(calls: Any) -> None:
    with pytest.raises(InvalidResponseError):
        ResponseStream(ENVELOPE).feed(sse(chunk(tool_calls=calls)))


@pytest.mark.parametrize("inner", [b"[" * 5000 + b"]" * 5000, b"NaN,"])
def test_what_cannot_be_read_is_an_error(inner: bytes) -> None:
    with pytest.raises(InvalidResponseError):
        ResponseStream(ENVELOPE).feed(b'data: {"choices":[],"x":' + inner + b"}\n\n")


def test_of_several_choices_the_first_is_told_and_what_is_odd_is_read() -> None:
    other: Body = {"choices": [{"index": 1, "delta": {"content": "no"}}]}
    bare: Body = {"choices": [{"delta": {"content": "lo"}}]}
    parts = chunk(content=[{"type": "text", "text": "!"}])
    first = {**chunk(content="Hel"), "service_tier": "flex"}
    events = streamed(first, other, bare, {}, parts, chunk("stop"))
    last = events[-1]["response"]
    assert last["output"][0]["content"][0]["text"] == "Hello!"
    assert last["service_tier"] == "flex"


@settings(max_examples=often(150), deadline=None)
@given(conversations())
def test_a_stream_spells_out_what_the_whole_answer_says(chat: tuple[list[Body], bytes]) -> None:
    chunks, data = chat
    events = streamed(*chunks)
    body = told(data)
    assert events[-1]["response"] == body
    ours = ResponseReader()
    ours.feed(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events[:-1]))
    output = [{k: v for k, v in item.items() if v is not None} for item in body["output"]]
    assert [item.to_dict() for item in ours.whole().output] == output


@pytest.mark.slow
@settings(max_examples=often(150), deadline=None)
@given(conversations())
def test_the_clients_own_accumulator_makes_the_same_of_it(chat: tuple[list[Body], bytes]) -> None:
    events = streamed(*chat[0])
    state: Any = ResponseStreamState(input_tools=[], text_format=openai.omit)
    for event in events:
        state.handle_event(STRICT.validate_python(event))
    if events[-1]["type"] == "response.completed":
        output = state._completed_response.model_dump(mode="json", exclude_unset=True)["output"]
        for item in output:
            for part in item.get("content") or ():
                part.pop("parsed", None)
            item.pop("parsed_arguments", None)
        assert output == events[-1]["response"]["output"]


@settings(max_examples=often(150), deadline=None)
@given(conversations(), st.lists(st.integers(0, 5000), max_size=8))
def test_however_whole_events_arrive_together_the_events_are_the_same(
    chat: tuple[list[Body], bytes], cuts: list[int]
) -> None:
    chunks = chat[0]
    stream = ResponseStream(ENVELOPE)
    places = sorted({cut % (len(chunks) + 1) for cut in cuts})
    groups = zip([0, *places], [*places, len(chunks)], strict=True)
    data = b"".join([stream.feed(sse(*chunks[a:b])) for a, b in groups]) + stream.end()
    assert events_of(data) == streamed(*chunks)

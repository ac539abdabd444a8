"""Anthropic's Messages API in the server's role: a chat's events in, a message's out."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.dialects.anthropic_answer import Told, message_body
from trunkline.dialects.anthropic_events import MessageReader
from trunkline.dialects.anthropic_stream import MessageWriter
from trunkline.dialects.openai_server import DONE_EVENT
from trunkline.errors import InvalidResponseError
from trunkline.gateway.tap import StreamTap
from trunkline.types import Choice, Completion, FunctionCall, Message, ToolCall, Usage
from trunkline.wire.sse import EventReader

TOLD = Told("msg_1", "asked", guess=7, stops=["END"])
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}


def chunk(finish: str | None = None, *, usage: Any = None, **delta: Any) -> bytes:
    body: dict[str, Any] = {
        "id": "x",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    if usage is not None:
        body["usage"] = usage
    return b"data: %b\n\n" % json.dumps(body).encode()


def counted(usage: Any = USAGE) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [], "usage": usage}).encode()


def piece(index: int | None, arguments: str | None = None, **more: Any) -> dict[str, Any]:
    name = more.pop("name", None)
    function = {} if arguments is None else {"arguments": arguments}
    if name is not None:
        function["name"] = name
    told = {} if index is None else {"index": index}
    return {**told, **more, "function": function}


def begun(index: int | None, arguments: str = "", **more: Any) -> dict[str, Any]:
    return piece(index, arguments, **{"id": f"c{index}", "name": "f", "type": "function", **more})


def events_of(data: bytes) -> list[dict[str, Any]]:
    found = []
    for event in EventReader().feed(data):
        body = json.loads(event.data)
        assert body["type"] == event.name
        found.append(body)
    return found


def written(*chunks: bytes, told: Told = TOLD) -> list[dict[str, Any]]:
    writer = MessageWriter(told)
    return events_of(b"".join([writer.events(one) for one in chunks]) + writer.end())


def folded(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Add events up as Anthropic's own client does."""
    snapshot: Any = None
    texts: dict[int, bytes] = {}
    for event in events:
        if event["type"] != "ping":
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=texts)  # type: ignore[arg-type]  # it reads plain objects, too
    assert isinstance(snapshot, anthropic.types.Message)
    found = snapshot.to_dict()
    for block in found["content"]:  # type: ignore[attr-defined]  # a list of objects
        block.pop("parsed_output", None)
    return found


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def deltas(events: list[dict[str, Any]]) -> list[Any]:
    return [event["delta"] for event in events if event["type"] == "content_block_delta"]


def content(*chunks: bytes, told: Told = TOLD) -> Any:
    return folded(written(*chunks, told=told))["content"]


def test_a_text_is_told_piece_by_piece() -> None:
    events = written(
        chunk(role="assistant", content=""), chunk(content="He"), chunk(content="llo"),
        chunk("stop"), counted(),
    )  # fmt: skip
    assert kinds(events) == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "asked",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 0},
    }
    assert deltas(events) == [{"type": "text_delta", "text": t} for t in ("He", "llo")]
    assert events[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "reasoning_text"])
def test_what_was_thought_is_a_block_of_its_own_that_nobody_signed(name: str) -> None:
    events = written(chunk(**{name: "h"}), chunk(**{name: "m"}), chunk(content="Hi"), chunk("stop"))
    assert [d["type"] for d in deltas(events)] == [
        "thinking_delta",
        "thinking_delta",
        "signature_delta",
        "text_delta",
    ]
    assert folded(events)["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "Hi"},
    ]


def test_thoughts_in_tags_are_told_apart_from_the_answer() -> None:
    pieces = ["<th", "ink>\nh", "m</thi", "nk>\n\nH", "i <b>"]
    said = content(*[chunk(content=text) for text in pieces], chunk("stop"))
    assert [(b["type"], b.get("thinking") or b.get("text")) for b in said] == [
        ("thinking", "hm"),
        ("text", "Hi <b>"),
    ]


def test_thoughts_are_left_out_where_the_client_wants_that() -> None:
    told = Told("msg_1", "asked", hide_thinking=True)
    said = content(chunk(reasoning="hm"), chunk(content="Hi"), chunk("stop"), told=told)
    assert said == [{"type": "text", "text": "Hi"}]


def test_a_refusal_is_text_and_the_reason() -> None:
    whole = folded(written(chunk(refusal="No"), chunk(refusal="."), chunk("stop")))
    assert whole["content"] == [{"type": "text", "text": "No."}]
    assert whole["stop_reason"] == "refusal"


A, B = {"x": 1}, {"y": [2]}
CALLS: dict[str, list[bytes]] = {
    "one after the other": [
        chunk(tool_calls=[begun(0)]), chunk(tool_calls=[piece(0, '{"x"')]),
        chunk(tool_calls=[piece(0, ":1}")]), chunk(tool_calls=[begun(1)]),
        chunk(tool_calls=[piece(1, '{"y":[')]), chunk(tool_calls=[piece(1, "2]}")]),
    ],
    "in turn": [
        chunk(tool_calls=[begun(0)]), chunk(tool_calls=[begun(1)]),
        chunk(tool_calls=[piece(0, '{"x"')]), chunk(tool_calls=[piece(1, '{"y":[')]),
        chunk(tool_calls=[piece(0, ":1}")]), chunk(tool_calls=[piece(1, "2]}")]),
    ],
    "the second first": [
        chunk(tool_calls=[begun(0), begun(1)]), chunk(tool_calls=[piece(1, '{"y":[2]}')]),
        chunk(tool_calls=[piece(0, '{"x":1}')]),
    ],
    "several in one event": [
        chunk(tool_calls=[begun(0, '{"x":'), begun(1, '{"y":')]),
        chunk(tool_calls=[piece(0, "1}"), piece(1, "[2]}")]),
    ],
    "whole": [chunk(tool_calls=[begun(0, '{"x":1}'), begun(1, '{"y":[2]}')])],
    "without an index": [
        chunk(tool_calls=[begun(None, '{"x"', id="c0")]), chunk(tool_calls=[piece(None, ":1}")]),
        chunk(tool_calls=[begun(None, '{"y":[2]}', id="c1")]),
    ],
    "with an object": [
        chunk(tool_calls=[{"index": 0, "id": "c0", "function": {"name": "f", "arguments": A}}]),
        chunk(tool_calls=[{"index": 1, "id": "c1", "function": {"name": "f", "arguments": B}}]),
    ],
    "told with odd numbers": [
        chunk(tool_calls=[begun(1, id="c0")]), chunk(tool_calls=[piece(1, '{"x":1}')]),
        chunk(tool_calls=[begun(0, id="c1")]), chunk(tool_calls=[piece(0, '{"y":[2]}')]),
    ],
    "with text within": [
        chunk(tool_calls=[begun(0, '{"x"')]), chunk(content=" "), chunk(tool_calls=[piece(0, ":1}")]),
        chunk(tool_calls=[begun(1, '{"y":[2]}')]),
    ],
}  # fmt: skip


CALLS |= {
    "with a thought within": [
        chunk(tool_calls=[begun(0, '{"x"')]),
        chunk(reasoning="hm"),
        chunk(tool_calls=[piece(0, ":1}")]),
        chunk(tool_calls=[begun(1, '{"y":[2]}')]),
    ],
    "with text between, and blanks behind": [
        chunk(tool_calls=[begun(0, '{"x":1}')]),
        chunk(content="Then"),
        chunk(tool_calls=[piece(0, " ")]),
        chunk(tool_calls=[begun(1, '{"y":[2]}')]),
        chunk(tool_calls=[piece(0, "\n")]),
        chunk(tool_calls=[{"index": 1}]),
    ],
}


@pytest.mark.parametrize("chunks", CALLS.values(), ids=CALLS.keys())
def test_calls_are_told_one_after_the_other_however_they_came(chunks: list[bytes]) -> None:
    events = written(*chunks, chunk("tool_calls"))
    open_now: list[int] = []
    for event in events:
        if event["type"] == "content_block_start":
            assert not open_now
            open_now.append(event["index"])
        elif event["type"] == "content_block_delta":
            assert open_now == [event["index"]]
        elif event["type"] == "content_block_stop":
            assert open_now.pop() == event["index"]
    whole = folded(events)
    uses = [block for block in whole["content"] if block["type"] == "tool_use"]
    assert [(use["id"], use["name"], use["input"]) for use in uses] == [
        ("c0", "f", A),
        ("c1", "f", B),
    ]
    assert whole["stop_reason"] == "tool_use"


def test_a_call_that_is_read_as_it_comes_is_told_as_it_comes() -> None:
    writer = MessageWriter(TOLD)
    writer.events(chunk(tool_calls=[begun(0)]))
    for text in ('{"x"', ":", "1}"):
        (event,) = events_of(writer.events(chunk(tool_calls=[piece(0, text)])))
        assert event["delta"] == {"type": "input_json_delta", "partial_json": text}


def test_calls_without_arguments_or_an_id_are_whole_all_the_same() -> None:
    said = content(
        chunk(content="\n\n"), chunk(tool_calls=[piece(0, name="f")]),
        chunk(tool_calls=[piece(1, name="g")]), chunk("stop"),
    )  # fmt: skip
    assert [(b["type"], b.get("id"), b.get("input")) for b in said] == [
        ("text", None, None),
        ("tool_use", "toolu_1_0", {}),
        ("tool_use", "toolu_1_1", {}),
    ]


@pytest.mark.parametrize(
    "calls", [[piece(0, "{}")], [begun(0, "{}"), piece(1, "{}", id="c1")], "no list"]
)
def test_calls_that_cannot_be_told_are_an_error(calls: Any) -> None:
    with pytest.raises(InvalidResponseError):
        written(chunk(tool_calls=calls), chunk("tool_calls"))


@pytest.mark.parametrize(
    "between",
    [[chunk(content="Then")], [chunk(tool_calls=[begun(1, "{}")])]],
    ids=["text", "another call"],
)
def test_a_call_that_goes_on_after_it_was_whole_is_an_error(between: list[bytes]) -> None:
    with pytest.raises(InvalidResponseError, match="goes on"):
        written(
            chunk(tool_calls=[begun(0, '{"x":1}')]), *between, chunk(tool_calls=[piece(0, "2")])
        )


def test_what_is_said_within_a_call_follows_all_of_them() -> None:
    said = content(
        chunk(tool_calls=[begun(0, "{")]), chunk(content="a"), chunk(reasoning="b"),
        chunk(reasoning="c"), chunk(tool_calls=[piece(0, "}")]), chunk("tool_calls"),
    )  # fmt: skip
    assert [(b["type"], b.get("text") or b.get("thinking")) for b in said] == [
        ("tool_use", None),
        ("text", "a"),
        ("thinking", "bc"),
    ]


def test_an_event_that_says_nothing_writes_nothing() -> None:
    writer = MessageWriter(TOLD)
    assert writer.events(b'data: {"id":"x","choices":[]}\n\n') == b""
    with pytest.raises(InvalidResponseError):
        writer.events(b"data: {\n\n")


ENDS: dict[str, tuple[list[bytes], tuple[str | None, str | None]]] = {
    "stop": ([chunk("stop")], ("end_turn", None)),
    "length": ([chunk("length")], ("max_tokens", None)),
    "a filter": ([chunk("content_filter")], ("refusal", None)),
    "another": ([chunk("eos_token")], ("eos_token", None)),
    "none": ([], (None, None)),
    "a stop that the server names": (
        [
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop",'
            b'"stop_reason":"END"}]}\n\n'
        ],
        ("stop_sequence", "END"),
    ),
}


@pytest.mark.parametrize(("last", "ended"), ENDS.values(), ids=ENDS.keys())
def test_why_it_ended_is_told_and_never_made_up(
    last: list[bytes], ended: tuple[str | None, str | None]
) -> None:
    whole = folded(written(chunk(content="Hi"), *last))
    assert (whole["stop_reason"], whole["stop_sequence"]) == ended


COUNTS: dict[str, tuple[list[bytes], dict[str, Any]]] = {
    "behind the reason": ([chunk("stop"), counted()], {"input_tokens": 10, "output_tokens": 5}),
    "with the reason": ([chunk("stop", usage=USAGE)], {"input_tokens": 10, "output_tokens": 5}),
    "in front of it": ([counted(), chunk("stop")], {"input_tokens": 10, "output_tokens": 5}),
    "aside": (
        [
            chunk("stop"),
            b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":10,"completion_tokens":5}}}\n\n',
        ],
        {"input_tokens": 10, "output_tokens": 5},
    ),
    "from a cache": (
        [chunk("stop", usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 4}})],
        {"input_tokens": 6, "output_tokens": 5, "cache_read_input_tokens": 4},
    ),
    "nowhere": ([chunk("stop")], {"input_tokens": 7, "output_tokens": 3, "estimated": True}),
}


@pytest.mark.parametrize(("last", "told"), COUNTS.values(), ids=COUNTS.keys())
def test_tokens_are_the_upstreams_or_marked_as_an_estimate(
    last: list[bytes], told: dict[str, Any]
) -> None:
    events = written(chunk(content="Hello, "), chunk(content="you"), *last)
    assert events[-2]["usage"] == told


ODD: dict[str, bytes] = {
    "a name": b"event: message\n" + chunk(content="Hi"),
    "several lines": b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"Hi"}}]}\n\n',
    "content in parts": chunk(content=[{"type": "text", "text": "Hi"}]),
    "an index that is none": chunk(content="Hi").replace(b'"index": 0', b'"index": null'),
    "a message": chunk(content="Hi").replace(b'"delta"', b'"message"'),
    "another choice beside": (
        b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}},'
        b'{"index":1,"delta":{"content":"Ho"}}]}\n\n'
    ),
}


@pytest.mark.parametrize("event", ODD.values(), ids=ODD.keys())
def test_odd_events_say_the_same(event: bytes) -> None:
    assert content(event, chunk("stop")) == [{"type": "text", "text": "Hi"}]


def test_a_lone_surrogate_and_raw_line_separators_go_through() -> None:
    said = content(
        b'data: {"choices":[{"index":0,"delta":{"content":"a\xe2\x80\xa8"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"b\xe2\x80\xa9\xc2\x85"}}]}\n\n',
        chunk("stop"),
    )
    assert said[0]["text"] == "a\u2028b\u2029\x85"


def test_comments_say_that_the_server_is_still_there() -> None:
    writer = MessageWriter(TOLD)
    assert kinds(events_of(writer.events(b": waiting\n\n"))) == ["message_start", "ping", "ping"]
    assert kinds(events_of(writer.events(b": waiting\n\n"))) == ["ping"]


# properties

PIECES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=6)
ARGUMENTS = st.dictionaries(
    st.text("ab", max_size=3), st.integers() | st.text(max_size=5), max_size=3
)


@st.composite
def chats(draw: st.DrawFn) -> tuple[list[bytes], Completion]:
    """Draw a chat's stream, and the same answer whole."""
    thought, said = draw(PIECES), draw(PIECES)
    text = "".join(said)
    calls = draw(st.lists(ARGUMENTS, max_size=3))
    chunks = [chunk(role="assistant")]
    chunks += [chunk(reasoning_content=piece) for piece in thought]
    chunks += [chunk(content=piece) for piece in said]
    for index, arguments in enumerate(calls):
        chunks.append(chunk(tool_calls=[begun(index)]))
        whole = json.dumps(arguments)
        cut = draw(st.integers(0, len(whole)))
        chunks += [chunk(tool_calls=[piece(index, part)]) for part in (whole[:cut], whole[cut:])]
    finish = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    chunks += [chunk(finish), counted()]
    message = Message(
        content=text,
        reasoning="".join(thought) or None,
        tool_calls=[
            ToolCall(f"c{i}", FunctionCall("f", json.dumps(a))) for i, a in enumerate(calls)
        ] or None,
    )  # fmt: skip
    usage = Usage(prompt_tokens=10, completion_tokens=5)
    return chunks, Completion("x", "m", [Choice(0, message, finish)], usage=usage)


def plain(text: str) -> bool:
    """Tell whether a text is an answer alone: no tags, nor what could be the beginning of one."""
    return "<" not in text


@settings(max_examples=often(150), deadline=None)
@given(chats())
def test_events_add_up_to_the_whole_answer(drawn: tuple[list[bytes], Completion]) -> None:
    chunks, whole = drawn
    if plain(whole.choices[0].message.content or ""):
        assert folded(written(*chunks)) == {**message_body(whole, TOLD), "stop_details": None}


@settings(max_examples=often(150), deadline=None)
@given(chats())
def test_our_own_reader_reads_the_same_message(drawn: tuple[list[bytes], Completion]) -> None:
    chunks, _ = drawn
    writer, reader = MessageWriter(TOLD), MessageReader()
    for one in chunks:
        reader.feed(writer.events(one))
    reader.feed(writer.end())
    reader.finish()
    assert reader.failure is None
    assert reader.finished
    told = reader.whole().model_dump(exclude_none=True)
    expected = folded(written(*chunks))
    assert [block["type"] for block in told["content"]] == [
        block["type"] for block in expected["content"]
    ]
    assert reader.whole().text == "".join(b.get("text", "") for b in expected["content"])


@settings(max_examples=often(200), deadline=None)
@given(chats(), st.data())
def test_any_split_of_a_streams_bytes_gives_the_same_events(
    drawn: tuple[list[bytes], Completion], data: st.DataObject
) -> None:
    chunks, _ = drawn
    stream = b"".join([*chunks, DONE_EVENT])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    writer, tap = MessageWriter(TOLD), StreamTap()
    found = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        told = tap.feed(stream[start:end])
        found += writer.events(told) if told else b""
    assert tap.whole
    expected = MessageWriter(TOLD)
    assert found + writer.end() == b"".join(map(expected.events, chunks)) + expected.end()

"""Answers in odd forms, put into the form that OpenAI's clients read; all others go on as they came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import InvalidResponseError
from trunkline.gateway import mending
from trunkline.gateway.mending import Mender
from trunkline.gateway.tap import StreamTap
from trunkline.gateway.tokens import read_answer

ARGUMENTS = '{"city":"Paris"}'


def chunk(*calls: Any, finish: str | None = None) -> bytes:
    delta = {"tool_calls": calls[0] if len(calls) == 1 else list(calls)} if calls else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b'{"choices":[' + json.dumps(choice).encode() + b"]}"


def through(*chunks: bytes) -> list[Any]:
    """Send chunks through a tap; returns those that go on, decoded."""
    tap = StreamTap()
    out = b"".join(tap.feed(b"data: " + data + b"\n\n") for data in chunks)
    assert tap.failure is None
    return [json.loads(event[6:]) for event in out.split(b"\n\n") if event]


def called(events: list[Any]) -> dict[int, tuple[str, str, str]]:
    """Put calls together by their index, as clients do."""
    found: dict[int, list[str]] = {}
    for event in events:
        for part in event["choices"][0]["delta"].get("tool_calls", ()):
            known = found.setdefault(part["index"], ["", "", ""])
            known[0] = known[0] or part.get("id") or ""
            known[1] = known[1] or part["function"].get("name") or ""
            known[2] += part["function"].get("arguments") or ""
    return {index: (call[0], call[1], call[2]) for index, call in found.items()}


def part(**fields: Any) -> dict[str, Any]:
    function = {k: fields.pop(k) for k in ("name", "arguments") if k in fields}
    return {**fields, "function": function}


WHOLE = part(id="a", name="f", arguments=ARGUMENTS)
OTHER = part(id="b", name="g", arguments=ARGUMENTS)
BOTH = {0: ("a", "f", ARGUMENTS), 1: ("b", "g", ARGUMENTS)}
FORMS = {
    "without an index": [chunk([part(id="a", name="f", arguments=ARGUMENTS[:5])]),
                         chunk([part(arguments=ARGUMENTS[5:])]), chunk([OTHER])],
    "both with index 0": [chunk([{"index": 0, **WHOLE}]), chunk([{"index": 0, **OTHER}])],
    "in one delta": [chunk([WHOLE, OTHER])],
    "arguments as objects": [chunk([{**call, "function": {**call["function"], "arguments":
                             {"city": "Paris"}}} for call in (WHOLE, OTHER)])],
    "one object": [chunk({"index": 0, **WHOLE}), chunk({"index": 1, **OTHER})],
    "an index that is text": [chunk([{"index": "0", **WHOLE}]), chunk([{"index": "1", **OTHER}])],
}  # fmt: skip


@pytest.mark.parametrize("chunks", FORMS.values(), ids=FORMS)
def test_calls_in_odd_forms_reach_clients_as_they_read_them(chunks: list[bytes]) -> None:
    assert called(through(*chunks)) == BOTH


WELL = [
    chunk([{"index": 1, **OTHER}]),
    chunk([{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
    chunk([{"index": 0, "function": {"arguments": ARGUMENTS}}]),
    chunk([{"index": 1, "id": "", "function": {"name": None, "arguments": ""}}]),
    chunk(finish="tool_calls"),
]


def test_calls_that_read_well_go_on_byte_for_byte() -> None:
    tap = StreamTap()
    events = [b"data: " + data + b"\n\n" for data in WELL]
    assert b"".join(tap.feed(event) for event in events) == b"".join(events)


def test_a_fragment_of_no_call_ends_the_stream() -> None:
    tap = StreamTap()
    assert tap.feed(b"data: " + chunk([part(arguments="{")]) + b"\n\n") == b""
    assert tap.failure is not None
    assert tap.unreadable
    with pytest.raises(InvalidResponseError):
        Mender().reads_well(0, 0, b'[{"function":{"arguments":"{"}}]')


FRAGMENTS = st.lists(
    st.builds(
        lambda index, call_id, name, arguments: {
            **({} if index is None else {"index": index}),
            **({} if call_id is None else {"id": call_id}),
            "function": {"name": name, "arguments": arguments},
        },
        st.sampled_from([None, 0, 1, 2]),
        st.sampled_from([None, "", "a", "b", "c"]),
        st.sampled_from([None, "f"]),
        st.sampled_from(["", "x", "yz"]),
    ),
    min_size=1,
    max_size=8,
)


@given(FRAGMENTS)
def test_whatever_comes_clients_put_together_the_calls_that_the_sdk_does(
    fragments: list[dict[str, Any]],
) -> None:
    chunks = [chunk([fragment]) for fragment in fragments]
    reader = ChunkReader()
    for data in chunks:
        reader.feed(b"data: " + data + b"\n\n")
    tap = StreamTap()
    out = b"".join(tap.feed(b"data: " + data + b"\n\n") for data in chunks)
    assert (tap.failure is None) == (reader.failure is None)
    if reader.failure is None:
        wanted = sorted(
            (call.function.name, call.function.arguments)
            for call in reader.fold.completion().tool_calls
        )
        events = [json.loads(event[6:]) for event in out.split(b"\n\n") if event]
        found = called(events).values()
        assert sorted((name, arguments or "{}") for _, name, arguments in found) == [
            (name, arguments or "{}") for name, arguments in wanted
        ]


def test_chunks_without_choices_or_deltas_get_them() -> None:
    events = through(b'{"choices":null}', b'{"choices":[{"index":0,"finish_reason":null}]}')
    assert events == [
        {"choices": []},
        {"choices": [{"index": 0, "finish_reason": None, "delta": {}}]},
    ]
    text = b'{"choices":[{"index":0,"text":"Hello"}]}'
    assert through(text) == [json.loads(text)]


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": -1}, {"total_tokens": -8, "prompt_tokens": -1}]
)
def test_usage_below_zero_is_unknown(usage: dict[str, int]) -> None:
    body = {"choices": [{"index": 0, "message": {"content": "x"}}], "usage": usage}
    assert json.loads(mending.whole(json.dumps(body).encode()) or b"")["usage"] is None
    assert through(json.dumps({"choices": [], "usage": usage}).encode())[0]["usage"] is None


def whole(**message: Any) -> bytes:
    choice = {"index": 0, "message": {"content": None, **message}, "finish_reason": "stop"}
    return json.dumps({"id": "x", "choices": [choice]}).encode()


UNTOUCHED = [
    whole(content="Hello :-) naïve"),
    whole(content=": -1 or so"),
    whole(tool_calls=[WHOLE, OTHER]),
    whole(tool_calls=None),
    b'{"choices":[{"index":0,"text":"Hello","finish_reason":"stop"}]}',
    b'{"object":"list","data":[{"embedding":[-0.5,0.25]}],"usage":{"prompt_tokens":1}}',
]


@pytest.mark.parametrize("data", UNTOUCHED)
def test_a_whole_answer_that_reads_well_is_not_touched(data: bytes) -> None:
    assert mending.whole(data) is data
    read = read_answer(data)
    assert read is not None
    assert read[1] is False


ODD = [
    whole(tool_calls=WHOLE),
    whole(tool_calls=[{**WHOLE, "function": {"name": "f", "arguments": {"city": "Paris"}}}]),
    whole(content="caf?").replace(b"?", b"\xe9"),
    b'{"choices":[{"index":0}]}',
    b'{"choices":[{"index":0,"message":{}}],"usage":{"prompt_tokens":-1}}',
]


@pytest.mark.parametrize("data", ODD)
def test_what_has_to_be_mended_is_known_when_it_is_read(data: bytes) -> None:
    read = read_answer(data)
    assert read is not None
    assert read[1] is True
    assert mending.whole(data) != data


def test_a_whole_answers_calls_become_a_list_with_text() -> None:
    odd = {**WHOLE, "function": {"name": "f", "arguments": {"city": "Paris"}}}
    for calls in (odd, [odd]):
        told = json.loads(mending.whole(whole(tool_calls=calls)) or b"")
        assert told["choices"][0]["message"]["tool_calls"] == [WHOLE]
        assert told["id"] == "x"


def test_text_that_is_none_is_marked() -> None:
    told = mending.whole(whole(content="caf?").replace(b"?", b"\xe9"))
    assert told is not None
    assert json.loads(told)["choices"][0]["message"]["content"] == "caf\ufffd"


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"index":0}]}',
        b'{"choices":[{"index":0,"message":null}]}',
        b"{",
        b'{"choices":[7]}',
    ],
)
def test_a_whole_answer_that_says_nothing_is_none(data: bytes) -> None:
    assert mending.whole(data) is None

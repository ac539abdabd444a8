"""A second answer after a cut one: what of it is handed out, and when it is another answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import APIConnectionError, InvalidResponseError, StreamTruncated
from trunkline.routing.restart import Delivered, RestartReader, delivered_of
from trunkline.types import Chunk, Completion

CAUSE = StreamTruncated("cut")
HERE = Delivered("Once upon", "hm")
CALLS = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]


def event(index: int = 0, finish: str | None = None, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'


def read(reader: RestartReader, *events: bytes) -> list[Chunk]:
    return [chunk for data in events for chunk in reader.feed(data)]


def said(chunks: list[Chunk]) -> tuple[str, str]:
    deltas = [c.delta for chunk in chunks for c in chunk.choices if c.index == 0]
    return "".join(d.content or "" for d in deltas), "".join(d.reasoning or "" for d in deltas)


@pytest.mark.parametrize(
    ("there", "events", "rest"),
    [
        (Delivered("Once"), [event(content="Once"), event(content=" upon")], (" upon", "")),
        (Delivered("Once"), [event(content="Once upon")], (" upon", "")),
        (Delivered("Once"), [event(content="O"), event(content="nce upon")], (" upon", "")),
        (HERE, [event(reasoning="hm"), event(content="Once upon a")], (" a", "")),
        (HERE, [event(reasoning="hm", content="Once upon a")], (" a", "")),
        (Delivered("", "h"), [event(reasoning="hmm"), event(content="So")], ("So", "mm")),
        (Delivered(), [event(role="assistant"), event(content="So")], ("So", "")),
        (Delivered("Once"), [USAGE, event(content="Once!")], ("!", "")),
        (Delivered("Once"), [event(1, content="Other"), event(content="Once!")], ("!", "")),
    ],
)
def test_what_was_delivered_is_not_delivered_again(
    there: Delivered, events: list[bytes], rest: tuple[str, str]
):
    reader = RestartReader(there, CAUSE, ChunkReader())
    assert said(read(reader, *events)) == rest
    assert reader.failure is None
    assert reader.delivered.content == there.content + rest[0]
    assert reader.delivered.reasoning == there.reasoning + rest[1]


@pytest.mark.parametrize(
    "events",
    [
        [event(content="Twice")],
        [event(reasoning="hm"), event(content="Once"), event(content=" more")],
        [event(content="Once upon")],
        [event(reasoning="hmm")],
        [event(reasoning="ah")],
        [event(reasoning="hm"), event(content="Once"), event(tool_calls=CALLS)],
        [event(reasoning="hm"), event(content="Once"), event(refusal="no")],
        [event(reasoning="hm"), event(content="Once"), event(finish="stop")],
    ],
    ids=[
        "other words",
        "other words later",
        "no reasoning",
        "more reasoning",
        "other reasoning",
        "tool calls too soon",
        "a refusal too soon",
        "an end too soon",
    ],
)
def test_another_answer_is_not_delivered_on(events: list[bytes]):
    reader = RestartReader(HERE, CAUSE, ChunkReader())
    chunks = read(reader, *events)
    chunks += reader.finish()
    assert isinstance(reader.failure, InvalidResponseError)
    assert reader.done
    assert said(chunks) == ("", "")
    assert all(
        c.finish_reason is None and not c.delta.tool_calls for k in chunks for c in k.choices
    )
    assert reader.delivered == HERE


def test_a_second_answer_that_breaks_too_fails_with_what_broke_it():
    cut = APIConnectionError("reset")
    reader = RestartReader(Delivered("Once"), CAUSE, ChunkReader())
    read(reader, event(content="On"))
    reader.finish(cut)
    assert isinstance(reader.failure, StreamTruncated)
    assert reader.delivered == Delivered("Once")
    past = RestartReader(Delivered("Once"), CAUSE, ChunkReader())
    read(past, event(content="Once up"))
    past.finish(cut)
    assert past.delivered == Delivered("Once up")


def test_what_came_of_another_choice_cannot_be_gone_on_from():
    reader = RestartReader(Delivered("Once"), CAUSE, ChunkReader())
    read(reader, event(1, content="Other"))
    assert reader.delivered.more


def test_what_an_answer_without_choices_delivered_is_nothing():
    assert delivered_of(Completion(None, None, [])) == Delivered()


def test_of_several_choices_in_one_event_the_others_are_handed_out_as_they_are():
    choices = [
        {"index": 0, "delta": {"content": "Once upon"}},
        {"index": 1, "delta": {"content": "Other"}},
    ]
    data = b"data: " + json.dumps({"id": "c", "choices": choices}).encode() + b"\n\n"
    reader = RestartReader(Delivered("Once"), CAUSE, ChunkReader())
    (chunk,) = reader.feed(data)
    assert [c.delta.content for c in chunk.choices] == [" upon", "Other"]


def test_a_second_answer_that_ends_with_other_choices_alone_is_another_one():
    reader = RestartReader(Delivered("Once"), CAUSE, ChunkReader())
    read(reader, event(1, content="Other"), event(1, finish="stop"), b"data: [DONE]\n\n")
    reader.finish()
    assert reader.failure is not None

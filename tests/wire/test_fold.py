"""Chunks folded into what they spell out, in whatever order their choices come."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.types import (
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    FunctionDelta,
    ToolCallDelta,
    Usage,
)
from trunkline.wire.fold import Fold


def folded(*chunks: Chunk) -> Fold:
    fold = Fold()
    for chunk in chunks:
        fold.add(chunk)
    return fold


def said(index: int = 0, finish: str | None = None, logprobs: Any = None, **delta: Any) -> Chunk:
    return Chunk("c", "m", [ChunkChoice(index, Delta(**delta), finish, logprobs)])


def test_nothing_folds_to_nothing() -> None:
    fold = Fold()
    assert (fold.empty, fold.finished, fold.text) == (True, False, "")
    assert fold.completion() == Completion(None, None, [])


def test_a_fold_is_read_at_any_time() -> None:
    fold = folded(said(content="Hel"))
    assert (fold.empty, fold.finished, fold.text) == (False, False, "Hel")
    assert fold.completion().choices[0].finish_reason is None
    fold.add(said(content="lo", finish="stop"))
    assert (fold.finished, fold.text, fold.completion().text) == (True, "Hello", "Hello")


def test_every_choice_that_began_has_to_finish() -> None:
    fold = folded(said(1, content="b"), said(0, finish="stop"))
    assert not fold.finished
    assert fold.text == ""
    fold.add(said(1, finish="length"))
    assert fold.finished
    assert [choice.index for choice in fold.completion().choices] == [0, 1]


def test_a_frame_of_usage_alone_finishes_nothing() -> None:
    fold = folded(Chunk(None, None, [], usage=Usage(1)))
    assert not fold.finished
    assert fold.usage == Usage(1)
    assert folded(Chunk(None, None, [], usage=Usage(1)), said(content="x")).completion().id == "c"


def test_a_call_may_come_without_a_function() -> None:
    calls = [ToolCallDelta(0, "a"), ToolCallDelta(0, None, FunctionDelta("f"))]
    whole = folded(*(said(tool_calls=[call]) for call in calls)).completion()
    assert [(c.id, c.function.name, c.function.arguments) for c in whole.tool_calls] == [
        ("a", "f", "{}")
    ]


def test_logprobs_that_are_no_lists_are_replaced() -> None:
    fold = folded(said(logprobs=[1]), said(logprobs={"a": 1, "b": [1]}))
    fold.add(said(logprobs={"a": 2, "b": [2], "c": 3}))
    assert fold.completion().choices[0].logprobs == {"a": 2, "b": [1, 2], "c": 3}


CHUNKS = st.lists(
    st.builds(
        said,
        st.integers(0, 3),
        finish=st.sampled_from([None, None, "stop"]),
        content=st.none() | st.text(max_size=4),
        reasoning=st.none() | st.text(max_size=4),
        refusal=st.none() | st.text(max_size=4),
    ),
    max_size=20,
)


@given(CHUNKS)
@settings(max_examples=often(200), deadline=None)
def test_each_choice_is_the_sum_of_its_own_chunks(chunks: list[Chunk]) -> None:
    whole = folded(*chunks).completion()
    for choice in whole.choices:
        own = [c.choices[0] for c in chunks if c.choices[0].index == choice.index]
        assert (choice.message.content or "") == "".join(c.delta.content or "" for c in own)
        assert (choice.message.reasoning or "") == "".join(c.delta.reasoning or "" for c in own)
        assert choice.finish_reason == next((c.finish_reason for c in own if c.finish_reason), None)


@given(CHUNKS)
@settings(max_examples=often(100), deadline=None)
def test_the_order_of_choices_among_each_other_does_not_matter(chunks: list[Chunk]) -> None:
    regrouped = sorted(chunks, key=lambda chunk: chunk.choices[0].index)
    assert folded(*regrouped).completion() == folded(*chunks).completion()

"""Tool calls from streamed fragments: by index, then by id, in order of appearance."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import DONE, END, answer, delta, event, events, failure

from trials import often
from trunkline.errors import InvalidResponseError, StreamTruncated

Fragment = dict[str, Any]


def part(
    index: Any = None, call_id: Any = None, name: Any = None, arguments: Any = None, **more: Any
) -> Fragment:
    """Return a fragment with only what is given."""
    function = {k: v for k, v in {"name": name, "arguments": arguments}.items() if v is not None}
    told = {k: v for k, v in {"index": index, "id": call_id}.items() if v is not None}
    return {**told, **({"function": function} if function else {}), **more}


def calls_of(*deltas: Any) -> list[tuple[str, str, str]]:
    """Return (id, name, arguments) of the calls that the deltas spell out."""
    stream = events(*(delta(tool_calls=item) for item in deltas))
    return [
        (call.id, call.function.name, call.function.arguments)
        for call in answer(stream + END).tool_calls
    ]


TWO = [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]

FRAGMENTS: dict[str, tuple[list[Any], list[tuple[str, str, str]]]] = {
    "as OpenAI sends them": (
        [[part(0, "a", "f", "")], [part(0, arguments='{"x"')], [part(0, arguments=":1}")],
         [part(1, "b", "g", "")], [part(1, arguments='{"y":2}')]], TWO),
    "interleaved": (
        [[part(0, "a", "f"), part(1, "b", "g")], [part(1, arguments='{"y"')],
         [part(0, arguments='{"x":1}')], [part(1, arguments=":2}")]], TWO),
    "the second index first": (
        [[part(1, "a", "f", '{"x":1}')], [part(0, "b", "g", '{"y":2}')]], TWO),
    "indices with a gap": (
        [[part(3, "a", "f", '{"x":1}')], [part(7, "b", "g", '{"y":2}')]], TWO),
    "whole calls without an index": (
        [[part(None, "a", "f", '{"x":1}'), part(None, "b", "g", '{"y":2}')]], TWO),
    "one index for every call, other ids": (
        [[part(0, "a", "f", '{"x":1}')], [part(0, "b", "g", '{"y"')], [part(0, arguments=":2}")]],
        TWO),
    "no index, id on each fragment": (
        [[part(None, "a", "f", '{"x"')], [part(None, "b", "g", '{"y"')],
         [part(None, "a", arguments=":1}")], [part(None, "b", arguments=":2}")]], TWO),
    "no index, id on the first fragment": (
        [[part(None, "a", "f", '{"x"')], [part(arguments=":1}")],
         [part(None, "b", "g", '{"y"')], [part(arguments=":2}")]], TWO),
    "index and id on each fragment": (
        [[part(0, "a", "f", '{"x"')], [part(0, "a", "f", ":1}")], [part(1, "b", "g", '{"y":2}')]],
        TWO),
    "the id comes late": (
        [[part(0, None, "f", '{"x"')], [part(0, "a", arguments=":1}")],
         [part(1, "b", "g", '{"y":2}')]], TWO),
    "empty id and null name in fragments": (
        [[part(0, "a", "f")],
         [{"index": 0, "id": "", "function": {"name": None, "arguments": '{"x":1}'}}],
         [part(1, "b", "g", '{"y":2}')]], TWO),
    "numbers for ids": (
        [[part(0, 17, "f", "{}")], [part(0, 18, "g", "{}")]], [("17", "f", "{}"), ("18", "g", "{}")]),
    "a text for an index": (
        [[part("0", "a", "f", '{"x"')], [part("0", arguments=":1}")], [part("1", "b", "g", '{"y":2}')]],
        TWO),
    "an object for the list": (
        [part(0, "a", "f", '{"x":1}'), part(1, "b", "g", '{"y":2}')], TWO),
    "an object for the arguments": (
        [[part(0, "a", "f", {"x": 1})], [part(1, "b", "g", {"y": 2})]], TWO),
    "no arguments": ([[part(0, "a", "f")]], [("a", "f", "{}")]),
    "no ids": (
        [[part(0, None, "f", '{"x":1}')], [part(1, None, "g", '{"y":2}')]],
        [("call_0", "f", '{"x":1}'), ("call_1", "g", '{"y":2}')]),
    "neither index nor id": (
        [[part(None, None, "f", '{"x":1}')], [part(None, None, "g", '{"y":2}')]],
        [("call_0", "f", '{"x":1}'), ("call_1", "g", '{"y":2}')]),
    "no name": ([[part(0, "a", None, "{}")]], [("a", "", "{}")]),
    "fragments that are none": ([["x", None, 5, part(0, "a", "f", "{}")]], [("a", "f", "{}")]),
    "types that are none": (
        [[{"index": 0, "id": "a", "type": 5, "function": {"name": {}, "arguments": "{}"}}]],
        [("a", "", "{}")]),
}  # fmt: skip


@pytest.mark.parametrize(("deltas", "calls"), FRAGMENTS.values(), ids=FRAGMENTS)
def test_fragments_are_put_together(deltas: list[Any], calls: list[tuple[str, str, str]]) -> None:
    assert calls_of(*deltas) == calls


def test_a_fragment_that_belongs_to_no_call_is_an_error() -> None:
    error = failure(event(delta(tool_calls=[part(arguments='{"x"')])) + END)
    assert isinstance(error, InvalidResponseError)
    assert "belongs to no call" in error.message


def test_arguments_nested_as_deep_as_they_can_be_read_are_text_or_an_error_of_ours() -> None:
    for depth in range(800, 1000):
        nested = (
            b'{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"arguments":%b%b}}]}}]}'
        )
        stream = event(nested % (b"[" * depth, b"]" * depth))
        assert isinstance(failure(stream), (InvalidResponseError, StreamTruncated))


def test_calls_of_several_choices_are_kept_apart() -> None:
    a = delta(0, tool_calls=[part(0, "a", "f", "{}")])
    b = delta(1, tool_calls=[part(0, "b", "g", "{}")])
    more = delta(1, tool_calls=[part(0, arguments=" ")])
    ended = events(delta(0, "tool_calls"), delta(1, "tool_calls"), DONE)
    found = answer(events(a, b, more) + ended).choices
    assert [[c.id for c in choice.message.tool_calls or []] for choice in found] == [["a"], ["b"]]
    assert found[1].message.tool_calls is not None
    assert found[1].message.tool_calls[0].function.arguments == "{} "


def test_a_message_of_calls_alone_has_no_content() -> None:
    message = answer(event(delta(tool_calls=[part(0, "a", "f", "{}")])) + END).choices[0].message
    assert message.content is None
    assert message.tool_calls is not None


def test_undeclared_fields_of_a_call_are_kept() -> None:
    first = part(0, "a", "f", "{", extra_content={"google": {"thought_signature": "s"}})
    call = answer(
        events(delta(tool_calls=[first]), delta(tool_calls=[part(0, arguments="}")])) + END
    )
    assert call.tool_calls[0].extra_content == {"google": {"thought_signature": "s"}}


CALLS = st.lists(
    st.tuples(
        st.from_regex(r"\A[a-z]{1,6}\Z"),
        st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=3),
    ),
    min_size=1,
    max_size=4,
)


@given(calls=CALLS, size=st.integers(1, 7), random=st.randoms(use_true_random=False))
@settings(max_examples=often(150), deadline=None)
def test_calls_survive_any_cut_of_their_arguments_in_any_order(
    calls: list[tuple[str, dict[str, Any]]], size: int, random: Any
) -> None:
    queues = []
    for index, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        queues.append(
            [part(index, f"id{index}", name), *(part(index, arguments=p) for p in pieces)]
        )
    order = []
    while any(queues):
        order.append(random.choice([queue for queue in queues if queue]).pop(0))
    begun = list(dict.fromkeys(fragment["index"] for fragment in order))
    found = calls_of(*([fragment] for fragment in order))
    assert [(i, n, json.loads(a)) for i, n, a in found] == [
        (f"id{index}", calls[index][0], calls[index][1]) for index in begun
    ]

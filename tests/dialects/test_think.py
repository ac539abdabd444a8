"""`<think>` tags: told apart the same whether the text comes whole or in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import DONE, END, answer, delta, events, failure, read_chunks

from trials import often
from trunkline.dialects.think import ThinkSplitter, split_think
from trunkline.errors import StreamTruncated


def split(pieces: list[str]) -> tuple[str | None, str]:
    splitter = ThinkSplitter()
    parts = [splitter.feed(piece) for piece in pieces] + [splitter.finish()]
    return "".join(thought for thought, _ in parts) or None, "".join(text for _, text in parts)


TEXTS: list[tuple[str, str | None, str]] = [
    ("<think>Hm.</think>Hi", "Hm.", "Hi"),
    ("<think>\n Hm.\n m. \n</think>\n\n Hi \n", "Hm.\n m.", "Hi \n"),
    (" \n<think>Hm.</think>Hi", "Hm.", "Hi"),
    ("<think></think>Hi", None, "Hi"),
    ("<think> \n </think> Hi", None, "Hi"),
    ("<think>Hm.", "Hm.", ""),
    ("<think>Hm. <", "Hm. <", ""),
    ("<think>Hm. </thin", "Hm. </thin", ""),
    ("<think>a < b </ c</think>Hi", "a < b </ c", "Hi"),
    ("<think>a</think>b</think>c", "a", "b</think>c"),
    ("<think>a</think><think>b</think>", "a", "<think>b</think>"),
    ("<think><think>a</think>b", "<think>a", "b"),
    ("Hi", None, "Hi"),
    (" \n Hi", None, " \n Hi"),
    ("Hi <think>a", None, "Hi <think>a"),
    ("<thinking>a", None, "<thinking>a"),
    ("<thin", None, "<thin"),
    ("  <", None, "  <"),
    ("", None, ""),
    (" \n", None, " \n"),
]


@pytest.mark.parametrize(("text", "thought", "rest"), TEXTS)
def test_tags_are_told_apart_whole_and_in_pieces(text: str, thought: str | None, rest: str) -> None:
    assert split_think(text) == (thought, rest)
    assert split(list(text)) == (thought, rest)
    for place in range(len(text) + 1):
        assert split([text[:place], text[place:]]) == (thought, rest)


def test_only_a_whole_text_shows_that_it_began_inside_the_tags() -> None:
    assert split_think("Hm.</think>Hi") == ("Hm.", "Hi")
    assert split(["Hm.</think>Hi"]) == (None, "Hm.</think>Hi")


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<th", "ink>", "</", "<", " ", "\n", "a", "Hm. ", "/"]),
    max_size=12,
)


@given(PIECES, st.booleans())
@settings(max_examples=often(500), deadline=None)
def test_any_pieces_give_what_the_whole_gives(pieces: list[str], tagged: bool) -> None:
    text = "".join(["<think>", *pieces] if tagged else pieces)
    if text.lstrip().startswith("<think>") or "</think>" not in text:
        assert split(pieces if not tagged else ["<think>", *pieces]) == split_think(text)
        assert split(list(text)) == split_think(text)


def test_a_stream_is_split_where_asked() -> None:
    texts = ["<thi", "nk>H", "m.</", "think>", "\n\nHel", "lo"]
    stream = events(*(delta(content=text) for text in texts)) + END
    reader, chunks = read_chunks(stream, think_tags=True)
    message = reader.fold.completion().choices[0].message
    assert (message.reasoning, message.content) == ("Hm.", "Hello")
    assert [chunk.choices[0].delta.content for chunk in chunks] == [None] * 4 + ["Hel", "lo", None]
    assert answer(stream).text == "".join(texts)


def test_reasoning_of_both_kinds_is_joined() -> None:
    stream = events(delta(reasoning="A", content="<think>B</think>c")) + END
    message = answer(stream, think_tags=True).choices[0].message
    assert (message.reasoning, message.content) == ("AB", "c")


def test_choices_are_split_each_for_itself() -> None:
    begun = events(
        delta(0, content="<think>a"), delta(1, content="b"), delta(0, content="</think>c")
    )
    whole = answer(begun + events(delta(1, "stop"), delta(0, "stop"), DONE), think_tags=True)
    assert [(c.message.reasoning, c.message.content) for c in whole.choices] == [
        ("a", "c"),
        (None, "b"),
    ]


@pytest.mark.parametrize("end", [events(delta(finish="stop")), b""])
def test_what_was_held_back_comes_out_at_the_end_however_it_ends(end: bytes) -> None:
    for text, thought, rest in [("<think>Hm </th", "Hm </th", ""), ("<thi", None, "<thi")]:
        reader, chunks = read_chunks(events(delta(content=text)) + end, think_tags=True)
        message = reader.fold.completion().choices[0].message
        assert (message.reasoning, message.content or "") == (thought, rest)
        spoken = "".join(chunk.text for chunk in chunks)
        assert spoken == rest


def test_a_cut_stream_without_tags_keeps_its_text() -> None:
    error = failure(events(delta(content="<think>Hm")))
    assert isinstance(error, StreamTruncated)
    assert error.text == "<think>Hm"

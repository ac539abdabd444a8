"""Server-sent events against the WHATWG's text: any split of the bytes gives the same events."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.wire.sse import Event, EventReader, EventTooLargeError, write_event

QUICK = settings(max_examples=often(400), deadline=None)

Events = list[tuple[str, str]]


def reference(stream: bytes) -> Events:
    """Read a whole stream as the standard says it, step by step; return (name, data) pairs.

    It differs in one thing only: an event that the end of the stream cuts off is kept, since
    that is what `finish` is for.
    """
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    events: Events = []
    data = name = ""
    for line in [*re.split("\r\n|\n|\r", text), ""]:
        if line == "":
            if data != "":
                events.append((name, data.removesuffix("\n")))
            data = name = ""
        elif line[0] != ":":
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data += value + "\n"
            elif field == "event":
                name = value
    return events


def read(pieces: list[bytes], *, finish: bool = True) -> Events:
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    if finish:
        events += reader.finish()
    return [(event.name, event.data.decode("utf-8", "replace")) for event in events]


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Return `stream` cut at the given places, which wrap around its length."""
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


CORPUS: list[tuple[str, bytes, Events]] = [
    ("one event", b"data: a\n\n", [("", "a")]),
    ("no space after the colon", b"data:a\n\n", [("", "a")]),
    ("only one space is taken off", b"data:  a\n\n", [("", " a")]),
    ("a tab is no space", b"data:\ta\n\n", [("", "\ta")]),
    ("several data lines", b"data: a\ndata: b\ndata:c\n\n", [("", "a\nb\nc")]),
    ("CR", b"data: a\r\rdata: b\r\r", [("", "a"), ("", "b")]),
    ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", [("", "a"), ("", "b")]),
    ("mixed ends", b"data: a\r\ndata: b\rdata: c\n\r\n", [("", "a\nb\nc")]),
    ("LF CR is two ends", b"data: a\n\rdata: b\n\r", [("", "a"), ("", "b")]),
    ("BOM", b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
    ("a second BOM is text", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    ("a BOM later is text", b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("", "a")]),
    ("comments", b": ping\n\ndata: a\n:\n: b\n\n", [("", "a")]),
    ("a name", b"event: error\ndata: a\n\n", [("error", "a")]),
    ("a name after the data", b"data: a\nevent: error\n\n", [("error", "a")]),
    ("the last name counts", b"event: a\nevent: b\ndata: x\n\n", [("b", "x")]),
    ("a name is for one event", b"event: a\ndata: x\n\ndata: y\n\n", [("a", "x"), ("", "y")]),
    ("a name without data is no event", b"event: a\n\ndata: y\n\n", [("", "y")]),
    ("id and retry", b"id: 1\nretry: 10\ndata: a\n\nid\n\n", [("", "a")]),
    ("unknown fields", b"dat: a\nDATA: b\n data: c\ndata: d\n\n", [("", "d")]),
    ("empty data", b"data:\n\ndata\n\ndata: \n\n", [("", ""), ("", ""), ("", "")]),
    ("two empty lines of data", b"data\ndata\n\n", [("", "\n")]),
    ("blank lines between", b"\n\n\ndata: a\n\n\n\ndata: b\n\n", [("", "a"), ("", "b")]),
    ("colons in the data", b"data: a:b: c\n\n", [("", "a:b: c")]),
    ("line separators of Unicode", "data: a\u2028b\u2029c\x85d\x0b\x0c\n\n".encode(),
     [("", "a\u2028b\u2029c\x85d\x0b\x0c")]),
    ("bytes that are no UTF-8", b"data: a\xffb\xc3\n\n", [("", "a\ufffdb\ufffd")]),
    ("several bytes a character", "data: \u00e9\u6f22\U0001f600\n\n".encode(),
     [("", "\u00e9\u6f22\U0001f600")]),
    ("NUL", b"data: a\0b\n\n", [("", "a\0b")]),
    ("nothing", b"", []),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "events"), [c[1:] for c in CORPUS], ids=[c[0] for c in CORPUS])
def test_the_corpus_reads_as_the_standard_says(stream: bytes, events: Events) -> None:
    assert reference(stream) == events
    assert read([stream], finish=False) == events
    assert read([stream[i : i + 1] for i in range(len(stream))]) == events


@pytest.mark.parametrize("stream", [c[1] for c in CORPUS], ids=[c[0] for c in CORPUS])
def test_a_cut_at_any_one_place_changes_nothing(stream: bytes) -> None:
    for place in range(len(stream) + 1):
        assert read([stream[:place], stream[place:]]) == reference(stream)


PIECES = st.sampled_from(
    [b"data", b"data: ", b"data:x", b"event: e", b"event:", b"id: 7", b"retry: 1", b":", b": ping",
     b"\n", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b" ", b"x", b"[DONE]", b"{}",
     b"\xef\xbb\xbf", b"\xff", b"\xc2\x85", "\u2028".encode(), "\U0001f600".encode(), b"\xf0\x9f"]
)  # fmt: skip
STREAMS = st.lists(PIECES, max_size=30).map(b"".join) | st.binary(max_size=80)
CUTS = st.lists(st.integers(min_value=0, max_value=200), max_size=8)


@given(stream=STREAMS, cuts=CUTS)
@QUICK
def test_any_split_of_any_bytes_gives_what_the_standard_gives(
    stream: bytes, cuts: list[int]
) -> None:
    assert read(split(stream, cuts)) == reference(stream)


@given(stream=STREAMS, cuts=CUTS)
@QUICK
def test_what_is_read_before_the_end_is_whole(stream: bytes, cuts: list[int]) -> None:
    so_far = read(split(stream, cuts), finish=False)
    assert so_far == reference(stream)[: len(so_far)]


@given(
    events=st.lists(st.tuples(st.text(alphabet="abcé:", max_size=4), st.binary(max_size=40))),
    cuts=CUTS,
)
@QUICK
def test_written_events_read_back(events: list[tuple[str, bytes]], cuts: list[int]) -> None:
    stream = b"".join(write_event(data, name) for name, data in events)
    reader = EventReader()
    again = [event for piece in split(stream, cuts) for event in reader.feed(piece)]
    lines = [re.sub(rb"\r\n?", b"\n", data) for _, data in events]
    assert [event.data for event in again] == lines
    assert [event.name for event in again] == [name for name, _ in events]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: [DONE]", [Event(b"[DONE]")]),
        (b"data: [DONE]\n", [Event(b"[DONE]")]),
        (b"data: [DONE]\r", [Event(b"[DONE]")]),
        (b"data: a\ndata: b", [Event(b"a\nb")]),
        (b"event: error\ndata: {}\n", [Event(b"{}", "error")]),
        (b"event: error\ndata: {}", [Event(b"{}", "error")]),
        (b"event: error\r\ndata: {}\r\n", [Event(b"{}", "error")]),
        (b"event: error", []),
        (b": ping", []),
        (b"\xef\xbb", []),
        (b"", []),
    ],
)
def test_the_end_gives_the_event_whose_blank_line_never_came(
    stream: bytes, events: list[Event]
) -> None:
    for pieces in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        reader = EventReader()
        assert [e for piece in pieces for e in reader.feed(piece)] == []
        assert reader.finish() == events


def test_comments_are_counted() -> None:
    reader = EventReader()
    assert reader.feed(b": ping\n\n:\n\n: more\r\n") == []
    assert reader.comments == 3


LIMIT = 100
SMALL = b"data: ok\n\n"


@pytest.mark.parametrize(
    "large",
    [
        b"data: " + b"x" * 200 + b"\n\n",
        b"data: " + b"x" * 200 + b"\r\n\r\n",
        b"data: xxxxxxxxx\n" * 20 + b"\n",
        b"event: e\ndata: " + b"x" * 200 + b"\n\n",
        b"data: " + b"x" * 200,
        b"x" * 200,
        b": " + b"x" * 200,
    ],
    ids=["line", "crlf", "lines", "named", "no end", "no field", "comment without end"],
)
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_an_event_over_the_limit_is_refused_after_those_before_it(large: bytes, size: int) -> None:
    reader = EventReader(limit=LIMIT)
    stream = SMALL + SMALL + large
    events: list[Event] = []
    with pytest.raises(EventTooLargeError, match="larger than 100 bytes") as caught:
        for start in range(0, len(stream), size):
            events += reader.feed(stream[start : start + size])
    assert events + caught.value.before == [Event(b"ok"), Event(b"ok")]


@pytest.mark.parametrize("line", [b": ping\n", b"id: 1\n", b"event: e\n", b"\n", b"retry: 5\r\n"])
def test_lines_that_say_nothing_never_add_up_to_the_limit(line: bytes) -> None:
    reader = EventReader(limit=LIMIT)
    for _ in range(500):
        assert reader.feed(line) == []
    assert reader.feed(line * 500 + b"\n" + SMALL) == [Event(b"ok")]


@pytest.mark.parametrize("piece", [b"data: x\n", b"x", b"data: x\r", b"event: e"])
def test_memory_stays_bounded_whatever_a_server_sends(piece: bytes) -> None:
    limit = 1 << 16
    reader = EventReader(limit=limit)
    block = piece * (4096 // len(piece))
    tracemalloc.start()
    try:
        with pytest.raises(EventTooLargeError):
            for _ in range(1000):
                reader.feed(block)
        assert tracemalloc.get_traced_memory()[1] < 64 * limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("head", [b"data: ", b"event: x\ndata: "])
def test_a_long_line_may_come_in_any_number_of_pieces(head: bytes) -> None:
    reader = EventReader()
    found = reader.feed(head)
    for _ in range(1000):
        found += reader.feed(b"abc")
    assert found == []
    (one,) = reader.feed(b"\n\n")
    assert one.data == b"abc" * 1000


@pytest.mark.parametrize("head", [b"data: ", b"event: x\ndata: "])
def test_a_line_without_an_end_is_refused_at_the_limit(head: bytes) -> None:
    reader = EventReader(limit=100)
    reader.feed(head)
    with pytest.raises(EventTooLargeError):
        for _ in range(100):
            reader.feed(b"ab")


def test_the_end_of_the_input_ends_a_line_that_came_in_pieces() -> None:
    reader = EventReader()
    for piece in (b"data: a", b"b", b"c"):
        assert reader.feed(piece) == []
    assert [event.data for event in reader.finish()] == [b"abc"]

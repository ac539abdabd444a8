"""Heads that are recognised: whoever repeats one is understood as if it had been read anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.gateway.config import Edge as Limits
from trunkline.gateway.connection import Connection
from trunkline.gateway.edge import Edge
from trunkline.gateway.exchange import Exchange
from trunkline.wire.http1_serve import Head, Repeat, repeat_of

Seen = tuple[bytes, bytes, bytes, tuple[tuple[bytes, bytes], ...], bool, bool, bytes]


class Noting:
    """An application that notes what it is asked, and answers when it is told to."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.open: list[Exchange] = []
        self.refusals: list[str] = []

    def admit(self, exchange: Exchange) -> int:
        if exchange.head.path == b"/refused":
            exchange.answer_bytes(403, b"", b"no")
        return 5000

    def call(self, exchange: Exchange) -> None:
        head = exchange.head
        headers = [(n, v) for n, v in sorted(head.headers.items()) if n != b"content-length"]
        self.seen.append(
            (head.method, head.path, head.query, tuple(headers), head.keep_alive, head.plain,
             exchange.body)
        )  # fmt: skip
        assert exchange.size == len(exchange.body)
        if exchange.head.path == b"/at-once":
            exchange.answer_ok(b"", b"%d" % len(self.seen))
        else:
            self.open.append(exchange)

    def answer(self) -> None:
        """Answer what is open."""
        while self.open:
            self.open.pop(0).answer_ok(b"", b"%d" % len(self.seen))

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)


class Held:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    write_eof = close
    abort = close

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Side:
    """One edge with one connection."""

    def __init__(self, *, recognise: bool) -> None:
        self.noting = Noting()
        edge = Edge(self.noting, Limits())
        edge.request_id = lambda: "req_1"  # type: ignore[method-assign]
        self.connection: Any = Connection(edge, secure=False)
        self.transport = Held()
        self.connection.connection_made(self.transport)
        self.recognise = recognise
        self.recognised = 0

    async def feed(self, data: bytes, *, answer: bool) -> None:
        if not self.transport.closed:
            if not self.recognise:
                self.connection._repeat = None
            repeat: Repeat | None = self.connection._repeat
            idle = self.connection._current is None and not self.connection._stream.reading
            self.recognised += idle and repeat is not None and repeat.body_of(data) is not None
            self.connection.data_received(data)
        while answer and self.noting.open:
            self.noting.answer()
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # what is written goes out when the loop's turn has ended


def check_alike(pieces: list[bytes], slow: Iterable[int] = ()) -> Side:
    """Feed an edge that recognises heads and one that reads each; both must see and say the same.

    The requests in the pieces of these numbers are answered after the next piece has come.
    """

    async def fed() -> tuple[Side, Side]:
        sides = Side(recognise=True), Side(recognise=False)
        for number, piece in enumerate(pieces):
            for side in sides:
                await side.feed(piece, answer=number not in slow)
        for side in sides:
            await side.feed(b"", answer=True)
        return sides

    one, other = asyncio.run(fed())
    assert one.noting.seen == other.noting.seen
    assert one.noting.refusals == other.noting.refusals
    assert one.transport.sent == other.transport.sent
    assert one.transport.closed == other.transport.closed
    assert not other.recognised
    return one


def request(
    body: bytes, *lines: bytes, path: bytes = b"/v1/x", length: bytes | None = None, at: int = 1
) -> bytes:
    """A request, its length the header at this place."""
    said = b"%d" % len(body) if length is None else length
    headers = [b"Host: a", *lines]
    headers.insert(at, b"Content-Length: " + said)
    return b"POST %b HTTP/1.1\r\n" % path + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body


INNER = request(b"inner", b"authorization: Bearer admin")
BODIES = (
    b"", b"a", b"hello", b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"content-length: 5\r\n\r\n",
    b"\r\ncontent-length: 2\r\n\r\nab", INNER, INNER[:-1], INNER * 2, b"x" * 999, b"x" * 1000,
    b"y" * 4999, b"y" * 5000, b"y" * 5001, b"POST /v1/x HTTP/1.1\r\n",
)  # fmt: skip
LINES = st.lists(
    st.sampled_from(
        [b"x: 1", b"X: 2", b"accept: */*", b"Authorization: Bearer a", b"Authorization: Bearer b",
         b"connection: keep-alive", b"Connection: close", b"expect: 100-continue",
         b"x-content-length: 5", b"content-lengt: 5", b"user-agent: content-length: 7",
         b"content-encoding: gzip", b"transfer-encoding: chunked", b"content-length: 5",
         b"Upgrade: h2c", b"x:\t"]
    ),
    max_size=4,
)  # fmt: skip
REQUESTS = st.one_of(
    st.builds(
        request,
        st.sampled_from(BODIES) | st.binary(max_size=60),
        path=st.sampled_from([b"/v1/x", b"/v1/y", b"/v1/x?a=b", b"/refused", b"/at-once"]),
        at=st.integers(0, 3),
    ),
    st.tuples(st.sampled_from(BODIES), LINES, st.integers(0, 5)).map(
        lambda made: request(made[0], *made[1], at=made[2])
    ),
    st.sampled_from(
        [b"GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD /v1/x HTTP/1.1\r\nHost: a\r\n\r\n",
         b"POST /v1/x HTTP/1.0\r\nContent-Length: 1\r\n\r\na", b"\r\n", b"rubbish\r\n\r\n"]
    ),
)  # fmt: skip


@pytest.mark.slow
@given(
    rows=st.lists(st.tuples(REQUESTS, st.integers(1, 4)), min_size=1, max_size=5),
    joined=st.lists(st.booleans(), min_size=20, max_size=20),
    cuts=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 400)), max_size=4),
    slow=st.sets(st.integers(0, 19), max_size=3),
)
@settings(max_examples=often(500), deadline=None)
def test_a_connection_is_understood_alike_with_and_without_recognising(
    rows: list[tuple[bytes, int]], joined: list[bool], cuts: list[tuple[int, int]], slow: set[int]
) -> None:
    segments: list[bytes] = []
    for number, data in enumerate(data for data, times in rows for _ in range(times)):
        if joined[number] and number % 3 == 2 and segments:
            segments[-1] += data
        else:
            segments.append(data)
    for at, place in cuts:
        if at < len(segments):
            data = segments[at]
            cut = place % (len(data) + 1)
            segments[at : at + 1] = [part for part in (data[:cut], data[cut:]) if part]
    check_alike(segments, slow)


@given(
    first=st.tuples(st.sampled_from(BODIES[:8]), st.lists(st.sampled_from([b"x: 1", b"y: 2"]))),
    place=st.integers(0, 2000),
    byte=st.integers(0, 255),
    body=st.sampled_from(BODIES),
)
@settings(max_examples=often(400), deadline=None)
def test_a_head_that_differs_by_a_byte_is_read_anew(
    first: tuple[bytes, list[bytes]], place: int, byte: int, body: bytes
) -> None:
    data = request(first[0], *first[1])
    other = bytearray(request(body, *first[1]))
    other[place % len(other)] = byte
    check_alike([data, data, bytes(other), data])


@pytest.mark.parametrize("bodies", [BODIES, BODIES[::-1]])
def test_a_repeated_head_is_recognised_with_any_body(bodies: tuple[bytes, ...]) -> None:
    fitting = [body for body in bodies if len(body) <= 5000]
    side = check_alike([request(body, b"authorization: Bearer a") for body in fitting])
    assert side.recognised == len(fitting) - 1
    assert [seen[-1] for seen in side.noting.seen] == fitting


ODD_LENGTHS = {
    "zeros in front": "{:08}",
    "a space in front": " {}",
    "a space behind": "{} ",
    "a plus": "+{}",
    "a point": "{}.0",
    "none": "",
    "twice": "{0}, {0}",
    "hex": "0x{:x}",
    "other digits": "\u0665",
    "a power": "\xb2",
    "an underscore": "1_0",
    "many digits": "0000000000{}",
}


@pytest.mark.parametrize("form", ODD_LENGTHS.values(), ids=ODD_LENGTHS)
def test_a_repeated_head_with_an_odd_length_is_understood_as_ever(form: str) -> None:
    for body in (b"hello", INNER, b"0123456789"):
        usual = request(body)
        for wrong in (0, -1, 1):
            odd = request(body, length=form.format(len(body) + wrong).encode())
            check_alike([usual, odd, usual])
            check_alike([odd, odd, usual])


def test_two_requests_in_one_segment_are_two_each_time() -> None:
    for path, calls in ((b"/v1/x", 2), (b"/at-once", 2), (b"/refused", 1)):
        pair = request(b"hello", path=path) + request(b"world")
        side = check_alike([pair, pair, pair])
        assert len(side.noting.seen) == 3 * calls
        assert side.transport.sent.count(b"HTTP/1.1 ") == 6


def test_only_a_whole_request_with_a_length_is_remembered() -> None:
    head = Head()
    data = request(b"hello")
    head.length = 5
    assert repeat_of(data, head) is not None
    assert repeat_of(b"\r\n" + data, head) is not None
    assert repeat_of(b"\r\n\r\n" + data, head) is None
    assert repeat_of(data[:-1], head) is None
    assert repeat_of(data + b"x", head) is None
    assert repeat_of(data + data, head) is None
    head.length = None
    assert repeat_of(data, head) is None


@given(
    segments=st.lists(st.binary(max_size=80) | REQUESTS, max_size=5),
    spoilt=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 200), st.binary(max_size=4))),
)
@settings(max_examples=often(400), deadline=None)
def test_arbitrary_bytes_are_read_or_refused(
    segments: list[bytes], spoilt: list[tuple[int, int, bytes]]
) -> None:
    for at, place, other in spoilt:
        if at < len(segments):
            data = segments[at]
            segments[at] = data[:place] + other + data[place + len(other) :]
    check_alike([segment for segment in segments if segment])

"""Responses: framed in every way, cut anywhere, and refused where they are not proper HTTP."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.wire.http1 import LAST_CHUNK, write_chunk, write_head
from trunkline.wire.http1_read import HttpError, HttpLimits, ResponseReader

BODY = b'{"answer": "\xf0\x9f\x98\x80"}'
OK = b"HTTP/1.1 200 OK\r\n"
CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=6)


def chunked(*parts: bytes, trailer: bytes = b"") -> bytes:
    chunks = b"".join(write_chunk(part) for part in parts)
    return chunks + (b"0\r\n" + trailer + b"\r\n" if trailer else LAST_CHUNK)


def with_length(body: bytes, headers: bytes = b"", start: bytes = OK) -> bytes:
    return start + headers + b"content-length: %d\r\n\r\n" % len(body) + body


# what came, and the status, body, and whether the connection may carry another exchange
WHOLE: dict[str, tuple[bytes, int, bytes, bool]] = {
    "length": (with_length(BODY), 200, BODY, True),
    "no body": (with_length(b""), 200, b"", True),
    "close": (with_length(BODY, b"connection: close\r\n"), 200, BODY, False),
    "chunked": (
        OK + b"transfer-encoding: chunked\r\n\r\n" + chunked(BODY[:5], BODY[5:]), 200, BODY, True,
    ),
    "chunked in capitals": (
        OK + b"Transfer-Encoding: Chunked\r\n\r\n" + chunked(BODY), 200, BODY, True,
    ),
    "chunk extensions": (
        OK + b"transfer-encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\n\r\n", 200, b"hi", True,
    ),
    "trailers": (
        OK + b"transfer-encoding: chunked\r\n\r\n" + chunked(b"hi", trailer=b"x-sum: 1\r\n"),
        200, b"hi", True,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", True),
    "304 that would be packed": (
        b"HTTP/1.1 304 Not Modified\r\ncontent-encoding: gzip\r\n\r\n", 304, b"", True,
    ),
    "HTTP/1.0": (with_length(BODY, start=b"HTTP/1.0 200 OK\r\n"), 200, BODY, False),
    "HTTP/1.0 kept": (
        with_length(BODY, b"connection: keep-alive\r\n", b"HTTP/1.0 200 OK\r\n"), 200, BODY, True,
    ),
    "no reason": (with_length(BODY, start=b"HTTP/1.1 429\r\n"), 429, BODY, True),
    "an unknown status": (with_length(BODY, start=b"HTTP/1.1 529 Busy\r\n"), 529, BODY, True),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        + with_length(BODY), 200, BODY, True,
    ),
    "gzip": (with_length(gzip.compress(BODY, mtime=0), b"content-encoding: gzip\r\n"), 200, BODY, True),
    "deflate": (
        with_length(zlib.compress(BODY), b"Content-Encoding: deflate\r\n"), 200, BODY, True,
    ),
    "identity": (with_length(BODY, b"content-encoding: identity\r\n"), 200, BODY, True),
}  # fmt: skip
UNTIL_CLOSE = {
    "no length": OK + b"\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "another transfer encoding": OK + b"transfer-encoding: gzip\r\n\r\n" + BODY,
    "gzip": OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0),
}


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts} - {0, len(stream)})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


def read(pieces: list[bytes], limits: HttpLimits | None = None) -> tuple[ResponseReader, bytes]:
    """Feed the pieces and take everything; what is wrong is raised by one or the other."""
    reader = ResponseReader(limits or HttpLimits())
    body = b""
    for piece in pieces:
        reader.feed(piece)
        while data := reader.take():
            body += data
    return reader, body


@pytest.mark.parametrize("stream", WHOLE)
def test_a_response_is_the_same_however_it_is_cut(stream: str) -> None:
    data, status, body, keep = WHOLE[stream]
    every_cut = [[data[:i], data[i:]] for i in range(1, len(data))]
    for pieces in [[data], [data[i : i + 1] for i in range(len(data))], *every_cut]:
        reader, got = read(pieces)
        assert reader.head is not None
        assert (reader.head.status, got, reader.complete) == (status, body, True)
        assert reader.keep_alive is keep
        assert reader.end_of_input() is True


@pytest.mark.parametrize("stream", UNTIL_CLOSE)
@given(cuts=CUTS)
@settings(max_examples=often(30), deadline=None)
def test_a_body_without_a_length_ends_with_the_connection(stream: str, cuts: list[int]) -> None:
    reader, body = read(split(UNTIL_CLOSE[stream], cuts))
    assert body == BODY
    assert not reader.complete
    assert reader.end_of_input()
    assert reader.complete
    assert not reader.keep_alive


@given(name=st.sampled_from(sorted(WHOLE)), cuts=CUTS, end=st.integers(min_value=0, max_value=400))
@settings(max_examples=often(200), deadline=None)
def test_a_response_that_is_cut_off_is_never_complete(name: str, cuts: list[int], end: int) -> None:
    data = WHOLE[name][0]
    begun = data[: end % len(data)]
    reader, _ = read(split(begun, cuts))
    assert not reader.complete
    assert not reader.end_of_input()


def test_headers_are_found_by_lower_case_name_and_repeats_are_joined() -> None:
    head = b"X-Request-Id: r-1\r\nVia: a\r\nvia: b\r\nX-Inference-Provider:  groq \r\nx-e:\r\n"
    reader, _ = read([with_length(b"", head)])
    assert reader.head is not None
    assert reader.head.headers == {
        "x-request-id": "r-1",
        "via": "a, b",
        "x-inference-provider": "groq",
        "x-e": "",
        "content-length": "0",
    }


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\na",
        OK + b"content-length: 1, 1\r\n\r\na",
        OK + b"content-length: -1\r\n\r\n",
        OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhix",
        OK + b"x : y\r\n\r\n",
        OK + b"x: a\r\n folded\r\n\r\n",
        OK + b"x: a\0b\r\n\r\n",
        OK + b"x: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_no_response_is_refused(data: bytes) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        with pytest.raises(HttpError):
            read(pieces)


def test_no_bytes_at_all_are_no_response() -> None:
    assert not ResponseReader().end_of_input()


def test_what_is_wrong_with_a_body_waits_for_what_came_before_it() -> None:
    reader = ResponseReader()
    reader.feed(OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n2\r\nho\r\nrubbish")
    reader.feed(b"more rubbish")
    assert reader.take() == b"hiho"
    assert not reader.keep_alive
    for _ in range(2):
        with pytest.raises(HttpError):
            reader.take()
    assert reader.end_of_input()
    assert not reader.complete


@pytest.mark.parametrize(
    "extra",
    [
        with_length(b"another", b"x-other: 1\r\n", b"HTTP/1.1 500 Oops\r\n"),
        b"HTTP/1.1 500 Oops\r\ncontent-length: 3\r\n",
        b"HTTP",
        b"<html>",
        b"\x00",
    ],
)
def test_bytes_after_a_response_are_no_part_of_it_and_end_the_connection(extra: bytes) -> None:
    reader, body = read([with_length(BODY) + extra])
    assert reader.head is not None
    assert (reader.head.status, body) == (200, BODY)
    assert reader.complete
    assert "x-other" not in reader.head.headers
    assert not reader.keep_alive
    with pytest.raises(HttpError, match="after the response"):
        reader.feed(b"more")


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"compress", b"x" * 500])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: bytes) -> None:
    with pytest.raises(HttpError, match="which was not asked for"):
        read([with_length(BODY, b"content-encoding: %b\r\n" % encoding)])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (BODY, "cannot be decompressed"),
        (gzip.compress(BODY, mtime=0)[:-4], "ends too early"),
        (b"", "ends too early"),
        (gzip.compress(BODY, mtime=0) + b"x" * 40, "follow the end"),
    ],
)
def test_a_damaged_compressed_body_is_refused(body: bytes, says: str) -> None:
    data = with_length(body, b"content-encoding: gzip\r\n")
    with pytest.raises(HttpError, match=says):
        read([data[i : i + 1] for i in range(len(data))])


def test_a_compressed_body_may_not_be_cut_off_by_the_end_either() -> None:
    reader, _ = read([OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0)[:-4]])
    assert reader.end_of_input()
    with pytest.raises(HttpError, match="ends too early"):
        reader.take()


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    limit = 1 << 20
    bomb = gzip.compress(bytes(64 * limit))
    assert len(bomb) * 900 < 64 * limit
    stream = with_length(bomb, b"content-encoding: gzip\r\n")
    tracemalloc.start()
    try:
        with pytest.raises(HttpError, match="larger than 1048576 bytes"):
            read([stream], HttpLimits(body=limit))
        assert tracemalloc.get_traced_memory()[1] < 4 * limit
    finally:
        tracemalloc.stop()


def test_a_body_of_just_the_limit_is_taken() -> None:
    limits = HttpLimits(body=1000)
    assert read([with_length(bytes(1000))], limits)[1] == bytes(1000)
    packed = with_length(gzip.compress(bytes(1000)), b"content-encoding: gzip\r\n")
    assert read([packed], limits)[1] == bytes(1000)
    with pytest.raises(HttpError, match="larger than 1000 bytes") as caught:
        read([with_length(bytes(1001))], limits)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"x: y\r\n" * 300, "more than 256 headers"),
        (b"x: " + b"y" * 70_000, "head is larger than 65536 bytes"),
        (b"x" * 70_000, "head is larger than 65536 bytes"),
    ],
)
def test_a_head_that_never_ends_is_refused(head: bytes, says: str) -> None:
    reader = ResponseReader()
    stream = OK + head
    with pytest.raises(HttpError, match=says):
        for start in range(0, len(stream), 4096):
            reader.feed(stream[start : start + 4096])


def test_interim_answers_cannot_go_on_for_ever() -> None:
    reader = ResponseReader()
    with pytest.raises(HttpError, match="head is larger"):
        for _ in range(10_000):
            reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n")


def test_what_else_comes_out_of_the_parser_is_not_called_the_peers_mistake() -> None:
    class Interrupted:
        head = body = 1000

        @property
        def headers(self) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ResponseReader(Interrupted()).feed(with_length(b""))  # type: ignore[arg-type]


@given(st.binary(max_size=200), CUTS)
@settings(max_examples=often(200), deadline=None)
def test_arbitrary_bytes_are_read_or_refused(data: bytes, cuts: list[int]) -> None:
    for start in (b"", OK, OK + b"transfer-encoding: chunked\r\n\r\n"):
        try:
            read(split(start + data, cuts))
        except HttpError as error:
            assert str(error)


@given(
    headers=st.dictionaries(
        st.from_regex(r"\Ax-[a-z]{1,8}\Z"),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
        max_size=5,
    ),
    parts=st.lists(st.binary(min_size=1, max_size=50), max_size=5),
    cuts=CUTS,
)
@settings(max_examples=often(100), deadline=None)
def test_a_written_response_reads_back(
    headers: dict[str, str], parts: list[bytes], cuts: list[int]
) -> None:
    head = write_head(200, [*headers.items(), ("transfer-encoding", "chunked")])
    reader, body = read(split(head + chunked(*parts), cuts))
    assert reader.complete
    assert reader.head is not None
    assert reader.head.headers == {**headers, "transfer-encoding": "chunked"}
    assert body == b"".join(parts)

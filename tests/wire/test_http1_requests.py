"""Requests in both roles: nothing smuggles through the reader, nothing breaks out of the writer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.errors import InvalidInputError
from trunkline.wire.http1 import check_header, write_chunk, write_head, write_request
from trunkline.wire.http1_read import HttpError, HttpLimits, RequestReader
from trunkline.wire.message import HttpRequest, parse_url

POST = b"POST /v1/chat HTTP/1.1\r\nhost: a\r\n"
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=6)


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts} - {0, len(stream)})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


def read(pieces: list[bytes], limits: HttpLimits | None = None) -> tuple[RequestReader, bytes]:
    reader = RequestReader(limits or HttpLimits())
    body = b""
    for piece in pieces:
        reader.feed(piece)
        body += reader.take()
    return reader, body


SMUGGLING = {
    "length and chunks": POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "the same length twice": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"content-length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"content-length: +4\r\n\r\nabcd",
    "a negative length": POST + b"content-length: -4\r\n\r\nabcd",
    "a length in hex": POST + b"content-length: 0x4\r\n\r\nabcd",
    "a huge length": POST + b"content-length: 99999999999999999999\r\n\r\n",
    "xchunked": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"transfer-encoding: identity\r\n\r\nabc",
    "chunked is not last": POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "bare LF": b"POST / HTTP/1.1\nhost: a\n\n",
    "bare LF in a header": b"GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
    "bare CR": POST + b"x: a\rb\r\n\r\n",
    "folded header": POST + b"x: a\r\n b\r\n\r\n",
    "space before the colon": POST + b"content-length : 3\r\n\r\nabc",
    "no name": POST + b": x\r\n\r\n",
    "NUL in a value": POST + b"x: a\0b\r\n\r\n",
    "NUL in a name": POST + b"x\0y: a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "two credentials": POST + b"authorization: a\r\nauthorization: b\r\n\r\n",
    "two content types": POST + b"content-type: a\r\nContent-Type: b\r\n\r\n",
    "absolute target": b"GET http://other/ HTTP/1.1\r\nhost: a\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    "connect": b"CONNECT other:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "a method in small letters": b"get / HTTP/1.1\r\nhost: a\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
    "a control character in the target": b"GET /a\x01b HTTP/1.1\r\nhost: a\r\n\r\n",
    "LF after a chunk size": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk size that is none": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "a chunk size that overflows": CHUNKED + b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "pipelined": GET + GET,
    "pipelined, only begun": GET + b"GE",
    "rubbish behind": GET + b"\x00\x01",
}


@pytest.mark.parametrize("data", SMUGGLING.values(), ids=SMUGGLING)
def test_a_request_that_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        with pytest.raises(HttpError) as caught:
            read(pieces)
        assert caught.value.status == 400


WHOLE: dict[str, tuple[bytes, bytes]] = {
    "get": (GET, b""),
    "length": (POST + b"content-length: 5\r\n\r\nhello", b"hello"),
    "chunked": (CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nx-sum: 1\r\n\r\n", b"hello"),
    "HTTP/1.0 without a host": (b"GET / HTTP/1.0\r\n\r\n", b""),
    "an empty line in front": (b"\r\n" + GET, b""),
}


@pytest.mark.parametrize("name", WHOLE)
@given(cuts=CUTS)
@settings(max_examples=often(40), deadline=None)
def test_a_request_is_the_same_however_it_is_cut(name: str, cuts: list[int]) -> None:
    data, body = WHOLE[name]
    reader, got = read(split(data, cuts))
    assert reader.complete
    assert got == body


def test_the_head_of_a_request_is_read_into_its_pieces() -> None:
    data = b"POST /a%20b/c?x=1&y=%2F HTTP/1.1\r\nHost: h:81\r\nX-A: 1\r\nx-a: 2\r\n\r\n"
    head = read([data])[0].head
    assert head is not None
    assert (head.method, head.target) == ("POST", "/a%20b/c?x=1&y=%2F")
    assert (head.path, head.query) == ("/a b/c", "x=1&y=%2F")
    assert head.headers == {"host": "h:81", "x-a": "1, 2"}
    assert head.keep_alive


@pytest.mark.parametrize(
    ("data", "keep"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", True),
    ],
)
def test_a_client_says_whether_its_connection_stays(data: bytes, keep: bool) -> None:
    head = read([data])[0].head
    assert head is not None
    assert head.keep_alive is keep


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 200_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 20_000 + b"\r\n", 431),
        (POST + b"content-length: 2000\r\n\r\n" + b"a" * 2000, 413),
        (CHUNKED + b"7d0\r\n" + b"a" * 2000 + b"\r\n0\r\n\r\n", 413),
    ],
)
def test_a_request_beyond_the_limits_is_refused_with_its_status(data: bytes, status: int) -> None:
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    with pytest.raises(HttpError) as caught:
        read(pieces, HttpLimits(body=1000))
    assert caught.value.status == status


@given(st.binary(max_size=200), CUTS)
@settings(max_examples=often(200), deadline=None)
def test_arbitrary_bytes_are_read_or_refused(data: bytes, cuts: list[int]) -> None:
    for start in (b"", POST, CHUNKED):
        try:
            read(split(start + data, cuts))
        except HttpError as error:
            assert error.status in (400, 413, 414, 431)


URL = parse_url("https://host.example:8443/v1/chat/completions?a=1")
INJECTIONS = [
    ("x-a", "b\r\nx-evil: 1"),
    ("x-a", "b\nx-evil: 1"),
    ("x-a", "b\rc"),
    ("x-a", "b\0c"),
    ("x-a", "b\x7fc"),
    ("x-a", "caf\u00e9"),
    ("x-a", "a\u2028b"),
    ("x-a\r\nx-evil", "b"),
    ("x a", "b"),
    ("x:a", "b"),
    ("", "b"),
    ("x-\u00e9", "b"),
    ("x-a\n", "b"),
]


@pytest.mark.parametrize(("name", "value"), INJECTIONS)
def test_a_header_cannot_break_out_of_its_line(name: str, value: str) -> None:
    with pytest.raises(InvalidInputError):
        write_request(HttpRequest("POST", URL, ((name, value),)))
    with pytest.raises(InvalidInputError):
        write_request(HttpRequest("POST", URL, (("x-ok", "1"), (name, value), ("x-ok", "2"))))
    with pytest.raises(InvalidInputError):
        write_head(200, [(name, value)])


@pytest.mark.parametrize("value", [" b", "b\t", " "])
def test_white_space_around_a_value_is_refused_since_it_would_be_lost(value: str) -> None:
    with pytest.raises(InvalidInputError, match="white space around it"):
        check_header("x-a", value)


def test_a_refused_header_does_not_show_its_value() -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_header("authorization", "Bearer hf_secret\n")
    assert "hf_secret" not in str(caught.value)


def test_a_request_is_written_with_its_host_and_length() -> None:
    request = HttpRequest("POST", URL, (("x-a", "b c\td"),), b"hello")
    assert write_request(request) == (
        b"POST /v1/chat/completions?a=1 HTTP/1.1\r\nhost: host.example:8443\r\n"
        b"x-a: b c\td\r\ncontent-length: 5\r\n\r\nhello"
    )


def test_a_proxy_of_plain_http_gets_the_whole_url() -> None:
    request = HttpRequest("GET", parse_url("http://h/p?q"), ())
    assert write_request(request, absolute=True) == b"GET http://h/p?q HTTP/1.1\r\nhost: h\r\n\r\n"


def test_an_empty_post_says_so() -> None:
    request = HttpRequest("POST", parse_url("http://h/"), ())
    assert write_request(request).endswith(b"content-length: 0\r\n\r\n")


@given(
    target=st.from_regex(r"\A/[a-z0-9/%._~-]{0,20}(\?[a-z0-9=&]{0,10})?\Z").filter(
        lambda t: not t.startswith("//")
    ),
    headers=st.dictionaries(
        st.from_regex(r"\Ax-[a-z]{1,6}\Z"),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
        max_size=5,
    ),
    body=st.binary(max_size=60),
    cuts=CUTS,
)
@settings(max_examples=often(150), deadline=None)
def test_a_written_request_reads_back(
    target: str, headers: dict[str, str], body: bytes, cuts: list[int]
) -> None:
    url = parse_url("http://h" + target)
    data = write_request(HttpRequest("POST", url, tuple(headers.items()), body))
    reader, got = read(split(data, cuts))
    assert reader.complete
    assert reader.head is not None
    assert (reader.head.target, got) == (url.target, body)
    assert reader.head.headers == {"host": "h", **headers, "content-length": str(len(body))}


def test_a_response_head_has_the_reason_of_its_status() -> None:
    assert write_head(404, [("x", "y")]) == b"HTTP/1.1 404 Not Found\r\nx: y\r\n\r\n"
    assert write_head(529, []) == b"HTTP/1.1 529 Unknown\r\n\r\n"


def test_an_empty_chunk_would_end_the_body_and_is_refused() -> None:
    assert write_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    with pytest.raises(ValueError, match="LAST_CHUNK"):
        write_chunk(b"")

"""Faults of HTTP itself: framing, heads, interim and other statuses, redirects, compression.

F4, F16, F23, F24 and F40. What no head of a Reply can say is written raw, in front of it.
"""

from __future__ import annotations

import functools
import re
import struct
import zlib
from collections.abc import Callable

import msgspec

from trunkline.sandbox.fault import Case, Fault
from trunkline.sandbox.reply import Cut, Pause, Reply, Reset, Step, with_headers
from trunkline.wire.http1 import LAST_CHUNK, write_chunk, write_head

_SETTLE = Pause(0.02)
"""Lets what was sent arrive before the connection is broken: a reset may overtake it."""
_CHUNKED = ("transfer-encoding", "chunked")
STRANGE = "an answer to somebody else"
"""What an answer says that nobody asked for."""
_BOMB = 80
"""Megabytes that a bomb unpacks to."""
_FOREIGN = (
    ("set-cookie", "session=of-the-upstream; Domain=example.org"),
    ("access-control-allow-origin", "https://elsewhere.example.org"),
    ("clear-site-data", '"*"'),
)

_How = Callable[[Case], Reply]


# framing


def _framed(case: Case) -> tuple[tuple[tuple[str, str], ...], list[bytes]]:
    """Return the headers that frame the good body, and the body as it goes on the wire."""
    if case.good.framing == "chunked":
        return (_CHUNKED,), [*(write_chunk(piece) for piece in case.pieces), LAST_CHUNK]
    return (("content-length", str(len(b"".join(case.pieces)))),), case.pieces


def _declaring(case: Case, headers: tuple[tuple[str, str], ...], *steps: Step) -> Reply:
    """Return the good reply with framing headers of its own, true or not."""
    return with_headers(case.reply(list(steps), "declared"), *headers)


def _bad_chunk(case: Case) -> Reply:
    sent = [write_chunk(piece) for piece in case.opened()]
    return _declaring(case, (_CHUNKED,), *sent, b"not-a-size\r\n" + case.opened()[-1] + b"\r\n")


def _short_chunk(case: Case) -> Reply:
    *sent, last = case.opened()
    return _declaring(
        case, (_CHUNKED,), *(write_chunk(piece) for piece in sent), b"1000\r\n" + last, Cut()
    )


def _length_short(case: Case) -> Reply:
    whole = b"".join(case.pieces)
    return _declaring(case, (("content-length", str(len(whole) // 2)),), whole)


def _length_twice(case: Case) -> Reply:
    whole = b"".join(case.pieces)
    sizes = (len(whole), len(whole) // 2)
    return _declaring(case, tuple(("content-length", str(size)) for size in sizes), whole)


def _length_and_chunks(case: Case) -> Reply:
    sent = [write_chunk(piece) for piece in case.pieces]
    return _declaring(case, (("content-length", "20"), _CHUNKED), *sent, LAST_CHUNK)


def _huge_length(case: Case) -> Reply:
    return _declaring(case, (("content-length", "10000000000"),), case.opened()[0], Pause(60.0))


def _two_answers(case: Case) -> Reply:
    """Send an answer that nobody asked for behind the good one, and leave the connection open."""
    headers, body = _framed(case)
    other = b'{"error":{"message":"%s","type":"server_error"}}' % STRANGE.encode()
    typed = (("content-type", "application/json"), ("content-length", str(len(other))))
    last = body[-1] + write_head(500, typed) + other
    return _declaring(case, headers, *body[:-1], last, Pause(case.seconds))


def _then(step: Step) -> _How:
    """Return a fault that answers well and then takes `step`, though the connection is kept."""

    def how(case: Case) -> Reply:
        headers, body = _framed(case)
        return _declaring(case, headers, *body, _SETTLE, step)

    return how


def _reset_head(case: Case) -> Reply:
    return case.reply([_SETTLE, Reset()], "chunked")


# heads


def _before(raw: bytes) -> _How:
    """Return a fault that sends `raw` before a good answer."""

    def how(case: Case) -> Reply:
        return msgspec.structs.replace(case.good, before=(raw,))

    return how


def _instead(raw: bytes) -> _How:
    """Return a fault whose head is `raw`, and the good body follows up to the connection's end."""

    def how(case: Case) -> Reply:
        kind = dict(case.good.headers).get("content-type", "application/json").encode()
        head = raw.replace(b"KIND", kind)
        return msgspec.structs.replace(case.good, before=(head, *case.pieces, Cut()))

    return how


def _with(*headers: tuple[str, str]) -> _How:
    def how(case: Case) -> Reply:
        return with_headers(case.good, *headers)

    return how


def _status(status: int, *headers: tuple[str, str]) -> _How:
    def how(_: Case) -> Reply:
        return Reply(status, headers)

    return how


# elsewhere


def _redirect(status: int) -> _How:
    """Return a fault that sends the client to this machine under another name.

    The path tells which request was redirected, so that a client that follows can be seen; nothing
    is there.
    """

    def how(case: Case) -> Reply:
        if case.good.status == 404:
            return case.good
        host, _, port = case.headers.get("host", "").partition(":")
        other = "localhost" if host == "127.0.0.1" else "127.0.0.1"
        asked = re.sub(r"[^\w./-]", "-", str(case.asked.get("model", "")))
        place = f"http://{other}{':' if port else ''}{port}/elsewhere/{asked}"
        return Reply(status, (("location", place),))

    return how


# compression


def _packed(case: Case, pieces: list[bytes], *, whole: bool = True) -> Reply:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    sent = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    if whole:
        sent.append(packer.flush())
    return with_headers(case.reply(sent), ("content-encoding", "gzip"))


def _gzip(case: Case) -> Reply:
    return _packed(case, case.pieces)


def _gzip_short(case: Case) -> Reply:
    return _packed(case, case.opened(), whole=False)


def _gzip_bomb(case: Case) -> Reply:
    front, mark, rest = b"".join(case.pieces).partition(b'"content":"')
    return with_headers(case.reply([_bomb(front + mark, rest)]), ("content-encoding", "gzip"))


@functools.lru_cache(maxsize=8)
def _bomb(front: bytes, rest: bytes) -> bytes:
    """Return gzip of `front`, megabytes of one letter, and `rest`.

    A block that ends with a full flush stands for itself, so one is packed and then repeated.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = b"x" * (1 << 20)
    start = packer.compress(front) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(rest) + packer.flush()
    check = zlib.crc32(front)
    for _ in range(_BOMB):
        check = zlib.crc32(block, check)
    check = zlib.crc32(rest, check)
    size = len(front) + _BOMB * len(block) + len(rest)
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return head + start + packed * _BOMB + end + struct.pack("<II", check, size)


HTTP: tuple[Fault, ...] = (
    Fault("reset-head", "F4", "the connection is reset after the head", _reset_head),
    Fault("bad-chunk", "F4", "a chunk whose size is no number", _bad_chunk),
    Fault("chunk-short", "F4", "the connection closes inside a chunk", _short_chunk),
    Fault("length-short", "F4", "the announced length is half of what comes", _length_short),
    Fault("length-twice", "F4", "two lengths are announced", _length_twice),
    Fault("length-and-chunks", "F4", "a length and chunks are announced", _length_and_chunks),
    Fault("huge-length", "F9", "10 GB are announced, and begin", _huge_length),
    Fault("reset-after", "F16", "the connection is reset after a good answer", _then(Reset())),
    Fault("close-after", "F16", "the connection closes after a good answer that kept it",
          _then(Cut())),
    Fault("two-answers", "F16", "an answer that nobody asked for follows on the same connection",
          _two_answers, seconds=2.0),
    Fault("gzip", "F23", "compressed, asked for or not", _gzip),
    Fault("gzip-short", "F23", "compressed, and ends too early", _gzip_short),
    Fault("gzip-bomb", "F23", f"compressed text of {_BOMB} megabytes", _gzip_bomb),
    Fault("headers-foreign", "F24", "a cookie and other headers that are not the client's affair",
          _with(*_FOREIGN)),
    Fault("header-huge", "F24", "a header of a megabyte", _with(("x-padding", "x" * (1 << 20)))),
    Fault("headers-many", "F24", "5,000 headers",
          _with(*((f"x-padding-{i}", "x") for i in range(5000)))),
    Fault("header-split", "F24", "a header with a line break that is none",
          _instead(b"HTTP/1.1 200 OK\r\ncontent-type: KIND\r\nx-odd: a\rset-cookie: stolen=1\r\n"
                   b"connection: close\r\n\r\n")),
    Fault("bad-head", "F40", "the first line is no HTTP", _instead(b"HTTP/1.1 good OK\r\n\r\n")),
    Fault("http-1.0", "F40", "HTTP/1.0, ended by closing",
          _instead(b"HTTP/1.0 200 OK\r\ncontent-type: KIND\r\n\r\n")),
    Fault("100", "F40", "100 Continue before the answer", _before(b"HTTP/1.1 100 Continue\r\n\r\n")),
    Fault("103", "F40", "103 Early Hints before the answer",
          _before(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")),
    Fault("101", "F40", "101, another protocol that nobody asked for",
          _status(101, ("upgrade", "h2c"), ("connection", "upgrade")), always=True),
    Fault("204", "F40", "204, no content", _status(204), always=True),
    Fault("302", "F40", "a redirect to this machine under another name", _redirect(302), always=True),
    Fault("307", "F40", "the same, to be asked as it was", _redirect(307), always=True),
    Fault("308", "F40", "the same, for good", _redirect(308), always=True),
)  # fmt: skip

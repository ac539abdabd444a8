"""Connections to an upstream, over real sockets: every way in which an answer can come, or not come."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loopback import (
    DONE,
    HELLO,
    LAST,
    PATIENCE,
    STREAM_HEAD,
    UNFRAMED_HEAD,
    Visit,
    answers,
    chunk,
    completion,
    open_sockets,
    saying,
    sockets_settle,
    stream,
    then_resets,
    then_waits,
    whole,
)
from loopback import (
    Upstream as Server,
)
from trunkline.errors import (
    APIConnectionError,
    APIError,
    InvalidResponseError,
    ServiceUnavailableError,
    Timeout,
)
from trunkline.gateway.upstream import Upstream, UpstreamConnection
from trunkline.transport.aio import AioTransport
from trunkline.wire.http1_read import HttpLimits
from trunkline.wire.message import parse_url

REQUEST = b"POST /v1/x HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
BODY = completion()


class Taker:
    """Takes one answer, as a relay does."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.pieces: list[bytes] = []
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.error: APIError | None = None
        self.connection: UpstreamConnection | None = None
        self.over = asyncio.Event()
        self.ready = asyncio.Event()
        self.came = asyncio.Event()

    def connected(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        self.ready.set()
        connection.send(self, REQUEST)

    def head(self, status: int, headers: dict[bytes, bytes]) -> None:
        self.told.append("head")
        self.status, self.headers = status, dict(headers)

    def piece(self, data: bytes) -> None:
        self.told.append("piece")
        self.pieces.append(data)
        self.came.set()

    def ended(self, status: int, headers: dict[bytes, bytes], rest: bytes) -> None:
        self.told.append("ended")
        self.status, self.headers = status, dict(headers)
        self.pieces.append(rest)
        self.over.set()

    def broken(self, error: APIError) -> None:
        self.told.append("broken")
        self.error = error
        self.over.set()
        self.ready.set()

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


class Asker:
    """A pool in a loop of its own."""

    def __init__(self, runner: asyncio.Runner, url: str, **options: Any) -> None:
        self.runner = runner
        self.transport = AioTransport(ca_file=options.pop("ca_file", None))
        self.pool = Upstream(parse_url(url), transport=self.transport, **options)

    def run(self, work: Any) -> Any:
        return self.runner.run(asyncio.wait_for(work, PATIENCE))

    def ask(self) -> Taker:
        """Have one request answered, over a connection that is idle or new."""
        return self.run(self._ask())

    async def _ask(self) -> Taker:
        taker = Taker()
        connection = self.pool.take()
        if connection is None:
            self.pool.open(taker)
        else:
            taker.connected(connection)
        await taker.over.wait()
        return taker

    def until(self, true: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not true():
                await asyncio.sleep(0.005)

        self.run(wait())

    def close(self) -> None:
        async def end() -> None:
            self.pool.close()
            self.transport.close()

        self.run(end())


@pytest.fixture
def asker(runner: asyncio.Runner, serve: object) -> Iterator[Callable[..., Asker]]:
    made: list[Asker] = []

    def make(server: Server | str, **options: Any) -> Asker:
        made.append(Asker(runner, server if isinstance(server, str) else server.url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


ANSWERS: dict[str, bytes] = {
    "with a length": whole(BODY),
    "in one chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunk(BODY) + LAST,
    "in small chunks": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"".join(chunk(bytes([byte])) for byte in BODY)
    + LAST,
    "with extensions and trailers": HEAD
    + b"transfer-encoding: chunked\r\n\r\n%x;a=b\r\n%b\r\n0\r\nx-more: 1\r\n\r\n"
    % (len(BODY), BODY),
    "until the end": HEAD + b"\r\n" + BODY,
    "until the end, of HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "after 100": b"HTTP/1.1 100 Continue\r\n\r\n" + whole(BODY),
    "after 103 and 100": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    + whole(BODY),
    "with a header twice": whole(BODY, x_a="1\r\nx-a: 2"),
    "packed, as nobody asked": whole(gzip.compress(BODY), content_encoding="gzip"),
    "deflated": whole(zlib.compress(BODY), Content_Encoding="deflate"),
    "packed and chunked": HEAD
    + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    + chunk(gzip.compress(BODY))
    + LAST,
    "packed until the end": HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(BODY),
    "as it is, and says so": whole(BODY, content_encoding="identity"),
}
every_answer = pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))


@every_answer
def test_an_answer_comes_whole_in_whichever_way_it_is_sent(
    serve: Any, asker: Any, answer: bytes
) -> None:
    told = asker(serve(saying(answer))).ask()
    assert (told.error, told.status, told.body) == (None, 200, BODY)
    assert b"link" not in told.headers


@every_answer
def test_an_answer_may_come_byte_by_byte(serve: Any, asker: Any, answer: bytes) -> None:
    def drip(visit: Visit) -> None:
        visit.request()
        for byte in answer:
            visit.send(bytes([byte]))

    told = asker(serve(drip)).ask()
    assert (told.error, told.status, told.body) == (None, 200, BODY)
    assert told.told.count("head") <= 1


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_ends_with_its_head(serve: Any, asker: Any, status: int) -> None:
    empty = b"HTTP/1.1 %d X\r\nx-a: 1\r\n\r\n" % status
    server = serve(saying(empty, whole(BODY)))
    one = asker(server)
    first, second = one.ask(), one.ask()
    assert (first.status, first.body, second.body) == (status, b"", BODY)
    assert len(server.visits) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(serve: Any, asker: Any, status: int) -> None:
    elsewhere = serve(answers)
    told = asker(serve(saying(whole(b"", status, location=elsewhere.url)))).ask()
    assert told.status == status
    assert elsewhere.visits == []


def test_a_connection_is_used_again(serve: Any, asker: Any) -> None:
    server = serve(answers)
    one = asker(server)
    assert [one.ask().body for _ in range(5)] == [BODY] * 5
    assert len(server.visits) == 1
    assert one.pool.opened == 1


@pytest.mark.parametrize(
    "answer",
    [
        whole(BODY, connection="close"),
        HEAD + b"\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    ],
)
def test_a_connection_that_ends_with_its_answer_is_not_used_again(
    serve: Any, asker: Any, answer: bytes
) -> None:
    one = asker(serve(saying(answer)))
    assert [one.ask().body, one.ask().body] == [BODY, BODY]
    assert one.pool.opened == 0


def test_a_connection_that_closes_while_idle_is_forgotten(serve: Any, asker: Any) -> None:
    server = serve(saying(whole(BODY)), answers)
    one = asker(server)
    one.ask()
    one.until(lambda: one.pool.opened == 0)
    assert one.ask().body == BODY
    assert len(server.visits) == 2


def test_bytes_that_nobody_asked_for_end_an_idle_connection(serve: Any, asker: Any) -> None:
    def babble(visit: Visit) -> None:
        visit.request()
        visit.answer()
        visit.hold("babble")
        visit.answer(b'{"someone": "else"}')
        visit.until_gone()

    server = serve(babble, answers)
    one = asker(server)
    one.ask()
    server.say("babble")
    one.until(lambda: one.pool.opened == 0)
    assert one.ask().body == BODY


def test_what_is_sent_behind_an_answer_is_in_no_answer(serve: Any, asker: Any) -> None:
    def two(visit: Visit) -> None:
        visit.request()
        visit.send(whole(BODY), whole(b'{"someone": "else"}'))
        visit.until_gone()

    one = asker(serve(two, answers))
    assert [one.ask().body, one.ask().body] == [BODY, BODY]


def test_an_early_answer_is_taken(serve: Any, asker: Any) -> None:
    def hasty(visit: Visit) -> None:
        visit.head()
        visit.answer(b'{"error": "no"}', 413, connection="close")

    told = asker(serve(hasty)).ask()
    assert (told.status, told.body) == (413, b'{"error": "no"}')


def test_a_stream_is_handed_over_as_it_comes(serve: Any, asker: Any, runner: Any) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, chunk(HELLO[0]))
        visit.hold("more")
        visit.send(*[chunk(piece) for piece in HELLO[1:]], LAST)

    server = serve(script)
    one = asker(server)

    async def follow() -> Taker:
        taker = Taker()
        one.pool.open(taker)
        await taker.came.wait()
        assert taker.body == HELLO[0]
        server.say("more")
        await taker.over.wait()
        return taker

    assert one.run(follow()).body == b"".join(HELLO)


def test_a_packed_stream_is_unpacked_as_it_comes(serve: Any, asker: Any) -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(HELLO[0]) + packer.flush(zlib.Z_SYNC_FLUSH)
    last = packer.compress(b"".join(HELLO[1:])) + packer.flush()

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD[:-2], b"content-encoding: gzip\r\n\r\n", chunk(first))
        visit.hold("more")
        visit.send(chunk(last), LAST)
        visit.request()
        visit.send(stream(*HELLO))

    server = serve(script)
    one = asker(server)

    async def follow() -> Taker:
        taker = Taker()
        one.pool.open(taker)
        await taker.came.wait()
        assert taker.body == HELLO[0]
        server.say("more")
        await taker.over.wait()
        return taker

    assert one.run(follow()).body == b"".join(HELLO)
    assert one.ask().body == b"".join(HELLO)
    assert len(server.visits) == 1


def test_the_end_of_a_stream_is_awaited_to_keep_its_connection(serve: Any, asker: Any) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, *[chunk(piece) for piece in HELLO])
        visit.hold("end")
        visit.send(LAST)
        answers(visit)

    server = serve(script)
    one = asker(server)

    async def leave() -> None:
        taker = Taker()
        one.pool.open(taker)
        while DONE not in taker.body:
            await asyncio.sleep(0.005)
        assert taker.connection is not None
        taker.connection.flow(False)
        taker.connection.let_end()
        server.say("end")
        while not one.pool._idle:
            await asyncio.sleep(0.005)
        assert taker.told[-1] == "piece"

    one.run(leave())
    assert one.ask().body == BODY
    assert len(server.visits) == 1


def test_a_stream_whose_end_does_not_come_is_hung_up(serve: Any, asker: Any) -> None:
    server = serve(then_waits(STREAM_HEAD, *[chunk(piece) for piece in HELLO]))
    one = asker(server)

    async def leave() -> None:
        taker = Taker()
        one.pool.open(taker)
        while DONE not in taker.body:
            await asyncio.sleep(0.005)
        assert taker.connection is not None
        taker.connection.let_end()

    one.run(leave())
    one.until(lambda: one.pool.opened == 0)
    assert server.visits[0].gone.wait(PATIENCE)


CUT: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "half a head": (HEAD[:20], b""),
    "a head": (whole(BODY)[: -len(BODY)], b""),
    "half a body": (whole(BODY)[:-5], BODY[:-5]),
    "half a chunk": (STREAM_HEAD + chunk(HELLO[0]) + chunk(HELLO[1])[:10], HELLO[0] + HELLO[1][:6]),
    "no last chunk": (STREAM_HEAD + chunk(HELLO[0]), HELLO[0]),
    "half of what is packed": (
        HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0)[:-9],
        BODY,
    ),
}


@pytest.mark.parametrize(("sent", "body"), CUT.values(), ids=list(CUT))
def test_an_answer_that_is_cut_is_never_whole(
    serve: Any, asker: Any, sent: bytes, body: bytes
) -> None:
    def cut(visit: Visit) -> None:
        visit.request()
        visit.send(sent)

    told = asker(serve(cut)).ask()
    assert isinstance(told.error, APIConnectionError)
    assert told.told.count("broken") == 1
    assert "ended" not in told.told
    assert body.startswith(told.body)
    assert told.error.received == bool(sent)
    assert told.error.sent


def test_a_reset_is_no_end(serve: Any, asker: Any) -> None:
    server = serve(then_resets(UNFRAMED_HEAD, HELLO[0]))
    one = asker(server)

    async def follow() -> Taker:
        taker = Taker()
        one.pool.open(taker)
        await taker.came.wait()
        server.say("reset")
        await taker.over.wait()
        return taker

    told = one.run(follow())
    assert isinstance(told.error, APIConnectionError)
    assert told.body == HELLO[0]


GARBAGE: dict[str, bytes] = {
    "text": b"hello there, this is no HTTP\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "a status that is none": b"HTTP/1.1 20 OK\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\ncontent-length : 1\r\n\r\na",
    "a large head": HEAD + b"x-a: " + b"a" * 2_000_000 + b"\r\n\r\n",
    "heads without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
    "a large body": whole(b"x" * 3_000_000),
    "a bomb": whole(gzip.compress(b"x" * 5_000_000), content_encoding="gzip"),
    "Brotli": whole(b"\x0b\x02", content_encoding="br"),
    "no gzip": whole(b"plain", content_encoding="gzip"),
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=list(GARBAGE))
def test_what_is_no_proper_answer_is_said_so_and_ends_the_connection(
    serve: Any, asker: Any, sent: bytes
) -> None:
    server = serve(then_waits(sent))
    one = asker(server, limits=HttpLimits(head=20_000, body=200_000))
    told = one.ask()
    assert isinstance(told.error, APIConnectionError)
    assert "not a proper answer" in str(told.error)
    assert told.error.received
    assert "ended" not in told.told
    assert len(told.body) <= 200_000 + (1 << 18)
    assert server.visits[0].over.wait(PATIENCE)
    one.until(lambda: one.pool.opened == 0)


def test_what_came_before_the_garbage_is_handed_over(serve: Any, asker: Any) -> None:
    told = asker(serve(then_waits(STREAM_HEAD, chunk(HELLO[0]), b"zz\r\n"))).ask()
    assert told.told == ["head", "piece", "broken"]
    assert told.body == HELLO[0]


# connecting


def test_a_connection_that_is_refused_is_told(asker: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    one = asker(f"http://127.0.0.1:{port}")
    told = one.ask()
    assert isinstance(told.error, APIConnectionError)
    assert "refused the connection" in str(told.error)
    assert not told.error.sent
    assert one.pool.opened == 0


def test_a_name_that_does_not_resolve_is_told(asker: Any) -> None:
    one = asker("http://nowhere.invalid")
    told = one.ask()
    assert "nowhere.invalid" in str(told.error)
    assert "could not be resolved" in str(told.error)
    assert one.pool.opened == 0


def test_a_stalled_handshake_is_given_up(serve: Any, asker: Any) -> None:
    server = serve(lambda visit: visit.until_gone())
    one = asker(server.url.replace("http:", "https:"), connect_seconds=0.1)
    told = one.ask()
    assert isinstance(told.error, Timeout)
    assert not told.error.sent
    assert one.pool.opened == 0
    assert server.visits[0].over.wait(PATIENCE)


def test_a_certificate_of_nobody_is_refused(serve: Any, asker: Any, tmp_path: Any) -> None:
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours, theirs = trustme.CA(), trustme.CA()
    theirs.issue_cert("localhost").configure_cert(context)
    path = tmp_path / "ca.pem"
    ours.cert_pem.write_to_path(str(path))
    server = serve(answers, tls=context)
    one = asker(server, ca_file=str(path))
    told = one.ask()
    assert "certificate" in str(told.error)
    assert server.requests == []
    other = tmp_path / "other.pem"
    theirs.cert_pem.write_to_path(str(other))
    assert asker(server, ca_file=str(other)).ask().body == BODY


def test_no_more_connections_are_opened_than_are_allowed(serve: Any, asker: Any) -> None:
    server = serve(then_waits())
    one = asker(server, most=2)

    async def crowd() -> list[Taker]:
        takers = [Taker() for _ in range(3)]
        for taker in takers:
            one.pool.open(taker)
        for taker in takers:
            await taker.ready.wait()
        opened = [taker.connection for taker in takers if taker.connection is not None]
        for left, connection in zip((1, 0), opened, strict=True):
            assert connection.closed is False
            connection.hang_up()
            assert one.pool.opened == left
        return takers

    first, second, third = one.run(crowd())
    assert isinstance(third.error, ServiceUnavailableError)
    assert third.error.code == "upstream_busy"
    assert first.error is second.error is None


def test_whoever_stops_waiting_for_a_connection_leaves_no_socket(serve: Any, asker: Any) -> None:
    server = serve(lambda visit: visit.until_gone())
    one = asker(server.url.replace("http:", "https:"))
    before = open_sockets()

    async def leave() -> None:
        taker = Taker()
        task = one.pool.open(taker)
        while not server.visits:
            await asyncio.sleep(0.005)
        task.cancel()
        while not task.done():
            await asyncio.sleep(0)
        assert taker.told == []

    one.run(leave())
    assert one.pool.opened == 0
    assert sockets_settle(before)


def test_a_pool_that_is_closed_stops_connecting_and_hangs_up(serve: Any, asker: Any) -> None:
    server = serve(answers)
    one = asker(server)
    one.ask()

    async def close() -> None:
        taker = Taker()
        task = one.pool.open(taker)
        one.pool.close()
        while not task.done():
            await asyncio.sleep(0)
        assert taker.told == []

    one.run(close())
    assert one.pool.opened == 0
    assert server.visits[0].over.wait(PATIENCE)


def test_connections_that_are_idle_for_long_are_closed(serve: Any, asker: Any) -> None:
    server = serve(answers)
    one = asker(server, idle_seconds=0.0)
    one.ask()

    async def sweep() -> None:
        one.pool.sweep()
        while one.pool.opened:
            await asyncio.sleep(0.005)
            one.pool.sweep()

    one.run(sweep())
    assert server.visits[0].over.wait(PATIENCE)
    assert one.ask().body == BODY


def test_a_sweep_leaves_connections_that_were_used_of_late(serve: Any, asker: Any) -> None:
    one = asker(serve(answers), idle_seconds=3600.0)
    one.ask()

    async def sweep() -> None:
        one.pool.sweep()
        one.pool.sweep()

    one.run(sweep())
    assert one.pool.opened == 1


def test_a_reader_that_pauses_holds_the_upstream_back(serve: Any, asker: Any) -> None:
    size = 20_000_000

    def pour(visit: Visit) -> None:
        visit.request()
        visit.send(HEAD, b"content-length: %d\r\n\r\n" % size)
        visit.send(b"x" * size)
        visit.note("poured")

    server = serve(pour)
    one = asker(server)

    async def follow() -> None:
        taker = Taker()
        one.pool.open(taker)
        await taker.came.wait()
        assert taker.connection is not None
        taker.connection.flow(False)
        await asyncio.sleep(0)
        seen = len(taker.body)
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert len(taker.body) <= seen + (1 << 20)
        assert not server.event("poured").is_set()
        taker.connection.flow(True)
        await taker.over.wait()
        assert len(taker.body) == size

    one.run(follow())


def test_whoever_waits_is_told_whatever_goes_wrong_in_connecting(
    serve: Any, asker: Any, tmp_path: Any
) -> None:
    one = asker(serve(answers).url.replace("http:", "https:"), ca_file=str(tmp_path / "none.pem"))

    async def fail() -> Taker:
        taker = Taker()
        task = one.pool.open(taker)
        await taker.over.wait()
        await asyncio.gather(task, return_exceptions=True)
        return taker

    assert isinstance(one.run(fail()).error, APIError)
    assert one.pool.opened == 0


def test_a_request_that_is_large_arrives_whole(serve: Any, asker: Any) -> None:
    server = serve(saying(whole(BODY)))
    one = asker(server)
    body = b"[%b]" % (b"1," * 3_000_000 + b"1")

    async def send() -> Taker:
        taker = Taker()
        taker.connected = lambda connection: connection.send_large(  # type: ignore[method-assign]
            taker, b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(body), body
        )
        one.pool.open(taker)
        await taker.over.wait()
        return taker

    assert one.run(send()).body == BODY
    assert server.requests[0].body == body


@pytest.mark.parametrize("at", ["connected", "head", "piece", "ended"])
def test_a_taker_that_fails_at_an_answer_is_told_that_there_is_none(
    asker: Callable[..., Asker], serve: Any, caplog: pytest.LogCaptureFixture, at: str
) -> None:
    def fail(*given: Any) -> None:
        raise KeyError("choices")

    goes_on = then_waits(STREAM_HEAD + chunk(HELLO[0]))
    made = asker(serve(goes_on if at in ("head", "piece") else answers))

    async def ask() -> Taker:
        taker = Taker()
        setattr(taker, at, fail)
        made.pool.open(taker)
        await taker.over.wait()
        return taker

    taker = made.run(ask())
    assert isinstance(taker.error, InvalidResponseError)
    assert "KeyError" in str(taker.error)
    assert "could not be dealt with" in caplog.text
    assert taker.told.count("broken") == 1
    if at != "ended":
        made.until(lambda: not made.pool.opened)

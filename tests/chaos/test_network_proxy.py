"""The proxy itself: each toxic does what it says, to the bytes that it is told, and to nothing else."""

from __future__ import annotations

import gc
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import trustme
from proxy import Proxy
from toxics import (
    Bandwidth,
    Blackhole,
    Corrupt,
    HalfOpen,
    Latency,
    LimitData,
    Refuse,
    Reset,
    Slicer,
    SlowClose,
    Stall,
)

pytestmark = pytest.mark.chaos
PATIENCE = 20.0
TEXT = "Grüße, 世界! ".encode() * 200


class Echo:
    """Sends back what comes, and counts who is there and who left; `!` has it close."""

    def __init__(self) -> None:
        self.open = self.left = 0
        self.got = b""
        self._changed = threading.Condition()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._echo, args=(sock,)))
            self._threads[-1].start()

    def _echo(self, sock: socket.socket) -> None:
        self._count(1)
        with sock, suppress(OSError):
            while data := sock.recv(65536):
                self.got += data
                sock.sendall(data)
                if data.endswith(b"!"):
                    break
        self._count(-1)

    def _count(self, step: int) -> None:
        with self._changed:
            self.open += step
            self.left += step < 0
            self._changed.notify_all()

    def until_open(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.open == count, PATIENCE), self.open

    def until_left(self) -> None:
        """Wait for somebody to have come and gone: the client may be told first."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.left, PATIENCE)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.fixture
def echo() -> Iterator[Echo]:
    with closing(Echo()) as echo:
        yield echo


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as proxy:
        yield proxy


@pytest.fixture
def sock(proxy: Proxy) -> Iterator[socket.socket]:
    with connected(proxy) as sock:
        yield sock


def connected(proxy: Proxy) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exactly(sock: socket.socket, size: int) -> bytes:
    """Read so many bytes, or what comes before the end."""
    got = b""
    while len(got) < size and (data := sock.recv(size - len(got))):
        got += data
    return got


def to_the_end(sock: socket.socket) -> bytes:
    return exactly(sock, 1 << 30)


def is_silent(sock: socket.socket) -> bool:
    """Nothing comes and nothing ends, for as long as can be waited for it."""
    return not select.select([sock], [], [], 0.1)[0]


def test_it_carries_all_bytes_both_ways_and_both_ends(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as one, connected(proxy) as other:
        one.sendall(TEXT * 50)
        other.sendall(b"other")
        assert exactly(one, len(TEXT) * 50) == TEXT * 50
        assert exactly(other, 5) == b"other"
        one.sendall(b"!")
        assert to_the_end(one) == b"!"
        assert proxy.accepted == 2
    echo.until_open(0)


def test_it_holds_back_a_sender_whose_reader_does_not_read(proxy: Proxy, echo: Echo, sock) -> None:
    sock.setblocking(False)
    sent = 0
    with suppress(BlockingIOError):
        while sent < 200_000_000:
            sent += sock.send(bytes(65536))
            if not select.select([], [sock], [], 0.5)[1]:
                break
    assert sent < 200_000_000
    sock.close()
    echo.until_open(0)


def test_latency_delays_and_keeps_the_order(proxy: Proxy, sock) -> None:
    with proxy.poisoned(Latency(seconds=0.05, jitter=0.05)):
        began = time.monotonic()
        for number in range(10):
            sock.sendall(b"%d" % number)
        assert exactly(sock, 10) == b"0123456789"
        assert time.monotonic() - began >= 0.05


def test_bandwidth_takes_the_time_that_bytes_take(proxy: Proxy, sock) -> None:
    with proxy.poisoned(Bandwidth(rate=20_000)):
        began = time.monotonic()
        sock.sendall(bytes(4000))
        assert exactly(sock, 4000) == bytes(4000)
        assert time.monotonic() - began >= 0.2


def test_a_slicer_changes_no_byte_and_cuts_inside_characters(proxy: Proxy, sock) -> None:
    with proxy.poisoned(Slicer(size=3, seconds=0.004, way="down")):
        sock.sendall(TEXT[:120])
        pieces = []
        while sum(map(len, pieces)) < 120:
            pieces.append(sock.recv(65536))
    assert b"".join(pieces) == TEXT[:120]
    assert len(pieces) > 10
    with pytest.raises(UnicodeDecodeError):
        [piece.decode() for piece in pieces]


@pytest.mark.parametrize("way", ["up", "down"])
def test_corruption_flips_bits_on_its_way_alone(proxy: Proxy, echo: Echo, sock, way) -> None:
    with proxy.poisoned(Corrupt(every=50, way=way)):
        sock.sendall(TEXT)
        came = exactly(sock, len(TEXT))
    wrong = sum(one != other for one, other in zip(came, TEXT, strict=True))
    assert 0 < wrong < len(TEXT) / 10
    assert (echo.got == TEXT) is (way == "down")
    sock.sendall(b"well again")
    assert exactly(sock, 10) == b"well again"


def test_a_reset_comes_behind_so_many_bytes_and_reaches_the_server(proxy: Proxy, echo, sock):
    proxy.put(Reset(after=7))
    sock.sendall(b"0123456789")
    assert exactly(sock, 7) == b"0123456"
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    echo.until_open(0)
    assert proxy.hits == {"Reset": 1}


def test_a_limit_of_data_ends_in_order(proxy: Proxy, echo: Echo, sock) -> None:
    proxy.put(LimitData(after=7))
    sock.sendall(b"0123456789")
    assert to_the_end(sock) == b"0123456"
    echo.until_open(0)


def test_a_limit_on_the_way_up_lets_no_more_reach_the_server(proxy: Proxy, echo: Echo, sock):
    proxy.put(LimitData(after=4, way="up"))
    sock.sendall(b"0123456789")
    with suppress(ConnectionResetError):  # what was not read any more
        to_the_end(sock)
    echo.until_left()
    assert echo.got == b"0123"


def test_half_open_says_nothing_more_though_the_server_is_gone(proxy: Proxy, echo: Echo, sock):
    proxy.put(HalfOpen(after=4))
    sock.sendall(b"0123456789")
    assert exactly(sock, 4) == b"0123"
    echo.until_open(0)
    sock.sendall(b"are you there?")
    assert is_silent(sock)
    proxy.take_off(HalfOpen(after=4))
    assert is_silent(sock), "what was cut stays cut"
    sock.close()
    until_none(proxy)


def test_a_stall_leaves_the_server_waiting(proxy: Proxy, echo: Echo, sock) -> None:
    proxy.put(Stall(after=4))
    sock.sendall(b"0123456789")
    assert exactly(sock, 4) == b"0123"
    assert is_silent(sock)
    assert echo.open == 1
    sock.close()
    echo.until_open(0)


def test_a_black_hole_takes_connections_that_reach_nobody(proxy: Proxy, echo: Echo) -> None:
    proxy.put(Blackhole())
    with connected(proxy) as sock:
        sock.sendall(b"hello")
        assert is_silent(sock)
        assert echo.open == 0
    until_none(proxy)


def test_refusing_is_what_a_port_without_a_listener_does_and_the_port_stays(proxy: Proxy) -> None:
    for _ in range(3):
        with proxy.poisoned(Refuse()), pytest.raises(ConnectionRefusedError):
            connected(proxy)
        with connected(proxy) as sock:
            sock.sendall(b"hello")
            assert exactly(sock, 5) == b"hello"


def test_a_slow_close_brings_all_bytes_and_its_end_later(proxy: Proxy, sock) -> None:
    with proxy.poisoned(SlowClose(seconds=0.3)):
        began = time.monotonic()
        sock.sendall(b"bye!")
        assert exactly(sock, 4) == b"bye!"
        assert to_the_end(sock) == b""
        assert time.monotonic() - began >= 0.3


def test_each_exchange_of_a_connection_is_drawn_for_anew_and_counted_anew(proxy, sock) -> None:
    proxy.put(LimitData(after=4, share=0.3))
    came = []
    while not came or came[-1] == b"0123456789":
        sock.sendall(b"0123456789")
        came.append(exactly(sock, 10))
    assert len(came) > 1
    assert came[-1] == b"0123"


def test_a_share_is_the_same_for_the_same_seed(echo: Echo) -> None:
    def ends(seed: int) -> list[bytes]:
        with Proxy(echo.port, seed=seed) as proxy:
            proxy.put(LimitData(after=1, share=0.5))
            found = []
            for _ in range(20):
                with connected(proxy) as sock:
                    sock.sendall(b"ok!")
                    found.append(to_the_end(sock))
            assert proxy.hits["LimitData"] == found.count(b"o")
            return found

    first = ends(1)
    assert set(first) == {b"o", b"ok!"}
    assert ends(1) == first != ends(2)


def test_toxics_are_worn_together(proxy: Proxy, sock) -> None:
    proxy.put(Slicer(size=2), Latency(seconds=0.001), Reset(after=9, way="down"))
    sock.sendall(TEXT[:50])
    assert exactly(sock, 9) == TEXT[:9]
    with pytest.raises(ConnectionResetError):
        sock.recv(1)


def test_tls_is_ended_here_and_may_stall_in_its_handshake(echo: Echo) -> None:
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with Proxy(echo.port, tls=serving) as tls, Proxy(tls.port) as proxy:
        with trusting.wrap_socket(connected(proxy), server_hostname="localhost") as sock:
            sock.sendall(b"hello")
            assert exactly(sock, 5) == b"hello"
            proxy.put(Corrupt(every=20))
            sock.sendall(b"more than twenty bytes, so that one is flipped")
            with pytest.raises(ssl.SSLError):
                exactly(sock, 46)
            proxy.take_off(Corrupt(every=20))
        with proxy.poisoned(Stall(after=200)), connected(proxy) as plain:
            plain.settimeout(0.2)
            with pytest.raises(TimeoutError):
                trusting.wrap_socket(plain, server_hostname="localhost")


def test_closing_it_leaves_neither_thread_nor_descriptor(echo: Echo) -> None:
    gc.collect()  # of tests before
    threads, files = threading.active_count(), open_files()
    with Proxy(echo.port) as proxy:
        socks = [connected(proxy) for _ in range(5)]
        proxy.put(Stall())
        for sock in socks:
            sock.sendall(b"x")
        until = time.monotonic() + PATIENCE
        while proxy.connections < len(socks):
            assert time.monotonic() < until
            time.sleep(0.005)
        proxy.cut()
        for sock in socks:
            with suppress(ConnectionResetError):
                to_the_end(sock)
            sock.close()
        assert proxy.connections == 0
    echo.until_open(0)
    until = time.monotonic() + PATIENCE
    while threading.active_count() > threads or open_files() > files:
        assert time.monotonic() < until, (threading.enumerate(), files, open_files())
        time.sleep(0.01)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def until_none(proxy: Proxy) -> None:
    until = time.monotonic() + PATIENCE
    while proxy.connections:
        assert time.monotonic() < until, proxy.connections
        time.sleep(0.005)

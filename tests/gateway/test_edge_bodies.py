"""Bodies that are too large, too slow, packed, or never come: refused early, and never held."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator

import pytest
from raw import CHATS, Wire, ask, chat, chunks, eventually, get, head, mib, post, resident
from running import Gateway, running

from trunkline.sandbox.server import SandboxServer

SHORT = """
[edge]
head_seconds = 1.0
body_seconds = 1.5
idle_seconds = 2.0
body_bytes = 200000
"""
MIB = 1 << 20


@pytest.fixture(scope="module")
def hasty(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> Iterator[Gateway]:
    """A gateway with short limits."""
    with running(tmp_path_factory.mktemp("hasty"), SHORT, sandbox_server.environment) as started:
        yield started


@pytest.fixture(scope="module")
def key(hasty: Gateway) -> str:
    return hasty.new_key()


def sized(size: int) -> bytes:
    """A chat of exactly so many bytes."""
    start, end = b'{"model":"m","messages":[{"role":"user","content":"', b'"}]}'
    return start + b"a" * (size - len(start) - len(end)) + end


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(hasty: Gateway, key: str) -> None:
    whole, more = sized(200_000), sized(200_001)
    assert ask(hasty, post(whole, key)).error["code"] == "model_not_found"
    assert (
        ask(
            hasty, post(b"", key, "transfer-encoding: chunked", length=False) + chunks(whole)
        ).error["code"]
        == "model_not_found"
    )
    for request in (
        post(more, key),
        post(b"", key, "transfer-encoding: chunked", length=False) + chunks(more),
    ):
        with Wire(hasty) as wire:
            answer = wire.ask(request)
            assert (answer.status, answer.error["code"]) == (413, "request_too_large")
            assert "200000" in answer.error["message"]
            assert answer.headers["connection"] == "close"
            assert wire.ended()


def test_a_length_beyond_the_limit_is_refused_before_any_of_it_is_sent(
    hasty: Gateway, key: str
) -> None:
    for expect in ([], ["expect: 100-continue"]):
        with Wire(hasty) as wire:
            wire.send(head("POST", CHATS, "content-length: 200001", *expect, key=key) + b"\r\n")
            assert wire.answer().status == 413
            assert wire.ended()


def test_a_repeated_request_is_held_to_the_limit_too(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> None:
    config = "[edge]\nbody_bytes = 300\n"
    with running(tmp_path_factory.mktemp("small"), config, sandbox_server.environment) as gateway:
        key = gateway.new_key()
        with Wire(gateway) as wire:
            assert [wire.ask(post(chat(), key)).status for _ in range(3)] == [200] * 3
            answer = wire.ask(post(sized(301), key))
            assert (answer.status, answer.error["code"]) == (413, "request_too_large")
            assert wire.ended()


def test_a_stranger_is_refused_without_its_body(hasty: Gateway) -> None:
    for lines in (["content-length: 190000"], ["transfer-encoding: chunked"]):
        with Wire(hasty) as wire:
            wire.send(head("POST", CHATS, *lines) + b"\r\n")
            answer = wire.answer()
            assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
            assert answer.headers["connection"] == "close"
            assert wire.ended()


def test_a_stranger_with_a_small_body_keeps_its_connection(hasty: Gateway, key: str) -> None:
    data = post(chat())
    cut = data.index(b"\r\n\r\n") + 4
    for pieces in ((data,), (data[:cut], data[cut:]), (data[: cut + 5], data[cut + 5 :])):
        with Wire(hasty) as wire:
            answer = wire.send(pieces[0]).answer()
            assert answer.status == 401
            assert "connection" not in answer.headers
            wire.send(*pieces[1:])
            assert wire.ask(post(chat(), key)).status == 200


def test_a_stranger_s_large_body_is_answered_once(hasty: Gateway) -> None:
    for body in (sized(100_000), sized(64 * 1024 + 1)):
        with Wire(hasty) as wire:
            try:
                wire.send(post(body))
            except ConnectionError:
                pass  # hung up on while sending
            assert wire.answer().status == 401
            assert wire.ended()


def test_a_body_where_none_belongs_is_refused(hasty: Gateway, key: str) -> None:
    for path in ("/health/live", "/v1/models"):
        with Wire(hasty) as wire:
            data = head("GET", path, "content-length: 5", key=key) + b"\r\nhello"
            assert wire.ask(data).status == 413
            assert wire.ended()


def test_bodies_in_chunks_of_any_size_are_put_together(
    hasty: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    body = post(chat(user="x" * 3000)).partition(b"\r\n\r\n")[2]
    for size in (1, 7, 4000):
        data = post(b"", key, "transfer-encoding: chunked", length=False) + chunks(body, size)
        with Wire(hasty) as wire:
            assert wire.ask(data).status == 200
            assert wire.lives()
        assert sandbox_server.requests[-1].json["user"] == "x" * 3000


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(hasty: Gateway, key: str) -> None:
    first, _, body = post(chat(), key, "Expect: 100-Continue").partition(b"\r\n\r\n")
    with Wire(hasty) as wire:
        wire.send(first + b"\r\n\r\n")
        assert wire.head().status == 100
        assert wire.ask(body).status == 200
        assert wire.lives()


def test_a_client_that_sends_its_body_unasked_is_not_asked(hasty: Gateway, key: str) -> None:
    with Wire(hasty) as wire:
        assert wire.ask(post(chat(), key, "expect: 100-continue")).status == 200
        assert wire.lives()


def test_a_stranger_that_waits_to_be_asked_is_refused_instead(hasty: Gateway) -> None:
    first = post(chat(), None, "expect: 100-continue").partition(b"\r\n\r\n")[0]
    with Wire(hasty) as wire:
        assert wire.ask(first + b"\r\n\r\n").status == 401
        assert wire.ended()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-odd"])
def test_packed_bodies_are_refused(
    hasty: Gateway, key: str, sandbox_server: SandboxServer, encoding: str
) -> None:
    before = len(sandbox_server.requests)
    bomb = gzip.compress(b" " * 10 * MIB)
    for body in (bomb, zlib.compress(b"{}"), b"{}"):
        with Wire(hasty) as wire:
            answer = wire.ask(post(body, key, f"content-encoding: {encoding}"))
            assert (answer.status, answer.error["code"]) == (415, "unsupported_encoding")
            assert "Content-Encoding" in answer.error["message"]
            assert wire.lives()
    assert len(sandbox_server.requests) == before


def test_a_body_that_says_it_is_not_packed_is_read(hasty: Gateway, key: str) -> None:
    for encoding in ("identity", "Identity"):
        assert ask(hasty, post(chat(), key, f"content-encoding: {encoding}")).status == 200


def test_a_head_that_does_not_end_is_given_up(hasty: Gateway) -> None:
    data = get("/health/live")
    wires = [Wire(hasty).send(part) for part in (data[:1], data[:20], data[:-2])]
    assert given_up(wires) == 3 * [(408, "request_timeout")]


def given_up(wires: list[Wire]) -> list[tuple[int, str]]:
    """Wait until each has been answered and closed; returns statuses and codes."""
    told = []
    for wire in wires:
        with wire:
            answer = wire.answer()
            told.append((answer.status, answer.error["code"]))
            assert "connection" in answer.headers
            assert wire.ended()
    return told


def test_a_head_that_drips_is_given_up(hasty: Gateway) -> None:
    with Wire(hasty) as wire:
        wire.socket.settimeout(0.1)
        dripped = drip(wire, get("/health/live", *[f"x-{i}: y" for i in range(90)]))
        wire.socket.settimeout(20)
        assert dripped < 60
        assert wire.answer().status == 408
        assert wire.ended()


def drip(wire: Wire, data: bytes) -> int:
    """Send a byte at a time until there is an answer; returns how many were sent."""
    for count, byte in enumerate(data):
        try:
            wire.socket.sendall(bytes([byte]))
            wire.rest += wire.socket.recv(1 << 16)
        except TimeoutError:
            continue
        except ConnectionError:
            return count
        return count
    raise AssertionError("all of it was taken")


def test_empty_lines_in_front_of_a_request_win_no_time(hasty: Gateway) -> None:
    with Wire(hasty) as wire:
        wire.socket.settimeout(0.1)
        sent = 0
        try:
            while sent < 100:
                wire.socket.sendall(b"\r\n")
                sent += 1
                try:
                    assert wire.socket.recv(1) == b""
                    break
                except TimeoutError:
                    continue
        except ConnectionError:
            pass  # closed
        assert sent < 100


def test_a_body_that_does_not_come_is_given_up(hasty: Gateway, key: str) -> None:
    first = head("POST", CHATS, "content-length: 100", key=key) + b"\r\n"
    wires = [Wire(hasty).send(first + rest) for rest in (b"", b"{", b'{"model":')]
    assert given_up(wires) == 3 * [(408, "request_timeout")]


def test_a_body_that_drips_is_given_up(hasty: Gateway, key: str) -> None:
    data = post(b"", key, "transfer-encoding: chunked", length=False) + chunks(sized(300), 1)
    first, _, body = data.partition(b"\r\n\r\n")
    with Wire(hasty) as wire:
        wire.send(first + b"\r\n\r\n")
        wire.socket.settimeout(0.1)
        assert drip(wire, body) < 80
        wire.socket.settimeout(20)
        assert given_up([wire]) == [(408, "request_timeout")]


def test_a_connection_that_says_nothing_is_closed_without_a_word(hasty: Gateway) -> None:
    with Wire(hasty) as silent, Wire(hasty) as idle:
        assert idle.lives()
        assert silent.ended()
        assert idle.ended()


def test_many_strangers_with_endless_bodies_are_not_held(hasty: Gateway) -> None:
    before = resident(hasty)
    wires = [Wire(hasty) for _ in range(100)]
    data = head("POST", CHATS, "transfer-encoding: chunked") + b"\r\n" + b"10000\r\n" + b"a" * 65536
    for wire in wires:
        try:
            for _ in range(16):
                wire.send(data)
                data = b"\r\n10000\r\n" + b"a" * 65536
        except OSError:
            pass  # hung up on, or not read
    grown = resident(hasty) - before
    for wire in wires:
        wire.socket.close()
    assert mib("many strangers with endless bodies are not held", grown) < 64


def test_many_heads_that_never_end_are_not_held(gateway: Gateway) -> None:
    before = resident(gateway)
    wires = [Wire(gateway) for _ in range(100)]
    line = b"x: " + b"a" * 60_000
    for wire in wires:
        try:
            wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n", *[line] * 8)
        except OSError:
            pass  # refused in the middle
    grown = resident(gateway) - before
    answers = [wire.answer().status for wire in wires]
    for wire in wires:
        wire.socket.close()
    assert answers == [431] * 100
    assert mib("many heads that never end are not held", grown) < 64


def test_requests_whose_answers_nobody_reads_are_not_answered_for_ever(gateway: Gateway) -> None:
    before = resident(gateway)
    request = get("/v1/models", key=gateway.new_key()) * 30
    sent = 0
    with Wire(gateway, buffer=4096) as wire:
        wire.socket.settimeout(0.5)
        until = time.monotonic() + 10
        try:
            while time.monotonic() < until:
                sent += wire.socket.send(request)
        except TimeoutError:
            pass  # what nobody reads stops being answered, and then being taken
        grown = resident(gateway) - before
        assert mib("requests whose answers nobody reads are not answered for ever", grown) < 64
        assert time.monotonic() < until, f"{sent} bytes of requests were taken"
    assert ask(gateway, get("/health/live")).status == 200


def test_a_client_that_leaves_amid_its_body_is_forgotten(hasty: Gateway, key: str) -> None:
    def open_connections() -> int:
        told = ask(hasty, get("/metrics")).body.decode()
        found = next(
            line for line in told.splitlines() if line.startswith("trunkline_open_connections ")
        )
        return int(float(found.rpartition(" ")[2]))

    for data in (b"PO", post(chat(), key)[:-5], head("POST", CHATS, key=key)):
        with Wire(hasty) as wire:
            wire.send(data)
    eventually(lambda: open_connections() == 1, "the connections are forgotten")
    assert ask(hasty, post(chat(), key)).status == 200

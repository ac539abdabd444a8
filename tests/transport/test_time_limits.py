"""Limits of time, each by the stage that it bounds. Servers here are silent; none is slow."""

from __future__ import annotations

import itertools
import socket
import time

import pytest

from faces import ONCE
from loopback import STREAM_HEAD, chunk, completion, event, then_waits, whole
from trunkline import (
    DeadlineExceeded,
    ServiceUnavailableError,
    StreamTruncated,
    Timeout,
    Timeouts,
)

SHORT = 0.15
PATIENT = 5.0
"""What a call with a short limit must stay below, with all the time that a busy machine wants."""


@pytest.fixture
def deaf():
    """An address that takes no more connections: its queue is full, and connecting hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listening.getsockname())
            waiting.append(sock)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        for sock in waiting:
            sock.close()


def drips(pieces):
    """Send a stream's pieces for as long as the client stays."""

    def script(visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, chunk(event("Hel")))
        for piece in pieces:
            visit.send(chunk(piece))
            if visit.gone.wait(0.01):
                return

    return script


def test_connecting_has_its_own_limit(face, deaf) -> None:
    began = time.monotonic()
    with pytest.raises(Timeout, match="No connection") as caught:
        face.chat(face.client(deaf), timeout=Timeouts(connect=SHORT), **ONCE)
    assert time.monotonic() - began < PATIENT
    assert not caught.value.sent


def test_a_server_that_never_answers_is_left_and_not_asked_again(face, serve) -> None:
    upstream = serve(then_waits())
    began = time.monotonic()
    with pytest.raises(Timeout, match="did not begin to answer") as caught:
        face.chat(face.client(upstream.url), timeout=SHORT)
    assert SHORT <= time.monotonic() - began < PATIENT
    assert upstream.visits[0].gone.wait(PATIENT)
    assert len(caught.value.attempts) == 1


def test_a_head_that_stays_half_is_late_too(face, serve) -> None:
    upstream = serve(then_waits(b"HTTP/1.1 200 OK\r\ncontent-"))
    with pytest.raises(Timeout, match="did not begin to answer") as caught:
        face.chat(face.client(upstream.url), timeout=SHORT)
    assert caught.value.received
    assert upstream.visits[0].gone.wait(PATIENT)


def test_a_body_that_stalls_is_left(face, serve) -> None:
    upstream = serve(then_waits(whole(completion())[:-5]))
    with pytest.raises(Timeout, match="stopped sending"):
        face.chat(face.client(upstream.url), timeout=SHORT)
    assert upstream.visits[0].gone.wait(PATIENT)


def test_a_stream_without_a_first_event_is_late(face, serve) -> None:
    upstream = serve(then_waits(STREAM_HEAD, chunk(b": hello\n\n")))
    with pytest.raises(Timeout):
        face.stream(face.client(upstream.url), timeout=SHORT)
    assert upstream.visits[0].gone.wait(PATIENT)


@pytest.mark.parametrize(
    ("timeouts", "pieces", "why"),
    [
        (Timeouts(idle=SHORT), [], "stopped sending"),
        (Timeouts(quiet=SHORT), itertools.repeat(b": still here\n\n"), "only keep-alives"),
        (Timeouts(quiet=SHORT), itertools.repeat(b"d"), "only keep-alives"),
        (Timeouts(stream=SHORT), itertools.repeat(event("x")), "longer than 0.15 s"),
    ],
    ids=["silence", "comments only", "a byte at a time", "endless"],
)
def test_a_stream_is_left_with_what_came(face, serve, timeouts, pieces, why) -> None:
    def script(visit) -> None:
        drips(pieces)(visit)
        visit.until_gone()

    upstream = serve(script)
    stream = face.stream(face.client(upstream.url), timeout=timeouts)
    chunks, error = face.read(stream)
    assert isinstance(error, StreamTruncated)
    assert isinstance(error.__cause__, Timeout)
    assert why in str(error)
    assert error.text.startswith("Hel")
    assert chunks[0].text == "Hel"


@pytest.mark.parametrize("read_slowly", [False, True], ids=["eager", "always behind"])
def test_a_deadline_ends_a_stream_that_never_pauses(face, serve, read_slowly) -> None:
    def floods(visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD)
        while True:
            visit.send(chunk(event("x" * 1000) * 20))

    upstream = serve(floods)
    began = time.monotonic()
    stream = face.stream(face.client(upstream.url), deadline=0.3)
    error = None
    try:
        while face.next(stream) is not None:
            assert time.monotonic() - began < PATIENT
            if read_slowly:  # so that there is always something to be had at once
                upstream.event("never").wait(0.001)
    except StreamTruncated as caught:
        error = caught
    assert isinstance(error.__cause__, DeadlineExceeded)
    assert "deadline" in str(error)


def test_a_deadline_bounds_the_whole_call(face, serve) -> None:
    upstream = serve(then_waits())
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        face.chat(face.client(upstream.url), deadline=SHORT)
    assert time.monotonic() - began < PATIENT
    assert len(caught.value.attempts) == 1


def test_a_deadline_bounds_connecting(face, deaf) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        face.chat(face.client(deaf), deadline=SHORT)
    assert time.monotonic() - began < PATIENT


def test_a_deadline_is_kept_across_retries(face, serve) -> None:
    """Two attempts fail fast, the third hangs: the deadline counts from the first."""

    def busy(visit) -> None:
        visit.request()
        visit.answer(b"{}", 503, retry_after="0.05", connection="close")

    upstream = serve(busy, busy, then_waits())
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        face.chat(face.client(upstream.url), deadline=0.5)
    assert time.monotonic() - began < PATIENT
    assert [attempt.status for attempt in caught.value.attempts] == [503, 503, None]


def test_a_wait_that_would_pass_the_deadline_is_not_begun(face, serve) -> None:
    def busy(visit) -> None:
        visit.request()
        visit.answer(b"{}", 503, retry_after="30")

    upstream = serve(busy)
    began = time.monotonic()
    with pytest.raises(ServiceUnavailableError):
        face.chat(face.client(upstream.url), deadline=10)
    assert time.monotonic() - began < PATIENT
    assert len(upstream.requests) == 1


def test_one_connection_serves_calls_of_different_limits(face, serve) -> None:
    """A connection that was given long is not given long again."""

    def script(visit) -> None:
        visit.request()
        visit.answer()
        visit.request()
        visit.until_gone()

    upstream = serve(script)
    client = face.client(upstream.url)
    face.chat(client, timeout=60)
    began = time.monotonic()
    with pytest.raises(Timeout):
        face.chat(client, timeout=SHORT)
    assert time.monotonic() - began < PATIENT


def test_tls_that_stalls_is_left(face, serve) -> None:
    upstream = serve(lambda visit: visit.until_gone())
    url = upstream.url.replace("http:", "https:")
    began = time.monotonic()
    with pytest.raises(Timeout, match="No connection"):
        face.chat(face.client(url), timeout=Timeouts(connect=SHORT), **ONCE)
    with pytest.raises(DeadlineExceeded):
        face.chat(face.client(url), deadline=SHORT, **ONCE)
    assert time.monotonic() - began < PATIENT

"""Whoever leaves hangs up: the server sees it at once, in whichever phase, and nothing stays open.

The promise is 100 ms (bench/ measures it); here a second leaves room for a busy machine.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from faces import ASKED, ONCE, Face
from loopback import (
    STREAM_HEAD,
    answers,
    chunk,
    completion,
    event,
    open_sockets,
    sockets_settle,
    then_waits,
    whole,
)
from trunkline import APIConnectionError, AsyncClient, StreamTruncated
from trunkline.settings import read_settings
from trunkline.transport.blocking import BlockingTransport
from trunkline.wire.http1_read import HttpLimits

SOON = 1.0

PHASES = {
    "before the head": (),
    "before the first event": (STREAM_HEAD, chunk(b": hello\n\n")),
    "after the first event": (STREAM_HEAD, chunk(event("Hel"))),
}
WHOLE_PHASES = {"before the head": (), "in the body": (whole(completion())[:-5],)}


def async_client(upstream) -> AsyncClient:
    return AsyncClient(api_base=upstream.url, settings=read_settings({}))


async def noted(upstream, name: str) -> None:
    await asyncio.to_thread(upstream.wait, name)


async def left(upstream, since: float) -> float:
    return await asyncio.to_thread(upstream.seconds_until_gone, since)


# asynchronous: cancelling the task


@pytest.mark.parametrize("phase", PHASES)
def test_cancelling_a_task_that_streams_hangs_up(runner, serve, phase) -> None:
    upstream = serve(then_waits(*PHASES[phase]))

    async def reads(client) -> None:
        async for _ in client.stream("m", ASKED):
            upstream.say("first event read")

    async def main() -> None:
        before = open_sockets()
        client = async_client(upstream)
        task = asyncio.create_task(reads(client))
        await noted(upstream, "first event read" if "after" in phase else "sent")
        since = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await left(upstream, since) < SOON
        assert len(upstream.visits) == 1
        assert sockets_settle(before)  # without even closing the client

    runner.run(main())


@pytest.mark.parametrize("phase", WHOLE_PHASES)
def test_cancelling_a_task_that_waits_for_a_whole_answer_hangs_up(runner, serve, phase) -> None:
    upstream = serve(then_waits(*WHOLE_PHASES[phase]))

    async def main() -> None:
        before = open_sockets()
        client = async_client(upstream)
        task = asyncio.create_task(client.chat("m", ASKED))
        await noted(upstream, "sent")
        since = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await left(upstream, since) < SOON
        assert sockets_settle(before)

    runner.run(main())


def test_cancelling_while_connecting_leaves_nothing_open(runner, serve) -> None:
    upstream = serve(lambda visit: visit.until_gone())  # TLS is never answered

    async def main() -> None:
        before = open_sockets()
        client = AsyncClient(
            api_base=upstream.url.replace("http:", "https:"), settings=read_settings({})
        )
        task = asyncio.create_task(client.chat("m", ASKED))
        while not upstream.visits:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await left(upstream, time.monotonic()) < SOON
        assert sockets_settle(before)

    runner.run(main())


def test_cancelling_while_waiting_for_the_next_attempt_ends_the_call(runner, serve) -> None:
    def busy(visit) -> None:
        visit.request()
        visit.answer(b"{}", 503, retry_after="60")
        visit.note("refused")
        visit.until_gone()

    upstream = serve(busy)

    async def main() -> None:
        client = async_client(upstream)
        task = asyncio.create_task(client.chat("m", ASKED))
        await noted(upstream, "refused")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(upstream.visits) == 1
        await client.close()

    runner.run(main())


def test_a_time_limit_around_a_stream_hangs_up(runner, serve) -> None:
    upstream = serve(then_waits(STREAM_HEAD, chunk(event("Hel"))))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                async for _ in async_client(upstream).stream("m", ASKED):
                    pass
        assert await left(upstream, time.monotonic()) < SOON

    runner.run(main())


# asynchronous: leaving the stream


async def by_leaving_the_block(client) -> None:
    async with client.stream("m", ASKED) as stream:
        async for _ in stream:
            break


async def by_an_error_in_the_block(client) -> None:
    try:
        async with client.stream("m", ASKED) as stream:
            async for _ in stream:
                raise KeyError
    except KeyError:
        pass


async def by_close(client) -> None:
    stream = await client.stream("m", ASKED)
    await anext(stream)
    await stream.close()
    await stream.close()


async def by_leaving_the_loop(client) -> None:
    async for _ in client.stream("m", ASKED):
        break


async def by_leaving_the_loop_of_texts(client) -> None:
    async for _ in client.stream("m", ASKED).text:
        break


async def by_dropping_it_unread(client) -> None:
    await client.stream("m", ASKED)


async def by_closing_the_client(client) -> None:
    stream = await client.stream("m", ASKED)
    await client.close()
    with pytest.raises(StreamTruncated):
        await stream.collect()


@pytest.mark.parametrize(
    "leave",
    [
        by_leaving_the_block,
        by_an_error_in_the_block,
        by_close,
        by_leaving_the_loop,
        by_leaving_the_loop_of_texts,
        by_dropping_it_unread,
        by_closing_the_client,
    ],
    ids=lambda leave: leave.__name__,
)
def test_an_async_stream_is_hung_up(runner, serve, leave) -> None:
    upstream = serve(then_waits(STREAM_HEAD, chunk(event("Hel"))))

    async def main() -> None:
        before = open_sockets()
        client = async_client(upstream)
        await leave(client)
        assert await left(upstream, time.monotonic()) < SOON
        assert sockets_settle(before)

    runner.run(main())


# blocking: leaving the stream


def with_block(client) -> None:
    with client.stream("m", ASKED) as stream:
        for _ in stream:
            break


def error_in_block(client) -> None:
    try:
        with client.stream("m", ASKED) as stream:
            for _ in stream:
                raise KeyError
    except KeyError:
        pass


def close(client) -> None:
    stream = client.stream("m", ASKED)
    next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []


def loop_left(client) -> None:
    for _ in client.stream("m", ASKED):
        break


def loop_of_texts_left(client) -> None:
    for _ in client.stream("m", ASKED).text:
        break


def dropped_unread(client) -> None:
    client.stream("m", ASKED)


def client_closed(client) -> None:
    stream = client.stream("m", ASKED)
    client.close()
    with pytest.raises(StreamTruncated):
        stream.collect()


def closed_by_another_thread(client) -> None:
    stream = client.stream("m", ASKED)
    assert next(stream).text == "Hel"
    ended = []

    def reads() -> None:
        try:
            next(stream)
        except StreamTruncated as error:
            ended.append(error)

    reader = threading.Thread(target=reads)
    reader.start()
    stream.close()
    reader.join(10)
    assert not reader.is_alive()


@pytest.mark.parametrize(
    "leave",
    [
        with_block,
        error_in_block,
        close,
        loop_left,
        loop_of_texts_left,
        dropped_unread,
        client_closed,
        closed_by_another_thread,
    ],
    ids=lambda leave: leave.__name__,
)
def test_a_blocking_stream_is_hung_up(serve, leave) -> None:
    upstream = serve(then_waits(STREAM_HEAD, chunk(event("Hel"))))
    before = open_sockets()
    client = Face().client(upstream.url)
    leave(client)
    assert upstream.seconds_until_gone(time.monotonic()) < SOON
    assert sockets_settle(before)


@pytest.mark.parametrize("phase", ["before the head", "before the first event"])
@pytest.mark.parametrize("used_before", [False, True], ids=["new", "used"])
def test_closing_a_client_ends_the_calls_of_other_threads(serve, phase, used_before) -> None:
    """They end, and are not tried again on a new connection."""

    def script(visit) -> None:
        if used_before:
            visit.request()
            visit.answer()
        then_waits(*PHASES[phase])(visit)

    upstream = serve(script)
    client = Face().client(upstream.url)
    if used_before:
        client.chat("m", ASKED)
    ended = []

    def streams() -> None:
        try:
            client.stream("m", ASKED)
        except APIConnectionError as error:
            ended.append(error)

    thread = threading.Thread(target=streams)
    thread.start()
    upstream.wait("sent")
    since = time.monotonic()
    client.close()
    assert upstream.seconds_until_gone(since) < SOON
    thread.join(10)
    assert len(ended) == 1
    assert len(upstream.visits) == 1


def test_closing_an_async_client_ends_the_calls_of_its_tasks(runner, serve) -> None:
    upstream = serve(then_waits())

    async def main() -> None:
        client = async_client(upstream)
        task = asyncio.create_task(client.chat("m", ASKED))
        await noted(upstream, "sent")
        await client.close()
        with pytest.raises(APIConnectionError, match="closed by its own client"):
            await task
        assert len(upstream.visits) == 1

    runner.run(main())


def test_a_client_that_was_closed_opens_new_connections(face, serve) -> None:
    upstream = serve(answers)
    client = face.client(upstream.url)
    stream = face.stream(client, **ONCE)
    assert len(face.read(stream)[0]) == 4
    face.run(client.close())
    assert face.chat(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 2


# Ctrl-C

INTERRUPTED = """
import sys
from trunkline import Client
client = Client(api_base=sys.argv[1])
for phase in range(3):
    try:
        for chunk in client.stream("m", [{"role": "user", "content": "Hello?"}]):
            print("first event", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.stdin.readline()  # the process lives on: it is the call that ended
print("asyncio" in sys.modules, len(__import__("os").listdir("/proc/self/fd")))
"""


def until_it_waits(process: subprocess.Popen) -> None:
    """Wait until a process has nothing to do but wait: it is past reading what was sent."""
    state = Path(f"/proc/{process.pid}/stat")
    give_up = time.monotonic() + 10
    while state.read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < give_up
        time.sleep(0.001)


def test_ctrl_c_ends_a_blocking_call_and_hangs_up_while_the_program_lives_on(serve) -> None:
    upstream = serve(*(then_waits(*pieces) for pieces in PHASES.values()))
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-c", INTERRUPTED, upstream.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        for number, phase in enumerate(PHASES):
            if "after" in phase:
                assert child.stdout.readline() == "first event\n"
            else:
                upstream.wait("sent")
                upstream.event("sent").clear()
                until_it_waits(child)
            since = time.monotonic()
            child.send_signal(signal.SIGINT)
            said = child.stdout.readline()
            assert said == "interrupted\n", child.communicate()[1]
            assert upstream.seconds_until_gone(since, number) < SOON
            child.stdin.write("\n")
            child.stdin.flush()
        out, err = child.communicate(timeout=20)
    assert (err, child.returncode) == ("", 0)
    assert out == "False 4\n"  # three standard streams and the listing itself


def test_ctrl_c_while_an_answer_is_parsed_is_no_error_of_the_server(serve) -> None:
    """The signal comes from within the parser's callback, which httptools wraps."""
    interrupted = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    upstream = serve(answers)

    class Interrupting(HttpLimits, frozen=True):
        """Raises the signal when the parser asks how many headers there may be."""

        @property
        def headers(self) -> int:
            signal.raise_signal(signal.SIGUSR1)
            return 256

    transport = BlockingTransport(limits=Interrupting())
    try:
        with pytest.raises(KeyboardInterrupt):
            Face().client(upstream.url, transport=transport).chat("m", ASKED, **ONCE)
    finally:
        signal.signal(signal.SIGUSR1, interrupted)
        transport.close()


# back-pressure


def test_a_slow_reader_slows_the_server_down(face, serve) -> None:
    """Of a stream of 50 MB, only what fits in the buffers is on its way while nobody reads."""
    piece = chunk(event("x" * 1000) * 50)
    sent = []

    def floods(visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD)
        visit.sock.settimeout(0.5)
        try:
            for _ in range(50_000_000 // len(piece)):
                visit.sock.sendall(piece)
                sent.append(len(piece))
        except TimeoutError:
            visit.note("slowed down")

    upstream = serve(floods)
    stream = face.stream(face.client(upstream.url), **ONCE)
    face.next(stream)
    if face.name == "blocking":
        upstream.wait("slowed down")
    else:
        face.run(noted(upstream, "slowed down"))  # the loop runs, and takes what it will
    assert sum(sent) < 16_000_000  # the system's own buffers, on loopback
    error = face.read(stream)[1]  # it is cut, now that the server has given up
    assert isinstance(error, StreamTruncated)
    assert len(error.text) < 16_000_000

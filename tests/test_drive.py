"""The drivers: they do what a flow asks, answer it, and let go of what they opened.

Flows here are plain generators and the transport gives bytes from a list; no socket, no waiting.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import threading
import weakref
from typing import Any

import pytest

from loopback import DONE, completion, event
from trunkline import drive
from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import APIConnectionError, InvalidResponseError, StreamTruncated, Timeout
from trunkline.providers.spec import Target
from trunkline.routing.needs import Later, Renew, Reply, Send, Wait
from trunkline.types import Secret, Timeouts
from trunkline.wire.message import HttpRequest, ResponseHead, parse_url

URL = parse_url("http://127.0.0.1/v1/chat/completions")
EVENTS = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}


class Exchange:
    """A response in pieces; an exception among them is raised."""

    started = 1.0

    def __init__(self, pieces: list[Any], head: ResponseHead) -> None:
        self.head = head
        self.pieces = list(pieces)
        self.closed = 0

    def read(self, until: float) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def close(self) -> None:
        self.closed += 1


class AsyncExchange(Exchange):
    async def read(self, until: float) -> bytes:
        return Exchange.read(self, until)


class Transport:
    """Opens one exchange, or fails to."""

    def __init__(self, *pieces: Any, status: int = 200, headers: dict[str, str] = JSON) -> None:
        self.head = ResponseHead(status, headers)
        self.pieces = pieces
        self.error: BaseException | None = None
        self.opened: list[Any] = []

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> Exchange:
        return self._opened(Exchange)

    def close(self) -> None: ...

    def _opened(self, kind: type[Exchange]) -> Any:
        if self.error is not None:
            raise self.error
        self.opened.append(kind(list(self.pieces), self.head))
        return self.opened[-1]


class AsyncTransport(Transport):
    async def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> Exchange:
        return self._opened(AsyncExchange)


def nothing_new(_refused: Secret) -> None:
    """Find no other credential."""


class Driver:
    """Both drivers, used alike."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.slept: list[float] = []

    def transport(self, *pieces: Any, **options: Any) -> Any:
        kind = Transport if self.name == "run" else AsyncTransport
        return kind(*pieces, **options)

    def run(self, flow: Any, transport: Any, renew: Any = nothing_new) -> Any:
        if self.name == "run":
            return drive.run(flow, transport, renew, sleep=self.slept.append)
        return asyncio.run(drive.run_async(flow, transport, renew, sleep=self._sleep))

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture(params=["run", "run_async"])
def driver(request) -> Driver:
    return Driver(request.param)


def send(*, streamed: bool = False) -> Send:
    reader = ChunkReader() if streamed else None
    request = HttpRequest("POST", URL, ())
    return Send(Target(URL, "m", "served"), request, Timeouts(), 1e12, reader)


def asks(*needs: Any):
    """A flow that asks for these and returns the answers."""
    told = []
    for need in needs:
        answer = yield need
        told.append(answer)
    return told


def reply(driver: Driver, transport: Any, **options: Any) -> Reply:
    return driver.run(asks(send(**options)), transport)[0]


def test_a_send_is_answered_with_the_whole_body(driver) -> None:
    transport = driver.transport(b"whole", b" ", b"body")
    found = reply(driver, transport)
    assert (found.head.status, found.body, found.error) == (200, b"whole body", None)
    assert found.started == 1.0
    assert transport.opened[0].closed == 1


def test_an_error_of_the_transport_is_an_answer_and_does_not_raise(driver) -> None:
    transport = driver.transport()
    transport.error = APIConnectionError("refused")
    found = reply(driver, transport)
    assert found.error is transport.error
    assert found.head is None
    assert found.ended >= found.started


def test_an_error_in_the_body_is_an_answer_with_its_head(driver) -> None:
    transport = driver.transport(b"half", Timeout("late"), status=502)
    found = reply(driver, transport)
    assert isinstance(found.error, Timeout)
    assert found.head.status == 502
    assert transport.opened[0].closed == 1


@pytest.mark.parametrize("where", ["opening", "reading"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_is_no_error_of_ours_goes_through_and_closes_the_exchange(
    driver, where, streamed
) -> None:
    transport = driver.transport(KeyboardInterrupt(), headers=EVENTS)
    if where == "opening":
        transport.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        reply(driver, transport, streamed=streamed)
    assert [exchange.closed for exchange in transport.opened] == [1] * len(transport.opened)


def test_a_wait_is_slept_and_answered_with_the_time(driver) -> None:
    one, two = driver.run(asks(Wait(0.5), Wait(7.0)), driver.transport())
    assert driver.slept == [0.5, 7.0]
    assert one <= two


def test_without_a_sleep_of_the_tests_a_wait_really_waits() -> None:
    assert drive.run(asks(Wait(0.0)), Transport(), nothing_new)
    assert asyncio.run(drive.run_async(asks(Wait(0.0)), AsyncTransport(), nothing_new))


def test_a_refused_credential_is_renewed_only_by_another(driver) -> None:
    old, new = Secret("hf_old", "a test"), Secret("hf_new", "a test")
    for found, answer in ((None, None), (old, None), (new, new)):
        told = driver.run(asks(Renew(old)), driver.transport(), lambda _refused, found=found: found)
        assert told == [answer]


def test_a_flow_that_raises_raises(driver) -> None:
    def flow():
        yield Wait(0.0)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        driver.run(flow(), driver.transport())


@pytest.mark.parametrize("ending", [KeyboardInterrupt, RuntimeError])
def test_a_call_that_is_broken_off_ends_its_flow_at_once(driver, ending) -> None:
    ended: list[str] = []

    def flow():
        try:
            yield send()
        finally:
            ended.append("closed")

    transport = driver.transport()
    transport.error = ending()
    with pytest.raises(ending) as kept:
        driver.run(flow(), transport)
    assert ended == ["closed"], kept


# flows in the background


def notes(told: list[Any], error: Exception | None = None):
    """A flow that asks twice, notes what it was told, and may fail."""
    told.append((yield send()).body)
    told.append((yield Renew(Secret("hf_old", "a test"))))
    if error is not None:
        raise error


def background_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "trunkline-later"]


@pytest.mark.parametrize("error", [None, APIConnectionError("dropped")])
def test_a_flow_in_the_background_is_answered_at_once_and_run_all_the_same(error, caplog) -> None:
    told: list[Any] = []
    new = Secret("hf_new", "a test")
    assert drive.run(asks(Later(notes(told, error))), Transport(b"body"), lambda _: new) == [None]
    for thread in background_threads():
        thread.join(20)
    assert told == [b"body", new]

    async def calls() -> None:
        flow = asks(Later(notes(told, error)))
        assert await drive.run_async(flow, AsyncTransport(b"body"), lambda _: new) == [None]
        assert told == [b"body", new]
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    asyncio.run(calls())
    gc.collect()
    assert told == [b"body", new] * 2
    assert not caplog.records


def test_a_thread_in_the_background_does_not_hold_up_its_call() -> None:
    go = threading.Event()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        assert go.wait(20)
        slept.append(seconds)

    assert drive.run(asks(Later(asks(Wait(3.0)))), Transport(), nothing_new, sleep=sleep) == [None]
    assert slept == []
    [thread] = background_threads()
    go.set()
    thread.join(20)
    assert slept == [3.0]


def test_a_program_that_can_start_no_thread_goes_on() -> None:
    usual = threading.stack_size(1 << 46)  # more than there is
    try:
        told = drive.run(asks(Later(asks(Wait(0.0))), Wait(0.0)), Transport(), nothing_new)
    finally:
        threading.stack_size(usual)
    assert told[0] is None
    assert len(told) == 2
    assert background_threads() == []


def test_a_task_in_the_background_is_kept_until_it_is_done() -> None:
    waiting: list[weakref.ref[asyncio.Future[None]]] = []
    told: list[Any] = []

    async def sleep(_seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        waiting.append(weakref.ref(future))
        await future

    def flow():
        told.append((yield Wait(1.0)))

    async def calls() -> None:
        await drive.run_async(asks(Later(flow())), AsyncTransport(), nothing_new, sleep=sleep)
        while not waiting:
            await asyncio.sleep(0)
        gc.collect()
        future = waiting[0]()
        assert future is not None, "the task was thrown away while it waited"
        future.set_result(None)
        while not told:
            await asyncio.sleep(0)

    asyncio.run(calls())


def test_a_task_in_the_background_ends_with_its_loop_without_a_word(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    ended: list[str] = []

    def flow():
        try:
            yield Wait(3600.0)
        finally:
            ended.append("closed")

    async def calls() -> None:
        await drive.run_async(asks(Later(flow())), AsyncTransport(), nothing_new)
        await asyncio.sleep(0)

    asyncio.run(calls())
    gc.collect()
    assert ended == ["closed"]
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


# streams


def test_a_stream_is_read_up_to_its_first_chunks_and_left_open(driver) -> None:
    pieces = [b": hello\n\n", event("Hel")[:9], event("Hel")[9:], event("lo")]
    transport = driver.transport(*pieces, headers=EVENTS)
    found = reply(driver, transport, streamed=True)
    assert [chunk.text for chunk in found.chunks] == ["Hel"]
    assert found.exchange is transport.opened[0]
    assert found.exchange.pieces == [event("lo")]
    assert found.exchange.closed == 0


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([], StreamTruncated),
        ([DONE], StreamTruncated),
        ([b"data: nonsense\n\n"], InvalidResponseError),
        ([APIConnectionError("broken")], StreamTruncated),
        ([Timeout("late")], Timeout),
        ([APIConnectionError("closed here", should_retry=False)], APIConnectionError),
    ],
    ids=["nothing", "[DONE]", "nonsense", "cut", "late", "closed on this side"],
)
def test_a_stream_that_fails_before_its_first_chunk_is_answered_with_its_error(
    driver, pieces, error
) -> None:
    transport = driver.transport(*pieces, headers=EVENTS)
    found = reply(driver, transport, streamed=True)
    assert type(found.error) is error
    assert found.exchange is None
    assert transport.opened[0].closed == 1


def test_a_stream_that_fails_right_after_its_first_chunk_is_open_all_the_same(driver) -> None:
    transport = driver.transport(event("Hel") + b"data: nonsense\n\n", headers=EVENTS)
    found = reply(driver, transport, streamed=True)
    assert [chunk.text for chunk in found.chunks] == ["Hel"]
    assert found.error is None


def test_a_refused_stream_is_read_whole(driver) -> None:
    transport = driver.transport(b"no", b"!", status=429, headers=EVENTS)
    found = reply(driver, transport, streamed=True)
    assert (found.head.status, found.body, found.exchange) == (429, b"no!", None)


def test_what_is_no_stream_is_read_a_little_and_refused(driver) -> None:
    page = [b"<p>" * 10_000] * 100
    transport = driver.transport(*page, headers={"content-type": "text/html"})
    found = reply(driver, transport, streamed=True)
    assert isinstance(found.error, InvalidResponseError)
    assert len(transport.opened[0].pieces) > 90
    assert transport.opened[0].closed == 1


def test_a_whole_answer_in_place_of_a_stream_is_refused(driver) -> None:
    found = reply(driver, driver.transport(completion()), streamed=True)
    assert isinstance(found.error, InvalidResponseError)


def test_the_two_drivers_take_the_same() -> None:
    assert list(inspect.signature(drive.run).parameters) == list(
        inspect.signature(drive.run_async).parameters
    )

"""Connecting to names: every address is tried, and whoever gives up in the middle leaves no socket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from faces import FACES
from loopback import open_sockets, sockets_settle
from trunkline.transport.aio import AioTransport
from trunkline.transport.aio_reach import reach
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest, Url

LOOPS = [FACES[name] for name in FACES if name != "blocking"]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        yield listening


@pytest.fixture(params=LOOPS, ids=lambda face: face.name)
def runner(request: pytest.FixtureRequest, bare_environment: None) -> Iterator[asyncio.Runner]:
    with request.param().runner as runner:
        yield runner


def test_an_address_that_refuses_gives_way_to_the_next(runner, listening) -> None:
    port = listening.getsockname()[1]

    async def work() -> None:
        # most machines know localhost as ::1 too, where nobody listens
        with await reach("localhost", port) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)

    before = open_sockets()
    runner.run(work())
    assert sockets_settle(before)


def test_a_name_of_which_all_addresses_refuse_is_refused(runner) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        before = open_sockets()
        with pytest.raises(ConnectionRefusedError):
            runner.run(reach("localhost", bound.getsockname()[1]))
        assert sockets_settle(before)


@pytest.mark.parametrize("turns", range(1, 16))
def test_a_call_that_is_given_up_at_any_moment_leaves_no_socket(runner, listening, turns) -> None:
    """Each of many calls at once is cancelled after so many turns of the loop, or a little later."""
    url = Url("http", "localhost", listening.getsockname()[1], "/")

    async def work() -> None:
        transport = AioTransport()
        request, until = HttpRequest("GET", url, ()), time.monotonic() + 20
        await asyncio.get_running_loop().getaddrinfo("localhost", 1)  # has threads for names
        asking = [
            asyncio.create_task(transport.open(request, Timeouts(), until)) for _ in range(20)
        ]
        for _ in range(turns):
            await asyncio.sleep(0)
        for number, task in enumerate(asking):
            if number % 3 == 0:
                await asyncio.sleep(0.0005)
            task.cancel()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        transport.close()
        for _ in range(3):
            await asyncio.sleep(0)

    before = open_sockets()
    runner.run(work())
    assert sockets_settle(before)

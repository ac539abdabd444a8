"""What the calls of one client share: threads that race, forked children, the list of models, measures."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback import Upstream, Visit
from routed_side import ASK, MODEL, Serve, sandboxed
from trunkline import AsyncClient, Client, errors
from trunkline.errors import APIConnectionError
from trunkline.measured import Keeper, load_measures
from trunkline.race import race
from trunkline.routing.measures import Measures, place_of
from trunkline.routing.needs import Race, Reply, Send
from trunkline.transport.blocking import BlockingTransport
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest, parse_url

__all__ = ["sandboxed"]

FAR = 1e12


@pytest.fixture
def silent() -> Iterator[Upstream]:
    """Return a server that reads requests and answers none before it is told to."""

    def answers(visit: Visit) -> None:
        visit.request()
        visit.upstream.say("asked")
        visit.until_gone()

    server = Upstream(answers)
    yield server
    server.close()


# giving up


def test_a_request_is_given_up_while_its_answer_is_waited_for(silent: Upstream):
    transport = BlockingTransport()
    request = HttpRequest("GET", parse_url(silent.url), ())
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            transport.open(request, Timeouts(), time.monotonic() + 60)
        except APIConnectionError as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    silent.wait("asked")
    transport.abandon(request)
    asking.join(20)
    assert len(ended) == 1
    transport.abandon(
        request
    )  # it is over: nothing is left that a later request could be taken for
    assert not transport._asking
    transport.close()


def test_without_another_thread_there_is_no_race(monkeypatch: pytest.MonkeyPatch):
    def none_left(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    answer = Reply(0.0, 1.0)
    send: Any = Send(None, None, Timeouts(), FAR)  # type: ignore[arg-type]  # nobody looks
    monkeypatch.setattr(threading.Thread, "start", none_left)
    raced = race(BlockingTransport(), Race(send, lambda _: None, 0.0), lambda *_: answer)
    assert (raced.won, raced.reply, raced.other) == (0, answer, None)


def test_a_second_place_that_no_thread_is_left_for_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
):
    begun = threading.Event()
    start = threading.Thread.start
    answer = Reply(0.0, 1.0)

    def one_is_left(thread: threading.Thread) -> None:
        if begun.is_set():
            raise RuntimeError("can't start new thread")
        begun.set()
        start(thread)

    def perform(*_: Any) -> Reply:
        assert asked.wait(20)
        return answer

    def second(_: float) -> Any:
        asked.set()
        return send

    asked = threading.Event()
    send: Any = Send(None, None, Timeouts(), FAR)  # type: ignore[arg-type]  # nobody looks
    monkeypatch.setattr(threading.Thread, "start", one_is_left)
    raced = race(BlockingTransport(), Race(send, second, 0.01), perform)
    assert (raced.won, raced.reply, raced.other) == (0, answer, None)


# children


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_child_waits_for_no_lock_of_its_parent(sandboxed: Serve):
    with sandboxed() as (client, server):
        client.chat(MODEL, ASK, route=["groq"])
        traffic = client._calls.roads.traffic
        with traffic._lock:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    client.chat(MODEL, ASK, route=["groq"])
                    client.close()
                    code = 0
                finally:
                    os._exit(code)
            until = time.monotonic() + 30
            ended, status = os.waitpid(child, os.WNOHANG)
            while not ended and time.monotonic() < until:
                time.sleep(0.01)
                ended, status = os.waitpid(child, os.WNOHANG)
            if not ended:
                os.kill(child, 9)
                os.waitpid(child, 0)
        assert (bool(ended), status) == (True, 0)
        assert len([s for s in server.requests if s.method == "POST"]) == 2


def test_a_child_keeps_nothing_that_its_parent_measured(tmp_path: Path):
    path = tmp_path / "measures.json"
    seen = Measures()
    seen.note(place_of("groq", MODEL), time.time())
    keeper = Keeper(path, lambda: seen)
    keeper._process += 1
    keeper.keep()
    assert not path.exists()
    keeper._process -= 1
    keeper.end()
    assert place_of("groq", MODEL) in load_measures(path).tracks


def test_a_client_that_nobody_holds_any_more_is_gone(sandboxed: Serve):
    with sandboxed():
        client = Client()
        client.chat(MODEL, ASK, route=["groq"])
        gone = weakref.ref(client._calls.roads)
        del client
        gc.collect()
        assert gone() is None


# the list of models


def test_a_router_that_does_not_tell_its_models_costs_no_deadline(
    sandboxed: Serve, monkeypatch: pytest.MonkeyPatch
):
    async def awaited() -> None:
        async with AsyncClient() as client:
            await client.chat(MODEL, ASK, route="cheapest", deadline=0.4)

    with sandboxed(), socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("TRUNKLINE_ROUTER", f"http://127.0.0.1:{mute.getsockname()[1]}/v1")
        began = time.monotonic()
        with Client() as client, pytest.raises(errors.DeadlineExceeded):
            client.chat(MODEL, ASK, route="cheapest", deadline=0.4)
        with pytest.raises(errors.DeadlineExceeded):
            asyncio.run(awaited())
    assert time.monotonic() - began < 15, "the list alone may take twenty seconds"

"""What goes wrong around requests that name themselves: stores, pages and clients that fail at odd moments."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from trunkline.gateway.call import Call
from trunkline.gateway.config import Idempotency
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.once import Once
from trunkline.gateway.pages import Page
from trunkline.store.claims import Claim
from trunkline.store.records import Entry
from trunkline.store.seam import StoreError

OK = b"content-type: application/json\r\n"


class Store:
    """Claims in memory, and what is to fail."""

    def __init__(self) -> None:
        self.claims: dict[bytes, Claim] = {}
        self.trouble: Exception | None = None

    def _look(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def claim(self, claim: Claim, *, seconds: float) -> Claim | None:
        self._look()
        standing = self.claims.get(claim.id)
        if standing is None:
            self.claims[claim.id] = claim
        return standing

    def fulfil(self, claim: Claim) -> bool:
        self._look()
        self.claims[claim.id] = claim
        return True

    def release(self, claim: Claim) -> None:
        self._look()
        del self.claims[claim.id]

    @property
    def state(self) -> str | None:
        """What has become of the one claim."""
        return next((claim.state for claim in self.claims.values()), None)


class Client:
    """The client's side: what it was answered."""

    def __init__(self, page: Page, name: bytes = b"n") -> None:
        edge = SimpleNamespace(request_id=lambda: "req_spare", now=0.0)
        self.connection = SimpleNamespace(edge=edge)
        headers = {b"idempotency-key": name}
        self.head = SimpleNamespace(headers=headers, method=b"POST", path=b"/v1/x", query=b"")
        self.caller = SimpleNamespace(key=SimpleNamespace(id="key_a"))
        self.page = page
        self.id, self.client_id, self.began = "req_1", None, 0.0
        self.body, self.size, self.whole = b"{}", 2, True
        self.labels = b""
        self.gone = self.begun = self.aborted = False
        self.on_gone: Any = None
        self.on_flow: Any = None
        self.status = 0
        self.said = b""
        self.over = asyncio.Event()

    def answer_bytes(self, status: int, lines: bytes, body: bytes, *, keep: bool = True) -> None:
        self.begin_bytes(status, lines, body)
        self.over.set()

    def begin_bytes(self, status: int, lines: bytes, first: bytes) -> None:
        assert not self.begun
        self.begun = True
        self.status, self.said = status, first

    def send(self, data: bytes) -> None:
        self.said += data

    def end(self, last: bytes = b"") -> None:
        self.said += last
        self.over.set()

    def abort(self) -> None:
        self.aborted = True

    def leave(self) -> None:
        self.gone = True
        if self.on_gone is not None:
            self.on_gone()

    @property
    def code(self) -> str:
        return str(json.loads(self.said)["error"]["code"])


class Made(Call):
    """A call, as far as an exchange sees one."""

    def __init__(self, exchange: Exchange, **entry: Any) -> None:
        self.entry = Entry("req_1", "b", "k", None, None, "chat", "m", False, 1.0, 10)
        given = {"status": 200, "outcome": "ok", "cost": 5, "first_byte": 0.1, "state": "settled"}
        for name, value in (given | entry).items():
            setattr(self.entry, name, value)
        self.left = 0
        exchange.on_gone = self.gone

    def gone(self) -> None:
        self.left += 1
        self.settled = True


Serve = Callable[[Any], None]


class World:
    def __init__(self, serve: Serve, most: int = 100) -> None:
        self.store = Store()
        self.refused: list[str] = []
        shared: Any = self.store
        self.once = Once(
            shared,
            Idempotency(max_bytes=most),
            "boot",
            lives=lambda _: True,
            refused=self.refused.append,
        )
        self.page = Page("POST", "/v1/x", "key", serve, "chat")

    def ask(self) -> Client:
        client = Client(self.page)
        asking: Any = client
        assert self.once.admit(asking) is None
        client.page.serve(asking)
        return client

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        async with asyncio.timeout(10):
            while self.once._tasks:
                await asyncio.wait(self.once._tasks)
                await asyncio.sleep(0)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scene())


def answering(**entry: Any) -> Serve:
    """A page that makes a call and answers at once."""

    def serve(exchange: Any) -> None:
        call = Made(exchange, **entry)
        exchange.answer_bytes(200, OK, b'{"said":1}')
        call.settled = True

    return serve


def test_a_page_that_fails_is_told_as_its_failure_and_its_name_is_free_again():
    async def scene() -> None:
        def serve(exchange: Any) -> None:
            raise RuntimeError("broken")

        world = World(serve)
        client = world.ask()
        await client.over.wait()
        await world.settled()
        assert (client.status, client.code) == (500, "internal_error")
        assert world.store.claims == {}
        assert world.refused == ["fault"]

    play(scene)


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (StoreError("down"), 503, "idempotency_unavailable"),
        (RuntimeError("a fault of ours"), 500, "internal_error"),
    ],
)
def test_a_store_that_fails_has_nothing_served(trouble: Exception, status: int, code: str):
    async def scene() -> None:
        served: list[Any] = []
        world = World(served.append)
        world.store.trouble = trouble
        client = world.ask()
        await client.over.wait()
        assert (client.status, client.code) == (status, code)
        assert served == []

    play(scene)


def test_a_client_that_left_before_its_name_was_claimed_is_not_served():
    async def scene() -> None:
        served: list[Any] = []
        world = World(served.append)
        client = world.ask()
        client.leave()
        await world.settled()
        assert served == []
        assert world.store.claims == {}

    play(scene)


def test_a_client_that_leaves_while_its_call_waits_to_be_held_for_takes_it_along():
    async def scene() -> None:
        dropped: list[bool] = []
        waiting: list[Any] = []

        def serve(exchange: Any) -> None:
            waiting.append(exchange)
            exchange.on_gone = lambda: dropped.append(True)

        world = World(serve)
        client = world.ask()
        await world.settled()
        client.leave()
        await asyncio.sleep(0)
        await world.settled()
        assert dropped == [True]
        assert world.store.claims == {}
        waiting[0].answer_ok(OK, b"too late")
        assert client.said == b""

    play(scene)


def test_a_call_that_is_settled_a_little_later_is_waited_for():
    async def scene() -> None:
        made: list[Made] = []

        def serve(exchange: Any) -> None:
            made.append(Made(exchange))
            exchange.answer_ok(OK, b'{"said":1}')
            exchange.answer_ok(OK, b'{"said":2}')

        world = World(serve)
        client = world.ask()
        await world.settled()
        await asyncio.sleep(0.03)
        assert not client.over.is_set()
        assert world.store.state == "running"
        made[0].settled = True
        await client.over.wait()
        assert (client.said, world.store.state) == (b'{"said":1}', "answered")

    play(scene)


def test_a_slow_client_slows_the_call_and_one_that_leaves_lets_it_go_on():
    async def scene() -> None:
        flow: list[bool] = []
        exchanges: list[Any] = []

        def serve(exchange: Any) -> None:
            exchanges.append((exchange, Made(exchange)))
            exchange.on_flow = flow.append
            exchange.begin(200, [("content-type", "text/event-stream")])

        world = World(serve)
        client = world.ask()
        await world.settled()
        client.on_flow(False)
        client.leave()
        exchange, call = exchanges[0]
        exchange.send(b"data: 1\n\n")
        exchange.begin_bytes(200, OK, b"again")
        exchange.end(b"data: 2\n\n")
        exchange.end(b"again")
        exchange.send(b"again")
        call.settled = True
        await asyncio.sleep(0)
        await world.settled()
        assert flow == [False, True]
        assert call.left == 0
        (claim,) = world.store.claims.values()
        assert (claim.state, claim.body) == ("answered", b"data: 1\n\ndata: 2\n\n")

    play(scene)


def test_an_answer_that_grows_too_large_after_its_client_left_is_called_off():
    async def scene() -> None:
        exchanges: list[Any] = []

        def serve(exchange: Any) -> None:
            exchanges.append((exchange, Made(exchange, outcome="cancelled", status=499)))
            exchange.begin_bytes(200, OK, b"x" * 60)

        world = World(serve)
        client = world.ask()
        await world.settled()
        client.leave()
        exchange, call = exchanges[0]
        assert call.left == 0
        exchange.send(b"x" * 60)
        exchange.send(b"x" * 60)
        await world.settled()
        assert call.left == 1
        assert world.store.state == "large"

    play(scene)


def test_an_answer_that_is_broken_off_is_unknown():
    async def scene() -> None:
        def serve(exchange: Any) -> None:
            call = Made(exchange)
            exchange.begin_bytes(200, OK, b"half")
            exchange.abort()
            exchange.abort()
            call.settled = True

        world = World(serve)
        client = world.ask()
        await world.settled()
        await asyncio.sleep(0)
        await world.settled()
        assert client.aborted
        assert world.store.state == "unknown"

    play(scene)


def test_where_too_many_answers_wait_to_be_kept_of_others_only_that_there_was_one_is():
    async def scene() -> None:
        world = World(answering())
        world.once._held = 1 << 40
        client = world.ask()
        await client.over.wait()
        await world.settled()
        (claim,) = world.store.claims.values()
        assert (claim.state, claim.body) == ("unknown", b"")
        assert client.said == b'{"said":1}'

    play(scene)


def test_no_more_requests_than_are_allowed_wait_for_the_store_and_none_when_it_ends():
    async def scene() -> None:
        world = World(answering())
        waiting = [asyncio.create_task(asyncio.sleep(60)) for _ in range(2000)]
        world.once._tasks.update(waiting)  # type: ignore[arg-type]
        assert world.ask().code == "idempotency_unavailable"
        world.once._tasks.clear()
        for task in waiting:
            task.cancel()
        await world.once.close()
        assert world.ask().code == "gateway_stopping"

    play(scene)

"""Keys that were made elsewhere: known at their first request, and no work for strangers to make."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any, cast

import pytest
from running import CHAT, Gateway, running

from trunkline.gateway import keyring
from trunkline.gateway.access import Directory, may_be_new
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.guard import Guard
from trunkline.gateway.lookout import Lookout
from trunkline.store.seam import StoreError
from trunkline.store.sqlite import SqliteStore

STRANGER = "tl-" + "x" * 43


class Waiting:
    """A request and its connection, which notes when it may go on."""

    def __init__(self) -> None:
        self.looked = False
        self.released = asyncio.Event()
        self.connection = self

    def release(self, exchange: Any) -> None:
        assert exchange is self
        self.released.set()


class Looked:
    """A store that counts looks, and answers when it is let."""

    def __init__(self) -> None:
        self.looks = 0
        self.let = threading.Event()
        self.let.set()
        self.error: Exception | None = None

    def version(self) -> int:
        self.looks += 1
        self.let.wait(30)
        if self.error is not None:
            raise self.error
        return -1  # as the directory has it


def lookout(store: Any) -> Lookout:
    return Lookout(store, Directory(Guard()), lambda: 0.0)


def hold(out: Lookout) -> Waiting | None:
    waiting = Waiting()
    return waiting if out.hold(cast("Exchange", waiting)) else None


def test_many_requests_are_held_for_one_look_and_each_of_them_once():
    async def work() -> None:
        store = Looked()
        out = lookout(store)
        first = [hold(out) for _ in range(1000)]
        assert all(first)
        assert hold(out) is None, "so many are enough"
        await asyncio.gather(*[one.released.wait() for one in first if one])
        assert store.looks == 1
        assert not out.hold(cast("Exchange", first[0])), "it was looked for"
        late = hold(out)
        assert late
        await late.released.wait()
        assert store.looks == 2
        out.close()

    asyncio.run(work())


@pytest.mark.parametrize("error", [StoreError("down"), RuntimeError("odd")])
def test_a_store_that_fails_holds_nobody(error: Exception, caplog: pytest.LogCaptureFixture):
    async def work() -> None:
        store = Looked()
        store.error = error
        out = lookout(store)
        for _ in range(2):
            one = hold(out)
            assert one
            await one.released.wait()
        await asyncio.sleep(0)
        out.close()

    asyncio.run(work())
    assert ("keys cannot be looked for" in caplog.text) is isinstance(error, RuntimeError)


def test_a_store_that_is_silent_holds_nobody_for_long_and_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("trunkline.gateway.lookout._PATIENCE", 0.05)

    async def work() -> None:
        store = Looked()
        store.let.clear()
        out = lookout(store)
        one = hold(out)
        await asyncio.sleep(0)
        other = hold(out)
        assert one
        assert other
        await asyncio.gather(one.released.wait(), other.released.wait())
        assert hold(out) is None
        assert store.looks == 1
        store.let.set()
        async with asyncio.timeout(10):
            while (again := hold(out)) is None:
                await asyncio.sleep(0.01)
        await again.released.wait()
        out.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"authorization", b"Bearer " + STRANGER.encode(), True),
        (b"authorization", b"bearer hf_" + STRANGER.encode(), True),
        (b"x-api-key", STRANGER.encode(), True),
        (b"authorization", b"Basic " + STRANGER.encode(), False),
        (b"authorization", b"Bearer " + STRANGER.encode() + b"x", False),
        (b"authorization", b"Bearer hf_abcdef", False),
        (b"x-other", STRANGER.encode(), False),
    ],
)
def test_what_looks_like_a_key_is_looked_for(name: bytes, value: bytes, expected: bool):
    assert may_be_new({name: value}) is expected


CONFIG = """
default_upstream = "a"
upstreams.a.base_url = "http://127.0.0.1:9/v1"
"""


def made_elsewhere(gateway: Gateway) -> str:
    """Make a key as the command line does, in another process than the gateway's."""
    store = SqliteStore(gateway.store)
    try:
        wish = keyring.KeyWish(name="new")
        return keyring.issue(store, wish, keyring.OPERATOR, 0.0)[1]
    finally:
        store.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory):
    with running(tmp_path_factory.mktemp("lookout"), CONFIG) as found:
        yield found


def test_a_key_is_known_at_its_first_request(gateway: Gateway):
    for _ in range(5):
        assert gateway.ask("GET", "/v1/models", key=made_elsewhere(gateway))[0] == 200
        told, headers, _ = gateway.ask("GET", "/v1/models", key=STRANGER)
        assert told == 401
        assert headers["www-authenticate"] == "Bearer"


def test_a_body_of_any_size_waits_with_its_request(gateway: Gateway):
    for size in (10, 200_000, 3_000_000):
        body = {**CHAT, "model": "no/such", "n": 0, "user": "x" * size}
        told, _, said = gateway.ask("POST", "/v1/chat/completions", body, made_elsewhere(gateway))
        assert told not in (401, 413), said
        told, _, _ = gateway.ask(
            "POST", "/v1/chat/completions", {**CHAT, "user": "x" * 10}, STRANGER
        )
        assert told == 401


def spoken(gateway: Gateway, *parts: bytes) -> bytes:
    """Send bytes at once, each part when something was answered to the one before."""
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as sock:
        told = b""
        for part in parts:
            sock.sendall(part)
            told += sock.recv(65536)
        while more := sock.recv(65536):
            told += more
    return told


def get(key: str, *more: str) -> bytes:
    lines = ["GET /v1/models HTTP/1.1", "host: x", f"authorization: Bearer {key}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def test_requests_that_were_sent_ahead_are_answered_in_their_order(gateway: Gateway):
    new = made_elsewhere(gateway)
    known = gateway.admin_key
    asked = [known, new, STRANGER, known, STRANGER, new]
    sent = b"".join(get(key) for key in asked[:-1]) + get(asked[-1], "connection: close")
    told = spoken(gateway, sent)
    statuses = [int(part[:3]) for part in told.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [401 if key == STRANGER else 200 for key in asked]


def test_nobody_is_asked_for_a_body_before_the_key_is_known(gateway: Gateway):
    def head(key: str) -> bytes:
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
            "content-length: 2\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        ).encode()

    told = spoken(gateway, head(made_elsewhere(gateway)), b"{}")
    assert told.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 ")
    assert spoken(gateway, head(STRANGER)).startswith(b"HTTP/1.1 401 ")


def test_who_repeats_a_request_with_an_unknown_key_is_known_once_it_is(gateway: Gateway):
    request = get(STRANGER)
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as sock:
        for _ in range(3):
            sock.sendall(request)
            assert sock.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_who_leaves_while_it_is_held_leaves_nothing_behind(gateway: Gateway):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", gateway.port), 10) as sock:
            sock.sendall(get(STRANGER) * 2)
    assert gateway.ask("GET", "/v1/models", key=made_elsewhere(gateway))[0] == 200
    assert "Traceback" not in gateway.log.read_text()

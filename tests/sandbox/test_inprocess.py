"""The sandbox as a transport without sockets."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from trunkline.errors import APIConnectionError, Timeout
from trunkline.providers.targets import SANDBOX_URL
from trunkline.sandbox import AsyncInProcessTransport, InProcessTransport, Sandbox
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest, Url


def request(model: str = "demo", **more: Any) -> HttpRequest:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}
    return HttpRequest("POST", SANDBOX_URL, (), msgspec.json.encode(body))


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def ask(transport: InProcessTransport, asked: HttpRequest, seconds: float = 5.0) -> bytes:
    until = soon(seconds)
    exchange = transport.open(asked, Timeouts(), until)
    try:
        return b"".join(iter(lambda: exchange.read(until), b""))
    finally:
        exchange.close()


def ask_awaited(
    transport: AsyncInProcessTransport, asked: HttpRequest, seconds: float = 5.0
) -> bytes:
    async def run() -> bytes:
        until = soon(seconds)
        exchange = await transport.open(asked, Timeouts(), until)
        found = []
        try:
            while data := await exchange.read(until):
                found.append(data)
        finally:
            exchange.close()
        return b"".join(found)

    return asyncio.run(run())


BOTH = pytest.mark.parametrize(
    ("transport", "asking"),
    [(InProcessTransport, ask), (AsyncInProcessTransport, ask_awaited)],
    ids=["blocking", "awaited"],
)


@BOTH
def test_any_model_answers_without_a_token(transport: Any, asking: Any) -> None:
    used = transport()
    for model in ("demo", "org/any", "org/any:fastest"):
        assert b"[simulated]" in asking(used, request(model))
    assert asking(used, request(stream=True)).endswith(b"data: [DONE]\n\n")
    used.close()
    assert [seen.json["model"] for seen in used.requests][:2] == ["demo", "org/any"]
    assert all(seen.answered and not seen.hung_up for seen in used.requests)


@BOTH
def test_it_answers_as_the_sandbox_that_it_is_given(transport: Any, asking: Any) -> None:
    one, other = transport(Sandbox(seed=1)), transport(Sandbox(seed=2))
    assert asking(one, request()) != asking(other, request())


@BOTH
@pytest.mark.parametrize(
    ("fault", "received"),
    [
        ("no-answer", False),
        ("reset-at-once", False),
        ("cut-head", True),
        ("cut", True),
        ("reset", True),
    ],
)
def test_a_broken_connection_is_told_as_by_sockets(
    transport: Any, asking: Any, fault: str, received: bool
) -> None:
    with pytest.raises(APIConnectionError) as caught:
        asking(transport(), request(f"fault-{fault}"))
    assert caught.value.received is received
    assert not isinstance(caught.value, Timeout)


@BOTH
@pytest.mark.parametrize(
    ("fault", "received"),
    [("stall-head", False), ("stall-first", True), ("stall", True), ("endless;seconds=0", True)],
)
def test_a_stall_ends_at_the_limit(transport: Any, asking: Any, fault: str, received: bool) -> None:
    used = transport()
    begun = time.monotonic()
    with pytest.raises(Timeout) as caught:
        asking(used, request(f"fault-{fault}", stream=True), 0.01)
    assert time.monotonic() - begun < 2
    assert caught.value.received is received
    assert used.requests[-1].hung_up


@BOTH
def test_a_pace_is_kept(transport: Any, asking: Any) -> None:
    begun = time.monotonic()
    asking(transport(Sandbox(pace=5000)), request(stream=True))
    assert time.monotonic() - begun > 10 / 5000


def test_a_cancelled_wait_hangs_up() -> None:
    async def run() -> None:
        transport = AsyncInProcessTransport()
        task = asyncio.create_task(transport.open(request("fault-stall-head"), Timeouts(), soon()))
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport.requests[-1].hung_up

    asyncio.run(run())


def test_others_have_a_turn_while_an_answer_is_read() -> None:
    async def run() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        exchange = await AsyncInProcessTransport().open(request(stream=True), Timeouts(), soon())
        while await exchange.read(soon()):
            pass
        task.cancel()
        return turns

    assert asyncio.run(run()) > 10


def test_head_and_times_are_those_of_an_exchange() -> None:
    exchange = InProcessTransport().open(request(), Timeouts(), soon())
    assert exchange.head.status == 200
    assert exchange.head.headers["x-inference-provider"] == "sandbox"
    assert exchange.head.request_id
    assert exchange.started <= time.monotonic()


@pytest.mark.parametrize(
    "base",
    [
        msgspec.structs.replace(SANDBOX_URL, target=""),
        Url("https", "router.example", 443, ""),
        Url("http", "127.0.0.1", 81, ""),
    ],
    ids=str,
)
def test_files_lie_at_the_address_that_it_stands_in_for(base: Url) -> None:
    url = msgspec.structs.replace(base, target="/deepinfra/v1/openai/images/generations")
    body = msgspec.json.encode({"model": "sandbox/m", "prompt": "a cat", "response_format": "url"})
    answer = msgspec.json.decode(ask(InProcessTransport(), HttpRequest("POST", url, (), body)))
    assert answer["data"][0]["url"].startswith(f"{base}/files/")

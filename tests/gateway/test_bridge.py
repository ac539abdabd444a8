"""ASGI applications on the edge: whole answers, streams, clients that leave, applications that fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from carried import Carried, carried
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from trunkline.gateway.bridge import AsgiApp, serve
from trunkline.store.records import Key

KEY = Key("key_1", role="admin")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine; nothing may be left running."""

    async def whole() -> None:
        await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    asyncio.run(whole())


async def once(app: AsgiApp, exchange: Carried | None = None) -> Carried:
    """Serve one exchange and close."""
    bridge = serve(app)
    exchange = await carried(bridge, exchange or Carried())
    await bridge.close()
    return exchange


def answering(*messages: dict[str, Any]) -> AsgiApp:
    """An application that sends these messages, whatever is asked."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("only http")
        for message in messages:
            await send(message)

    return app


def start(status: Any = 200, **headers: str) -> dict[str, Any]:
    """The start of an answer."""
    pairs = [(n.replace("_", "-").encode(), v.encode("latin-1")) for n, v in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    """A piece of an answer."""
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_an_application_sees_the_request_and_its_caller() -> None:
    async def main() -> None:
        seen: dict[str, Any] = {}

        async def echo(request: Request) -> Response:
            seen.update(request.scope)
            return Response(await request.body(), 201, {"x-a": "b"}, "application/x-test")

        app = Starlette(routes=[Route("/a b/{name}", echo, methods=["POST"])])
        headers = {b"content-type": b"text/plain", b"x-two": b"1, 2"}
        exchange = Carried("POST", "/a%20b/c?d=e%20f", headers=headers, body=b"\x00\xff", key=KEY)
        await once(app, exchange)
        assert (exchange.events, exchange.status) == (["answer"], 201)
        assert exchange.answered == b"\x00\xff"
        assert exchange.told == {
            "x-a": "b", "content-type": "application/x-test", "x-request-id": "req_1",
        }  # fmt: skip
        assert seen["path"] == "/a b/c"
        assert (seen["raw_path"], seen["query_string"]) == (b"/a%20b/c", b"d=e%20f")
        assert (b"x-two", b"1, 2") in seen["headers"]
        assert seen["state"]["caller"].key is KEY
        assert (seen["scheme"], seen["client"][0]) == ("http", "127.0.0.1")

    run(main())


def test_an_application_gets_no_credentials() -> None:
    async def main() -> None:
        async def show(request: Request) -> Response:
            return PlainTextResponse(repr(request.headers) + repr(request.scope))

        headers = {
            b"authorization": b"Bearer tl-canary",
            b"proxy-authorization": b"Basic canary",
            b"x-api-key": b"tl-canary",
            b"accept": b"*/*",
        }
        exchange = await once(Starlette(routes=[Route("/", show)]), Carried(headers=headers))
        assert b"accept" in exchange.answered
        assert b"canary" not in exchange.answered

    run(main())


def test_a_stream_goes_out_piece_by_piece() -> None:
    async def main() -> None:
        exchange = Carried()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            await exchange.arrived.wait()  # would wait for ever, were pieces held back
            yield b"two"

        async def stream(_: Request) -> Response:
            return StreamingResponse(pieces(), headers={"content-type": "text/event-stream"})

        await once(Starlette(routes=[Route("/", stream)]), exchange)
        assert exchange.events[:2] == ["begin", "send"]
        assert exchange.events[-1] == "end"
        assert exchange.answered == b"onetwo"

    run(main())


def test_a_stream_waits_for_a_client_that_reads_slowly() -> None:
    async def main() -> None:
        exchange = Carried()
        given: list[int] = []

        async def pieces() -> AsyncIterator[bytes]:
            for number in range(10):
                given.append(number)
                yield b"x"
                if number == 2 and exchange.on_flow is not None:
                    exchange.on_flow(False)

        async def stream(_: Request) -> Response:
            return StreamingResponse(pieces())

        bridge = serve(Starlette(routes=[Route("/", stream)]))
        bridge(exchange)
        while len(given) < 4:
            await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert given == [0, 1, 2, 3]
        assert exchange.on_flow is not None
        exchange.on_flow(True)
        await exchange.over.wait()
        assert exchange.answered == b"x" * 10
        await bridge.close()

    run(main())


@pytest.mark.parametrize("waits", ["silent", "sending"])
def test_a_stream_ends_when_its_client_leaves(waits: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        exchange, ended = Carried(), asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"one"
                while True:
                    await asyncio.sleep(3600 if waits == "silent" else 0)
                    yield b"more"
            finally:
                ended.set()

        async def stream(_: Request) -> Response:
            return StreamingResponse(pieces())

        bridge = serve(Starlette(routes=[Route("/", stream)]))
        bridge(exchange)
        await exchange.arrived.wait()
        exchange.leave()
        await asyncio.wait_for(ended.wait(), 30)
        await bridge.close()
        assert "abort" not in exchange.events

    run(main())
    assert not caplog.records


def test_a_request_that_waits_is_told_that_its_client_left() -> None:
    async def main() -> None:
        told: list[str] = []
        ready = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                told.append((await receive())["type"])
                ready.set()
                told.append((await receive())["type"])
                await send(start())  # nobody hears it, and that is no error
                await send(body(b"x"))

        bridge = serve(app)
        exchange = Carried()
        bridge(exchange)
        await ready.wait()
        exchange.leave()
        while bridge._tasks:
            await asyncio.sleep(0)
        assert told == ["http.request", "http.disconnect"]
        assert exchange.events == []
        await bridge.close()

    run(main())


def test_what_an_application_raises_is_logged_and_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise ZeroDivisionError("canary")

        exchange = await once(app)
        assert (exchange.events, exchange.status) == (["answer"], 500)
        assert (exchange.error["type"], exchange.error["code"]) == (
            "api_error",
            "internal_error",
        )
        assert "req_1" in exchange.error["message"]
        assert b"canary" not in exchange.answered
        assert b"Traceback" not in exchange.answered

    with caplog.at_level(logging.DEBUG):
        run(main())
    (record,) = [r for r in caplog.records if r.name == "trunkline.gateway.bridge"]
    assert "req_1" in record.message
    assert record.exc_info is not None


async def _silent(scope: Any, receive: Any, send: Any) -> None:
    return None


NEVER_WHOLE: dict[str, AsgiApp] = {
    "nothing": _silent,
    "only a start": answering(start()),
    "a body without a start": answering(body(b"x")),
    "two starts": answering(start(), start()),
    "an unknown message": answering({"type": "http.response.push"}),
    "status 99": answering(start(99), body()),
    "status 101": answering(start(101), body()),
    "a status in words": answering(start("200"), body()),
    "a line break": answering(start(x_a="b\r\nset-cookie: c"), body()),
    "a line break in a name": answering(
        {"type": "http.response.start", "status": 200, "headers": [(b"a\r\nb", b"c")]}, body()
    ),
    "characters beyond ASCII": answering(start(x_a="\xe9"), body()),
    "a length that is none": answering(start(content_length="-1"), body()),
    "too short": answering(start(content_length="5"), body(b"four")),
    "too long": answering(start(content_length="3"), body(b"four")),
}


@pytest.mark.parametrize("what", NEVER_WHOLE)
def test_an_application_that_does_not_answer_properly_is_a_500(what: str) -> None:
    async def main() -> None:
        exchange = await once(NEVER_WHOLE[what])
        assert (exchange.events, exchange.status) == (["answer"], 500)
        assert exchange.error["code"] == "internal_error"

    run(main())


BROKEN_OFF: dict[str, AsgiApp] = {
    "no end": answering(start(), body(b"x", more=True)),
    "a second start": answering(start(), body(b"x", more=True), start()),
    "too short": answering(start(content_length="5"), body(b"x", more=True), body()),
    "too long": answering(start(content_length="1"), body(b"x", more=True), body(b"y")),
}


@pytest.mark.parametrize("what", BROKEN_OFF)
def test_an_answer_that_stays_unfinished_is_broken_off(what: str) -> None:
    async def main() -> None:
        exchange = await once(BROKEN_OFF[what])
        assert exchange.events[-1] == "abort"
        assert "end" not in exchange.events

    run(main())


def test_what_comes_after_the_end_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        exchange = await once(answering(start(), body(b"whole"), body(b"more")))
        assert (exchange.events, exchange.answered) == (["answer"], b"whole")

    run(main())
    assert "after its end" in caplog.text


def test_headers_of_the_connection_are_the_edges_to_write() -> None:
    async def main() -> None:
        odd = start(
            content_length="1",
            transfer_encoding="chunked",
            connection="close",
            keep_alive="x",
            x_request_id="mine",
            x_kept="yes",
        )
        exchange = await once(answering(odd, body(b"x")))
        assert exchange.told == {"x-kept": "yes", "x-request-id": "req_1"}
        labelled = Carried()
        labelled.labels = b"x-request-id: req_1\r\n"
        await once(answering(odd, body(b"x")), labelled)
        assert labelled.told == {"x-kept": "yes"}

    run(main())


def test_an_answer_to_head_may_leave_its_body_out() -> None:
    async def main() -> None:
        exchange = await once(answering(start(content_length="5"), body()), Carried("HEAD"))
        assert (exchange.status, exchange.answered) == (200, b"")

    run(main())


def test_an_application_starts_before_its_first_request_and_ends_at_the_close() -> None:
    async def main() -> None:
        lived: list[str] = []

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
            lived.append("start")
            yield {"pool": "a pool"}
            lived.append("end")

        async def show(request: Request) -> Response:
            lived.append("request")
            return PlainTextResponse(request.state.pool)

        bridge = serve(Starlette(routes=[Route("/", show)], lifespan=lifespan))
        assert lived == []
        first, second = Carried(), Carried()
        bridge(first)
        bridge(second)
        await asyncio.gather(first.over.wait(), second.over.wait())
        assert first.answered == second.answered == b"a pool"
        await bridge.close()
        assert lived == ["start", "request", "request", "end"]

    run(main())


def test_an_application_that_cannot_start_answers_every_request_with_500() -> None:
    async def main() -> None:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            raise OSError("canary")
            yield

        bridge = serve(Starlette(lifespan=lifespan))
        for _ in range(2):
            exchange = await carried(bridge, Carried())
            assert exchange.status == 500
            assert b"canary" not in exchange.answered
        await bridge.close()

    run(main())


def test_closing_answers_those_who_wait_and_breaks_off_streams() -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/stream":
                await send(start())
                await send(body(b"x", more=True))
            await asyncio.sleep(3600)

        bridge = serve(app)
        waiting, streaming = Carried(), Carried(target="/stream")
        bridge(waiting)
        bridge(streaming)
        await streaming.arrived.wait()
        await bridge.close()
        assert (waiting.status, waiting.error["code"]) == (503, "shutting_down")
        assert streaming.events[-1] == "abort"

    run(main())


def test_a_bridge_that_served_nothing_closes() -> None:
    called = []

    async def never(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope)

    async def main() -> None:
        bridge = serve(never)
        await bridge.close()

    run(main())
    assert called == [], "an application that was never asked is not told to start and to end"

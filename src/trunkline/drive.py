"""The drivers: what runs a flow, once blocking and once awaiting. All that is written twice.

They alone have a clock and wait; everything they do is something that a flow asked for.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from trunkline.dialects.openai_chat import is_event_stream, refuse_unstreamed
from trunkline.dialects.reader import Reader
from trunkline.errors import APIConnectionError, APIError, Timeout
from trunkline.interposed import driven
from trunkline.routing.carry import Flow
from trunkline.routing.needs import Later, Race, Renew, Reply, Send, Wait
from trunkline.transport.seam import AsyncExchange, AsyncTransport, Exchange, Transport
from trunkline.types import Secret

MAX_UNSTREAMED = 64 * 1024
"""Bytes read of an answer that should have been a stream and is not."""

T = TypeVar("T")
Renewer = Callable[[Secret], Secret | None]
"""Looks whether a credential has changed where it was found."""


def run(
    flow: Flow[T],
    transport: Transport,
    renew: Renewer,
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Do what `flow` asks, blocking, and return what it returns; raises what it raises."""
    flow = driven(flow)
    try:
        need = next(flow)
        while True:
            if isinstance(need, Send):
                need = flow.send(_perform(transport, need))
            elif isinstance(need, Wait):
                sleep(need.seconds)
                need = flow.send(time.monotonic())
            elif isinstance(need, Later):
                _begin(need.flow, transport, renew, sleep)
                need = flow.send(None)
            elif isinstance(need, Race):
                from trunkline.race import race  # threads, which few calls need

                need = flow.send(race(transport, need, _perform))
            else:
                need = flow.send(_renewed(need, renew))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()  # at once, also where somebody holds on to an error and so to this frame


async def run_async(
    flow: Flow[T],
    transport: AsyncTransport,
    renew: Renewer,
    *,
    sleep: Callable[[float], Awaitable[object]] | None = None,
) -> T:
    """Do what `flow` asks, awaiting, and return what it returns; raises what it raises."""
    flow = driven(flow)
    try:
        need = next(flow)
        while True:
            if isinstance(need, Send):
                need = flow.send(await _perform_async(transport, need))
            elif isinstance(need, Wait):
                await (sleep or _async_sleep)(need.seconds)
                need = flow.send(time.monotonic())
            elif isinstance(need, Later):
                _begin_async(need.flow, transport, renew, sleep)
                need = flow.send(None)
            elif isinstance(need, Race):
                from trunkline.race import race_async  # as above

                need = flow.send(await race_async(transport, need, _perform_async))
            else:
                need = flow.send(_renewed(need, renew))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()  # at once, also where somebody holds on to an error and so to this frame


async def _async_sleep(seconds: float) -> None:
    import asyncio  # slow to load, and a blocking program never needs it

    await asyncio.sleep(seconds)


MOST_LATER = 300.0
"""Seconds after which an event loop gives up what it does in the background."""


def _begin(
    flow: Flow[Any], transport: Transport, renew: Renewer, sleep: Callable[[float], object]
) -> None:
    """Run `flow` in a thread that does not keep the program alive."""
    import threading  # slow to load, and rarely needed

    def carry() -> None:
        try:
            run(flow, transport, renew, sleep=sleep)
        except APIError:
            pass  # nobody waits for it

    try:
        threading.Thread(target=carry, name="trunkline-later", daemon=True).start()
    except RuntimeError:
        flow.close()  # no thread is left, or the program is about to end


def _begin_async(
    flow: Flow[Any],
    transport: AsyncTransport,
    renew: Renewer,
    sleep: Callable[[float], Awaitable[object]] | None,
) -> None:
    """Run `flow` in a task that ends with its loop."""
    import asyncio  # loaded already: this is called within a loop

    async def carry() -> None:
        try:
            await run_async(flow, transport, renew, sleep=sleep)
        except APIError:
            pass  # nobody waits for it

    loop = asyncio.get_running_loop()
    task = loop.create_task(carry())
    held = loop.call_later(MOST_LATER, task.cancel)  # a loop forgets its tasks, not its timers
    task.add_done_callback(lambda _: held.cancel())


def _renewed(need: Renew, renew: Renewer) -> Secret | None:
    fresh = renew(need.secret)
    return fresh if fresh is not None and fresh.value != need.secret.value else None


def _perform(
    transport: Transport, send: Send, opened: Callable[[Exchange], object] | None = None
) -> Reply:
    began = time.monotonic()
    reader = send.reader
    exchange: Exchange | None = None
    try:
        exchange = transport.open(send.request, send.timeouts, send.until)
        if opened is not None:
            opened(exchange)
        if reader is None or exchange.head.status >= 300:
            body = _read_whole(exchange, send.until)
            reply = Reply(exchange.started, time.monotonic(), exchange.head, body)
        elif is_event_stream(exchange.head):
            chunks = _first_chunks(exchange, reader, send.until)
            reply = _streaming(exchange, reader, chunks)
        else:
            body = _read_whole(exchange, send.until, MAX_UNSTREAMED)
            reply = _unstreamed(exchange, body)
    except APIError as error:
        head = exchange.head if exchange else None
        reply = Reply(began, time.monotonic(), head, error=error)
    except BaseException:
        if exchange is not None:
            exchange.close()
        raise
    if exchange is not None and reply.exchange is None:
        exchange.close()
    return reply


async def _perform_async(transport: AsyncTransport, send: Send) -> Reply:
    began = time.monotonic()
    reader = send.reader
    exchange: AsyncExchange | None = None
    try:
        exchange = await transport.open(send.request, send.timeouts, send.until)
        if reader is None or exchange.head.status >= 300:
            body = await _read_whole_async(exchange, send.until)
            reply = Reply(exchange.started, time.monotonic(), exchange.head, body)
        elif is_event_stream(exchange.head):
            chunks = await _first_chunks_async(exchange, reader, send.until)
            reply = _streaming(exchange, reader, chunks)
        else:
            body = await _read_whole_async(exchange, send.until, MAX_UNSTREAMED)
            reply = _unstreamed(exchange, body)
    except APIError as error:
        head = exchange.head if exchange else None
        reply = Reply(began, time.monotonic(), head, error=error)
    except BaseException:
        if exchange is not None:
            exchange.close()
        raise
    if exchange is not None and reply.exchange is None:
        exchange.close()
    return reply


def _read_whole(exchange: Exchange, until: float, limit: int | None = None) -> bytes:
    parts: list[bytes] = []
    size = 0
    while data := exchange.read(until):
        parts.append(data)
        size += len(data)
        if limit is not None and size >= limit:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _read_whole_async(
    exchange: AsyncExchange, until: float, limit: int | None = None
) -> bytes:
    parts: list[bytes] = []
    size = 0
    while data := await exchange.read(until):
        parts.append(data)
        size += len(data)
        if limit is not None and size >= limit:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _first_chunks(exchange: Exchange, reader: Reader[T], until: float) -> list[T]:
    chunks: list[T] = []
    while not chunks and not reader.done:
        try:
            data = exchange.read(until)
        except APIConnectionError as cut:
            if isinstance(cut, Timeout) or cut.should_retry is False:
                raise
            return reader.finish(cut)
        chunks = reader.feed(data) if data else reader.finish()
    return chunks


async def _first_chunks_async(exchange: AsyncExchange, reader: Reader[T], until: float) -> list[T]:
    chunks: list[T] = []
    while not chunks and not reader.done:
        try:
            data = await exchange.read(until)
        except APIConnectionError as cut:
            if isinstance(cut, Timeout) or cut.should_retry is False:
                raise
            return reader.finish(cut)
        chunks = reader.feed(data) if data else reader.finish()
    return chunks


def _streaming(exchange: Exchange | AsyncExchange, reader: Reader[T], chunks: list[T]) -> Reply:
    """Answer with the open stream, or with its failure where nothing came before that."""
    now = time.monotonic()
    if reader.failure is not None and not chunks:
        return Reply(exchange.started, now, exchange.head, error=reader.failure)
    return Reply(exchange.started, now, exchange.head, exchange=exchange, chunks=chunks)


def _unstreamed(exchange: Exchange | AsyncExchange, body: bytes) -> Reply:
    error = refuse_unstreamed(exchange.head, body)
    return Reply(exchange.started, time.monotonic(), exchange.head, error=error)

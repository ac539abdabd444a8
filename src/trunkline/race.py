"""Two requests for one answer: the second where the first is slow, and whoever is not needed hangs up.

The blocking half uses two threads, which is the one way to wait for two sockets of any transport; they end
with the race, or, where a transport cannot be told to give up, when what they wait for does.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from trunkline.routing.needs import Race, Raced, Reply, Send
from trunkline.transport.seam import AsyncTransport, Exchange, Transport

Opened = Callable[[Any], None]
"""Told of an exchange as soon as it is open."""
Perform = Callable[[Transport, Send, Opened], Reply]
PerformAsync = Callable[[AsyncTransport, Send], Awaitable[Reply]]


class _Runner:
    """One of the two, in a thread of its own."""

    def __init__(self, number: int, send: Send, transport: Transport, perform: Perform) -> None:
        self.number = number
        self.send = send
        self.began = time.monotonic()
        self._transport = transport
        self._perform = perform
        self._exchange: Exchange | None = None
        self._given_up = False
        self._lock = threading.Lock()

    def start(self, ended: queue.SimpleQueue[tuple[int, Reply | BaseException]]) -> bool:
        """Begin; False where there can be no other thread."""

        def carry() -> None:
            try:
                reply: Reply | BaseException = self._perform(
                    self._transport, self.send, self._opened
                )
            except BaseException as error:
                reply = error
            if isinstance(reply, Reply) and self._given_up and reply.exchange is not None:
                reply.exchange.close()
            ended.put((self.number, reply))

        try:
            threading.Thread(target=carry, name="trunkline-race", daemon=True).start()
        except RuntimeError:
            return False
        return True

    def _opened(self, exchange: Exchange) -> None:
        with self._lock:
            self._exchange = exchange
            given_up = self._given_up
        if given_up:
            exchange.close()

    def give_up(self) -> None:
        """Hang up, however far it has come."""
        with self._lock:
            self._given_up = True
            exchange = self._exchange
        abandon = getattr(self._transport, "abandon", None)
        if abandon is not None:
            abandon(self.send.request)
        if exchange is not None:
            exchange.close()


def race(transport: Transport, need: Race, perform: Perform) -> Raced:
    """Send the first, then the second where it is slow; return the first good reply, blocking."""
    ended: queue.SimpleQueue[tuple[int, Reply | BaseException]] = queue.SimpleQueue()
    runners = [_Runner(0, need.first, transport, perform)]
    replies: dict[int, Reply] = {}
    try:
        if not runners[0].start(ended):  # without threads there is no race
            return Raced(0, perform(transport, need.first, lambda _: None))
        while len(replies) < len(runners):
            try:
                number, reply = ended.get(timeout=need.after if len(runners) == 1 else None)
            except queue.Empty:
                second = need.second(time.monotonic())
                beside = None if second is None else _Runner(1, second, transport, perform)
                if beside is not None and beside.start(ended):
                    runners.append(beside)
                    continue
                number, reply = ended.get()
            if isinstance(reply, BaseException):
                raise reply
            replies[number] = reply
            if is_good(reply):
                break
    finally:
        for runner in runners:
            if runner.number not in replies:
                runner.give_up()
    return _raced([(runner.send, runner.began) for runner in runners], replies)


async def race_async(transport: AsyncTransport, need: Race, perform: PerformAsync) -> Raced:
    """Send the first, then the second where it is slow; return the first good reply, awaiting."""
    import asyncio  # loaded already: this is called within a loop

    sends = [(need.first, time.monotonic())]
    tasks = [asyncio.ensure_future(perform(transport, need.first))]
    replies: dict[int, Reply] = {}
    try:
        done, _ = await asyncio.wait(tasks, timeout=need.after)
        second = None if done else need.second(time.monotonic())
        if second is not None:
            sends.append((second, time.monotonic()))
            tasks.append(asyncio.ensure_future(perform(transport, second)))
        while len(replies) < len(tasks):
            waiting = [task for at, task in enumerate(tasks) if at not in replies]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            replies |= {at: task.result() for at, task in enumerate(tasks) if task.done()}
            if any(is_good(reply) for reply in replies.values()):
                break
    finally:
        await _end(tasks, replies)
    return _raced(sends, replies)


async def _end(tasks: list[Any], replies: dict[int, Reply]) -> None:
    """Cancel who is not needed; a reply that came all the same is closed."""
    import asyncio

    late = [task for at, task in enumerate(tasks) if at not in replies]
    for task in late:
        task.cancel()
    for result in await asyncio.gather(*late, return_exceptions=True):
        if isinstance(result, Reply) and result.exchange is not None:
            result.exchange.close()


def is_good(reply: Reply) -> bool:
    """Tell whether a reply is one to go on with."""
    return reply.error is None and reply.head is not None and 200 <= reply.head.status < 300


def _raced(sends: list[tuple[Send, float]], replies: dict[int, Reply]) -> Raced:
    """Return how it ended: with the good one, else with the first."""
    good = [at for at, reply in replies.items() if is_good(reply)]
    won = good[0] if good else min(replies)
    for at in good[1:]:  # both at once
        if replies[at].exchange is not None:
            replies[at].exchange.close()
    if len(sends) == 1:
        return Raced(0, replies[0])
    other = 1 - won
    now = time.monotonic()
    lost = replies.get(other)
    told = Reply(sends[other][1], now) if lost is None or other in good else lost
    return Raced(won, replies[won], sends[other][0], told)

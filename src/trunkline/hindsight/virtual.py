"""A driver of flows beside the blocking and the awaiting one: its time is made up.

Any number of flows are under way at once; whoever waits for the earliest moment goes on first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from trunkline.race import is_good
from trunkline.routing.carry import Flow
from trunkline.routing.needs import Race, Raced, Reply, Send, Wait

T = TypeVar("T")

World: TypeAlias = Callable[[Send, float], Reply]
"""Says what comes of a request that is sent at a time."""
Begun: TypeAlias = tuple[float, Callable[[float], Flow[Any]]]
"""When a flow begins, and what makes it, given that time."""


class Clock:
    """Time that passes only from one event to the next."""

    def __init__(self) -> None:
        """Have nothing under way."""
        self._waiting: list[tuple[float, int, Flow[Any]]] = []
        self._count = 0

    def run(self, flows: Iterable[Begun]) -> None:
        """Carry flows to their ends; they come in the order in which they begin."""
        for at, make in flows:
            self._until(at)
            self._go_on(make(at), None, at)
        self._until(float("inf"))

    def _until(self, moment: float) -> None:
        waiting = self._waiting
        while waiting and waiting[0][0] <= moment:
            now, _, flow = heapq.heappop(waiting)
            self._go_on(flow, now, now)

    def _go_on(self, flow: Flow[Any], answer: float | None, now: float) -> None:
        """Have a flow go on, and wait for what it needs next."""
        try:
            need = flow.send(answer)
        except StopIteration:
            return
        if not isinstance(need, Wait):
            raise TypeError(f"No flow in made-up time may need a {type(need).__name__}.")
        self._count += 1
        heapq.heappush(self._waiting, (now + need.seconds, self._count, flow))


def answered(flow: Flow[T], world: World, now: float) -> Flow[T]:
    """Carry a flow that sends requests, which `world` answers; only waiting is left to do."""
    answer: Any = None
    try:
        while True:
            need = flow.send(answer)
            if isinstance(need, Send):
                answer = world(need, now)
                now = yield Wait(answer.ended - now)
            elif isinstance(need, Race):
                answer, now = yield from _raced(need, world, now)
            else:
                answer = yield need
                now = answer if isinstance(need, Wait) else now
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()


def _raced(need: Race, world: World, now: float) -> Flow[tuple[Raced, float]]:
    """Answer two requests, of which the first good reply counts."""
    first = world(need.first, now)
    if first.ended <= now + need.after:
        now = yield Wait(first.ended - now)
        return Raced(0, first), now
    now = yield Wait(need.after)
    send = need.second(now)
    if send is None:
        now = yield Wait(first.ended - now)
        return Raced(0, first), now
    second = world(send, now)
    replies = (first, second)
    good = [at for at in (0, 1) if is_good(replies[at])]
    won = min(good or (0, 1), key=lambda at: replies[at].ended)
    ended = replies[won].ended if good else max(first.ended, second.ended)
    lost = replies[1 - won]
    if lost.ended > ended or 1 - won in good:  # it was hung up on
        lost = Reply(lost.started, ended)
    now = yield Wait(ended - now)
    return Raced(won, replies[won], (need.first, send)[1 - won], lost), now

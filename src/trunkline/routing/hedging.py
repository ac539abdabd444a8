"""A second place beside the first, where that is slower than it nearly ever is. No socket, no clock.

Only before anything of an answer has come, and for one call in fifty at the most; whoever is not sooner is
hung up on, and both are in the receipt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from trunkline.errors import APIError
from trunkline.routing import record
from trunkline.routing.carry import Flow, checked
from trunkline.routing.needs import Race, Raced, Reply, Send
from trunkline.routing.ranking import Option, Wanted
from trunkline.routing.traffic import Traffic
from trunkline.types import Attempt, AttemptRole, TokenCount

T = TypeVar("T")


class Stage(msgspec.Struct, frozen=True):
    """What a leg has to know of the journey that it is a part of."""

    now: float
    """Monotonic time at which it begins."""
    before: tuple[Attempt, ...]
    """The attempts behind it."""
    role: AttemptRole
    silence: float
    """Seconds that the place may be silent; infinite where no other one remains."""
    after: Any = None
    """What the leg has to know of an answer that broke off, after which it is asked."""


class _Trip(Protocol):
    @property
    def traffic(self) -> Traffic: ...
    @property
    def leg(self) -> Callable[[Option, Stage], Flow[Any]]: ...
    @property
    def wanted(self) -> Wanted: ...
    @property
    def began(self) -> float: ...
    @property
    def wall(self) -> float: ...


class _Travel(Protocol):
    at: int
    role: AttemptRole
    probe: bool
    attempts: tuple[Attempt, ...]
    order: tuple[Option, ...]

    def beside(self, at: int, attempt: Attempt, error: APIError | None) -> None: ...
    @property
    def trip(self) -> _Trip: ...
    @property
    def option(self) -> Option: ...

    def next_place(self, now: float) -> int | None: ...
    def note(self, said: str) -> None: ...


class _Beside(msgspec.Struct):
    """The place beside the first, once it is asked."""

    at: int
    leg: Any
    probe: bool
    """Whether it finds out if the place does well again."""
    began: float


def raced(travel: _Travel, leg: Flow[T], stage: Stage) -> Flow[T]:
    """Carry a leg, and another place's beside it where this one is slow; raises as the leg does."""
    traffic = travel.trip.traffic
    after = traffic.slow_after(travel.option, stage.now, travel.trip.wall)
    found: list[_Beside] = []

    def second(now: float) -> Send | None:
        beside = _second(travel, stage, now)
        if beside is None:
            return None
        found.append(beside[0])
        return beside[1]

    try:
        need = next(leg)
        while True:
            if after is None or not isinstance(need, Send) or need.reader is None:
                need = leg.send((yield need))
                continue
            told: Raced = yield Race(need, second, after)
            after = None
            if told.other is not None and found:
                leg = _chosen(travel, leg, found.pop(), told, need)
            need = leg.send(told.reply)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        leg.close()
        for beside in found:  # nobody waits for either any more
            beside.leg.close()
            option = travel.order[beside.at]
            traffic.left(option, beside.began, probe=beside.probe)


def _second(travel: _Travel, stage: Stage, now: float) -> tuple[_Beside, Send] | None:
    """Return the place beside the first and what it is sent, where there may be one."""
    at = travel.next_place(now)
    if at is None:
        return None
    option, traffic = travel.order[at], travel.trip.traffic
    leg = travel.trip.leg(option, msgspec.structs.replace(stage, now=now))
    try:
        need = next(leg)
    except APIError:  # what is wrong with the call there is told where it is asked in its turn
        return None
    if not isinstance(need, Send) or need.reader is None or not traffic.may_hedge(now):
        leg.close()  # it has to look something up first, which takes too long; or the budget is spent
        return None
    return _Beside(at, leg, traffic.begun(option, now), now), need


def _chosen(travel: _Travel, leg: Flow[T], beside: _Beside, told: Raced, first: Send) -> Flow[T]:
    """Go on with the leg that won, and write down the other."""
    other: Flow[T] = beside.leg
    winner, loser = (other, leg) if told.won else (leg, other)
    sent = first if told.won else told.other or first
    lost = told.lost or told.reply
    at = travel.at if told.won else beside.at
    option = travel.order[at]
    role = travel.role if told.won else "hedge"
    number, began = len(travel.attempts) + 1, travel.trip.began
    error = _error_of(lost)
    attempt = record.attempt(number, sent, lost, error, began, role=role)
    if error is None:
        attempt = msgspec.structs.replace(attempt, error="cancelled")
    # whoever is hung up on may have read the prompt: what it bills for is not known
    tokens = TokenCount(travel.trip.wanted.input_tokens, None, "estimated")
    why = "the place beside it was sooner" if told.won else "the first place was sooner"
    attempt = msgspec.structs.replace(attempt, moved=why, tokens=tokens)
    traffic = travel.trip.traffic
    probe = travel.probe if told.won else beside.probe
    travel.note(
        f"{travel.option.name} was slow: {travel.order[beside.at].name} was asked beside it"
    )
    travel.beside(at, attempt, error)
    if error is None:
        traffic.left(option, lost.ended, probe=probe)
    else:
        traffic.ended(option, lost.ended, travel.trip.wall, error, probe=probe)
    if told.won:
        travel.at, travel.role, travel.probe = beside.at, "hedge", beside.probe
    loser.close()
    return winner


def _error_of(lost: Reply) -> APIError | None:
    """Return how a request ended that lost; None where it was hung up on."""
    if lost.head is None and lost.error is None:
        return None
    try:
        checked(lost)
    except APIError as error:
        return error
    return None

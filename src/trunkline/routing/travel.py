"""A call on its way along a route: the generator that asks one place after another.

What a call to one place is, the leg, is given; whether the same place is asked again, the next one, or
nobody any more is decided here, for chats, streams, tasks and jobs alike. No socket, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from trunkline.errors import APIError, DeadlineExceeded, ModelLoadingError, RouteExhaustedError
from trunkline.routing.carry import Flow
from trunkline.routing.hedging import Stage, raced
from trunkline.routing.moving import Step, next_step
from trunkline.routing.needs import Wait
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Option, Wanted
from trunkline.routing.record import numbered
from trunkline.routing.traffic import Facts, Traffic
from trunkline.types import Attempt, AttemptRole
from trunkline.types.route import RouteReport

T = TypeVar("T")

_SHORT_WAIT = 0.25
"""The most seconds before a place that has just failed is asked once more."""


class Result(Protocol[T]):
    """What there is to know of, and to do with, what a leg brings."""

    def attempts(self, result: T, /) -> tuple[Attempt, ...]:
        """Return the attempts that it took, its own last."""
        ...

    def facts(self, result: T, /) -> Facts:
        """Return what was seen of it."""
        ...

    def placed(self, result: T, attempts: tuple[Attempt, ...], travel: Travel[T], /) -> T:
        """Return it with all attempts of the call, and its route."""
        ...


class Trip(msgspec.Struct, Generic[T], frozen=True):
    """A call with a route: all that stays the same on the way."""

    policy: Policy
    options: tuple[Option, ...]
    wanted: Wanted
    traffic: Traffic
    leg: Callable[[Option, Stage], Flow[T]]
    """Makes the call to one place; raises APIError."""
    result: Result[T]
    began: float
    starts: float
    """Monotonic time at which the first place is asked: what it takes to find out about places comes
    before."""
    end: float
    """Monotonic time of the call's deadline."""
    wall: float
    """What monotonic time lacks to seconds since the epoch."""
    patience: float = math.inf
    """Monotonic time until which a model that is being loaded is waited for."""
    notes: tuple[str, ...] = ()
    retries: bool = True
    """Whether a place that failed may be asked once more."""


class Travel(Generic[T]):
    """Where a call is on its route. It goes on from there after a stream broke, too."""

    def __init__(self, trip: Trip[T]) -> None:
        """Rank the places; raises RouteExhaustedError where none may be asked."""
        self.trip = trip
        traffic = trip.traffic
        traffic.called(trip.starts)
        ranking = traffic.rank(trip.options, trip.policy, trip.wanted, trip.starts, trip.wall)
        self.order = ranking.order
        self.attempts: tuple[Attempt, ...] = ()
        self.asked: list[Option] = []
        """The places that the attempts went to, one each."""
        self._report = ranking.report
        self._notes: list[str] = []
        self.at = 0
        """Where the present place is in the order."""
        self.probe = False
        """Whether the present attempt finds out if its place does well again."""
        self._failed = 0
        """Attempts in a row that failed at the present place."""
        self.role: AttemptRole = "first"
        """What the present attempt is for."""
        self._said: dict[str, list[str]] = {}
        """By place, how each attempt there ended, or what was wrong before anything was sent."""
        self._done: set[int] = set()
        """Where the places are in the order that are not asked again."""
        self._again = False
        """Whether the present place is the next one again."""
        self._told: APIError | None = None
        """What broke the last answer off."""
        self._after: Any = None
        self._only: frozenset[str] | None = None
        if not self.order:
            raise self._exhausted(None)

    @property
    def report(self) -> RouteReport:
        """How the route came about, and what was done on the way."""
        notes = (*self.trip.notes, *self._report.notes, *self._notes)
        return msgspec.structs.replace(self._report, notes=notes)

    @property
    def option(self) -> Option:
        """The place that is asked, or was last."""
        return self.order[self.at]

    def note(self, said: str) -> None:
        """Add a remark to the report, once."""
        if said not in self._notes:
            self._notes.append(said)

    def go(self) -> Flow[T]:
        """Ask places from the present one on, until one answers; raises APIError."""
        return (yield from self._asking(self.trip.starts, "failover"))

    def go_on(
        self,
        error: APIError,
        attempts: tuple[Attempt, ...],
        role: AttemptRole = "failover",
        after: Any = None,
        only: frozenset[str] | None = None,
    ) -> Flow[T]:
        """Go on after an answer that `error` broke off, whose attempts these are.

        `after` is what legs are told of it; `only` are the names of the places that may be asked.
        """
        self.attempts, self._after, self._only = attempts, after, only
        if error is not self._told:
            self._told = error
            self._say(self.option, error)
        try:
            now = yield Wait(0.0)
            now = yield from self._step(error, now, role)
            return (yield from self._asking(now, role))
        finally:
            self._after = self._only = None

    def back(self) -> None:
        """Have the present place be the next one again: it refused how it was asked, not the call."""
        self._again = True

    def beside(self, at: int, attempt: Attempt, error: APIError | None) -> None:
        """Take the attempt at the place that lost a race: it is not asked again."""
        option = self.order[at]
        self.attempts = (*self.attempts, attempt)
        self.asked.append(option)
        self._done.add(at)
        self._say(option, error)

    def _asking(self, now: float, role: AttemptRole) -> Flow[T]:
        while True:
            try:
                return (yield from self._leg(now))
            except APIError as error:
                failed = error
            now = yield Wait(0.0)
            now = yield from self._step(failed, now, role)

    def over(self, now: float, error: APIError | None, facts: Facts) -> None:
        """Note how the answer of the present place ended, after it had begun well."""
        trip = self.trip
        trip.traffic.ended(self.option, now, trip.wall, error, facts=facts)

    def _leg(self, now: float) -> Flow[T]:
        trip, option = self.trip, self.option
        others = self.next_place(now) is not None
        stage = Stage(
            now,
            self.attempts,
            self.role,
            min(trip.policy.first_token_seconds, (trip.end - now) / 2) if others else math.inf,
            self._after,
        )
        self.probe = trip.traffic.begun(option, now)
        leg = trip.leg(option, stage)
        try:
            result = yield from raced(self, leg, stage) if trip.policy.hedge else leg
        except APIError as error:
            option = self.option
            new = error.attempts[len(stage.before) :]
            self._say(option, error, sent=bool(new))
            self.attempts = self._joined(new)
            ended = trip.began + new[-1].started + new[-1].seconds if new else now
            trip.traffic.ended(option, ended, trip.wall, error, probe=self.probe)
            raise
        except BaseException:  # nobody waits for it any more
            trip.traffic.left(self.option, now, probe=self.probe)
            raise
        option = self.option  # the other one, where it was sooner
        own = trip.result.attempts(result)
        self.attempts = self._joined(own[len(stage.before) :])
        ended = trip.began + self.attempts[-1].started + self.attempts[-1].seconds
        facts = trip.result.facts(result)
        trip.traffic.ended(option, ended, trip.wall, None, probe=self.probe, facts=facts)
        return trip.result.placed(result, self.attempts, self)

    def _say(self, option: Option, error: APIError | None, *, sent: bool = True) -> None:
        """Remember how an attempt at a place ended; without an error it was hung up on."""
        said = type(error).__name__ if error is not None else "it was hung up on"
        if error is not None and error.status is not None:
            said = f"{error.status} {said}"
        if error is not None and not sent:
            said = error.message.partition("\n")[0]
        self._said.setdefault(option.name, []).append(said)

    def _joined(self, new: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
        """Return all attempts, the new ones said to be what they were for."""
        if new:
            new = (msgspec.structs.replace(new[0], role=self.role), *new[1:])
        self.asked += [self.option] * len(new)
        return numbered((*self.attempts, *new))

    def _step(self, error: APIError, now: float, role: AttemptRole) -> Flow[float]:
        """Choose who is asked after an attempt that failed; raises where nobody is."""
        trip = self.trip
        self._failed += 1
        following = self.next_place(now)
        step = next_step(
            error,
            failed=self._failed,
            others=following is not None,
            move_on=trip.policy.move_on,
        )
        if step.action == "longer":
            self._rule_out_shorter()
            following = self.next_place(now)
            step = Step("stop" if following is None else "move", step.why)
        wait = step.wait or trip.traffic.chance() * _SHORT_WAIT
        if step.action == "again" and not self._may_ask_again(error, now + wait, role, following):
            step = Step("stop" if following is None else "move", step.why)
        if step.action != "stop" and now >= trip.end:
            raise self._overdue(error)
        if step.action == "stop" or (step.action == "again" and now + wait >= trip.end):
            raise self._given_up(error, step)
        step = self._afforded(step, following, now)
        if step.action == "stop":
            self.note("the budget of retries was used up")
            raise self._given_up(error, step)
        self._went_on(step.why)
        if step.action == "again":
            self.role = "retry" if role == "failover" else role
            after: float = yield Wait(wait)
            return after
        if following is not None and following != self.at:
            self._done.add(self.at)
            self.at = following
        self._failed, self.role, self._again = 0, role, False
        return now

    def _may_ask_again(
        self, error: APIError, at: float, role: AttemptRole, following: int | None
    ) -> bool:
        """Tell whether the present place may be asked once more, at a time."""
        if not self.trip.retries or (role != "failover" and following is not None):
            return False
        if self._only is not None and self.option.name not in self._only:
            return False
        if following is not None and self.trip.traffic.trouble(self.option, at) is not None:
            return False  # it was given up with this failure, or before it
        return at < self.trip.patience or not isinstance(error, ModelLoadingError)

    def _afforded(self, step: Step, following: int | None, now: float) -> Step:
        """Return what the budget of retries allows of a step.

        A place that does well is moved to in any case: that asks nothing more of one that fails.
        """
        traffic = self.trip.traffic
        if traffic.may_retry(now):
            return step
        well = following is not None and traffic.does_well(self.order[following])
        return Step("move" if well else "stop", step.why)

    def _went_on(self, why: str) -> None:
        if self.attempts:
            last = msgspec.structs.replace(self.attempts[-1], moved=why)
            self.attempts = (*self.attempts[:-1], last)

    def _rule_out_shorter(self) -> None:
        """Ask nobody any more whose context is not known to be longer than the present place's."""
        context = self.option.context or 0
        self._done |= {
            at for at, option in enumerate(self.order) if (option.context or 0) <= context
        }

    def next_place(self, now: float) -> int | None:
        """Return where the next place is that may be asked; None where there is none."""
        places: list[int] = [*range(self.at, len(self.order)), *range(self.at)]
        for at in places if self._again else places[1:]:
            option = self.order[at]
            if at in self._done or (self._only is not None and option.name not in self._only):
                continue
            if self.trip.traffic.trouble(option, now) is None:
                return at
        return None

    def _given_up(self, error: APIError, step: Step) -> APIError:
        """Return what a call ends with: its one place's own error, or what became of all."""
        tried = {option.name for option in self.asked}
        own = next_step(error, failed=99, others=True, move_on=self.trip.policy.move_on)
        if own.action in ("stop", "longer") or (
            len(tried) < 2 and len(self._report.candidates) < 2
        ):
            error.attempts = self.attempts
            error.route = self.report
            return error
        self.note(f"{self.option.name}: {step.why}")
        return self._exhausted(error)

    def _overdue(self, cause: APIError) -> DeadlineExceeded:
        """Return what a call ends with whose deadline passed before the next place could be asked."""
        error = DeadlineExceeded(
            f"The call's deadline passed on the route ({self._report.policy}):\n{self._table()}",
            model=self.trip.options[0].model,
            attempts=self.attempts,
            request_id=cause.request_id,
            hint="Raise deadline= to allow more.",
        )
        error.sent = error.received = True
        error.route = self.report
        error.__cause__ = cause
        return error

    def _exhausted(self, cause: APIError | None) -> RouteExhaustedError:
        trip = self.trip
        soonest = trip.traffic.soonest(trip.options, trip.starts)
        error = RouteExhaustedError(
            f"No place on the route ({self._report.policy}) could serve the call:\n{self._table()}",
            model=trip.options[0].model if trip.options else None,
            attempts=self.attempts,
            retry_after=soonest
            if cause is None or cause.retry_after is None
            else cause.retry_after,
            request_id=None if cause is None else cause.request_id,
            hint="Ease the route's limits or name more places." if cause is None else None,
        )
        error.route = self.report
        error.__cause__ = cause
        return error

    def _table(self) -> str:
        """Return a line for each place: how it ended there, or why it was not asked."""
        rows = [
            (c.name, c.excluded or ", then ".join(self._said.get(c.name, ["it was not asked"])))
            for c in self._report.candidates
        ]
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join(f"  {name:<{width}}  {why}" for name, why in rows) or "  it has no places"

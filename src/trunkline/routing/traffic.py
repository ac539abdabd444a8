"""What the calls of one program know together of the places on their routes. No I/O, no clock.

With a lock it is safe to use from any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from trunkline.errors import APIError
from trunkline.routing import health, spare
from trunkline.routing.health import Health
from trunkline.routing.measures import Measures, Seen, place_of
from trunkline.routing.moving import outcome_of
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Known, Option, Ranking, Wanted, rank

Marks = Mapping[tuple[str, str], str]
"""Places to be routed around, and why."""


class Facts(msgspec.Struct, frozen=True):
    """What was seen of one answer. Unknown is None."""

    first_token: float | None = None
    """Seconds from the request."""
    throughput: float | None = None
    """Tokens a second, once the first had come."""
    output: int | None = None
    """Tokens of the answer."""
    whole: bool = True
    """Whether it has ended; else it only began well."""


_NO_FACTS = Facts()


class Traffic:
    """How places do, how fast they are, and what may still be spent on retries and hedges."""

    def __init__(
        self,
        chance: Callable[[], float],
        measures: Measures | None = None,
        marks: Callable[[float], Marks] = lambda _: {},
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        """Begin with what was measured before; `marks` gives those that stand at a time.

        `lock` keeps threads apart, where there are several.
        """
        self.chance = chance
        self.measures = measures or Measures()
        self.fresh = Measures()
        """What was measured since it was last kept."""
        self.health = Health()
        self.retries = spare.retries()
        self.hedges = spare.hedges()
        self._marks = marks
        self._lock = lock or nullcontext()

    def rank(
        self, options: Sequence[Option], policy: Policy, wanted: Wanted, now: float, wall: float
    ) -> Ranking:
        """Return the order of places now. `now` is monotonic; `wall` is added to it for the epoch's."""
        marks = self._marks(now + wall)

        def trouble(option: Option) -> str | None:
            return marks.get(place_of(option.provider, option.model)) or self._standing(option, now)

        def seen(option: Option) -> Seen:
            found = self._seen(option, now + wall)
            if found.error_rate and self.health.standing(place(option), now).state == "half-open":
                # what failed is to be found well again by a call that would go there otherwise
                return msgspec.structs.replace(found, error_rate=None)
            return found

        known = Known(seen, trouble, self.chance)
        with self._lock:
            return rank(options, policy, wanted, known)

    def trouble(self, option: Option, now: float) -> str | None:
        """Return why a place should not be asked just now."""
        with self._lock:
            return self._standing(option, now)

    def soonest(self, options: Sequence[Option], now: float) -> float | None:
        """Return in how many seconds the first of places may be asked again, where that is known."""
        with self._lock:
            found = [self.health.standing(place(option), now).seconds for option in options]
        return min((seconds for seconds in found if seconds > 0), default=None)

    def begun(self, option: Option, now: float) -> bool:
        """Note that a place is asked; tells whether the call finds out if it does well again."""
        with self._lock:
            return self.health.begun(place(option), now)

    def ended(
        self,
        option: Option,
        now: float,
        wall: float,
        error: APIError | None,
        *,
        probe: bool = False,
        facts: Facts = _NO_FACTS,
    ) -> None:
        """Note how a call to a place ended, and what was seen of it."""
        outcome = outcome_of(error)
        after = error.retry_after if error is not None else None
        where = place_of(option.provider, option.model)
        with self._lock:
            self.health.ended(place(option), now, outcome, probe=probe, retry_after=after)
            if outcome == "left":
                return
            if probe and outcome == "good":
                self.measures.forgive(where)
            for measures in (self.measures, self.fresh):
                measures.note(
                    where,
                    now + wall,
                    failed=None if outcome == "good" and not facts.whole else outcome != "good",
                    first_token=facts.first_token,
                    throughput=facts.throughput,
                    output=facts.output,
                )

    def left(self, option: Option, now: float, *, probe: bool) -> None:
        """Note that nobody waited for a place's answer."""
        with self._lock:
            self.health.ended(place(option), now, "left", probe=probe)

    def called(self, now: float) -> None:
        """Count a call, for the budgets."""
        with self._lock:
            self.retries.called(now)
            self.hedges.called(now)

    def may_retry(self, now: float) -> bool:
        """Take one attempt more from the budget, if one is left."""
        with self._lock:
            return self.retries.spend(now)

    def does_well(self, option: Option) -> bool:
        """Tell whether nothing has failed at a place since it last answered well."""
        with self._lock:
            return self.health.does_well(place(option))

    def may_hedge(self, now: float) -> bool:
        """Take one second place from the budget, if one is left."""
        with self._lock:
            return self.hedges.spend(now)

    def slow_after(self, option: Option, now: float, wall: float) -> float | None:
        """Return after how many seconds of silence a place is slower than it nearly ever is."""
        with self._lock:
            return self._seen(option, now + wall).slow_first_token

    def take_fresh(self) -> Measures:
        """Return what was measured since this was last asked."""
        with self._lock:
            fresh, self.fresh = self.fresh, Measures()
        return fresh

    def _seen(self, option: Option, now: float) -> Seen:
        return self.measures.seen(place_of(option.provider, option.model), now)

    def _standing(self, option: Option, now: float) -> str | None:
        return self.health.standing(place(option), now, self.chance()).why


def place(option: Option) -> health.Place:
    """Return under what an option's health is kept."""
    return health.Place(
        (option.provider or option.name).lower(), option.model.lower(), option.account
    )

"""The breaker in any order of calls, ends, pauses and news from another process, against plain history.

No place is given up without a cause, none is asked by two probes at once, and none stays given up for
longer than it may: what has recovered is used again within fifteen seconds.
"""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from trials import often
from trunkline.routing.health import (
    ENOUGH,
    HALF_LIFE,
    LONGEST_PAUSE,
    PROBE_SECONDS,
    Health,
    Outcome,
    Place,
    Standing,
)

PLACE, OTHER = Place("one", "m", "us"), Place("other", "m", "us")
WITHIN = 15.0
"""Seconds in which a place that has recovered is used again."""
SILENCE = 10.0
"""Seconds for which a call may wait for a place that says nothing."""
NEARLY = 1e-6


class Seen:
    """What one process saw and heard of the place, in full."""

    def __init__(self, ahead: float) -> None:
        self.health = Health()
        self.ahead = ahead
        """How far its clock is ahead: monotonic clocks have nothing in common."""
        self.ends: list[tuple[float, Outcome]] = []
        self.streak = 0
        self.cause = False
        """Whether there is a reason to have given it up."""
        self.shut = -math.inf
        """When the last one came up."""
        self.cool = -math.inf
        self.probes: dict[int, float] = {}

    def weight(self, now: float, outcome: Outcome) -> float:
        return sum(0.5 ** ((now - at) / HALF_LIFE) for at, kind in self.ends if kind == outcome)

    def failing(self, now: float, margin: float) -> bool:
        good, bad = self.weight(now, "good"), self.weight(now, "bad")
        total = good + bad
        return self.streak >= ENOUGH or (
            total >= ENOUGH - margin and bad >= total / 2 * (1 - margin)
        )


class HealthMachine(RuleBasedStateMachine):
    """Two processes that ask one place, and now and then tell each other of it."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.seen = [Seen(0.0), Seen(123456.0)]
        self.begun = 0

    def standing(self, who: int, place: Place = PLACE) -> Standing:
        seen = self.seen[who]
        return seen.health.standing(place, self.now + seen.ahead)

    @rule(seconds=st.floats(0.001, 25))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=calls, who=st.integers(0, 1))
    def ask(self, who: int) -> tuple[int, int, bool] | None:
        seen = self.seen[who]
        if self.standing(who).why is not None:
            return None
        probe = seen.health.begun(PLACE, self.now + seen.ahead)
        self.begun += 1
        if probe:
            seen.probes = {
                n: at for n, at in seen.probes.items() if self.now - at < PROBE_SECONDS - NEARLY
            }
            assert not seen.probes, "one probe at a time"
            seen.probes[self.begun] = self.now
        return who, self.begun, probe

    @rule(
        call=consumes(calls),
        outcome=st.sampled_from(["good", "bad", "bad", "bad", "busy", "left"]),
        after=st.none() | st.floats(0, 20),
    )
    def end(self, call: tuple[int, int, bool] | None, outcome: Outcome, after: float | None):
        if call is None:
            return
        who, number, probe = call
        seen = self.seen[who]
        if outcome in ("good", "left"):
            after = None
        now = self.now + seen.ahead
        was = seen.health.standing(PLACE, now).state
        seen.health.ended(PLACE, now, outcome, probe=probe, retry_after=after)
        seen.probes.pop(number, None)
        if outcome == "busy" or (outcome == "bad" and after is not None):
            seen.cool = max(seen.cool, self.now + (1.0 if after is None else after))
        self.note(seen, outcome, probe=probe)
        now_is = self.standing(who).state
        if probe and outcome in ("good", "busy"):
            assert now_is == "closed", "what answers its probe is used again at once"
        if was == "closed" and outcome == "bad" and self.now >= seen.cool:
            assert (now_is == "open") >= seen.failing(self.now, -NEARLY), "enough went wrong"

    def note(self, seen: Seen, outcome: Outcome, *, probe: bool) -> None:
        seen.ends.append((self.now, outcome))
        if outcome == "good":
            seen.streak = 0
            if probe:
                seen.ends = [(at, kind) for at, kind in seen.ends if kind == "good"]
        elif outcome == "bad":
            seen.streak += 1
            if probe or seen.failing(self.now, NEARLY):
                seen.cause, seen.shut = True, self.now
        elif outcome == "busy" and probe:
            seen.streak = 0
        if probe and outcome in ("good", "busy"):
            seen.cause = False

    @rule(speaker=st.integers(0, 1))
    def tell(self, speaker: int) -> None:
        one, other = self.seen[speaker], self.seen[1 - speaker]
        rows = one.health.told(self.now + one.ahead)
        assert all(Place(row.provider, row.model, row.account) == PLACE for row in rows)
        other.health.hear(rows, self.now + other.ahead)
        for row in rows:
            assert row.shut <= LONGEST_PAUSE + NEARLY
            other.cool = max(other.cool, self.now + row.cool if row.cool else -math.inf)
            if row.shut > 0:
                other.cause, other.shut = True, max(other.shut, one.shut)

    @invariant()
    def nothing_is_given_up_without_a_cause(self) -> None:
        for who, seen in enumerate(self.seen):
            found = self.standing(who)
            assert found.state == "closed" or seen.cause
            assert found.why is None or seen.cause or self.now < seen.cool + NEARLY
            assert self.standing(who, OTHER) == Standing("closed"), (
                "others have nothing to do with it"
            )

    @invariant()
    def nothing_stays_given_up_for_longer_than_it_may(self) -> None:
        for who, seen in enumerate(self.seen):
            found = self.standing(who)
            rested = self.now >= max(seen.shut + LONGEST_PAUSE, seen.cool) + NEARLY
            tried = any(self.now - at < PROBE_SECONDS for at in seen.probes.values())
            assert found.why is None or not rested or tried, found
            assert found.seconds <= max(LONGEST_PAUSE, seen.cool - self.now) + NEARLY

    @precondition(lambda self: self.begun > 3)
    @rule(answers=st.lists(st.floats(0, 1), min_size=1, max_size=5))
    def throttle(self, answers: list[float]) -> None:
        """Calls are held back at random only where some were refused; and never all of them."""
        for seen in self.seen:
            for chance in answers:
                found = seen.health.standing(PLACE, self.now + seen.ahead, chance)
                if found.why is not None and "too busy" in found.why:
                    assert any(kind == "busy" for _, kind in seen.ends)
                    assert chance < 1
                    unheld = seen.health.standing(PLACE, self.now + seen.ahead)
                    assert unheld.why is None


TestHealth = HealthMachine.TestCase
TestHealth.settings = settings(max_examples=often(60), stateful_step_count=40)


@settings(max_examples=often(120))
@given(
    gaps=st.lists(st.floats(0.01, 3.0), min_size=1, max_size=30),
    lasts=st.lists(st.floats(0.0, SILENCE), min_size=1, max_size=30),
    recovers=st.floats(5.0, 120.0),
)
def test_what_has_recovered_is_used_again_within_fifteen_seconds(gaps, lasts, recovers) -> None:
    """Calls come all the time, and fail, some after a long silence, until the place has recovered."""
    health, now, number = Health(), 0.0, 0
    flying: list[tuple[float, bool]] = []
    while True:
        assert now <= recovers + WITHIN
        for ends, probe in sorted(one for one in flying if one[0] <= now):
            health.ended(PLACE, ends, "bad", probe=probe)
        flying = [one for one in flying if one[0] > now]
        if health.standing(PLACE, now).why is None:
            probe = health.begun(PLACE, now)
            if now >= recovers:
                break
            flying.append((now + lasts[number % len(lasts)], probe))
        now += min(gaps[number % len(gaps)], 1.0)
        number += 1

"""The budgets of retries and hedges in any order of calls and wishes, against lists of what happened when."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trials import often
from trunkline.routing.spare import Spare, hedges, retries

SECONDS = 10


class SpareMachine(RuleBasedStateMachine):
    """A budget, and every call and every retry with its second."""

    @initialize(
        share=st.sampled_from([0.02, 0.2, 0.5, 1.0]),
        floor=st.sampled_from([0, 0.5, 3, 10]),
        seconds=st.sampled_from([SECONDS, 3, 40]),
    )
    def begin(self, share: float, floor: float, seconds: int) -> None:
        self.spare = Spare(share, floor, seconds)
        self.seconds = seconds
        self.now = 50.0
        self.called: list[int] = []
        self.spent: list[int] = []
        self.heard: list[int] = []
        """The seconds in which anything was asked or told."""

    def left(self) -> int:
        """Add it all up."""
        second = int(self.now)
        self.heard.append(second)
        began = second
        for one in sorted(set(self.heard), reverse=True):
            if began - one >= self.seconds:
                break  # it began anew after a silence
            began = one
        lately = range(second - self.seconds + 1, second + 1)
        share = self.spare.share * sum(one in lately for one in self.called)
        floor = self.spare.floor * min(self.seconds, second - began + 1)
        return max(0, int(max(share, floor) + 1e-9) - sum(one in lately for one in self.spent))

    @rule(seconds=st.floats(0, 1) | st.integers(0, 25))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(count=st.integers(1, 30))
    def call(self, count: int) -> None:
        for _ in range(count):
            self.spare.called(self.now)
        self.heard.append(int(self.now))
        self.called += [int(self.now)] * count

    @rule(count=st.integers(1, 40))
    def spend(self, count: int) -> None:
        for _ in range(count):
            left = self.left()
            assert self.spare.spend(self.now) is (left > 0)
            self.spent += [int(self.now)] * (left > 0)

    @rule(behind=st.floats(0, 0.5))
    def another_thread_is_behind(self, behind: float) -> None:
        """Its clock was read a moment ago: nothing is forgotten, and nothing is won."""
        before = self.left()
        assert self.spare.left(self.now) == before
        self.spare.left(self.now - behind)
        assert self.spare.left(self.now) == before

    @invariant()
    def what_is_left_is_what_was_not_spent(self) -> None:
        if hasattr(self, "spare"):
            assert self.spare.left(self.now) == self.left()


TestSpare = SpareMachine.TestCase
TestSpare.settings = settings(max_examples=often(60), stateful_step_count=30)


@settings(max_examples=often(40))
@given(
    rates=st.lists(st.integers(60, 300), min_size=1, max_size=25),
    wanted=st.integers(1, 3),
)
def test_where_every_call_fails_attempts_stay_below_six_fifths_of_the_calls(rates, wanted) -> None:
    """Whatever the rate, once it is enough for a fifth of it to be more than the floor."""
    budget, calls, again = retries(), 0, 0
    for second, rate in enumerate(rates):
        for number in range(rate):
            now = second + number / rate
            budget.called(now)
            calls += 1
            again += sum(budget.spend(now) for _ in range(wanted))
        lately = rates[max(0, second - SECONDS + 1) : second + 1]
        assert again <= 0.2 * sum(rates[: second + 1]) + 10 * len(lately)
    assert again <= 0.2 * calls + 10 * SECONDS


@given(calls=st.integers(0, 2000))
def test_hedges_are_one_in_fifty_calls_and_none_before(calls: int) -> None:
    budget = hedges()
    for _ in range(calls):
        budget.called(5.0)
    assert sum(budget.spend(5.0) for _ in range(100)) == min(100, int(calls * 0.02 + 1e-9))


def test_few_calls_have_their_hedges_too() -> None:
    """A call every two seconds: one of them in every fifty, though ten seconds have only five."""
    budget, spent = hedges(), 0
    for number in range(1000):
        budget.called(2.0 * number)
        spent += budget.spend(2.0 * number)
    assert 15 <= spent <= 20

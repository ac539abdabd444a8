"""The order of calls that wait, who gives way, and what is told of how long it takes; against a plain model."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trials import often
from trunkline.dialects.openai_server import RequestError
from trunkline.gateway.queue import REMEMBERED, Queue, Ticket
from trunkline.gateway.urgency import patience, read_urgency
from trunkline.store.records import Priority

KINDS = st.sampled_from(("interactive", "batch"))
PLACES = st.sampled_from(("one", "other"))


def ticket(
    name: str, kind: Priority = "interactive", *, since: float = 0.0, place: str = "p"
) -> Any:
    return Ticket(place, kind, since, since + 30, name)


class Line(RuleBasedStateMachine):
    """Does what the queue does, with a list for each line."""

    @initialize(size=st.integers(0, 5))
    def begin(self, size: int) -> None:
        self.size = size
        self.queue: Queue[int] = Queue(size)
        self.now = 0.0
        self.number = 0
        self.lines: dict[str, list[Ticket[int]]] = {"one": [], "other": []}

    @rule(kind=KINDS, place=PLACES, patience=st.floats(0.1, 20), passed=st.floats(0.001, 5))
    def come(self, kind: Priority, place: str, patience: float, passed: float) -> None:
        self.now += passed
        self.number += 1
        new = Ticket(place, kind, self.now, self.now + patience, self.number)
        line = self.lines[place]
        batch = [each for each in line if each.kind == "batch"]
        gone = self.queue.join(new, self.now)
        if len(line) < self.size:
            assert gone is None
            line.append(new)
        elif kind == "interactive" and batch:
            assert gone is batch[-1]
            line.remove(batch[-1])
            line.append(new)
        else:
            assert gone is new

    @precondition(lambda self: any(self.lines.values()))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        every = [each for line in self.lines.values() for each in line]
        one = data.draw(st.sampled_from(every))
        assert self.queue.leave(one, self.now)
        assert not self.queue.leave(one, self.now)
        self.lines[str(one.place)].remove(one)

    @precondition(lambda self: any(self.lines.values()))
    @rule(data=st.data(), passed=st.floats(0, 5))
    def let_in(self, data: st.DataObject, passed: float) -> None:
        self.now += passed
        one = data.draw(st.sampled_from(self.queue.heads()))
        self.queue.let_in(one, self.now)
        self.lines[str(one.place)].remove(one)

    @rule(passed=st.floats(0, 20))
    def wait(self, passed: float) -> None:
        self.now += passed
        late = self.queue.late(self.now)
        assert all(each.until <= self.now for each in late)
        for each in late:
            self.lines[str(each.place)].remove(each)

    @invariant()
    def they_agree(self) -> None:
        every = [each for line in self.lines.values() for each in line]
        assert set(self.queue) == set(every)
        assert len(self.queue) == len(every) == sum(self.queue.counts.values())
        assert self.queue.until <= min((each.until for each in every), default=math.inf)
        assert self.queue.heads() == sorted(
            filter(None, map(first, self.lines.values())), key=claim
        )
        for place, line in self.lines.items():
            assert self.queue.waits(place) == len(line) <= self.size
            for kind in ("interactive", "batch"):
                told = self.queue.estimate(place, kind, self.now)
                assert told is None or 0 <= told < math.inf


def first(line: list[Ticket[int]]) -> Ticket[int] | None:
    interactive = [each for each in line if each.kind == "interactive"]
    return interactive[-1] if interactive else line[0] if line else None


def claim(one: Ticket[int]) -> tuple[bool, float]:
    return one.kind == "batch", one.since if one.kind == "batch" else -one.since


Line.TestCase.settings = settings(max_examples=often(60), stateful_step_count=30, deadline=None)
TestLine = Line.TestCase


def test_what_is_told_of_the_wait_is_the_pace_at_which_calls_were_let_in():
    queue: Queue[str] = Queue(1000)
    assert queue.estimate("p", "interactive", 0.0) is None
    for number in range(200):
        queue.join(ticket(str(number)), 0.0)
    for number in range(100):
        queue.let_in(queue.heads()[0], 0.5 * (number + 1))
    now = 50.0
    assert queue.estimate("p", "interactive", now) == pytest.approx(0.5, rel=0.05)
    assert queue.estimate("p", "batch", now) == pytest.approx(50.5, rel=0.05)
    assert queue.drained("p", "interactive", now) == pytest.approx(50.0, rel=0.05)


def test_time_in_which_nobody_waits_says_nothing_of_the_pace():
    queue: Queue[str] = Queue(10)
    for number in range(20):
        queue.join(ticket("x", since=number * 1000.0), number * 1000.0)
        queue.let_in(queue.heads()[0], number * 1000.0 + 2.0)
    assert queue.estimate("p", "interactive", 30_000.0) == pytest.approx(2.0, rel=0.1)


def test_a_line_that_stands_still_is_told_to_be_slower_and_slower():
    queue: Queue[str] = Queue(10)
    for _ in range(3):
        queue.join(ticket("x"), 0.0)
    queue.let_in(queue.heads()[0], 1.0)
    told = [queue.estimate("p", "interactive", 1.0 + REMEMBERED * times) for times in (0, 1, 2, 3)]
    assert all(told)
    assert told == sorted(told, key=lambda seconds: seconds or 0.0)
    assert told[-1] is not None
    assert told[-1] > 20 * (told[0] or 1.0)


def test_lines_that_nobody_stands_in_are_forgotten_when_there_are_many():
    queue: Queue[str] = Queue(1)
    for number in range(1000):
        one = ticket("x", place=f"p{number}")
        queue.join(one, 0.0)
        queue.let_in(one, 1.0)
    assert queue.estimate("p0", "interactive", 2.0) is None
    assert queue.estimate("p999", "interactive", 2.0) is not None


@given(
    deadline=st.none() | st.floats(0.001, 1000),
    given_seconds=st.just(math.inf) | st.floats(0.001, 1000),
    asked=st.sampled_from((None, "batch", "interactive", " Batch ")),
    kind=KINDS,
)
def test_a_client_makes_a_call_less_urgent_never_more(
    deadline: float | None, given_seconds: float, asked: str | None, kind: Priority
) -> None:
    headers: dict[bytes, bytes] = {}
    if deadline is not None:
        headers[b"x-trunkline-deadline"] = repr(deadline).encode()
    if asked is not None:
        headers[b"x-trunkline-priority"] = asked.encode()
    found = read_urgency(headers, kind, given_seconds, 100.0)
    seconds = given_seconds if deadline is None else min(deadline, given_seconds)
    assert (found.seconds, found.deadline) == (seconds, 100.0 + seconds)
    batch = kind == "batch" or (asked is not None and "batch" in asked.lower())
    assert found.kind == ("batch" if batch else "interactive")


@pytest.mark.parametrize("said", ["", "0", "-1", "soon", "nan", "inf", "1e99", "1" * 40, "30s"])
def test_a_deadline_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(RequestError, match="x-trunkline-deadline") as refused:
        read_urgency({b"x-trunkline-deadline": said.encode()}, "interactive", math.inf, 0.0)
    assert (refused.value.code, refused.value.status) == ("invalid_deadline", 400)


@pytest.mark.parametrize("said", ["", "high", "0"])
def test_a_priority_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(RequestError, match="x-trunkline-priority"):
        read_urgency({b"x-trunkline-priority": said.encode()}, "interactive", math.inf, 0.0)


def test_what_a_client_says_of_its_own_patience_is_believed_where_it_is_a_number():
    assert patience({}) == math.inf
    assert patience({b"x-stainless-read-timeout": b"600"}) == 600.0
    assert patience({b"x-stainless-read-timeout": b"20.5", b"x-stainless-timeout": b"9"}) == 9.0
    assert patience({b"x-stainless-timeout": b"never"}) == math.inf

"""Calls carried in made-up time: the kernel's own rules decide what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.hindsight.legs import (
    Answers,
    Ended,
    Happening,
    alone,
    journey_of,
    leg_for,
    travelled,
)
from trunkline.hindsight.virtual import Clock
from trunkline.routing.carry import Flow
from trunkline.routing.needs import Renew, Wait
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Option, Wanted
from trunkline.routing.retry import Retry
from trunkline.routing.traffic import Traffic
from trunkline.routing.travel import Trip
from trunkline.types import Secret

GOOD = Happening(0.5, rest=2.0, output=100)
DOWN = Happening(0.1, 503)
BUSY = Happening(0.1, 429, retry_after=30.0)
SILENT = Happening(0.0, silent=True)
CUT = Happening(0.5, rest=2.0, output=100, cut=1.0)
BROKEN = Happening(0.1, None)
Script = dict[str, list[Happening]]


class Road:
    """A route whose places do as a script says; the last line of each goes on for ever."""

    def __init__(self, script: Script, deadline: float | None = None, **fields: Any) -> None:
        self.script = script
        self.asked: list[tuple[str, float]] = []
        self.traffic = Traffic(lambda: 0.0)
        self.policy = Policy(places=tuple(script), **fields)
        self.options = tuple(Option(name, name, "org/model") for name in script)
        self.deadline = deadline

    def happens(self, place: str, now: float) -> Happening:
        self.asked.append((place, now))
        lines = self.script[place]
        return lines.pop(0) if len(lines) > 1 else lines[0]

    def trip(self, now: float) -> Trip[Any]:
        journey = journey_of(now, self.deadline, self.traffic.chance)
        end = float("inf") if self.deadline is None else now + self.deadline
        return Trip(
            self.policy, self.options, Wanted(), self.traffic, leg_for(journey),
            Answers(), now, now, end, 1e9,
        )  # fmt: skip

    def run(self, *at: float, whole: bool = False) -> list[Ended]:
        return carried(
            [(t, lambda now: travelled(self.trip(now), self.happens, whole=whole)) for t in at]
        )


def carried(flows: list[tuple[float, Callable[[float], Flow[Ended]]]]) -> list[Ended]:
    found: list[Ended] = []

    def noted(make: Callable[[float], Flow[Ended]]) -> Callable[[float], Flow[None]]:
        def flow(now: float) -> Flow[None]:
            found.append((yield from make(now)))

        return flow

    Clock().run((at, noted(make)) for at, make in flows)
    return found


def tried(ended: Ended) -> list[tuple[str | None, str, str | None]]:
    return [(a.provider, a.role, a.error) for a in ended.attempts]


def test_a_good_answer_takes_as_long_as_it_is_said_to() -> None:
    road = Road({"a": [GOOD], "b": [GOOD]})
    [ended] = road.run(10.0)
    assert (ended.began, ended.first, ended.ended) == (10.0, 10.5, 12.5)
    assert tried(ended) == [("a", "first", None)]
    assert [(s.option.name, s.output) for s in ended.spent] == [("a", 100)]
    assert road.traffic.measures.seen(("a", "org/model"), 1e9).first_token is None  # one is too few


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"a": [DOWN], "b": [GOOD]},
         [("a", "first", "ServiceUnavailableError"), ("a", "retry", "ServiceUnavailableError"),
          ("b", "failover", None)]),
        ({"a": [DOWN, GOOD], "b": [GOOD]},
         [("a", "first", "ServiceUnavailableError"), ("a", "retry", None)]),
        ({"a": [BUSY], "b": [GOOD]}, [("a", "first", "RateLimitError"), ("b", "failover", None)]),
        ({"a": [SILENT], "b": [GOOD]}, [("a", "first", "Timeout"), ("b", "failover", None)]),
        ({"a": [BROKEN], "b": [GOOD]},
         [("a", "first", "APIConnectionError"), ("a", "retry", "APIConnectionError"),
          ("b", "failover", None)]),
    ],
)  # fmt: skip
def test_failures_are_followed_by_what_follows_them_in_real_calls(
    script: Script, expected: list[tuple[str, str, str | None]]
) -> None:
    [ended] = Road(script).run(0.0)
    assert tried(ended) == expected
    assert ended.error is None


def test_silence_lasts_as_long_as_the_route_says() -> None:
    [ended] = Road({"a": [SILENT], "b": [GOOD]}, first_token_seconds=3.0).run(0.0)
    assert ended.first == pytest.approx(3.5)
    [ended] = Road({"a": [SILENT]}, deadline=20.0).run(0.0)
    assert (ended.error, ended.ended) == ("DeadlineExceeded", 20.0)


def test_a_place_that_asked_to_be_left_alone_is_left_alone_by_the_next_call() -> None:
    road = Road({"a": [BUSY, GOOD], "b": [GOOD]})
    first, second, third = road.run(0.0, 5.0, 40.0)
    assert [len(one.attempts) for one in (first, second, third)] == [2, 1, 1]
    assert [one.option.name for one in (second, third) if one.option] == ["b", "a"]


def test_a_stream_that_breaks_ends_the_call_and_a_whole_answer_goes_elsewhere() -> None:
    [ended] = Road({"a": [CUT], "b": [GOOD]}).run(0.0)
    assert (ended.error, ended.first, ended.ended) == ("StreamTruncated", 0.5, 1.5)
    assert ended.attempts[0].error == "StreamTruncated"
    assert [s.output for s in ended.spent] == [50]
    [ended] = Road({"a": [CUT, CUT], "b": [GOOD]}).run(0.0, whole=True)
    assert ended.error is None
    assert ended.first == ended.ended
    assert [s.output for s in ended.spent] == [50, 50, 100]


def test_a_slow_place_has_another_beside_it_and_the_sooner_one_answers() -> None:
    slow = Happening(9.0, rest=2.0, output=100)
    for second, expected in (
        (GOOD, [("a", "first", "cancelled"), ("b", "hedge", None)]),
        (Happening(30.0), [("b", "hedge", "cancelled"), ("a", "first", None)]),
        (DOWN, [("b", "hedge", "ServiceUnavailableError"), ("a", "first", None)]),
    ):
        road = Road({"a": [slow], "b": [second]}, hedge=True)
        for n in range(100):  # seen to be quick, and calls that one in fifty may be hedged of
            road.traffic.measures.note(("a", "org/model"), 1e9, first_token=0.5 + n / 1000)
            road.traffic.called(0.0)
        [ended] = road.run(0.0)
        assert tried(ended) == expected
        assert ended.error is None
    unknown = Road({"a": [slow], "b": [GOOD]}, hedge=True)
    assert [len(one.attempts) for one in unknown.run(0.0)] == [1]  # nothing is known of it yet


def test_nobody_left_is_a_failed_call() -> None:
    [ended] = Road({"a": [DOWN], "b": [DOWN]}).run(0.0)
    assert ended.error == "RouteExhaustedError"
    assert len(ended.attempts) == 4
    assert ended.option is None


@pytest.mark.parametrize(("retries", "error", "count"), [(0, "RateLimitError", 1), (2, None, 2)])
def test_a_call_without_a_route_has_its_retries(
    retries: int, error: str | None, count: int
) -> None:
    road = Road({"a": [Happening(0.1, 429, retry_after=1.0), GOOD]})
    option = road.options[0]

    def flow(now: float) -> Flow[Ended]:
        journey = journey_of(now, 60.0, lambda: 0.0)
        return alone(journey, option, road.happens, Retry(retries, lambda: 0.0))

    [ended] = carried([(0.0, flow)])
    assert (ended.error, len(ended.attempts)) == (error, count)
    assert [at for _, at in road.asked] == [0.0, 1.1][:count]


def test_calls_are_under_way_at_the_same_time() -> None:
    road = Road({"a": [GOOD]})
    ended = road.run(0.0, 0.1, 0.2)
    assert [one.ended for one in ended] == pytest.approx([2.5, 2.6, 2.7])
    assert [at for _, at in road.asked] == [0.0, 0.1, 0.2]


def test_what_made_up_time_cannot_give_is_refused() -> None:
    def odd(now: float) -> Flow[None]:
        yield Wait(1.0)
        yield Renew(Secret("hf_x", "a test"))

    with pytest.raises(TypeError, match="may need a Renew"):
        Clock().run([(0.0, odd)])

"""One call's way along its targets, decided without a socket: what is asked, what follows, what is written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline import errors
from trunkline.gateway.course import Course
from trunkline.gateway.plans import Target
from trunkline.gateway.quote import Tariff
from trunkline.gateway.ways import Way
from trunkline.routing.measures import Seen
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Known, Option, Wanted, rank
from trunkline.routing.traffic import Traffic
from trunkline.store.records import Entry
from trunkline.store.tries import read_report, read_tries

SECRET_URL = "http://10.0.0.1:8000"
ERRORS = {
    "500": errors.InternalServerError(f"at {SECRET_URL}", status=500),
    "429": errors.RateLimitError("busy", status=429, retry_after=3),
    "402": errors.PaymentRequiredError("pay", status=402),
    "400": errors.BadRequestError("bad", status=400),
    "silent": errors.Timeout("silent"),
    "context": errors.ContextWindowExceededError("long", status=400),
    "loading": errors.ModelLoadingError("loading", status=503),
}


class Time:
    now = 50.0


def target(name: str, context: int | None = 1000) -> Target:
    option = Option(name, name, "m", context=context, account=name)
    return Target(name, None, "m", b"", b"", Tariff(1, 2), None, option=option)


def course_of(
    *targets: Target, time: Time | None = None, traffic: Traffic | None = None, **policy: object
) -> Course:
    clock = time or Time()
    options = tuple(t.option for t in targets if t.option)
    made = Policy(**policy)  # type: ignore[arg-type]
    known = Known(lambda _: Seen(), lambda _: None, lambda: 0.5)
    report = rank(options, made, Wanted(), known).report
    traffic = traffic or Traffic(lambda: 0.5)
    traffic.called(clock.now)
    way = Way(traffic, made, options, report, lambda: clock.now, 0.0, lambda *_: None)
    return Course(way)


def entry(cost: int | None = 7) -> Entry:
    return Entry("req", "b", "k", None, None, "chat", "r", False, 0.0, 10, cost=cost)


def drive(course: Course, targets: list[Target], script: list[str]) -> list[str]:
    """Ask as a carrier does; `ok` answers. Returns who was asked, and how it ended."""
    asked: list[str] = []
    at = 0
    for said in script:
        if not course.begin(targets[at]):
            asked.append("shut")
            return asked
        asked.append(targets[at].upstream)
        if said == "ok":
            return [*asked, "ok"]
        error = ERRORS[said]
        course.failed(error)
        move = course.after(error, targets[at + 1 :], float("inf"))
        if move.action == "stop":
            return [*asked, "stop"]
        if move.action == "move":
            at = next(i for i in range(at + 1, len(targets)) if course.may(targets[i]))
    return asked


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        (["ok"], ["a", "ok"]),
        (["500", "500", "ok"], ["a", "a", "b", "ok"]),
        (["500", "ok"], ["a", "a", "ok"]),
        (["429", "429", "500", "500"], ["a", "b", "c", "c", "stop"]),
        (["silent", "silent", "silent"], ["a", "b", "c", "stop"]),
        (["402"], ["a", "stop"]),
        (["400"], ["a", "stop"]),
        (["context", "ok"], ["a", "c", "ok"]),
        (["loading", "ok"], ["a", "b", "ok"]),
    ],
)
def test_what_follows_is_the_table_of_routes(script: list[str], asked: list[str]) -> None:
    targets = [target("a"), target("b", 900), target("c", 4000)]
    assert drive(course_of(*targets), targets, script) == asked


def test_the_entry_has_each_try_and_the_sum_of_their_costs() -> None:
    targets = [target("a"), target("b")]
    course = course_of(*targets)
    assert drive(course, targets, ["500", "500", "ok"])[-1] == "ok"
    row = entry(7)
    course.settled(row, "ok")
    tries = read_tries(row)
    assert [(t.target, t.role, t.status, t.cost) for t in tries] == [
        ("a", "first", 500, 0),
        ("a", "retry", 500, 0),
        ("b", "failover", 200, 7),
    ]
    assert row.cost == 7
    assert row.note is None
    report = read_report(row)
    assert report is not None
    assert [c.name for c in report.candidates] == ["a", "b"]
    assert SECRET_URL not in f"{row.tries}{row.route}"


def test_what_nobody_knows_the_cost_of_is_said_and_not_zero() -> None:
    targets = [target("a"), target("b")]
    course = course_of(*targets)
    lost = errors.APIConnectionError("reset")
    lost.sent = True
    course.begin(targets[0])
    course.failed(lost)
    course.after(lost, targets[1:], float("inf"))
    course.begin(targets[0])
    row = entry(7)
    course.settled(row, "ok")
    assert [t.cost for t in read_tries(row)] == [None, 7]
    assert row.note == "what an earlier attempt cost is unknown"


def test_nothing_is_asked_again_beyond_the_deadline() -> None:
    course = course_of(target("a"))
    course.begin(only := target("a"))
    course.failed(ERRORS["429"])
    assert only.option
    assert course.after(ERRORS["429"], [], 52.0).action == "stop"  # it said 3 s
    assert course_of(only).after(ERRORS["429"], [], 60.0).action == "again"


def test_where_all_fail_the_client_is_told_of_each_and_of_no_address() -> None:
    targets = [target("a"), target("b")]
    course = course_of(*targets)
    assert drive(course, targets, ["500", "500", "silent"])[-1] == "stop"
    fault = course.fault(ERRORS["silent"], None)
    assert (fault.status, fault.code) == (503, "no_target_left")
    assert "a  500 InternalServerError, then 500 InternalServerError" in fault.message
    assert "b  Timeout" in fault.message
    assert SECRET_URL not in json.dumps(fault.more) + fault.message


def test_a_target_that_was_given_up_meanwhile_is_not_asked() -> None:
    traffic = Traffic(lambda: 0.5)
    one = target("a")
    late = course_of(one, traffic=traffic)
    for _ in range(5):
        course = course_of(one, traffic=traffic)
        course.begin(one)
        course.failed(ERRORS["500"])
    assert not late.begin(one)


def test_one_call_at_a_time_tries_a_target_again_and_its_first_token_ends_that() -> None:
    traffic, time = Traffic(lambda: 0.5), Time()
    one = target("a")
    for _ in range(5):
        course = course_of(one, traffic=traffic, time=time)
        course.begin(one)
        course.failed(ERRORS["500"])
    time.now += 6
    first, second = (course_of(one, traffic=traffic, time=time) for _ in range(2))
    assert first.begin(one)
    assert not second.begin(one)
    first.token()
    assert second.begin(one)


@given(st.lists(st.lists(st.sampled_from(["500", "silent", "429", "ok"]), max_size=6), max_size=80))
def test_tries_stay_within_the_budget(calls: list[list[str]]) -> None:
    traffic, time = Traffic(lambda: 0.5), Time()
    targets = [target("a"), target("b"), target("c")]
    tried = 0
    for script in calls:
        course = course_of(*targets, traffic=traffic, time=time)
        asked = drive(course, targets, [*script, "ok"])
        tried += sum(one in "abc" for one in asked)
        time.now += 0.001
    extra = max(len(calls) * 0.2, 10.0)  # all within one second
    assert tried <= len(calls) + extra

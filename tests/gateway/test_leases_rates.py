"""Rates that several processes share: requests and tokens in the store's minute, calls at the same time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from lease_side import Process, SimCall, World

from trunkline.gateway.rate_rounds import PROBE_SECONDS
from trunkline.gateway.shares import FAILURES, Breaker, Shares
from trunkline.store.records import Budget, Limits, RateWish


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, "one", "two", "three")


def codes(calls: list[SimCall]) -> Counter[str]:
    return Counter(call.code for call in calls)


def labels(call: SimCall) -> dict[str, str]:
    told = call.holder.labels(call.process.times.now()).decode()
    return dict(line.split(": ") for line in told.split("\r\n") if line)


@pytest.mark.parametrize("most", [1, 5, 7, 60])
def test_requests_a_minute_are_exact_over_all_processes_that_want_them(world: World, most: int):
    world.key(limits=Limits(requests_per_minute=most))
    for minute in range(3):
        calls = []
        for _ in range(most * 2):
            calls += [process.ask() for process in world.processes]
            world.pass_(0.1)
        world.pass_(0.5)
        assert codes(calls)["sent"] == most, minute
        assert set(codes(calls)) == {"sent", "requests_exceeded"}
        world.pass_(60 - most * 2 * 0.1 - 0.5)


def test_one_process_alone_may_use_all_of_a_minute(world: World):
    world.key(limits=Limits(requests_per_minute=50))
    one = world.processes[0]
    calls = []
    for _ in range(60):
        calls.append(one.ask())
        world.pass_(0.2)
    assert codes(calls) == {"sent": 50, "requests_exceeded": 10}


def test_a_refusal_says_when_the_minute_ends_and_is_not_asked_for_again(world: World):
    world.key(limits=Limits(requests_per_minute=1))
    one, two, _ = world.processes
    world.clock.advance(20)
    one.ask()
    world.pass_(0.1)
    asked = one.rates.asked
    refused = one.ask()
    assert refused.code == "requests_exceeded"
    assert one.rates.asked == asked
    assert refused.refusal is not None
    assert 39 < (refused.refusal.retry_after or 0) <= 40
    elsewhere = two.ask()
    world.pass_(0.2)
    assert elsewhere.code == "requests_exceeded"


def test_minutes_are_the_stores_however_the_clocks_of_processes_go(world: World):
    world.key(limits=Limits(requests_per_minute=2))
    one, two, three = world.processes
    one.times.skew, two.times.skew = 3600, -3600
    world.clock.advance(5)
    for _ in range(3):
        calls = [one.ask(), two.ask(), three.ask()]
        world.pass_(0.3)
        assert codes(calls) == {"sent": 2, "requests_exceeded": 1}
        world.pass_(59.7)


def test_under_load_rounds_are_few_and_calls_seldom_wait(world: World):
    world.key(limits=Limits(requests_per_minute=10**6, tokens_per_minute=10**9, concurrency=1000))
    one = world.processes[0]
    calls = []
    for _ in range(400):  # four seconds at 1,000 calls a second
        batch = [one.ask(tokens=100) for _ in range(10)]
        world.clock.advance(0.01)
        for call in batch:
            if call.entry is not None:
                call.end(0, used=60)
        calls += batch
    world.pass_(1)
    assert codes(calls) == {"sent": 4000}
    assert one.rates.asked < 20, "five rounds for 1,000 calls at most"
    assert one.leases.waited < 0.05 * len(calls)


def test_tokens_are_exact_and_those_that_were_not_used_are_given_back(world: World):
    world.key(limits=Limits(tokens_per_minute=1000))
    one, two, _ = world.processes
    first = one.ask(tokens=900)
    world.pass_(0.1)
    refused = two.ask(tokens=200)
    world.pass_(0.2)
    assert (first.code, refused.code) == ("sent", "tokens_exceeded")
    first.end(0, used=100)
    world.pass_(2)
    second = two.ask(tokens=900)
    world.pass_(0.2)
    assert second.code == "sent"
    third = one.ask(tokens=1)
    world.pass_(0.2)
    assert third.code == "tokens_exceeded"


def test_what_a_call_of_the_last_minute_did_not_use_is_no_part_of_this_one(world: World):
    world.key(limits=Limits(tokens_per_minute=100))
    one = world.processes[0]
    long = one.ask(tokens=80)
    world.pass_(62)
    now = one.ask(tokens=60)
    world.pass_(0.2)
    assert (long.code, now.code) == ("sent", "sent")
    long.end(0, used=0)
    more = one.ask(tokens=80)
    world.pass_(0.5)
    assert more.code == "tokens_exceeded"


def test_more_tokens_than_a_minute_has_are_refused_at_once(world: World):
    world.key(limits=Limits(tokens_per_minute=100))
    call = world.processes[0].ask(tokens=101)
    assert call.refusal is not None
    assert call.refusal.retry_after is None
    assert "more than the key may in a minute" in call.refusal.message


def test_calls_at_the_same_time_are_exact_and_slots_wander(world: World):
    world.key(limits=Limits(concurrency=3))
    for _ in range(3):
        calls = [process.ask() for _ in range(2) for process in world.processes]
        world.pass_(1.5)
        assert codes(calls) == {"sent": 3, "concurrency_exceeded": 3}
        for call in calls:
            if call.entry is not None:
                call.end(0)
        world.pass_(0.1)


def test_slots_that_lie_idle_are_given_back_and_those_in_use_are_kept(world: World):
    world.key(limits=Limits(concurrency=4))
    one, two, _ = world.processes
    calls = [one.ask() for _ in range(4)]
    world.pass_(0.2)
    for call in calls[:3]:
        call.end(0)
    world.pass_(2)
    others = [two.ask() for _ in range(4)]
    world.pass_(120)
    assert codes(others) == {"sent": 3, "concurrency_exceeded": 1}
    more = two.ask()
    world.pass_(1.5)
    assert more.code == "concurrency_exceeded", "long calls keep their slots alive"


def test_slots_of_a_process_that_is_gone_end(world: World):
    world.key(limits=Limits(concurrency=1))
    one, two, _ = world.processes
    one.ask()
    world.pass_(0.2)
    one.leases.close()  # and no more is heard of it
    world.pass_(31)
    call = two.ask()
    world.pass_(0.2)
    assert call.code == "sent"


def test_nothing_is_asked_while_nothing_happens(world: World):
    limits = Limits(requests_per_minute=100, tokens_per_minute=1000, concurrency=10)
    world.key(limits=limits)
    one = world.processes[0]
    call = one.ask(tokens=10)
    world.pass_(0.1)
    call.end(0, used=3)
    world.pass_(65)
    asked = one.rates.asked
    world.pass_(600)
    assert one.rates.asked == asked
    assert world.clock.idle


def test_what_is_left_for_anybody_is_told(world: World):
    world.key(limits=Limits(requests_per_minute=10, tokens_per_minute=100))
    one, two, _ = world.processes
    one.ask(tokens=40)
    world.pass_(0.1)
    call = two.ask(tokens=20)
    world.pass_(0.1)
    told = labels(call)
    assert told["x-ratelimit-limit-requests"] == "10"
    assert told["x-ratelimit-remaining-requests"] in {"7", "8"}, "the other may have a slice"
    assert told["x-ratelimit-remaining-tokens"] in {str(left) for left in range(20, 41)}
    assert told["x-ratelimit-reset-requests"] == "59s"


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(requests_per_minute=10), {"limit-requests": "10"}),
        (Limits(tokens_per_minute=100), {"limit-tokens": "100"}),
        (Limits(concurrency=3), {}),
    ],
)
def test_only_limits_that_there_are_are_told(world: World, limits: Limits, told: dict[str, str]):
    world.key(limits=limits)
    call = world.processes[0].ask(tokens=10)
    world.pass_(0.1)
    found = labels(call)
    assert {f"x-ratelimit-{name}": value for name, value in told.items()}.items() <= found.items()
    assert len(found) == 3 * len(told)


def test_of_several_limits_the_tightest_is_told(world: World):
    world.account("team", "red", limits=Limits(requests_per_minute=4))
    world.key(limits=Limits(requests_per_minute=100), team="red")
    call = world.processes[0].ask()
    world.pass_(0.1)
    assert labels(call)["x-ratelimit-limit-requests"] == "4"


def test_what_costs_nothing_counts_against_rates_alone(world: World):
    world.key(Budget(0, "day"), limits=Limits(requests_per_minute=1))
    one = world.processes[0]
    holder = one.ask(amount=1).holder
    assert holder.budgeted
    rates = holder.rates_only()
    assert not rates.budgeted
    world.pass_(3)
    free = one.ask()
    world.pass_(0.2)
    assert free.code == "sent"
    refusal = rates.hold(0, 0, one.times.now(), one.times.wall())
    assert refusal is not None
    assert refusal.code == "requests_exceeded"


def test_limits_that_change_count_from_the_next_call(world: World):
    world.key(limits=Limits(requests_per_minute=2))
    one = world.processes[0]
    calls = [one.ask() for _ in range(3)]
    world.pass_(0.2)
    world.key(limits=Limits(requests_per_minute=4))
    world.pass_(1)
    calls += [one.ask() for _ in range(3)]
    world.pass_(0.5)
    assert codes(calls) == {"sent": 4, "requests_exceeded": 2}


def send(process: Process, count: int) -> int:
    """Ask one after the other and return how many were sent."""
    sent = 0
    for _ in range(count):
        call = process.ask()
        process.world.pass_(0.4)
        assert not call.open, "no call waits for an answer that does not come"
        sent += call.code == "sent"
    return sent


@pytest.mark.parametrize("trouble", ["down", "hung", "lost"])
def test_while_nobody_shares_limits_out_each_process_keeps_to_its_share(world: World, trouble: str):
    world.key(limits=Limits(requests_per_minute=30, concurrency=30))
    for process in world.processes:
        process.rates.trouble = trouble
    assert [send(process, 15) for process in world.processes] == [10, 10, 10]
    assert all(process.leases.rates.by_shares for process in world.processes)


def test_a_share_is_one_at_least(world: World):
    world.key(limits=Limits(requests_per_minute=2))
    for process in world.processes:
        process.rates.trouble = "down"
    assert [send(process, 3) for process in world.processes] == [1, 1, 1]


def test_what_was_granted_before_counts_against_the_share(world: World):
    world.key(limits=Limits(requests_per_minute=30))
    one = world.processes[0]
    assert send(one, 8) == 8
    one.rates.trouble = "down"
    assert send(one, 10) <= 30 // 3 - 8 + 6, "no more than its share, and the slice it had"


def test_limits_are_shared_again_once_they_can_be(world: World):
    world.key(limits=Limits(requests_per_minute=30))
    one, two, three = world.processes
    one.rates.trouble = "hung"
    assert send(one, 15) == 10
    one.rates.trouble = ""
    # A thread that hangs is never asked again; one that was only slow is.
    two.rates.trouble = "down"
    send(two, 15)
    two.rates.trouble = ""
    world.pass_(62)
    assert send(two, 35) == 30
    assert send(three, 2) == 0
    assert two.leases.rates.trouble is None


def test_what_a_share_had_left_is_not_given_to_those_who_share_limits_out(world: World):
    world.key(limits=Limits(requests_per_minute=30, tokens_per_minute=300))
    one, *others = world.processes
    sent = sum(send(process, 10) for process in others)
    for _ in range(6):
        one.rates.trouble = "down"
        calls = [one.ask(tokens=10) for _ in range(3)]
        world.pass_(0.5)
        sent += codes(calls)["sent"]
        one.rates.trouble = ""
        world.pass_(2)  # what lies idle is given back
    sent += sum(send(process, 20) for process in (*others, one))
    assert sent <= 30 + 30 // 3


def test_a_slot_given_back_while_nobody_could_be_told_is_told_once_it_can_be(world: World):
    world.key(limits=Limits(concurrency=1))
    one, two, _ = world.processes
    one.rates.trouble = "lost"
    call = one.ask()
    world.pass_(0.3)
    one.rates.trouble = "down"
    call.end()
    world.pass_(1)
    one.rates.trouble = ""
    world.pass_(PROBE_SECONDS)
    other = two.ask()
    world.pass_(0.3)
    assert other.code == "sent"


def test_a_share_that_is_used_up_is_no_last_word_once_limits_are_shared_again(world: World):
    world.key(limits=Limits(requests_per_minute=30))
    one = world.processes[0]
    one.rates.trouble = "down"
    assert send(one, 15) == 10
    one.rates.trouble = ""
    world.pass_(1.5)
    assert send(one, 3) == 3
    assert not one.leases.rates.by_shares


def test_whether_limits_are_shared_out_is_known_without_a_call(world: World):
    one = world.processes[0]
    one.rates.trouble = "down"
    one.leases.rates.probe()
    world.pass_(0.1)
    assert one.leases.rates.trouble is not None
    one.rates.trouble = ""
    world.pass_(10)
    assert one.leases.rates.trouble is None
    assert not one.leases.rates.by_shares
    world.pass_(60)
    assert world.clock.idle


def test_a_breaker_opens_after_failures_in_a_row_and_then_asks_once():
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
        assert breaker.may_ask(0.0)
    breaker.failed(0.0)
    assert not breaker.may_ask(0.9)
    assert breaker.may_ask(1.0)
    breaker.failed(1.0)
    assert not breaker.may_ask(1.9)
    breaker.answered()
    assert breaker.may_ask(1.9)
    breaker.failed(2.0)
    assert breaker.may_ask(2.0), "failures count from the last answer"


def test_shares_of_minutes_that_are_over_are_not_kept_for_ever():
    shares = Shares(lambda: 1)
    limits = Limits(requests_per_minute=1)
    for number in range(25_000):
        shares.lease(RateWish("key", str(number), limits, calls=1), number * 0.01)
    assert len(shares._windows) < 20_000


def test_shares_begin_anew_with_each_minute_and_follow_the_minutes_that_were_told():
    shares = Shares(lambda: 2)
    wish = RateWish("key", "a", Limits(requests_per_minute=10), calls=4)
    granted = [shares.lease(wish, now) for now in (0.0, 1.0, 59.0, 60.0, 500.0)]
    assert [lease.calls for lease in granted] == [4, 1, 0, 4, 4]
    assert [lease.minute_left for lease in granted] == [60.0, 59.0, 1.0, 60.0, 40.0]
    assert len({lease.minute for lease in granted}) == 3

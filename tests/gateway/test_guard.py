"""Budgets and limits, one call at a time: what is refused, why, and for how long."""

from __future__ import annotations

import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_side import ended, sent, settle

from trunkline.gateway.guard import Guard, Holder, period_of
from trunkline.store.records import Account, Budget, Key, Limits, Spend

NOON = float(calendar.timegm((2026, 11, 29, 12, 0, 0)))
MIDNIGHT = NOON + 12 * 3600
CENT = 10**10


def holder(guard: Guard, *budgets: Budget, wall: float = NOON, **fields) -> Holder:
    return guard.holder(Key("key_a", budgets=budgets, **fields), {}, wall)


def spent_on(day: str, amount: int, **fields: str) -> Spend:
    given = {"key": "key_a", "owner": "", "team": "", "model": "m", "provider": "p"} | fields
    return Spend(day=day, charged=amount, **given)


def begin(holder: Holder, amount: int = 10, wall: float = NOON, number: int = 1):
    """Hold for a call and return its entry; None where it is refused."""
    if holder.hold(amount, 1, 0.0, wall) is not None:
        return None
    return sent(number, started=wall, reserved=amount)


def end(holder: Holder, entry, cost: int | None = None) -> None:
    holder.settle(settle(entry, entry.reserved if cost is None else cost), 1, 1)


@pytest.mark.parametrize(
    ("period", "wall", "began", "ends"),
    [
        ("day", (2026, 11, 29, 0, 0, 0), (2026, 11, 29), (2026, 11, 30)),
        ("day", (2026, 12, 31, 23, 59, 59), (2026, 12, 31), (2027, 1, 1)),
        ("month", (2026, 2, 28, 23, 59, 59), (2026, 2, 1), (2026, 3, 1)),
        ("month", (2026, 11, 30, 1, 2, 3), (2026, 11, 1), (2026, 12, 1)),
        ("month", (2026, 12, 31, 23, 59, 59), (2026, 12, 1), (2027, 1, 1)),
    ],
)
def test_a_period_is_the_calendars_in_utc(period, wall, began, ends):
    seconds = [float(calendar.timegm((*day, 0, 0, 0))) for day in (began, ends)]
    assert list(period_of(period, float(calendar.timegm(wall)))) == seconds


@given(st.floats(0, 4e9), st.sampled_from(["day", "month"]))
def test_every_moment_is_within_its_period_and_periods_follow_each_other(wall, period):
    began, ends = period_of(period, wall)
    assert began <= wall < ends
    assert period_of(period, began) == (began, ends)
    assert period_of(period, ends)[0] == ends


def test_a_refusal_says_what_is_left_and_when_there_is_more():
    caller = holder(Guard(), Budget(CENT, "day"))
    assert begin(caller, CENT // 2)
    refusal = caller.hold(CENT, 1, 0.0, NOON)
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.scope) == (402, "budget_exceeded", "key")
    assert refusal.retry_after == 12 * 3600
    assert "$0.005 is left" in refusal.message
    assert "$0.005 is held for calls in flight" in refusal.message


def test_a_refused_call_holds_nothing_anywhere():
    guard = Guard()
    tight = guard.holder(
        Key("key_a", team="red", limits=Limits(requests_per_minute=1), budgets=(Budget(5, "day"),)),
        {("team", "red"): Account("team", "red", budgets=(Budget(100, "day"),))},
        NOON,
    )
    other = guard.holder(
        Key("key_b", team="red"),
        {("team", "red"): Account("team", "red", budgets=(Budget(100, "day"),))},
        NOON,
    )
    assert begin(tight, 6) is None
    assert begin(tight, 5) is not None
    assert begin(tight, 0) is None  # by its rate
    assert begin(other, 96) is None
    assert begin(other, 95) is not None


@pytest.mark.parametrize("scope", ["owner", "team"])
@pytest.mark.parametrize("period", ["day", "month"])
def test_keys_of_one_owner_or_team_share_its_budget(scope, period):
    guard = Guard()
    accounts = {(scope, "red"): Account(scope, "red", budgets=(Budget(30, period),))}
    keys = [guard.holder(Key(f"key_{n}", **{scope: "red"}), accounts, NOON) for n in range(4)]
    held = [begin(key) for key in keys]
    assert [entry is not None for entry in held] == [True, True, True, False]
    end(keys[0], held[0], 4)
    assert begin(keys[3], 6) is not None
    assert begin(keys[3], 1) is None


def test_what_was_spent_before_the_start_counts():
    guard = Guard()
    guard.load(
        [
            spent_on("2026-11-28", 30, team="red"),
            spent_on("2026-11-29", 20, team="red"),
            spent_on("2026-11-29", 1, key="key_b", team="red", owner="ada"),
        ]
    )
    accounts = {
        ("team", "red"): Account("team", "red", budgets=(Budget(60, "month"), Budget(25, "day"))),
        ("owner", "ada"): Account("owner", "ada", budgets=(Budget(3, "day"),)),
    }
    a = guard.holder(Key("key_a", team="red"), accounts, NOON)
    b = guard.holder(Key("key_b", team="red", owner="ada"), accounts, NOON)
    assert begin(a, 5) is None  # of the team's day 21 are spent
    assert begin(b, 3) is None  # of ada's day 1
    assert begin(b, 2) is not None
    assert begin(a, 3) is None
    assert begin(a, 2) is not None


def test_a_new_day_begins_with_nothing_spent_and_holds_what_still_runs():
    caller = holder(Guard(), Budget(10, "day"))
    late = begin(caller, 10, MIDNIGHT - 1)
    assert begin(caller, 1, MIDNIGHT + 1) is None
    end(caller, late)
    entry = begin(caller, 10, MIDNIGHT + 2)
    assert entry is not None
    end(caller, entry)
    assert begin(caller, 1, MIDNIGHT + 3) is None


def test_a_call_counts_for_the_day_on_which_it_began_even_before_a_purse_has_turned():
    # The edge's clock may be a quarter of a second behind the entry's.
    caller = holder(Guard(), Budget(10, "day"))
    assert caller.hold(6, 1, 0.0, MIDNIGHT - 0.1) is None
    end(caller, sent(1, started=MIDNIGHT + 0.1, reserved=6))
    assert begin(caller, 5, MIDNIGHT + 1) is None
    assert begin(caller, 4, MIDNIGHT + 1) is not None


def test_a_clock_that_is_set_back_gives_no_budget_twice():
    caller = holder(Guard(), Budget(10, "day"), Budget(25, "month"), wall=MIDNIGHT - 10)
    end(caller, begin(caller, 10, MIDNIGHT - 10))
    end(caller, begin(caller, 10, MIDNIGHT + 10))
    assert begin(caller, 1, MIDNIGHT - 5) is None
    assert begin(caller, 1, MIDNIGHT + 15) is None
    assert begin(caller, 5, MIDNIGHT + 86400) is not None


def test_a_clock_that_was_years_ahead_for_a_moment_forgets_nothing():
    caller = holder(Guard(), Budget(10, "day"))
    end(caller, begin(caller, 8))
    ahead = NOON + 4000 * 86400
    end(caller, begin(caller, 10, ahead))
    assert begin(caller, 1, ahead) is None
    assert begin(caller, 3) is None
    assert begin(caller, 2) is not None


def test_a_budget_that_comes_later_counts_what_was_spent_and_is_held():
    guard = Guard()
    caller = holder(guard)
    end(caller, begin(caller, 40, NOON - 86400))
    end(caller, begin(caller, 4))
    running = begin(caller, 3)
    later = holder(guard, Budget(10, "day"))
    assert begin(later, 4) is None
    end(caller, running, 2)
    assert begin(later, 5) is None
    assert begin(later, 4) is not None


def test_a_budget_that_was_taken_away_and_given_back_has_missed_nothing():
    guard = Guard()
    caller = holder(guard, Budget(10, "day"))
    end(caller, begin(caller, 4))
    free = holder(guard)
    end(free, begin(free, 5))
    assert begin(holder(guard, Budget(10, "day")), 2) is None


def test_a_smaller_budget_counts_at_once_and_says_that_nothing_is_left():
    guard = Guard()
    caller = holder(guard, Budget(100, "day"))
    end(caller, begin(caller, 50))
    refusal = holder(guard, Budget(20, "day")).hold(1, 1, 0.0, NOON)
    assert refusal is not None
    assert "$0 is left" in refusal.message


def test_a_key_that_changes_its_team_leaves_its_spend_there():
    guard = Guard()
    accounts = {
        ("team", team): Account("team", team, budgets=(Budget(10, "day"),))
        for team in ("red", "blue")
    }
    red = guard.holder(Key("key_a", team="red"), accounts, NOON)
    end(red, begin(red, 10))
    blue = guard.holder(Key("key_a", team="blue"), accounts, NOON)
    assert begin(blue, 10) is not None
    assert begin(guard.holder(Key("key_b", team="red"), accounts, NOON), 1) is None


def test_a_cost_above_what_was_held_is_spent_all_the_same():
    caller = holder(Guard(), Budget(10, "day"))
    end(caller, begin(caller, 5), 12)
    refusal = caller.hold(0, 1, 0.0, NOON)
    assert refusal is not None
    assert begin(holder(Guard(), Budget(0, "day")), 0) is not None, "what is free fits any budget"


def test_thousands_of_keys_with_a_month_of_spend_are_read_without_looking_at_each_for_each():
    # 100,000 rows looked through for each of 4,000 keys would take hours; this takes a second.
    guard = Guard()
    guard.load(
        spent_on(f"2026-11-{day:02}", 1, key=f"key_{number}")
        for number in range(4_000)
        for day in range(1, 30)
    )
    keys = [
        guard.holder(Key(f"key_{n}", budgets=(Budget(30, "month"),)), {}, NOON)
        for n in range(4_000)
    ]
    assert all(begin(key, 1) for key in keys)
    assert not any(begin(key, 1) for key in keys)


def test_requests_a_minute_are_counted_and_start_anew():
    caller = holder(Guard(), limits=Limits(requests_per_minute=2))
    assert [caller.hold(0, 1, now, NOON) is None for now in (100.0, 101.0, 102.0)] == [
        True,
        True,
        False,
    ]
    refusal = caller.hold(0, 1, 130.0, NOON)
    assert (refusal.status, refusal.code, refusal.retry_after) == (429, "requests_exceeded", 30.0)
    assert caller.hold(0, 1, 160.0, NOON) is None


def test_tokens_a_minute_are_corrected_when_a_call_ends():
    caller = holder(Guard(), limits=Limits(tokens_per_minute=100))
    assert caller.hold(0, 80, 1.0, NOON) is None
    assert caller.hold(0, 30, 2.0, NOON).code == "tokens_exceeded"
    caller.settle(ended(1, 0, reserved=0), 80, 20)
    assert caller.hold(0, 80, 3.0, NOON) is None
    assert "more than the key may in a minute" in caller.hold(0, 101, 70.0, NOON).message


def test_calls_at_the_same_time_are_given_back_even_when_the_limit_changed_meanwhile():
    guard = Guard()
    caller = holder(guard, limits=Limits(concurrency=1))
    running = begin(caller)
    assert caller.hold(0, 1, 0.0, NOON).code == "concurrency_exceeded"
    changed = holder(guard, limits=Limits(concurrency=2))
    assert begin(changed) is not None
    assert begin(changed) is None
    end(caller, running)
    assert begin(changed) is not None


def test_rates_are_told_as_openai_names_them():
    caller = holder(Guard(), limits=Limits(requests_per_minute=10, tokens_per_minute=100))
    caller.hold(0, 40, 100.0, NOON)
    lines = dict(line.split(": ") for line in caller.labels(110.0).decode().split("\r\n") if line)
    assert lines["x-ratelimit-limit-requests"] == "10"
    assert lines["x-ratelimit-remaining-requests"] == "9"
    assert lines["x-ratelimit-remaining-tokens"] == "60"
    assert lines["x-ratelimit-reset-tokens"] == "50s"


def test_of_several_rates_the_tightest_is_told():
    guard = Guard()
    team = Account("team", "red", limits=Limits(requests_per_minute=2))
    caller = guard.holder(
        Key("key_a", team="red", limits=Limits(requests_per_minute=100)),
        {("team", "red"): team},
        NOON,
    )
    caller.hold(0, 1, 0.0, NOON)
    assert b"limit-requests: 2\r\n" in caller.labels(0.0)


def test_a_revoked_key_leaves_nothing_behind_and_its_calls_still_count_for_its_team() -> None:
    guard = Guard()
    key = Key(
        "key_gone",
        team="red",
        limits=Limits(requests_per_minute=5),
        budgets=(Budget(1000, "day"), Budget(5000, "month")),
    )
    accounts = {("team", "red"): Account("team", "red", budgets=(Budget(100, "day"),))}
    wall = 1_790_000_000.0
    before = guard.holder(key, accounts, wall)
    assert before.hold(60, 1, 0.0, wall) is None
    guard.forget(["key_gone", "key_never"])
    assert not [place for place in (*guard._charges, *guard._meters) if place[1] == "key_gone"]
    assert not [place for place in guard._purses if place[1] == "key_gone"]
    other = guard.holder(Key("key_other", team="red"), accounts, wall)
    refusal = other.hold(50, 1, 0.0, wall)
    assert refusal is not None
    assert (refusal.code, refusal.scope) == ("budget_exceeded", "team")

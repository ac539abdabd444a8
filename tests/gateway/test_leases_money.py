"""Budgets that several processes share: what each is granted, what it gives back, who has to wait."""

from __future__ import annotations

from pathlib import Path

import pytest
from lease_side import CENT, World

from trunkline.store.records import Budget, Limits

HALF_DAY = 12 * 3600


def budgets_of(amount: int) -> Budget:
    return Budget(amount, "day")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, "one", "two", "three")


def test_a_first_call_waits_for_its_lease_and_the_next_ones_do_not(world: World):
    world.key(budgets_of(100))
    one = world.processes[0]
    first = one.ask(amount=2)
    assert first.open
    world.pass_(0.01)
    assert first.code == "sent"
    assert one.ask(amount=2).code == "sent", "a slice was asked for beside what was needed"
    assert one.money.asked == 1


def test_under_load_rounds_are_few_and_calls_seldom_wait(world: World):
    world.key(Budget(10**9, "month"))
    one = world.processes[0]
    calls = []
    for _ in range(400):  # four seconds at 1,000 calls a second
        batch = [one.ask(amount=100) for _ in range(10)]
        world.clock.advance(0.01)
        for call in batch:
            if call.entry is not None:
                call.end(60)
        calls += batch
        if len(calls) % 100 == 0:
            one.commit()
    world.pass_(1)
    assert all(call.code == "sent" for call in calls)
    assert one.money.asked < 20, "five rounds for 1,000 calls at most"
    assert one.leases.waited < 0.05 * len(calls)


def test_nothing_is_asked_while_nothing_happens(world: World):
    world.key(budgets_of(100))
    one = world.processes[0]
    call = one.ask(amount=2)
    world.pass_(0.1)
    call.end()
    world.pass_(3)
    asked = one.money.asked
    world.pass_(600)
    assert one.money.asked == asked
    assert world.clock.idle


def test_what_lies_idle_is_given_back(world: World):
    world.key(budgets_of(100))
    one, two, _ = world.processes
    call = one.ask(amount=10)
    world.pass_(0.1)
    call.end(1)
    world.pass_(2.5)
    all_of_it = two.ask(amount=99)
    world.pass_(0.1)
    assert all_of_it.code == "sent"


def test_the_last_cent_is_spent_by_whoever_asks_and_never_twice(world: World):
    world.key(budgets_of(64))
    calls = [process.ask(amount=1) for _ in range(64) for process in world.processes]
    world.pass_(4)
    sent = [call for call in calls if call.code == "sent"]
    assert len(sent) == 64
    assert {call.code for call in calls} == {"sent", "budget_exceeded"}
    for call in sent:
        call.end()
    world.pass_(1)
    assert world.charged() == 64


def test_a_refusal_has_the_numbers_of_all_processes(world: World):
    world.key(budgets_of(100 * CENT))
    one, two, _ = world.processes
    spent, held = one.ask(amount=40 * CENT), one.ask(amount=30 * CENT)
    world.pass_(0.5)
    assert (spent.code, held.code) == ("sent", "sent")
    spent.end()
    world.pass_(2)
    mine = two.ask(amount=5 * CENT)
    world.pass_(0.1)
    assert mine.code == "sent"
    too_much = two.ask(amount=70 * CENT)
    world.pass_(0.2)
    refusal = too_much.refusal
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.scope) == (402, "budget_exceeded", "key")
    assert "could cost $0.7" in refusal.message
    assert "($1) $0.25 is left: $0.4 is spent, $0.05 is held" in refusal.message
    assert "$0.3 by other processes" in refusal.message
    assert HALF_DAY - 10 < (refusal.retry_after or 0) <= HALF_DAY


def test_what_can_never_fit_is_refused_without_asking_again(world: World):
    world.key(budgets_of(10))
    one = world.processes[0]
    one.ask(amount=1)
    world.pass_(0.05)
    asked = one.money.asked
    assert one.ask(amount=10).code == "budget_exceeded", "one is held, and ten do not fit beside it"
    assert one.money.asked == asked


def test_a_call_waits_for_what_others_may_give_back_but_not_for_long(world: World):
    world.key(budgets_of(10))
    one, two, _ = world.processes
    held = one.ask(amount=8)
    world.pass_(0.1)
    waits = two.ask(amount=5)
    world.pass_(0.5)
    assert waits.open
    held.end(4)
    world.pass_(1.3)
    assert waits.code == "sent"
    hopeless = one.ask(amount=4)
    world.pass_(0.3)
    assert hopeless.open, "the other may yet be charged less"
    world.pass_(1.7)
    assert hopeless.code == "budget_exceeded"


@pytest.mark.parametrize("scope", ["owner", "team"])
def test_keys_of_one_owner_or_team_share_its_budget_on_all_processes(world: World, scope: str):
    world.account(scope, "red", Budget(30, "month"))
    for number in range(3):
        world.key(Budget(1000, "day"), name=f"key_{number}", **{scope: "red"})
    calls = [
        process.ask(f"key_{number}", amount=10)
        for number in range(3)
        for process in world.processes
    ]
    world.pass_(3)
    assert sorted(call.code for call in calls) == ["budget_exceeded"] * 6 + ["sent"] * 3


def test_a_call_has_to_fit_into_days_and_months(world: World):
    world.key(Budget(10, "day"), Budget(12, "month"))
    one = world.processes[0]
    call = one.ask(amount=10)
    world.pass_(0.1)
    call.end()
    world.pass_(0.5)
    refused = one.ask(amount=3)
    world.pass_(2)
    assert "of the day's budget" in (refused.refusal.message if refused.refusal else "")
    world.pass_(HALF_DAY)  # December
    call = one.ask(amount=10)
    world.pass_(0.1)
    assert call.code == "sent"


def test_a_month_is_kept_to_on_its_next_day(world: World):
    world.clock.offset -= 86400
    world.key(Budget(10, "day"), Budget(12, "month"))
    one, two, _ = world.processes
    call = one.ask(amount=10)
    world.pass_(0.1)
    call.end()
    world.pass_(0.2)
    world.clock.offset += 86400
    tomorrow = two.ask(amount=3)
    world.pass_(2)
    assert "of the month's budget" in (tomorrow.refusal.message if tomorrow.refusal else "")
    call = two.ask(amount=2)
    world.pass_(0.1)
    assert call.code == "sent"


def test_what_is_in_flight_when_the_day_ends_counts_for_the_next_one(world: World):
    world.clock.offset += HALF_DAY - 5
    world.key(budgets_of(10))
    one, two, _ = world.processes
    late = one.ask(amount=10)
    world.pass_(6)
    early = two.ask(amount=1)
    world.pass_(0.4)
    assert early.open
    late.end()
    world.pass_(0.5)
    assert early.code == "sent", "the late one is yesterday's"


def test_a_budget_that_comes_later_covers_what_is_in_flight(world: World):
    one, two, _ = world.processes
    before, running = one.ask(amount=40), one.ask(amount=3)
    world.pass_(0.3)
    before.end()
    world.pass_(0.3)
    world.key(budgets_of(50))
    for process in world.processes:
        process.read()
    world.pass_(0.3)
    refused = two.ask(amount=8)
    world.pass_(2)
    assert refused.code == "budget_exceeded"
    fits = two.ask(amount=7)
    world.pass_(0.2)
    assert fits.code == "sent"
    running.end()
    fits.end(0)
    world.pass_(2.5)
    fits = one.ask(amount=7)
    world.pass_(0.2)
    assert fits.code == "sent", "what was charged before there was a budget is not held twice"


def test_a_budget_that_is_taken_away_gives_back_what_was_granted(world: World):
    world.key(budgets_of(1000))
    one, two, _ = world.processes
    call = one.ask(amount=5)
    world.pass_(0.1)
    world.key()
    one.read()
    world.pass_(0.3)
    world.key(budgets_of(20))
    other = two.ask(amount=15)
    world.pass_(0.3)
    assert (call.code, other.code) == ("sent", "sent")


def test_a_smaller_budget_counts_at_once(world: World):
    world.key(budgets_of(1000))
    one = world.processes[0]
    for _ in range(8):
        one.ask(amount=10)
    world.pass_(0.3)
    world.key(budgets_of(85))
    refused = one.ask(amount=10)
    world.pass_(0.3)
    assert refused.code == "budget_exceeded"
    fits = one.ask(amount=5)
    world.pass_(0.3)
    assert fits.code == "sent"


def test_a_cost_above_what_was_held_passes_a_budget_by_no_more(world: World):
    world.key(budgets_of(20))
    one, two, _ = world.processes
    dear, other = one.ask(amount=5), one.ask(amount=5)
    world.pass_(0.1)
    dear.end(12)
    world.pass_(0.5)
    refused = two.ask(amount=4)
    world.pass_(2)
    assert refused.code == "budget_exceeded", "12 are spent, and 5 are held"
    fits = two.ask(amount=3)
    world.pass_(0.2)
    assert fits.code == "sent"
    other.end()
    fits.end()
    world.pass_(0.5)
    assert world.charged() == 20


def test_without_the_stores_answer_nothing_is_sent_beyond_what_was_granted(world: World):
    world.key(budgets_of(1000))
    one = world.processes[0]
    one.ask(amount=10)
    world.pass_(0.1)
    one.money.trouble = "down"
    assert one.ask(amount=10).code == "sent", "it was granted before"
    waits = one.ask(amount=50)
    world.pass_(1)
    assert waits.refusal is not None
    assert (waits.refusal.status, waits.code) == (503, "budget_unavailable")
    assert one.leases.money.trouble is not None
    one.money.trouble = ""
    again = one.ask(amount=50)
    world.pass_(1)
    assert again.code == "sent"
    assert one.leases.money.trouble is None


def test_a_store_that_hangs_keeps_no_call_for_long(world: World):
    world.key(budgets_of(1000))
    one = world.processes[0]
    one.money.trouble = "hung"
    waits = one.ask(amount=10)
    world.pass_(1.8)
    assert waits.open
    world.pass_(0.6)
    assert waits.code == "budget_unavailable"
    assert one.ask(amount=10).code == "budget_unavailable", "nobody else waits in vain"
    assert one.ask(amount=0).code == "sent"


def test_a_lost_answer_grants_nothing_twice(world: World):
    world.key(budgets_of(10))
    one, two, _ = world.processes
    one.money.trouble = "lost"
    lost = one.ask(amount=6)
    world.pass_(0.2)
    one.money.trouble = ""
    world.pass_(0.4)
    assert lost.code == "sent"
    other = two.ask(amount=4)
    world.pass_(0.2)
    assert other.code == "sent"
    one.money.trouble = "lost"
    lost.end(1)
    left = one.ask(amount=5)
    world.pass_(1)
    assert left.code == "sent"
    other.end()
    left.end()
    world.pass_(1)
    assert world.charged() == 10


def test_what_is_being_given_back_is_not_spent_meanwhile(world: World):
    world.key(budgets_of(10))
    one, two, _ = world.processes
    call = one.ask(amount=10)
    world.pass_(0.1)
    call.end(0)
    one.money.latency = 1.0  # the store has it long before its answer comes
    world.pass_(1.6)
    all_of_it = two.ask(amount=10)
    world.pass_(0.1)
    late = one.ask(amount=5)
    assert (all_of_it.code, late.open) == ("sent", True)
    world.pass_(3)
    assert late.code == "budget_exceeded"


def test_a_client_that_leaves_while_it_waits_holds_nothing(world: World):
    world.key(budgets_of(10))
    one, two, _ = world.processes
    call = one.ask(amount=10)
    call.leave()
    world.pass_(2.5)
    assert call.entry is None
    all_of_it = two.ask(amount=10)
    world.pass_(0.2)
    assert all_of_it.code == "sent"


def test_calls_that_wait_are_told_when_the_gateway_stops(world: World):
    world.key(budgets_of(10))
    one = world.processes[0]
    one.money.trouble = "hung"
    waits = one.ask(amount=10)
    one.leave()
    assert waits.code == "gateway_stopping"
    assert one.ask(amount=10).code == "gateway_stopping"


def test_a_process_that_leaves_gives_all_back(world: World):
    world.key(budgets_of(10))
    one, two, _ = world.processes
    call = one.ask(amount=8)
    world.pass_(0.1)
    call.end(1)
    one.leave()
    rest = two.ask(amount=9)
    world.pass_(0.2)
    assert rest.code == "sent"


def test_a_key_that_is_revoked_gives_back_its_part_of_its_teams_budget(world: World):
    world.account("team", "red", Budget(20, "day"))
    world.key(budgets_of(15), team="red", limits=Limits(requests_per_minute=9))
    world.key(name="key_b", team="red")
    one, two, _ = world.processes
    call = one.ask(amount=10)
    world.pass_(0.1)
    one.guard.forget(["key_a", "key_unknown"])
    call.end(4)
    world.pass_(3)
    rest = two.ask("key_b", amount=16)
    world.pass_(0.2)
    assert rest.code == "sent"
    assert one.guard._money.keys() == {("team", "red")}
    assert not one.guard._rates


def test_a_key_that_is_revoked_gives_back_what_it_was_granted_itself(world: World):
    world.key(budgets_of(15))
    one, two, _ = world.processes
    call = one.ask(amount=10)
    world.pass_(0.1)
    one.guard.forget(["key_a"])
    call.end(4)
    world.pass_(0.2)
    rest = two.ask(amount=11)
    world.pass_(0.2)
    assert rest.code == "sent"


def test_what_is_free_needs_no_lease(world: World):
    world.key(budgets_of(0))
    assert world.processes[0].ask(amount=0).code == "sent"


def test_a_process_whose_clock_is_an_hour_ahead_spends_todays_budget(world: World):
    world.clock.offset += HALF_DAY - 1800
    world.key(budgets_of(10))
    one, two, _ = world.processes
    one.times.skew = 3600
    call = one.ask(amount=10)
    world.pass_(0.1)
    call.end()
    world.pass_(0.5)
    refused = [process.ask(amount=1) for process in (one, two)]
    world.pass_(2)
    assert [call.code for call in refused] == ["budget_exceeded"] * 2


def test_shares_are_fair_while_much_is_left(world: World):
    world.key(Budget(6000, "day"))
    one, two, _ = world.processes
    for _ in range(30):
        one.ask(amount=100)
        world.pass_(0.02)
    world.pass_(0.2)
    other = two.ask(amount=2000)
    world.pass_(0.2)
    assert other.code == "sent"

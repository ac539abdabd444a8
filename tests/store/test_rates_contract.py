"""What every store promises of limits that processes share: minutes, tokens, calls at the same time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from store_samples import NOON, Clock, a_replica

from trunkline.store.records import Limits, RateLease, RateWish
from trunkline.store.seam import SharedStore

Reopen = Callable[[], SharedStore]
FIVE = Limits(requests_per_minute=5, tokens_per_minute=500, concurrency=4)
MINUTE = int(NOON) // 60


def ask(
    store: SharedStore,
    boot: str,
    calls: int = 0,
    tokens: int = 0,
    slots: int = 0,
    *,
    limits: Limits = FIVE,
    whose: str = "k",
) -> RateLease:
    wish = RateWish("key", whose, limits, calls, tokens, slots)
    (lease,) = store.lease_rates(boot, [wish], slot_seconds=10.0)
    return lease


def granted(lease: RateLease) -> tuple[int, int, int]:
    return lease.calls, lease.tokens, lease.slots


def test_a_minute_is_shared_by_all_and_anew_in_the_next(
    store: SharedStore, reopen: Reopen, clock: Clock
):
    clock.now += 12.5
    first = ask(store, "a", 3, 200)
    assert first == RateLease("key", "k", MINUTE, 47.5, 3, 200, 0, 2, 300)
    assert granted(ask(reopen(), "b", 3, 200)) == (2, 200, 0)
    assert ask(store, "c", 3, 200) == RateLease("key", "k", MINUTE, 47.5, 0, 100, 0, 0, 0)
    clock.now += 48
    assert ask(store, "c", 3, 200) == RateLease("key", "k", MINUTE + 1, 59.5, 3, 200, 0, 2, 300)


def test_tokens_that_were_not_used_are_given_back(store: SharedStore):
    assert ask(store, "a", 1, 500).tokens_left == 0
    assert ask(store, "b", 1, 10).tokens == 0
    assert ask(store, "a", 0, -490).tokens_left == 490
    assert ask(store, "b", 0, 600).tokens == 490
    assert ask(store, "b", 0, -10_000).tokens_left == 500


def test_what_has_no_limit_is_granted_and_nothing_is_left_to_tell(store: SharedStore):
    lease = ask(store, "a", 1000, 10**9, 50, limits=Limits())
    assert granted(lease) == (1000, 10**9, 50)
    assert (lease.calls_left, lease.tokens_left) == (None, None)
    assert ask(store, "a", 1, limits=Limits(requests_per_minute=1001)).calls_left == 0


def test_slots_are_shared_and_given_back(store: SharedStore):
    assert ask(store, "a", slots=3).slots == 3
    assert ask(store, "b", slots=3).slots == 1
    assert ask(store, "a", slots=3).slots == 3
    assert ask(store, "a", slots=1).slots == 1
    assert ask(store, "b", slots=9).slots == 3
    assert ask(store, "b", slots=0).slots == 0
    assert ask(store, "a", slots=-1).slots == 0
    assert ask(store, "c", slots=4).slots == 4


def test_slots_of_who_does_not_ask_end_and_those_of_who_does_stay(store: SharedStore, clock: Clock):
    ask(store, "a", slots=2)
    ask(store, "b", slots=1)
    clock.now += 6
    # Whatever it asks, it lives.
    ask(store, "b", 1, whose="other")
    clock.now += 6
    assert ask(store, "c", slots=4).slots == 3
    assert ask(store, "a", slots=2).slots == 0


@pytest.mark.parametrize("end", ["release_rates", "leave"])
def test_slots_of_who_leaves_are_nobodys(store: SharedStore, end: str):
    store.join(a_replica("a"))
    ask(store, "a", slots=3)
    ask(store, "a", slots=3, whose="other")
    ask(store, "b", slots=1)
    getattr(store, end)("a")
    assert ask(store, "b", slots=4).slots == 4
    assert ask(store, "c", slots=4, whose="other").slots == 4


def test_wishes_are_answered_in_their_order_and_scopes_are_apart(store: SharedStore):
    wishes = [
        RateWish("team", "k", FIVE, calls=5),
        RateWish("key", "k", FIVE, calls=2, tokens=501),
        RateWish("upstream", "k", FIVE, slots=9),
        RateWish("key", "k", FIVE, calls=9, tokens=1),
    ]
    leases = store.lease_rates("a", wishes, slot_seconds=10)
    assert [(one.scope, *granted(one)) for one in leases] == [
        ("team", 5, 0, 0),
        ("key", 2, 500, 0),
        ("upstream", 0, 0, 4),
        ("key", 3, 0, 0),
    ]
    assert store.lease_rates("a", [], slot_seconds=10) == []


def test_an_earlier_minute_comes_back_with_a_clock_that_was_set_back(
    store: SharedStore, clock: Clock
):
    ask(store, "a", 5)
    clock.now -= 120
    lease = ask(store, "a", 9)
    assert (lease.minute, lease.calls) == (MINUTE - 2, 5)

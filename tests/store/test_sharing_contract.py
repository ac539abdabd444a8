"""What every store promises to processes that serve from it at the same time: beats and money."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from store_samples import NOON, Clock, a_batch, a_replica, ended

from trunkline.store.records import Batch, Budget, Entry, MoneyLease, MoneyWish, Told
from trunkline.store.seam import SharedStore, StoreConflictError, StoreLostError
from trunkline.store.sums import spend_of
from trunkline.types.money import LARGEST

Reopen = Callable[[], SharedStore]
DAY_LONG = 86400.0
HUNDRED = (Budget(100, "day"),)


def joined(store: SharedStore, *boots: str) -> SharedStore:
    for boot in boots:
        store.join(a_replica(boot))
    return store


def test_a_process_joins_beats_and_sees_the_others_itself_first(
    store: SharedStore, reopen: Reopen, clock: Clock
):
    store.join(a_replica("b", host="there 2", started=5.25))
    store.join(a_replica("a", started=7.5, lost=True, seen=99.0))
    store.join(a_replica("c", started=6.0))
    clock.now += 2.5
    first = a_replica("b", host="there 2", started=5.25, seen=NOON)
    last = a_replica("a", started=7.5, seen=NOON + 2.5)
    assert reopen().beat("a") == [last, first, a_replica("c", started=6.0, seen=NOON)]
    clock.now += 1
    assert [one.boot for one in store.beat("b")] == ["b", "c", "a"]
    assert {one.boot: one.seen - NOON for one in store.beat("b")} == {"b": 3.5, "c": 0.0, "a": 2.5}


def test_a_process_says_in_a_beat_which_configuration_it_has(store: SharedStore, clock: Clock):
    store.join(a_replica("a", version="1.2.3"))
    (said,) = store.beat("a", config="other", trouble="a line is wrong")
    assert (said.version, said.config, said.trouble) == ("1.2.3", "other", "a line is wrong")
    assert store.beat("a") == [said]
    (said,) = store.beat("a", config="third")
    assert (said.config, said.trouble) == ("third", "")


def test_a_name_is_joined_once(store: SharedStore, clock: Clock):
    joined(store, "a")
    with pytest.raises(StoreConflictError, match="begin with a new name"):
        store.join(a_replica("a", host="elsewhere"))
    clock.now += 60
    assert store.lose("a", 60)
    with pytest.raises(StoreConflictError):
        store.join(a_replica("a"))
    store.leave("a")
    joined(store, "a")
    assert [one.host for one in store.beat("a")] == ["here 1"]


def test_only_who_was_silent_for_long_is_given_up(store: SharedStore, clock: Clock):
    joined(store, "a", "b")
    clock.now += 59
    store.beat("b")
    clock.now += 2
    assert store.lose("a", 60)
    assert store.lose("a", 60)
    assert not store.lose("b", 60)
    assert not store.lose("nobody", 0)
    assert {one.boot: one.lost for one in store.beat("b")} == {"b": False, "a": True}


def test_who_was_given_up_or_has_left_is_told_so(store: SharedStore, clock: Clock):
    joined(store, "a", "b")
    clock.now += 1
    assert store.lose("a", 1)
    store.leave("b")
    for boot in ("a", "b", "nobody"):
        with pytest.raises(StoreLostError, match="start it anew"):
            store.beat(boot)
        with pytest.raises(StoreLostError):
            store.lease_money(boot, [MoneyWish("key", "k", 1, HUNDRED)])
    store.leave("a")
    store.leave("a")
    joined(store, "c")
    assert [one.boot for one in store.beat("c")] == ["c"]


def test_all_are_asked_to_reload_and_access_is_as_before(store: SharedStore, reopen: Reopen):
    before = store.version()
    assert store.reloads() == 0
    assert store.ask_reload() == 1
    assert reopen().ask_reload() == 2
    assert store.reloads() == 2
    assert store.version() == before


def lease(
    store: SharedStore, boot: str, granted: int, *budgets: Budget, whose: str = "k"
) -> MoneyLease:
    (given,) = store.lease_money(boot, [MoneyWish("key", whose, granted, budgets or HUNDRED)])
    assert (given.scope, given.whose) == ("key", whose)
    return given


class Books:
    """Commits calls one by one."""

    def __init__(self, store: SharedStore) -> None:
        self.store = store
        self.number = 0

    def charge(self, boot: str, amount: int, **fields: object) -> Entry:
        given: dict[str, object] = {"key": "k", "started": NOON, "cost": amount, "charged": amount}
        entry = ended(self.number + 1, boot=boot, **(given | fields))
        self.commit(entry)
        return entry

    def commit(self, *entries: Entry) -> None:
        self.number += 1
        self.store.commit(Batch(list(entries), spend_of(entries), "one", self.number))


@pytest.fixture
def books(store: SharedStore) -> Books:
    joined(store, "a", "b", "c")
    return Books(store)


def test_a_budget_is_granted_up_to_its_last_picodollar(store: SharedStore, books: Books):
    assert lease(store, "a", 60) == MoneyLease("key", "k", 60, (0,), 0)
    assert lease(store, "b", 60) == MoneyLease("key", "k", 40, (0,), 60)
    assert lease(store, "c", 1).granted == 0
    assert lease(store, "a", 61).granted == 60


def test_a_wish_asked_twice_is_granted_once(store: SharedStore, books: Books, reopen: Reopen):
    assert lease(store, "a", 60).granted == 60
    assert lease(reopen(), "a", 60).granted == 60
    assert lease(store, "b", 100).granted == 40


def test_less_than_before_gives_the_difference_back(store: SharedStore, books: Books):
    lease(store, "a", 100)
    assert lease(store, "b", 10).granted == 0
    assert lease(store, "a", 30).granted == 30
    assert lease(store, "b", 80) == MoneyLease("key", "k", 70, (0,), 30)
    assert lease(store, "a", 0).granted == 0


def test_what_was_charged_moves_from_the_grant_to_what_is_spent(store: SharedStore, books: Books):
    lease(store, "a", 50)
    books.charge("a", 20)
    books.charge("a", 5)
    assert lease(store, "b", 100) == MoneyLease("key", "k", 50, (25,), 25)
    assert lease(store, "a", 10) == MoneyLease("key", "k", 25, (25,), 50)
    assert lease(store, "b", 100) == MoneyLease("key", "k", 75, (25,), 0)


def test_more_charged_than_granted_was_granted(store: SharedStore, books: Books):
    lease(store, "a", 10)
    books.charge("a", 90)
    assert lease(store, "a", 0) == MoneyLease("key", "k", 90, (90,), 0)
    assert lease(store, "b", 50).granted == 10
    books.charge("b", 300)
    assert lease(store, "c", 1) == MoneyLease("key", "k", 0, (390,), 0)
    assert lease(store, "b", 301).granted == 300


def test_what_was_charged_before_anybody_joined_counts(store: SharedStore, books: Books):
    books.charge("long gone", 70)
    assert lease(store, "a", 60) == MoneyLease("key", "k", 30, (70,), 0)


def test_what_a_process_was_charged_before_it_asked_is_part_of_what_it_was_granted(
    store: SharedStore, books: Books
):
    books.charge("a", 30)
    books.charge("a", 30)
    assert lease(store, "b", 10) == MoneyLease("key", "k", 10, (60,), 0)
    assert lease(store, "a", 65) == MoneyLease("key", "k", 65, (60,), 10)
    assert lease(store, "a", 999) == MoneyLease("key", "k", 90, (60,), 10)


def test_a_smaller_budget_takes_nothing_back_that_was_granted(store: SharedStore, books: Books):
    lease(store, "a", 80)
    assert lease(store, "a", 90, Budget(50, "day")).granted == 80
    assert lease(store, "b", 1, Budget(50, "day")).granted == 0
    assert lease(store, "a", 10, Budget(50, "day")).granted == 10
    assert lease(store, "b", 90, Budget(50, "day")).granted == 40


def test_of_two_budgets_neither_is_passed(store: SharedStore, books: Books, clock: Clock):
    both = (Budget(50, "day"), Budget(70, "month"))
    books.charge("old", 40, started=NOON - DAY_LONG)
    books.charge("old", 500, started=NOON - 40 * DAY_LONG)
    assert lease(store, "a", 99, *both) == MoneyLease("key", "k", 30, (0, 40), 0)
    books.charge("a", 30)
    clock.now += 2 * DAY_LONG  # the first of December
    assert lease(store, "a", 200, *both) == MoneyLease("key", "k", 80, (0, 0), 0)


def test_a_new_day_frees_what_was_spent_and_not_what_is_granted(
    store: SharedStore, books: Books, clock: Clock
):
    lease(store, "a", 60)
    books.charge("a", 50)
    assert lease(store, "b", 100).granted == 40
    clock.now += DAY_LONG
    assert lease(store, "c", 100) == MoneyLease("key", "k", 50, (0,), 50)


def test_calls_of_a_clock_that_is_ahead_count_today(store: SharedStore, books: Books):
    books.charge("a", 60, started=NOON + DAY_LONG)
    assert lease(store, "b", 100) == MoneyLease("key", "k", 40, (60,), 0)


def test_a_wish_without_budgets_is_granted(store: SharedStore, books: Books):
    (given,) = store.lease_money("a", [MoneyWish("team", "red", 10 * LARGEST, ())])
    assert given == MoneyLease("team", "red", 10 * LARGEST, (), 0)
    (other,) = store.lease_money("b", [MoneyWish("team", "red", 5, (Budget(11 * LARGEST, "day"),))])
    assert (other.granted, other.elsewhere) == (5, 10 * LARGEST)


def test_wishes_are_answered_in_their_order_and_scopes_are_apart(store: SharedStore, books: Books):
    books.charge("old", 30, owner="k", team="red")
    wishes = [
        MoneyWish("team", "red", 100, HUNDRED),
        MoneyWish("key", "k", 10, HUNDRED),
        MoneyWish("owner", "k", 100, (Budget(50, "month"),)),
        MoneyWish("team", "blue", 100, HUNDRED),
        MoneyWish("key", "k", 20, HUNDRED),
    ]
    assert [(one.scope, one.whose, one.granted) for one in store.lease_money("a", wishes)] == [
        ("team", "red", 70),
        ("key", "k", 10),
        ("owner", "k", 20),
        ("team", "blue", 100),
        ("key", "k", 20),
    ]
    assert store.lease_money("a", []) == []


def test_a_commit_settles_what_each_process_and_scope_was_charged(store: SharedStore, books: Books):
    wishes = [MoneyWish(scope, scope, 40, HUNDRED) for scope in ("key", "owner", "team")]
    for boot in ("a", "b"):
        store.lease_money(boot, wishes)
    whose = {"key": "key", "owner": "owner", "team": "team"}
    books.commit(
        ended(1, boot="a", charged=10, started=NOON, **whose),
        ended(2, boot="b", charged=20, started=NOON, **(whose | {"owner": None})),
        ended(3, boot="unknown", charged=1, started=NOON, **whose),
    )
    spent = {"key": 31, "owner": 11, "team": 31}
    for boot, rest in (("a", {"owner": 40}), ("b", {"owner": 30})):
        for given in store.lease_money(boot, wishes):
            elsewhere = {"a": 20, "b": 30}[boot]
            assert given.spent == (spent[given.scope],)
            assert given.elsewhere == rest.get(given.scope, elsewhere)


def test_what_a_silent_process_was_granted_is_kept_until_it_is_left(
    store: SharedStore, books: Books, clock: Clock
):
    lease(store, "a", 70)
    clock.now += 60
    store.beat("b")
    assert store.lose("a", 60)
    assert lease(store, "b", 100).granted == 30
    books.charge("a", 50, state="unknown", cost=None)
    assert lease(store, "b", 100) == MoneyLease("key", "k", 30, (50,), 20)
    store.leave("a")
    assert lease(store, "b", 100) == MoneyLease("key", "k", 50, (50,), 0)


def test_a_late_end_gives_back_what_was_settled_as_unknown(store: SharedStore, books: Books):
    lease(store, "a", 70)
    unknown = books.charge("a", 50, state="unknown", cost=None)
    assert lease(store, "b", 0) == MoneyLease("key", "k", 0, (50,), 20)
    books.commit(msgspec.structs.replace(unknown, state="settled", cost=3, charged=3))
    assert lease(store, "b", 0) == MoneyLease("key", "k", 0, (3,), 67)
    store.leave("a")
    books.commit(msgspec.structs.replace(unknown, state="settled", cost=9, charged=9))
    assert lease(store, "b", 100) == MoneyLease("key", "k", 97, (3,), 0)


def test_sums_of_grants_and_charges_outgrow_64_bits(store: SharedStore, books: Books):
    huge = Budget(LARGEST * 10, "day")
    for turn in range(1, 5):
        assert lease(store, "a", turn * LARGEST, huge).granted == turn * LARGEST
        books.charge("a", LARGEST)
    assert lease(store, "a", 0, huge) == MoneyLease("key", "k", 4 * LARGEST, (4 * LARGEST,), 0)
    assert lease(store, "b", 9 * LARGEST, huge).granted == 6 * LARGEST


def test_a_batch_that_was_done_settles_nothing_again(store: SharedStore, books: Books):
    lease(store, "a", 50)
    entry = books.charge("a", 20)
    store.commit(a_batch(1, entry, spend=tuple(spend_of([entry]))))
    assert lease(store, "b", 100) == MoneyLease("key", "k", 50, (20,), 30)


def test_what_a_process_says_is_heard_by_the_others_and_outlives_it(
    store: SharedStore, reopen: Reopen, clock: Clock
):
    joined(store, "a", "b")
    assert store.tell("a", b"\x00first", seconds=60) == []
    clock.now += 10
    assert reopen().tell("b", b"", seconds=60) == [Told("a", b"\x00first", 10.0)]
    assert store.tell("a", b"second", seconds=60) == [Told("b", b"", 0.0)]
    store.leave("a")
    clock.now += 20
    assert store.tell("b", b"", seconds=60) == [Told("a", b"second", 20.0)]
    clock.now += 60
    assert store.tell("b", b"", seconds=60) == []

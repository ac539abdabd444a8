"""What every store promises; a new kind of store is a line in `store_samples.STORES`."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import (
    ANEW,
    DAY,
    a_batch,
    a_content,
    a_key,
    a_secret,
    a_spend,
    an_entry,
    ended,
)

from trials import often
from trunkline.store.records import Account, Batch, Budget, Entry, Limits, Scope, Spend
from trunkline.store.seam import (
    SharedStore,
    Store,
    StoreConflictError,
    StoreError,
    StoreMissingError,
    StoreValueError,
)
from trunkline.store.sums import spend_of
from trunkline.types.money import LARGEST

Reopen = Callable[[], Store]


def test_a_migrated_store_is_empty_and_up_to_date(store: Store):
    assert store.migrate() == []
    assert store.keys() == store.secrets() == store.accounts() == store.open_entries() == []
    assert store.entries() == store.charged("") == store.spend("", "9", ["day"]) == []


def test_a_store_that_was_not_migrated_says_what_to_do(reopen: Reopen):
    with pytest.raises(StoreError, match="migrate"):
        reopen().keys()


def test_a_key_comes_back_as_it_was(store: Store, reopen: Reopen):
    key = a_key(
        name="Ada's \N{SNOWMAN} 'key'; --",
        role="team-admin",
        owner="ada",
        team="research",
        scope=Scope(models=("org/*", "*"), providers=("groq",), endpoints=("chat",)),
        limits=Limits(requests_per_minute=5, tokens_per_minute=None, concurrency=2),
        budgets=(Budget(LARGEST, "day"), Budget(0, "month")),
        expires=20.5,
        revoked=30.25,
    )
    store.add_key(key, a_secret())
    assert reopen().keys() == [key]
    assert reopen().secrets() == [a_secret()]


def test_a_key_of_defaults_comes_back_as_it_was(store: Store):
    store.add_key(a_key(), a_secret())
    assert store.keys() == [a_key()]


def test_a_key_with_a_known_id_is_refused_and_nothing_is_added(store: Store):
    store.add_key(a_key(), a_secret())
    before = store.version()
    with pytest.raises(StoreConflictError):
        store.add_key(a_key(name="other"), a_secret(text="other"))
    assert store.keys() == [a_key()]
    assert store.secrets() == [a_secret()]
    assert store.version() == before


def test_a_key_with_a_known_secret_is_refused_and_nothing_is_added(store: Store):
    store.add_key(a_key(), a_secret())
    same = a_secret()
    with pytest.raises(StoreConflictError) as caught:
        store.add_key(a_key("key_b"), type(same)(same.digest, "key_b", "abcd", 1.0))
    assert store.keys() == [a_key()]
    assert same.digest.hex() not in str(caught.value)


def test_a_changed_key_takes_the_place_of_the_old_one(store: Store):
    store.add_key(a_key(), a_secret())
    store.add_key(a_key("key_b"), a_secret("key_b"))
    changed = a_key(revoked=9.0, team="research")
    store.change_key(changed)
    assert sorted(store.keys(), key=lambda key: key.id) == [changed, a_key("key_b")]


def test_a_key_that_is_not_there_cannot_be_changed_or_rotated(store: Store):
    before = store.version()
    with pytest.raises(StoreMissingError):
        store.change_key(a_key())
    with pytest.raises(StoreMissingError):
        store.rotate(a_secret(), 5.0)
    assert store.keys() == store.secrets() == []
    assert store.version() == before


def test_a_rotation_lets_older_secrets_end_but_none_live_longer(store: Store):
    store.add_key(a_key(), a_secret(text="first", expires=3.0))
    store.add_key(a_key("key_b"), a_secret("key_b"))
    store.rotate(a_secret(text="second"), 10.0)
    store.rotate(a_secret(text="third", expires=99.0), 7.0)
    assert {(secret.key, secret.expires) for secret in store.secrets()} == {
        ("key_a", 3.0),
        ("key_a", 7.0),
        ("key_a", 99.0),
        ("key_b", None),
    }


def test_an_account_is_put_replaced_and_dropped(store: Store):
    team = Account("team", "research", Limits(concurrency=3), (Budget(5, "day"),))
    store.put_account(team)
    store.put_account(Account("owner", "research"))
    assert store.accounts() == [Account("owner", "research"), team]
    store.put_account(Account("team", "research"))
    assert store.accounts() == [Account("owner", "research"), Account("team", "research")]
    assert store.drop_account("team", "research")
    assert not store.drop_account("team", "research")
    assert store.accounts() == [Account("owner", "research")]


def test_the_version_grows_with_every_change_of_access_and_with_nothing_else(store: Store):
    seen = [store.version()]

    def grew() -> bool:
        seen.append(store.version())
        return seen[-1] > seen[-2]

    store.add_key(a_key(), a_secret())
    assert grew()
    store.change_key(a_key(name="new"))
    assert grew()
    store.rotate(a_secret(text="second"), 5.0)
    assert grew()
    store.put_account(Account("team", "research"))
    assert grew()
    store.drop_account("team", "research")
    assert grew()
    store.drop_account("team", "research")
    store.commit(a_batch(1, ended(), spend=(a_spend(),)))
    store.keep([a_content()])
    store.purge(100.0)
    store.forget_journal("one")
    store.migrate()
    assert not grew()


def test_another_process_sees_the_version_change(store: Store, reopen: Reopen):
    other = reopen()
    before = other.version()
    store.add_key(a_key(), a_secret())
    assert other.version() > before


def test_an_entry_comes_back_as_it_was(store: Store, reopen: Reopen):
    whole = ended(
        owner="ada",
        team="research",
        stream=True,
        error="timeout",
        upstream="router",
        provider="groq",
        target_model="org/model:groq",
        attempts=2,
        input_tokens=2**53 + 1,
        output_tokens=0,
        cached_tokens=3,
        token_source="provider",
        reserved=LARGEST,
        cost=LARGEST,
        charged=LARGEST,
        input_price=LARGEST,
        output_price=1,
        price_source="router, 2026-11-29",
        first_byte=0.1,
        upstream_id="chatcmpl-1",
        note="null",
    )
    store.commit(a_batch(1, whole, an_entry(2, stream=False)))
    assert reopen().entry(whole.id) == whole
    assert reopen().entry(an_entry(2).id) == an_entry(2)
    assert store.entry("req_x") is None


def test_an_open_entry_is_replaced_when_it_ends(store: Store):
    store.commit(a_batch(1, an_entry(1), an_entry(2)))
    assert store.open_entries() == [an_entry(1), an_entry(2)]
    store.commit(a_batch(2, ended(1), an_entry(3)))
    assert store.open_entries() == [an_entry(2), an_entry(3)]
    assert store.entries() == [an_entry(3), an_entry(2), ended(1)]


def test_an_entry_may_begin_and_end_in_one_batch(store: Store):
    store.commit(a_batch(1, an_entry(1), ended(1), an_entry(2)))
    assert store.entry(an_entry(1).id) == ended(1)
    assert store.open_entries() == [an_entry(2)]


def committed(position: int, *entries: Entry, journal: str = "one") -> Batch:
    """A batch as a gateway makes it: with what its entries add up to."""
    return a_batch(position, *entries, spend=tuple(spend_of(entries)), journal=journal)


LATER = (an_entry(1), ended(1, state="unknown", cost=None, charged=10), ended(1, charged=99))


@pytest.mark.parametrize("later", LATER, ids=["open", "unknown", "settled"])
def test_an_entry_that_has_ended_is_never_changed_again(store: Store, later: Entry):
    store.commit(committed(1, ended(1, owner="ada", team="research")))
    before = store.charged("")
    store.commit(committed(2, later, ended(2)))
    store.commit(committed(3, later, journal="two"))
    store.commit(committed(4, ended(1, charged=99), later, later, journal="two"))
    assert store.entry(ended(1).id) == ended(1, owner="ada", team="research")
    assert store.charged("") == sorted([*before, *spend_of([ended(2)])], key=lambda row: row.owner)
    assert store.open_entries() == []


UNKNOWN: dict[str, object] = {
    "state": "unknown",
    "outcome": "unknown",
    "cost": None,
    "charged": 10,
    "team": "research",
}


def test_what_becomes_known_takes_the_place_of_what_was_unknown(store: Store, reopen: Reopen):
    late = ended(1, provider="groq", team="research", cost=7, charged=7, input_tokens=5)
    store.commit(committed(1, an_entry(1), ended(1, **UNKNOWN)))
    store.commit(committed(2, ended(1, **(UNKNOWN | {"charged": 99})), journal="two"))
    assert store.entry(late.id) == ended(1, **UNKNOWN)
    assert store.charged("") == spend_of([ended(1, **UNKNOWN)])
    reopen().commit(committed(1, ended(2), late, ended(3), journal="three"))
    assert store.entry(late.id) == late
    known = [late, ended(2), ended(3)]
    assert sorted(store.charged(""), key=repr) == sorted(spend_of(known), key=repr)
    store.commit(committed(2, ended(1, charged=3), ended(1, **UNKNOWN), journal="three"))
    assert store.entry(late.id) == late
    assert sorted(store.charged(""), key=repr) == sorted(spend_of(known), key=repr)


def test_what_was_unknown_and_became_known_in_one_batch_counts_once(store: Store):
    store.commit(committed(1, an_entry(1), ended(1, **UNKNOWN), ended(1, team="research")))
    store.commit(committed(2, ended(1, **UNKNOWN), ended(2, **UNKNOWN), ended(2, team="research")))
    assert store.entries() == [ended(2, team="research"), ended(1, team="research")]
    assert store.charged("") == spend_of(store.entries())


def test_a_batch_of_any_size_is_kept_whole(store: Store):
    number = 0
    for position, size in enumerate((0, 1, 7, 8, 31, 33, 127, 128, 129, 700), 1):
        entries = [ended(number + i) for i in range(size)]
        spend = tuple(a_spend(key=f"key_{i}") for i in range(size))
        store.commit(a_batch(position, *entries, spend=spend))
        number += size
    found = store.entries(limit=10_000)
    assert found == [ended(i) for i in reversed(range(number))]
    assert sum(row.calls for row in store.charged("")) == number
    assert {row.key: row.calls for row in store.charged("")}["key_0"] == 9


def test_a_batch_that_was_done_is_not_done_again(store: Store, reopen: Reopen):
    batch = a_batch(10, ended(1), spend=(a_spend(cost=5),))
    store.commit(batch)
    store.commit(batch)
    reopen().commit(batch)
    store.commit(a_batch(9, ended(2), spend=(a_spend(cost=100),)))
    assert store.position("one") == 10
    assert store.charged("") == [a_spend(cost=5)]
    assert store.entry(ended(2).id) is None


@pytest.mark.parametrize("position", [0, -1])
def test_a_batch_that_brings_a_journal_nowhere_is_not_done(store: Store, position: int):
    store.commit(a_batch(position, ended(1), spend=(a_spend(),)))
    assert store.entries() == store.charged("") == []
    assert store.position("one") == 0


def test_each_journal_has_a_position_of_its_own(store: Store, reopen: Reopen):
    store.commit(a_batch(10, journal="one"))
    store.commit(a_batch(3, ended(1), journal="two"))
    assert (store.position("one"), store.position("two"), store.position("three")) == (10, 3, 0)
    store.forget_journal("one")
    store.forget_journal("three")
    assert (reopen().position("one"), reopen().position("two")) == (0, 3)


ANY_STORE = settings(
    deadline=None,
    max_examples=often(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=ANEW)
def anew(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], SharedStore]]:
    """One new store after the other, of each kind."""
    return ANEW[request.param](request, tmp_path)


@ANY_STORE
@given(chance=st.randoms(use_true_random=False), records=st.integers(1, 12))
def test_a_journal_replayed_from_anywhere_counts_once(
    anew: Iterator[Callable[[], SharedStore]], chance: random.Random, records: int
):
    store = next(anew)()
    store.migrate()
    while store.position("one") < records:
        # A crash forgets what was done; the reader starts where the store says, or further back,
        # and cuts its batches elsewhere. One that ends beyond the store's position must begin there.
        begin = store.position("one")
        end = chance.randint(begin + 1, records)
        store.commit(_replayed(begin, end))
        for _ in range(chance.randint(0, 2)):
            old = chance.randint(0, store.position("one"))
            store.commit(_replayed(chance.randint(0, old), old))
    assert sum(row.calls for row in store.charged("")) == records
    assert [entry.id for entry in store.entries()] == [ended(i).id for i in range(records)][::-1]
    store.close()


def _replayed(begin: int, end: int):
    entries = [ended(i) for i in range(begin, end)]
    return a_batch(end, *entries, spend=(a_spend(calls=end - begin),) if entries else ())


def test_a_batch_with_a_value_that_cannot_be_kept_is_refused_whole(store: Store):
    store.commit(a_batch(1, ended(1)))
    for wrong in (ended(3, cost=2**63), ended(3, model="half \ud83d")):
        with pytest.raises(StoreValueError):
            store.commit(a_batch(2, ended(2), wrong, spend=(a_spend(),)))
    assert store.entries() == [ended(1)]
    assert store.charged("") == []
    assert store.position("one") == 1
    store.commit(a_batch(2, ended(2)))
    assert store.entries() == [ended(2), ended(1)]


def test_access_with_a_value_that_cannot_be_kept_is_refused(store: Store):
    store.add_key(a_key(), a_secret())
    before = store.version()
    for key in (a_key(name="half \ud83d"), a_key(scope=Scope(models=("half \ud83d",)))):
        with pytest.raises(StoreValueError):
            store.change_key(key)
    with pytest.raises(StoreValueError):
        store.put_account(Account("team", "half \ud83d"))
    with pytest.raises(StoreValueError):
        store.keep([a_content(answer="half \ud83d")])
    assert store.keys() == [a_key()]
    assert store.version() == before


def test_spend_of_the_same_day_and_names_is_added_up(store: Store):
    row = a_spend(
        calls=2, unpriced=1, failed=1, input_tokens=10, output_tokens=20, cost=5, charged=6
    )
    other = a_spend(team="research", calls=1, cost=1)
    store.commit(a_batch(1, spend=(row, other)))
    store.commit(a_batch(2, spend=(row, row)))
    assert store.charged(DAY) == [
        a_spend(
            calls=6, unpriced=3, failed=3, input_tokens=30, output_tokens=60, cost=15, charged=18
        ),
        other,
    ]


def test_charged_returns_whole_rows_from_a_day_on(store: Store):
    days = [a_spend(day=day, owner="ada") for day in ("2026-10-31", "2026-11-01", "2026-11-02")]
    store.commit(a_batch(1, spend=tuple(days)))
    assert store.charged("2026-11-01") == days[1:]


def test_amounts_near_the_largest_are_added_up_exactly(store: Store):
    rows = tuple(a_spend(cost=LARGEST - i, charged=LARGEST) for i in range(40))
    for position in range(1, 4):
        store.commit(a_batch(position, spend=rows))
    cost, charged = 3 * sum(LARGEST - i for i in range(40)), 120 * LARGEST
    (whole,) = store.charged("")
    assert (whole.cost, whole.charged, whole.calls) == (cost, charged, 120)
    store.commit(a_batch(9, spend=tuple(a_spend(key=f"k{i}", cost=LARGEST) for i in range(40))))
    (total,) = store.spend("", "9", [])
    assert (total.cost, total.charged) == (cost + 40 * LARGEST, charged)
    # More than one amount may be, but what many of them make: a batch adds up first.
    store.commit(a_batch(10, spend=(a_spend(cost=50 * LARGEST + 1),)))
    assert store.spend("", "9", [])[0].cost == cost + 90 * LARGEST + 1


@ANY_STORE
@given(amounts=st.lists(st.integers(0, LARGEST) | st.integers(0, 10**10), min_size=1, max_size=20))
def test_sums_of_money_are_exact(anew: Iterator[Callable[[], SharedStore]], amounts: list[int]):
    store = next(anew)()
    store.migrate()
    for position, amount in enumerate(amounts, 1):
        spend = (a_spend(cost=amount), a_spend(model="other", charged=amount))
        store.commit(a_batch(position, spend=spend))
    (total,) = store.spend("", "9", ["key"])
    store.close()
    assert total.cost == total.charged == sum(amounts)


ROWS = (
    a_spend(day="2026-11-01", key="k1", team="red", model="m1", calls=1, cost=10),
    a_spend(day="2026-11-02", key="k1", team="red", model="m2", calls=2, cost=20),
    a_spend(day="2026-11-02", key="k2", team="blue", model="m1", calls=4, cost=40),
    a_spend(day="2026-11-03", key="k3", team="", model="m1", calls=8, cost=80),
)


def _only(**fields: object) -> Spend:
    empty = dict.fromkeys(("day", "key", "owner", "team", "model", "provider"), "")
    return Spend(**(empty | fields))


def test_spend_is_added_up_by_what_is_asked_for(store: Store):
    store.commit(a_batch(1, spend=ROWS))
    assert store.spend("2026-11-01", "2026-11-03", ["team"]) == [
        _only(team="", calls=8, cost=80),
        _only(team="blue", calls=4, cost=40),
        _only(team="red", calls=3, cost=30),
    ]
    assert store.spend("2026-11-02", "2026-11-02", ["model", "day"]) == [
        _only(day="2026-11-02", model="m1", calls=4, cost=40),
        _only(day="2026-11-02", model="m2", calls=2, cost=20),
    ]
    assert store.spend("2026-11-01", "2026-11-03", []) == [_only(calls=15, cost=150)]
    every = store.spend("", "9", ["day", "key", "owner", "team", "model", "provider"])
    assert every == list(ROWS)


def test_spend_can_be_one_teams(store: Store):
    store.commit(a_batch(1, spend=ROWS))
    assert store.spend("", "9", ["key"], team="red") == [_only(key="k1", calls=3, cost=30)]
    assert store.spend("", "9", [], team="") == [_only(calls=8, cost=80)]
    assert store.spend("", "9", [], team="' OR 1=1 --") == []


def test_spend_by_a_column_that_is_none_is_refused(store: Store):
    with pytest.raises(StoreValueError, match=r"cost; use day, key"):
        store.spend("", "9", ["day", "cost"])


def test_entries_are_found_by_key_and_team_page_by_page(store: Store):
    entries = [
        ended(i, key=f"key_{i % 2}", team="red" if i % 3 == 0 else None) for i in range(1, 11)
    ]
    store.commit(a_batch(1, *entries))

    def numbers(found: list[Entry]) -> list[int]:
        return [int(entry.id[4:]) for entry in found]

    assert numbers(store.entries(limit=3)) == [10, 9, 8]
    assert numbers(store.entries(limit=3, before=ended(8).id)) == [7, 6, 5]
    assert numbers(store.entries(key="key_1")) == [9, 7, 5, 3, 1]
    assert numbers(store.entries(team="red")) == [9, 6, 3]
    assert numbers(store.entries(team="red", key="key_1", before=ended(9).id)) == [3]
    assert numbers(store.entries(key="key_1", team="red", limit=1)) == [9]
    assert store.entries(limit=0) == store.entries(limit=-1) == store.entries(team="pink") == []


HOSTILE = ("' OR '1'='1", "%", "_", "\\", '"', "; DROP TABLE ledger; --", "\x01", "?1", "$1", "{}")


@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_looks_like_a_query_is_text(store: Store, text: str):
    store.add_key(a_key(text, name=text, owner=text), a_secret(text))
    store.put_account(Account("team", text))
    store.commit(a_batch(1, ended(1), journal=text))
    store.commit(a_batch(2, ended(2, id="z" + text, key=text, team=text), journal=text))
    store.keep([a_content(text, prompt=text)])
    assert store.entries(key=text) == store.entries(team=text) == [store.entry("z" + text)]
    assert store.keys() == [a_key(text, name=text, owner=text)]
    assert store.position(text) == 2
    assert store.content(text) == a_content(text, prompt=text)
    assert store.drop_account("team", text)


def test_a_text_with_a_nul_is_kept_as_it_is_or_refused_as_a_value(store: Store):
    text = "a\0b"
    try:
        store.commit(a_batch(1, ended(1, model=text), spend=(a_spend(model=text),)))
        store.keep([a_content(prompt=text)])
    except StoreValueError as refused:
        assert text not in str(refused)
        assert store.entries() == store.charged("") == []
        assert store.position("one") == 0
        with pytest.raises(StoreValueError):
            store.keep([a_content(prompt=text)])
        with pytest.raises(StoreValueError):
            store.add_key(a_key(name=text), a_secret())
        assert store.keys() == []
    else:
        assert store.entries() == [ended(1, model=text)]
        assert store.content("req_1") == a_content(prompt=text)


def test_contents_are_kept_until_their_time_is_over(store: Store, reopen: Reopen):
    store.keep([a_content("req_1", expires=10.0), a_content("req_2", expires=20.0)])
    store.keep(iter([a_content("req_1", answer="Because.", expires=10.0)]))
    assert reopen().content("req_1") == a_content("req_1", answer="Because.", expires=10.0)
    assert store.purge(9.9) == 0
    assert store.purge(10.0) == 1
    assert store.content("req_1") is None
    assert store.content("req_2") == a_content("req_2", expires=20.0)
    assert store.purge(1e12) == 1
    store.keep([])


def test_the_first_seal_is_everybodys(store: Store, reopen: Reopen):
    assert store.seal(b"first") == b"first"
    assert store.seal(b"second") == b"first"
    assert reopen().seal(b"third") == b"first"


def test_many_threads_may_use_a_store_at_once(store: Store):
    store.migrate()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(1, 11):
                spend = (a_spend(cost=1),)
                store.commit(
                    a_batch(turn, ended(100 * number + turn), spend=spend, journal=str(number))
                )
                store.add_key(a_key(f"k{number}_{turn}"), a_secret(f"k{number}_{turn}"))
                assert store.version() > 1
                assert store.entries(limit=5)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.charged("") == [a_spend(calls=60, cost=60)]
    assert len(store.keys()) == len(store.secrets()) == len(store.entries()) == 60


def test_a_closed_store_says_so_and_may_be_closed_again(store: Store):
    store.version()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.version()

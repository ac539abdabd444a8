"""Claims in every kind of store: a name is one request's, for its time, and what came of it stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_samples import Clock, a_batch, an_entry

from trunkline.store.claims import Claim

Reopen = Callable[[], Any]


def a_claim(number: int = 1, **fields: Any) -> Claim:
    given: dict[str, Any] = {
        "id": b"name %d" % number,
        "request": b"asked",
        "call": f"req_{number:08}",
        "boot": "boot_1",
    }
    return Claim(**(given | fields))


def test_a_name_is_taken_once_and_whoever_comes_later_is_shown_who_has_it(
    store: Any, reopen: Reopen
):
    assert store.claim(a_claim(), seconds=10) is None
    other = a_claim(call="req_other", request=b"other", boot="boot_2")
    assert reopen().claim(other, seconds=10) == a_claim()
    assert store.claim(a_claim(2), seconds=10) is None


def test_what_came_of_it_is_shown_as_it_was_kept(store: Any, reopen: Reopen):
    store.claim(a_claim(), seconds=10)
    done = a_claim(state="answered", status=200, lines=b"a: b\r\n", body=bytes(range(256)))
    assert store.fulfil(done) is True
    assert reopen().claim(a_claim(call="req_other"), seconds=10) == done


@pytest.mark.parametrize("state", ["answered", "large", "unknown"])
def test_what_has_ended_is_never_changed_again(store: Any, state: Any):
    store.claim(a_claim(), seconds=10)
    done = a_claim(state=state, status=500, body=b"first")
    assert store.fulfil(done)
    assert store.fulfil(a_claim(state="answered", status=200, body=b"second")) is False
    store.release(a_claim())
    store.release_unsent(["boot_1"])
    assert store.claim(a_claim(call="req_other"), seconds=10) == done


def test_a_name_that_was_given_back_is_anybodys(store: Any):
    store.claim(a_claim(), seconds=10)
    store.release(a_claim())
    assert store.claim(a_claim(call="req_other"), seconds=10) is None


def test_only_the_call_that_has_a_name_writes_down_its_end_or_gives_it_back(store: Any):
    store.claim(a_claim(), seconds=10)
    other = a_claim(call="req_other", state="answered")
    store.release(other)
    assert store.fulfil(other) is False
    assert store.claim(other, seconds=10) == a_claim()


def test_its_time_is_the_stores(store: Any, clock: Clock):
    store.claim(a_claim(), seconds=10)
    store.fulfil(a_claim(state="answered"))
    store.claim(a_claim(2), seconds=20)
    clock.now += 9.5
    assert store.claim(a_claim(call="req_other"), seconds=10) is not None
    clock.now += 0.5
    assert store.claim(a_claim(call="req_other"), seconds=10) is None
    assert store.fulfil(a_claim(state="answered")) is False  # the late end of the first
    assert store.claim(a_claim(2), seconds=1) is not None


def test_what_has_had_its_time_is_deleted(store: Any, clock: Clock):
    for number in range(5):
        store.claim(a_claim(number), seconds=10 + number)
    clock.now += 12
    assert store.purge_claims() == 3
    assert store.purge_claims() == 0
    assert store.claim(a_claim(3), seconds=1) is not None


def test_a_dead_process_keeps_the_names_of_calls_that_the_ledger_knows(store: Any):
    for number in (1, 2, 3):
        store.claim(a_claim(number), seconds=10)
    store.claim(a_claim(4, boot="boot_2"), seconds=10)
    store.commit(a_batch(1, an_entry(1)))
    assert store.release_unsent([]) == 0
    assert store.release_unsent(["boot_1", "boot_3"]) == 2
    left = [store.claim(a_claim(n, call="req_other"), seconds=10) for n in (1, 2, 3, 4)]
    assert [claim is not None for claim in left] == [True, False, False, True]


def test_of_many_that_claim_at_once_one_has_it(reopen: Reopen, store: Any):
    taken: list[str] = []
    begin = threading.Barrier(8)

    def take(number: int) -> None:
        mine = reopen() if number % 2 else store
        begin.wait()
        for name in range(20):
            claim = a_claim(name, call=f"req_{number}")
            if mine.claim(claim, seconds=10) is None:
                taken.append(f"{name}")

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=int) == [str(name) for name in range(20)]


def test_any_bytes_come_back(reopen: Reopen, store: Any):
    numbers = iter(range(1000, 100_000))

    @given(st.binary(max_size=300), st.binary(max_size=50), st.integers(100, 599))
    def check(body: bytes, lines: bytes, status: int) -> None:
        claim = a_claim(next(numbers))
        assert store.claim(claim, seconds=10) is None
        done = a_claim(int(claim.call[4:]), state="answered", status=status, lines=lines, body=body)
        assert store.fulfil(done)
        assert store.claim(claim, seconds=10) == done

    check()

"""How long answers last, and that of many who want to ask only one may."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.memory import GRACE, LIFETIME, MOST, PATIENCE, Found, Key, Memory, key_for
from trunkline.types import Secret

KEY = Key("org/m")


@pytest.fixture
def memory() -> Memory[str]:
    return Memory()


def test_nothing_is_known_at_first(memory) -> None:
    assert memory.look(KEY, 0.0) is None


def test_an_answer_is_fresh_for_an_hour_and_serves_for_a_day(memory) -> None:
    memory.keep(KEY, "old", 100.0)
    assert memory.look(KEY, 100.0 + LIFETIME - 1) == Found("old")
    assert memory.look(KEY, 100.0 + LIFETIME) == Found("old", stale=True)
    assert memory.look(KEY, 100.0 + LIFETIME + GRACE - 1) == Found("old", stale=True)
    assert memory.look(KEY, 100.0 + LIFETIME + GRACE) is None
    assert memory.look(Key("org/m", "somebody"), 100.0) is None


def test_an_answer_that_is_a_refusal_lasts_a_minute(memory) -> None:
    memory.keep(KEY, "missing", 0.0, lasting=False)
    assert memory.look(KEY, PATIENCE - 1) == Found("missing")
    assert memory.look(KEY, PATIENCE) is None


def test_a_failure_is_remembered_for_a_minute(memory) -> None:
    memory.miss(KEY, 0.0)
    assert memory.look(KEY, PATIENCE - 1) == Found(None)
    assert memory.look(KEY, PATIENCE) is None


def test_a_stale_answer_outlives_failures_and_is_asked_for_once_a_minute(memory) -> None:
    memory.keep(KEY, "old", 0.0)
    memory.miss(KEY, LIFETIME)
    assert memory.look(KEY, LIFETIME + PATIENCE - 1) == Found("old")
    assert memory.look(KEY, LIFETIME + PATIENCE) == Found("old", stale=True)
    memory.keep(KEY, "new", LIFETIME + PATIENCE)
    assert memory.look(KEY, LIFETIME + PATIENCE + 1) == Found("new")


def test_an_answer_too_old_does_not_come_back_with_a_failure(memory) -> None:
    memory.keep(KEY, "old", 0.0)
    memory.miss(KEY, LIFETIME + GRACE)
    assert memory.look(KEY, LIFETIME + GRACE) == Found(None)


def test_what_is_forgotten_is_asked_for(memory) -> None:
    memory.miss(KEY, 0.0)
    memory.forget(KEY)
    memory.forget(KEY)
    assert memory.look(KEY, 0.0) is None


def test_the_oldest_answers_make_room(memory) -> None:
    memory.keep(KEY, "first", 0.0)
    for number in range(MOST - 1):
        memory.keep(Key(str(number)), "x", 0.0)
    memory.keep(KEY, "again", 0.0)
    memory.keep(Key("one more"), "x", 0.0)
    memory.miss(Key("and another"), 0.0)
    assert memory.look(KEY, 0.0) == Found("again")
    assert [memory.look(Key(name), 0.0) for name in ("0", "1")] == [None, None]
    assert memory.look(Key("2"), 0.0) == Found("x")


@given(st.text())
def test_a_key_does_not_show_its_token(value: str) -> None:
    token = f"hf_{value}"
    key = key_for("org/m", Secret(token, "a test"))
    assert key != key_for("org/m", None)
    assert token not in repr(key)
    assert token not in str(key.who)


# claims


def test_one_at_a_time_may_ask(memory) -> None:
    mine = memory.claim(KEY, 0.0, 10.0)
    assert mine is not None
    assert memory.claim(KEY, 1.0, 11.0) is None
    assert memory.claim(Key("org/other"), 1.0, 11.0) is not None
    memory.release(KEY, mine)
    assert memory.claim(KEY, 1.0, 11.0) is not None


def test_a_claim_that_was_never_given_back_is_taken_over(memory) -> None:
    lost = memory.claim(KEY, 0.0, 10.0)
    heir = memory.claim(KEY, 10.0, 20.0)
    assert heir is not None
    memory.release(KEY, lost)
    assert memory.claim(KEY, 11.0, 21.0) is None, "a late release gave away another's claim"
    memory.release(KEY, heir)
    memory.release(KEY, heir)
    assert memory.claim(KEY, 11.0, 21.0) is not None


@pytest.mark.parametrize("before", ["nobody", "somebody lost"])
def test_of_many_threads_one_gets_the_claim(memory, before: str) -> None:
    many = 16
    for _ in range(50):
        if before != "nobody":
            memory.claim(KEY, 0.0, 1.0)
        together = threading.Barrier(many)

        def grab(_number: int, together: threading.Barrier = together) -> object:
            together.wait(20)
            return memory.claim(KEY, 2.0, 3.0)

        with ThreadPoolExecutor(many) as pool:
            claims = [claim for claim in pool.map(grab, range(many)) if claim is not None]
        assert len(claims) == 1
        memory.release(KEY, claims[0])

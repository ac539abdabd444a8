"""Calls of a log carried anew: what they got where they were, what others got where they go."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from trunkline.catalog import Catalog, ModelEntry, Offer, Pricing
from trunkline.errors import InvalidInputError
from trunkline.hindsight.legs import Happening
from trunkline.hindsight.observed import ENOUGH, Observed
from trunkline.hindsight.past import Past, Tried, from_ledger, from_log
from trunkline.hindsight.redo import PriceList, Redone, Wish, read_prices, redo
from trunkline.hindsight.totals import About, Hindsight, added
from trunkline.routing.policy import read_policy
from trunkline.store.logged import Logged, LoggedAttempt, LoggedCall
from trunkline.store.records import Entry
from trunkline.store.tries import Try, write_tries

MODEL = "org/model"
START = 1_796_000_400.0  # the beginning of an hour
PRICES = {"a": "1", "b": "2", "never": "0.5"}
CATALOG = Catalog(
    (
        ModelEntry(
            MODEL,
            providers=tuple(
                Offer(name, pricing=Pricing(Decimal(p), Decimal(p))) for name, p in PRICES.items()
            ),
        ),
    ),
    "a test",
    datetime(2026, 11, 29, tzinfo=UTC),
)
GOOD = Happening(0.5, rest=2.0, output=100)
DOWN = Happening(0.1, 503)


def past(number: int, provider: str = "a", *happened: Happening, **more: Any) -> Past:
    """Return a call that went to one provider, a minute after the one before."""
    seen = happened or (GOOD,)
    ok = seen[-1].status == 200 and seen[-1].cut is None
    given: dict[str, Any] = {
        "id": f"call_{number}", "at": START + 60 * number, "model": MODEL, "provider": provider,
        "ok": ok, "stream": True, "seconds": seen[-1].seconds + seen[-1].rest,
        "first_token": seen[-1].seconds if ok else None, "input": 900, "output": 100 if ok else None,
        "cost": Decimal("0.001") if ok else None, "attempts": len(seen),
        "tried": tuple(Tried(provider, one) for one in seen),
    }  # fmt: skip
    return Past(**(given | more))


def anew(
    calls: list[Past], route: Any, *, seed: int = 1, prices: PriceList | None = None, **more: Any
) -> list[Redone]:
    policy = None if route is None else read_policy(route)
    return redo(Wish(calls, policy, CATALOG, prices or {}, **more), Observed(calls), seed)


def summed(*draws: list[Redone], route: str | None = "a route") -> Hindsight:
    return added(About(route, "a test", len(draws[0]), {}, 1), draws)


def test_calls_that_stay_get_what_they_got() -> None:
    calls = [past(n) for n in range(3)] + [past(3, "a", DOWN, GOOD)]
    found = anew(calls, ["a"])
    for call, one in zip(calls, found, strict=True):
        assert (one.ok, one.cost, one.attempts) == (True, call.cost, call.attempts)
        assert one.first_token is not None
        assert one.grains == {"as it was"}
    assert [one.first_token for one in found[:3]] == pytest.approx([0.5] * 3)
    told = summed(found)
    assert (told.moved, told.compared, told.was.cost) == (0, 4, told.would.cost)
    assert told.grains == {"as it was": 4}


def test_calls_that_move_get_what_others_got_there_in_their_hour() -> None:
    quick = Happening(0.1, rest=1.0, output=50)
    slow = Happening(3.0, rest=9.0, output=50)
    calls = [past(n, "b", quick) for n in range(ENOUGH)]
    calls += [past(60 + n, "b", slow) for n in range(ENOUGH)]
    calls += [past(10, "a"), past(70, "a")]
    found = {one.past.id: one for one in anew(calls, ["b"])}
    first, later = found["call_10"], found["call_70"]
    assert (first.place, later.place) == (("b", MODEL), ("b", MODEL))
    assert first.grains == later.grains == {"that hour"}
    assert first.first_token == pytest.approx(0.1)
    assert later.first_token == pytest.approx(3.0)
    assert first.seconds == pytest.approx(0.1 + 2.0)  # 100 tokens at the 50 a second that were seen
    assert first.cost == Decimal("0.002")  # 1,000 tokens at $2 for a million


def test_an_hour_with_too_few_is_drawn_from_others_and_said_so() -> None:
    calls = [past(n, "b") for n in range(ENOUGH - 1)] + [past(200, "a")]
    [moved] = [one for one in anew(calls, ["b"]) if one.past.provider == "a"]
    assert moved.grains == {"other hours"}
    told = summed(anew(calls, ["b"]))
    assert "1 calls are given what others got at their place, 1 of them in other hours" in " ".join(
        told.notes
    )


def test_of_places_that_the_log_never_saw_nothing_is_said() -> None:
    calls = [past(n) for n in range(4)]
    found = anew(calls, "cheapest")  # which is one that was never asked
    assert all(one.unknown == ("never", MODEL) for one in found)
    told = summed(found)
    assert (told.compared, told.unknown) == (0, {f"never {MODEL}": 4})
    assert told.would.cost is None
    assert told.would.seconds_p50 is None
    assert "of them nothing is said" in told.notes[0]
    seen = anew(calls, "cheapest", seen_only=True)
    assert all(one.place == ("a", MODEL) for one in seen)


def test_a_failure_of_the_log_is_failed_over_where_the_route_does() -> None:
    calls = [past(n, "a", DOWN) for n in range(3)] + [past(3 + n, "b") for n in range(ENOUGH)]
    found = {one.past.id: one for one in anew(calls, ["a", "b"])}
    assert found["call_0"].ok
    assert found["call_0"].place == ("b", MODEL)
    assert found["call_0"].attempts == 3  # the one of the log, one more there, and the next place's
    told = summed(list(found.values()))
    assert (told.was.failed, told.would.failed) == (3, 0)
    assert told.priced == ENOUGH
    assert {(p.provider, p.was) for p in told.places} >= {("b", ENOUGH)}


def test_other_prices_alone_leave_calls_where_they_were() -> None:
    prices = read_prices({MODEL: {"a": {"input": 10, "output": "20"}, "*": {"input": 1}}})
    one, other, none = anew([past(0), past(1, "b"), past(2, "a", DOWN)], None, prices=prices)
    assert one.cost == Decimal("0.011")  # 900 at $10, 100 at $20
    assert other.cost is None  # the price of output there is not known
    assert (none.ok, none.cost) == (False, None)
    [same] = anew([past(0)], None)
    assert same.cost == past(0).cost
    assert summed([one, other, none], route=None).notes == ()


def test_prices_decide_where_the_cheapest_is() -> None:
    prices = read_prices({MODEL: {"b": {"input": 0.1, "output": 0.1}}})
    calls = [past(n, "b") for n in range(5)] + [past(9)]
    found = {one.past.id: one for one in anew(calls, "cheapest", prices=prices, seen_only=True)}
    assert found["call_9"].place == ("b", MODEL)
    assert found["call_9"].cost == Decimal("0.0001")


@pytest.mark.parametrize(
    "rows", [[], {"org/m": 3}, {"org/m": {"a": {}}}, {"org/m": {"a": {"in": 1}}},
             {"org/m": {"a": {"input": -1}}}, {"org/m": {"a": {"input": "cheap"}}}]
)  # fmt: skip
def test_what_is_no_list_of_prices_is_refused(rows: object) -> None:
    with pytest.raises(InvalidInputError):
        read_prices(rows)


@pytest.mark.slow
def test_the_same_seed_draws_the_same_and_ranges_are_those_of_all_draws() -> None:
    seen = [past(n, "b", Happening(0.1 * (n + 1), rest=1.0, output=100)) for n in range(9)]
    calls = seen + [past(20 + n) for n in range(20)]
    draws = [anew(calls, ["b"], seed=seed) for seed in (1, 2, 3)]
    assert draws[0] == anew(calls, ["b"], seed=1)
    assert draws[0] != draws[1]
    told = summed(*draws)
    spread = told.ranges["first_token_p50"]
    assert spread.least is not None
    assert spread.middle is not None
    assert spread.most is not None
    assert spread.least <= spread.middle <= spread.most
    assert told.draws == 3
    assert any("are few" in said for said in told.notes)


def call(**more: Any) -> LoggedCall:
    given: dict[str, Any] = {
        "id": "call_1", "started": "2026-11-29T08:00:00.000000Z", "task": "chat",
        "model": f"huggingface/a/{MODEL}", "outcome": "ok", "seconds": 3.0, "stream": True,
        "provider": "A", "first_token": 1.0, "input_tokens": 9, "output_tokens": 50,
        "cost": "0.1", "attempts": 2,
    }  # fmt: skip
    return LoggedCall(**(given | more))


def attempt(number: int, **more: Any) -> LoggedAttempt:
    given: dict[str, Any] = {
        "call": "call_1", "number": number, "provider": "A", "model": MODEL, "url": "u",
        "status": 200, "error": None, "request_id": None, "started": 0.0, "seconds": 3.0,
    }  # fmt: skip
    return LoggedAttempt(**(given | more))


def test_a_logged_call_has_the_times_of_its_attempts() -> None:
    failed = attempt(1, status=503, error="ServiceUnavailableError", seconds=0.25)
    found = from_log(Logged(call(), (failed, attempt(2, started=0.5, seconds=2.5))))
    assert isinstance(found, Past)
    assert (found.model, found.provider, found.cost) == (MODEL, "a", Decimal("0.1"))
    assert found.at == datetime(2026, 11, 29, 8, tzinfo=UTC).timestamp()
    assert [one.happening for one in found.tried] == [
        Happening(0.25, 503),
        Happening(0.5, 200, rest=2.0, output=50),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": None, "error": "Timeout"}, Happening(3.0, None, silent=True)),
        ({"status": None, "error": "APIConnectionError"}, Happening(3.0, None)),
        ({"error": "StreamTruncated"}, Happening(1.0, rest=2.0, cut=2.0, output=50)),
        ({"status": 429, "error": "RateLimitError"}, Happening(3.0, 429)),
    ],
)
def test_an_attempt_ends_in_hindsight_as_it_did(
    fields: dict[str, Any], expected: Happening
) -> None:
    found = from_log(
        Logged(call(outcome="broken", error="StreamTruncated"), (attempt(1, **fields),))
    )
    assert isinstance(found, Past)
    assert [one.happening for one in found.tried] == [expected]
    assert not found.ok


def test_a_whole_answer_has_no_first_token_that_was_seen() -> None:
    found = from_log(Logged(call(stream=False, first_token=None), (attempt(1),)))
    assert isinstance(found, Past)
    assert found.tried[0].happening == Happening(0.0, rest=3.0, output=50, unseen=True)
    calls = [found]
    [one] = anew(calls, ["a"])
    assert one.seconds == pytest.approx(3.0)
    assert one.first_token is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"model": "sandbox/demo"}, "of no model of the Hub's"),
        ({"model": "openai/m"}, "without a known place"),
        ({"task": "text-to-image"}, "of no model of the Hub's"),
        ({"outcome": "left"}, "left by their callers"),
        ({"outcome": "cancelled"}, "left by their callers"),
        ({"outcome": "failed", "error": "BadRequestError"}, "their callers' own errors"),
        ({"outcome": "failed", "error": "PaymentRequiredError"}, "their callers' own errors"),
        ({"outcome": "failed", "error": "OutputValidationError"}, "their callers' own errors"),
        ({"provider": None}, "without a known place"),
    ],
)
def test_calls_that_mean_nothing_elsewhere_are_left_out_with_why(
    fields: dict[str, Any], why: str
) -> None:
    given = {"provider": None} | fields if fields.get("model") == "openai/m" else fields
    assert from_log(Logged(call(**given))) == why


def entry(**more: Any) -> Entry:
    given: dict[str, Any] = {
        "id": "r", "boot": "b", "key": "k", "owner": None, "team": None, "endpoint": "chat",
        "model": "fast", "stream": True, "started": START, "reserved": 0, "state": "settled",
        "ended": START + 4.0, "status": 200, "outcome": "ok", "provider": "groq",
        "target_model": f"{MODEL}:groq", "attempts": 1, "input_tokens": 9, "output_tokens": 50,
        "cost": 5 * 10**9, "first_byte": 1.0,
    }  # fmt: skip
    return Entry(**(given | more))


def test_a_ledgers_entry_is_a_call_with_its_last_attempt() -> None:
    found = from_ledger(entry())
    assert isinstance(found, Past)
    assert (found.model, found.provider, found.cost) == (MODEL, "groq", Decimal("0.005"))
    assert [one.happening for one in found.tried] == [Happening(1.0, rest=3.0, output=50)]
    cut = from_ledger(entry(outcome="truncated"))
    assert isinstance(cut, Past)
    assert (cut.ok, cut.tried[0].happening.cut) == (False, 3.0)
    failed = from_ledger(entry(outcome="failed", status=502, first_byte=None))
    assert isinstance(failed, Past)
    assert failed.tried[0].happening.status == 502


def test_a_ledgers_entry_with_a_route_has_all_its_tries() -> None:
    tries = [
        Try("a", "hf", MODEL, provider="groq", status=503, error="down", seconds=0.3),
        Try("b", "hf", MODEL, error="cancelled", role="hedge"),
        Try("c", "Own", MODEL, status=200, started=0.3, seconds=3.0, first_token=1.0,
            output_tokens=50),
    ]  # fmt: skip
    found = from_ledger(entry(tries=write_tries(tries), provider="own"))
    assert isinstance(found, Past)
    assert found.tried == (
        Tried("groq", Happening(0.3, 503)),
        Tried("own", Happening(1.0, rest=2.0, output=50)),
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"ended": None, "state": "open"}, "still under way"),
        ({"endpoint": "images"}, "of no model of the Hub's"),
        ({"outcome": "cancelled"}, "left by their callers"),
        ({"outcome": "refused", "status": 400}, "their callers' own errors"),
        ({"provider": None, "upstream": ""}, "without a known place"),
    ],
)
def test_entries_that_mean_nothing_elsewhere_are_left_out(fields: dict[str, Any], why: str) -> None:
    assert from_ledger(entry(**fields)) == why

"""What a call on a route does where places fail: by hand, so that waits and limits take no time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hand import START, answers, silent, streams
from road_hand import FAILS, LOADS, RoadHand, go, place, text, trip

from trunkline.errors import (
    APIError,
    AuthenticationError,
    ContextWindowExceededError,
    DeadlineExceeded,
    InternalServerError,
    InvalidInputError,
    ModelLoadingError,
    PaymentRequiredError,
    RateLimitError,
    RouteExhaustedError,
    ServiceUnavailableError,
    StreamTruncated,
)
from trunkline.providers.prices import Pricing
from trunkline.routing.chat_route import routed
from trunkline.routing.measures import Measures, place_of
from trunkline.routing.needs import Race, Raced, Reply, Send, Wait
from trunkline.routing.ranking import Option
from trunkline.routing.traffic import Traffic

GOOD = streams(text("Once"))
A, B, C = place("groq"), place("together"), place("novita")


def ends(hand: RoadHand, *places: Option, **made: Any) -> Any:
    with pytest.raises(APIError) as caught:
        go(hand, *places, **made)
    return caught.value


# waiting


@pytest.mark.parametrize(
    ("outcome", "kind", "waits"),
    [
        (LOADS, ModelLoadingError, 2),
        (
            answers(503, {"error": "Model org/m is currently loading", "estimated_time": 900}),
            ModelLoadingError,
            0,
        ),
        (answers(503, {"error": "down"}, retry_after="86400"), ServiceUnavailableError, 0),
        (answers(429, {"error": "busy"}, retry_after="3600"), RateLimitError, 0),
        (answers(503, {"error": "down"}, retry_after="7"), ServiceUnavailableError, 1),
    ],
    ids=["loading", "loading for long", "503 for a day", "429 for an hour", "503 for a moment"],
)
def test_the_only_place_is_not_waited_for_for_ever(outcome: Any, kind: type, waits: int):
    hand = RoadHand(*[outcome] * 9)
    error = ends(hand, A, seconds=60.0)
    assert type(error) is kind
    assert len([w for w in hand.waits if w > 1]) == waits
    assert hand.now - START < 70
    assert len(error.attempts) == len(hand.sends) == waits + 1


def test_without_retries_no_place_is_asked_twice():
    hand = RoadHand(FAILS, LOADS)
    error = ends(hand, A, B, retries=False)
    assert hand.asked == ["groq", "together"]
    assert isinstance(error, RouteExhaustedError)


def test_no_place_is_asked_after_the_deadline():
    hand = RoadHand(silent(), silent())
    error = ends(hand, A, B, deadline=15.0, policy={"first_token_seconds": 10})
    assert isinstance(error, DeadlineExceeded)
    assert hand.now == START + 15
    assert hand.asked == ["groq", "together"]
    late = RoadHand(answers(503, {"error": "down"}, takes=15.0))
    error = ends(late, A, B, deadline=15.0)
    assert isinstance(error, DeadlineExceeded)
    assert error.message.splitlines()[1:] == [
        "  groq      503 ServiceUnavailableError",
        "  together  it was not asked",
    ]
    assert isinstance(error.__cause__, ServiceUnavailableError)
    assert len(error.attempts) == 1
    assert error.route is not None
    assert late.asked == ["groq"]


# who is next


def test_a_place_whose_context_is_no_longer_is_not_asked_later_either():
    small, same, large = (
        place("groq", context=10),
        place("together", context=10),
        place("novita", context=99),
    )
    over = answers(400, {"error": {"message": "too long", "code": "context_length_exceeded"}})
    hand = RoadHand(over, FAILS, FAILS)
    error = ends(hand, small, same, large)
    assert hand.asked == ["groq", "novita", "novita"]
    assert isinstance(error, RouteExhaustedError)
    only = RoadHand(over)
    assert isinstance(ends(only, small, same), ContextWindowExceededError)


def test_nobodys_credits_are_spent_because_anothers_are_used_up():
    hand = RoadHand(FAILS, FAILS, answers(402, {"error": "pay"}))
    error = ends(hand, A, B, C)
    assert isinstance(error, PaymentRequiredError)
    assert [a.provider for a in error.attempts] == ["groq", "groq", "together"]
    assert error.route is not None


def test_what_is_wrong_with_the_call_at_one_place_ends_it_and_says_where():
    def barred(option: Option) -> None:
        if option.name == "together":
            raise AuthenticationError("There is no key for it.")

    hand = RoadHand(FAILS, FAILS)
    error = ends(hand, A, B, barred=barred)
    assert isinstance(error, AuthenticationError)
    assert [a.provider for a in error.attempts] == ["groq", "groq"]
    assert error.route is not None


def test_of_two_places_at_one_provider_the_error_says_of_each_how_it_ended():
    other = place("org/other:groq", "org/other")
    other = Option("org/other:groq", "groq", "org/other")
    hand = RoadHand(FAILS, FAILS, answers(500, {"error": "x"}), answers(500, {"error": "x"}))
    error = ends(hand, A, other)
    said = {line.split()[0]: line for line in str(error).splitlines()[1:3]}
    assert "503 ServiceUnavailableError, then 503" in said["groq"]
    assert "500 InternalServerError, then 500" in said["org/other:groq"]


def test_attempts_are_priced_at_the_place_they_went_to():
    dear = place("groq")
    cheap = Option("other", "groq", "org/other", Pricing(Decimal("0.1"), Decimal("0.1")))
    # which place it was is known by the order of attempts, not by the provider that both name
    opened = go(RoadHand(FAILS, FAILS, GOOD), dear, cheap)
    cost = opened.whole(START + 9).receipt.attempts[-1].cost
    assert cost.input_price == Decimal("0.1")


def test_the_budget_of_retries_is_said_to_be_used_up():
    traffic = Traffic(lambda: 0.5)
    while traffic.may_retry(START + 1):
        pass
    traffic.ended(B, START, 1e9, InternalServerError("down", status=500))
    error = ends(RoadHand(FAILS), A, B, traffic=traffic)
    assert "the budget of retries was used up" in error.route.notes


def test_without_a_retry_left_a_place_that_does_well_is_moved_to_at_once():
    traffic = Traffic(lambda: 0.5)
    while traffic.may_retry(START + 1):
        pass
    hand = RoadHand(FAILS, GOOD)
    opened = go(hand, A, B, traffic=traffic)
    assert hand.asked == ["groq", "together"]
    assert opened.travel.report.notes == ()


def test_silence_takes_half_of_what_is_left_of_a_deadline_at_most():
    hand = RoadHand(silent(), silent(), GOOD)
    go(hand, A, B, C, deadline=8.0, policy={"first_token_seconds": 10})
    assert hand.asked == ["groq", "together", "novita"]
    assert hand.now >= START + 6


def test_when_all_places_ask_to_be_left_alone_nothing_is_sent_and_the_error_says_for_how_long():
    traffic = Traffic(lambda: 0.5)
    for option in (A, B):
        busy = RateLimitError("busy", retry_after=30.0)
        traffic.ended(option, START, 1e9, busy)
    hand = RoadHand()
    error = ends(hand, A, B, traffic=traffic)
    assert isinstance(error, RouteExhaustedError)
    assert error.retry_after == 30.0
    assert not hand.sends


# races


def quick(*options: Option) -> Traffic:
    """Return traffic that has seen places answer at once, and may hedge."""
    measures = Measures()
    for option in options:
        for _ in range(20):
            measures.note(place_of(option.provider, option.model), START + 1e9, first_token=0.1)
    traffic = Traffic(lambda: 0.5, measures)
    for _ in range(200):
        traffic.called(START)
    return traffic


HEDGED = {"order": "fixed", "hedge": True}


def second_wins(need: Race, hand: Any) -> Raced:
    other = need.second(hand.now + need.after)
    assert other is not None
    reply = hand.done(other)
    return Raced(1, reply, need.first, Reply(START, hand.now))


def both_fail(need: Race, hand: Any) -> Raced:
    first = hand.done(need.first)
    other = need.second(hand.now)
    assert other is not None
    return Raced(0, first, other, hand.done(other))


def alone(need: Race, hand: Any) -> Raced:
    return Raced(0, hand.done(need.first))


def nobody_beside(need: Race, hand: Any) -> Raced:
    assert need.second(hand.now + need.after) is None
    return Raced(0, hand.done(need.first))


def test_a_place_that_lost_a_race_is_not_asked_again():
    races = [both_fail, alone]
    hand = RoadHand(FAILS, FAILS, FAILS, GOOD, race=lambda need, hand: races.pop(0)(need, hand))
    opened = go(hand, A, B, C, policy=HEDGED, traffic=quick(A))
    assert hand.asked == ["groq", "together", "groq", "novita"]
    roles = [(a.provider, a.role, a.error) for a in opened.attempts(START, None)]
    assert roles[0] == ("together", "hedge", "ServiceUnavailableError")


def test_a_place_beside_which_cannot_be_asked_leaves_the_first_alone():
    def barred(option: Option) -> None:
        if option.name == "together":
            raise InvalidInputError("It takes no such thing.")

    traffic = quick(A)
    opened = go(
        RoadHand(GOOD, race=nobody_beside), A, B, policy=HEDGED, traffic=traffic, barred=barred
    )
    assert [a.provider for a in opened.attempts(START, None)] == ["groq"]
    assert traffic.may_hedge(START), "nothing was spent"


def test_without_a_place_that_may_be_asked_nobody_is_beside():
    hand = RoadHand(GOOD, race=nobody_beside)
    go(hand, A, policy=HEDGED, traffic=quick(A))
    assert hand.asked == ["groq"]


def test_a_place_beside_is_its_own_probe():
    traffic = quick(A)
    for _ in range(5):
        traffic.ended(B, START - 9, 1e9, ServiceUnavailableError("down"))
    hand = RoadHand(GOOD, race=second_wins)
    go(hand, A, B, policy=HEDGED, traffic=traffic)
    assert hand.asked == ["together"]
    assert traffic.trouble(B, START) is None
    assert not traffic.begun(B, START), "it is not given up any more"


def test_a_race_that_nobody_waits_for_any_more_lets_both_places_go():
    traffic = quick(A)
    for _ in range(5):
        traffic.ended(B, START - 9, 1e9, ServiceUnavailableError("down"))
    flow = routed(trip(A, B, policy=HEDGED, traffic=traffic))
    need = next(flow)
    assert isinstance(need, Race)
    assert isinstance(need.second(START), Send)
    assert traffic.trouble(B, START) is not None, "it is being tried"
    flow.close()
    assert traffic.trouble(B, START) is None


# streams that break


def broken(opened: Any, cause: StreamTruncated, hand: RoadHand, *, delivered: bool = True) -> Any:
    """Go on after a stream broke, as a driver does."""
    opened.over(hand.now, cause)
    flow = opened.mend(cause, hand.now, delivered=delivered)
    assert flow is not None
    return hand.run(flow)


CONTINUES = {"on_cut": "continue", "takes_prefix": ["novita"]}


def test_a_beginning_goes_to_places_that_are_known_to_take_one_alone():
    hand = RoadHand(GOOD, FAILS, FAILS)
    opened = go(hand, A, policy={"on_cut": "continue", "takes_prefix": ["novita"]})
    with pytest.raises(StreamTruncated) as caught:
        broken(opened, StreamTruncated("cut"), hand)
    sent = [b'"role":"assistant"' in bytes(send.request.body) for send in hand.sends]
    assert not any(sent)
    assert caught.value.attempts


def test_a_place_that_was_passed_over_is_asked_for_the_whole():
    hand = RoadHand(GOOD, FAILS, FAILS, streams(text("Once"), text(" upon")))
    opened = go(hand, A, B, C, policy=CONTINUES)
    again = broken(opened, StreamTruncated("cut"), hand)
    assert hand.asked == ["groq", "novita", "novita", "together"]
    assert [a.role for a in again.attempts(hand.now, None)][1:] == [
        "continue",
        "continue",
        "restart",
    ]


def test_a_place_that_refuses_a_beginning_is_asked_for_the_whole_next():
    refuses = answers(400, {"error": "the last message must be the user's"})
    hand = RoadHand(GOOD, refuses, streams(text("Once"), text(" upon")))
    opened = go(hand, A, B, C, policy=CONTINUES)
    again = broken(opened, StreamTruncated("cut"), hand)
    assert hand.asked == ["groq", "novita", "novita"]
    assert any("did not go on" in note for note in again.report.notes)


def test_every_cut_part_keeps_its_tokens_and_its_price():
    hand = RoadHand(GOOD, streams(text("Once"), text(" upon")))
    opened = go(hand, A, B, policy={"on_cut": "restart"})
    again = broken(opened, StreamTruncated("cut"), hand)
    first, last = again.whole(hand.now).receipt.attempts
    assert (first.provider, last.provider) == ("groq", "together")
    assert first.cost.amount is not None
    assert isinstance(hand.needs[1], Wait)


def test_a_beginning_is_told_to_a_server_as_servers_take_it():
    hand = RoadHand(GOOD, streams(text(" upon")), *[FAILS] * 3)
    rules = {"on_cut": "continue", "takes_prefix": ["endpoint"]}
    mine = Option("endpoint", None, "org/m")
    opened = go(hand, A, mine, policy=rules)
    again = broken(opened, StreamTruncated("cut"), hand)
    sent = bytes(hand.sends[-1].request.body)
    assert b'"continue_final_message":true' in sent
    assert b'"add_generation_prompt":false' in sent
    assert again.whole(hand.now).choices[0].message.content == "Once upon"
    third = broken_flow(again, StreamTruncated("cut"), hand)
    assert isinstance(third, StreamTruncated)
    assert third.route is not None
    assert third.hint is not None


def broken_flow(opened: Any, cause: StreamTruncated, hand: RoadHand) -> Any:
    """Return the error that a stream ends with which nobody can go on with."""
    with pytest.raises(StreamTruncated) as caught:
        broken(opened, cause, hand)
    return caught.value

"""Whatever goes wrong and however slowly: a call ends by its deadline."""

from __future__ import annotations

import random
from typing import Any

from hand import OK, START, Hand, journey, target
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.errors import APIConnectionError, APIError, Timeout
from trunkline.routing.flow import chat_flow
from trunkline.routing.needs import Reply, Send
from trunkline.routing.retry import Retry
from trunkline.types import Secret
from trunkline.wire.message import ResponseHead

KEY = Secret("gsk_key", "the argument token=")
STATUSES = st.sampled_from([200, 400, 401, 408, 429, 500, 502, 503, 504, 529])
WAITS = st.none() | st.floats(0, 200).map(lambda s: f"{s:.3f}") | st.sampled_from(["1e9", "x"])
ENDINGS = st.one_of(
    st.tuples(st.just("status"), STATUSES, WAITS),
    st.tuples(st.just("cut"), st.booleans(), st.booleans()),
    st.tuples(st.just("slow connect"), st.none(), st.none()),
)


def outcome(ending: tuple[str, Any, Any], takes: float) -> Any:
    """Return what happens to one attempt; whatever takes longer than allowed is a time-out."""

    def happen(send: Send, now: float) -> Reply:
        kind, first, second = ending
        if now + takes > send.until:
            late = Timeout("Nothing came.")
            late.sent = kind != "slow connect"
            return Reply(now, max(now, send.until), error=late)
        if kind == "status":
            headers = {"retry-after": second} if second is not None else {}
            return Reply(now, now + takes, ResponseHead(first, headers), OK if first < 300 else b"")
        error = Timeout("No connection.") if kind == "slow connect" else APIConnectionError("Cut.")
        if kind == "cut":
            error.sent, error.received = first, second
        return Reply(now, now + takes, error=error)

    return happen


@given(
    endings=st.lists(st.tuples(ENDINGS, st.floats(0, 40)), min_size=12, max_size=12),
    deadline=st.floats(0.1, 100),
    retries=st.integers(0, 8),
    direct=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=often(400), deadline=None)
def test_a_call_never_outlives_its_deadline(
    endings: list[Any], deadline: float, retries: int, direct: bool, seed: int
) -> None:
    trip = journey(retries=retries, deadline=deadline)
    trip = type(trip)(trip.call, Retry(retries, random.Random(seed).random), START, trip.maps)
    fresh = Secret("hf_second", "the file token")
    hand = Hand(*(outcome(*ending) for ending in endings), fresh=fresh)
    at = target(secret=KEY, explicit=True) if direct else target()
    try:
        hand.run(chat_flow(trip, at))
    except APIError as error:
        assert len(error.attempts) == len(hand.sends) - direct
        assert len(error.attempts) <= retries + 2
    assert hand.now <= START + deadline + 1e-6
    assert all(send.until <= START + deadline for send in hand.sends)


@given(
    endings=st.lists(st.tuples(ENDINGS, st.floats(0, 40)), min_size=12, max_size=12),
    retries=st.integers(0, 8),
)
@settings(max_examples=often(200), deadline=None)
def test_nothing_is_sent_again_after_a_byte_of_an_answer(endings: list[Any], retries: int) -> None:
    hand = Hand(*(outcome(*ending) for ending in endings))
    try:
        hand.run(chat_flow(journey(retries=retries), target()))
    except APIError:
        pass
    made = [ending for ending, _ in endings[: len(hand.sends)]]
    for kind, first, second in made[:-1]:
        assert not (kind == "cut" and second)
        assert not (kind == "status" and first in (200, 400, 500))

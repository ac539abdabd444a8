"""A deck against a small model: which sequences of requests it answers, and with what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.testing import LeftOverError, NoMatchError
from trunkline.testing.deck import CassetteDeck
from trunkline.testing.interactions import Answer, Interaction, written_request
from trunkline.testing.scrub import Scrubber
from trunkline.wire.message import HttpRequest, parse_url

URL = parse_url("https://a.example/v1/chat")
Asked = tuple[str, int]
"""A model, and a field beside it."""


def request(asked: Asked) -> HttpRequest:
    model, field = asked
    return HttpRequest("POST", URL, (), json.dumps({"model": model, "n": field}).encode())


def deck(recorded: list[Asked], match: str, *, adds: bool = False) -> CassetteDeck:
    interactions = [
        Interaction(written_request(request(asked), Scrubber()), Answer(200, pieces=(b"%d" % n,)))
        for n, asked in enumerate(recorded)
    ]
    return CassetteDeck(interactions, match, path=Path("c"), scrub=Scrubber(), adds=adds)


def drawn(cards: CassetteDeck, asked: Asked) -> int | None:
    """Return the number of the answer; None where there is none."""
    try:
        found = cards.draw(request(asked))
    except NoMatchError:
        return None
    return None if found is None else int(found.answer.pieces[0])


MANY = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1)), max_size=6)


@given(recorded=MANY, asked=MANY)
@settings(max_examples=often(60))
def test_strict_answers_as_long_as_the_next_is_asked_for(recorded, asked) -> None:
    cards = deck(recorded, "strict")
    at = 0
    for one in asked:
        expected = at if at < len(recorded) and recorded[at] == one else None
        assert drawn(cards, one) == expected
        at += expected is not None
    if at == len(recorded):
        cards.check_all_played()
    else:
        with pytest.raises(LeftOverError) as caught:
            cards.check_all_played()
        assert len(caught.value.left) == len(recorded) - at


@given(recorded=MANY, asked=MANY)
@settings(max_examples=often(60))
def test_lenient_answers_all_whose_model_was_recorded_the_same_first(recorded, asked) -> None:
    cards = deck(recorded, "lenient")
    used: set[int] = set()
    for one in asked:
        found = drawn(cards, one)
        equal = [n for n, other in enumerate(recorded) if other == one]
        like = [n for n, other in enumerate(recorded) if other[0] == one[0]]
        if not like:
            assert found is None
            continue
        fits = equal or like
        fresh = [n for n in fits if n not in used]
        assert found in (fresh or fits)
        if fresh and equal:
            assert found == fresh[0]
        used.add(found)
    cards.check_all_played()


@given(recorded=MANY, asked=MANY)
@settings(max_examples=often(60))
def test_what_may_be_added_is_let_through_and_the_rest_answered_once(recorded, asked) -> None:
    cards = deck(recorded, "strict", adds=True)
    left = list(enumerate(recorded))
    for one in asked:
        expected = next((n for n, other in left if other == one), None)
        assert drawn(cards, one) == expected
        left = [(n, other) for n, other in left if n != expected]
    cards.check_all_played()

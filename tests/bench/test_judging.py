"""What a right answer is, and how alike two answers are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.bench.judging import normal, same, similarity, wrong_with
from trunkline.bench.prompts import Expect
from trunkline.bench.values import Answer, Call

OSLO = Expect("tool", "weather", {"city": "Oslo"})
PERSON = Expect("json", {"name": "Ada", "year": 1815})


def called(name: str, arguments: str, *more: Call) -> Answer:
    return Answer("", (Call(name, arguments), *more), "tool_calls")


@pytest.mark.parametrize(
    ("answer", "expect", "wrong"),
    [
        (Answer("It is 42."), Expect("contains", "42"), None),
        (Answer("It is 43."), Expect("contains", "42"), "'42' is not in it"),
        (Answer(" white.\n"), Expect("equals", "WHITE"), None),
        (Answer("**White**"), Expect("equals", "WHITE"), None),
        (Answer("White, I think"), Expect("equals", "WHITE"), "it is not 'WHITE'"),
        (Answer('{"year": 1815, "name": "Ada"}'), PERSON, None),
        (
            Answer('```json\n{"name": "Ada", "year": 1815}\n```'),
            PERSON,
            "it is JSON in a code fence",
        ),
        (Answer('Sure! {"name": "Ada", "year": 1815}'), PERSON, "it is not JSON"),
        (Answer('{"name": "Ada", "year": 1816}'), PERSON, "of its JSON year is not as expected"),
        (Answer('{"name": "Ada"}'), PERSON, "of its JSON year is not as expected"),
        (Answer("[1]"), PERSON, "it is other JSON"),
        (Answer(""), PERSON, "it is not JSON"),
        (called("weather", '{"city": "Oslo"}'), OSLO, None),
        (called("weather", '{"city": "Oslo, Norway", "unit": "C"}'), OSLO, None),
        (called("weather", '{"city": "oslo"}'), OSLO, None),
        (called("weather", '{"city": "Rome"}'), OSLO, "the argument 'city' is 'Rome', not 'Oslo'"),
        (called("weather", "{}"), OSLO, "the argument 'city' is None, not 'Oslo'"),
        (called("weather", '{"city": "Oslo"'), OSLO, "the arguments are no JSON object"),
        (called("time", "{}"), OSLO, "'time' is called, not 'weather'"),
        (called("weather", "{}", Call("weather", "{}")), OSLO, "2 tools are called, not one"),
        (Answer('weather{"city": "Oslo"}'), OSLO, "the call is written as text"),
        (Answer("It is cold."), OSLO, "no tool is called"),
        (called("weather", "{}"), Expect("tool", "weather"), None),
    ],
)
def test_an_answer_is_held_against_what_was_expected(
    answer: Answer, expect: Expect, wrong: str | None
) -> None:
    assert wrong_with(answer, expect) == wrong


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (Answer("Hello  World\n"), Answer("hello world"), True),
        (Answer("\ufb01ne"), Answer("fine"), True),
        (Answer("hello"), Answer("goodbye"), False),
        (Answer('{"a": 1, "b": 2}'), Answer('{ "b": 2, "a": 1 }'), True),
        (Answer('{"a": 1}'), Answer('{"a": 2}'), False),
        (Answer("1"), Answer("1.0"), False),
        (called("f", '{"a": 1, "b": 2}'), called("f", '{"b":2,"a":1}'), True),
        (called("f", "{}"), called("g", "{}"), False),
        (called("f", "{}"), Answer("f({})"), False),
    ],
)
def test_two_answers_are_the_same_if_no_reader_would_tell_them_apart(
    one: Answer, other: Answer, alike: bool
) -> None:
    assert same(one, other) is same(other, one) is alike


def test_similarity_counts_words_in_their_order() -> None:
    base = Answer("the quick brown fox jumps over the lazy dog")
    assert similarity(base, Answer("the quick brown fox leaps over the lazy dog")) > 0.85
    assert similarity(base, Answer("dog lazy the over jumps fox brown quick the")) < 0.5
    assert similarity(base, Answer("nothing alike here")) == 0.0
    assert similarity(base, Answer("")) == 0.0


def test_very_long_texts_are_compared_by_the_words_they_share() -> None:
    long = " ".join(f"w{n}" for n in range(5_000))
    assert similarity(Answer(long), Answer(long + " end")) > 0.99
    assert similarity(Answer(long), Answer("x " * 5_000)) == 0.0


@settings(max_examples=often(20))
@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_lies_between_0_and_1_and_is_1_for_the_same(one: str, other: str) -> None:
    first, second = Answer(one), Answer(other)
    assert 0.0 <= similarity(first, second) <= 1.0
    assert similarity(first, first) == 1.0
    assert normal(normal(one)) == normal(one)

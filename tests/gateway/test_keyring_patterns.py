"""One pattern within another: what holds for scopes that are handed on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.gateway.grants import covers

PATTERNS = st.text("ab/*", max_size=8)


def language(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression."""
    return re.compile(".*".join(re.escape(piece) for piece in pattern.split("*")), re.DOTALL)


@pytest.mark.parametrize(
    ("granted", "wanted", "is_covered"),
    [
        ("*", "*", True),
        ("*", "anything/at-all", True),
        ("org/*", "org/a", True),
        ("org/*", "org/a*", True),
        ("org/*", "org/", True),
        ("org/*", "org*", False),
        ("org/*", "ORG/a", False),
        ("org/a", "org/*", False),
        ("a*b*c", "axxbyyc", True),
        ("a*b*c", "a*c", False),
        ("ab*ba", "aba", False),
        ("", "", True),
        ("", "*", False),
    ],
)
def test_a_pattern_covers_another(granted: str, wanted: str, *, is_covered: bool) -> None:
    assert covers(granted, wanted) is is_covered


@given(PATTERNS, PATTERNS, st.lists(st.text("ab/", max_size=3), min_size=9, max_size=9))
def test_what_is_covered_can_never_match_more(granted: str, wanted: str, runs: list[str]) -> None:
    fill = iter(runs)
    name = "".join(next(fill) if character == "*" else character for character in wanted)
    if covers(granted, wanted):
        assert language(granted).fullmatch(name)


@given(PATTERNS, st.text("ab/", max_size=8))
def test_a_name_is_covered_as_the_pattern_matches_it(granted: str, name: str) -> None:
    assert covers(granted, name) is bool(language(granted).fullmatch(name))


@given(PATTERNS)
def test_a_pattern_covers_itself(pattern: str) -> None:
    assert covers(pattern, pattern)


def test_stars_by_the_hundred_cost_nothing() -> None:
    assert not covers("*a" * 100 + "b", "a" * 10_000)

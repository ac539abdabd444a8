"""The sandbox's own vectors: the same for the same text, and near for texts that share words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.sandbox.vectors import SIZE, nearness, vector


@given(st.text())
def test_every_text_has_a_vector_of_length_one(text: str) -> None:
    found = vector(text)
    assert len(found) == SIZE
    assert found == vector(text)
    assert math.hypot(*found) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("That is a happy person", "That is a very happy person", "Today is a sunny day"),
        ("the capital of France", "Paris is the capital of France", "bake a chocolate cake"),
        ("running shoes", "shoes for runners", "federal tax law"),
    ],
)
def test_texts_that_share_words_or_parts_of_them_are_nearer(text: str, near: str, far: str) -> None:
    one = vector(text)
    assert nearness(one, vector(near)) > nearness(one, vector(far)) + 0.1
    assert nearness(one, vector(text)) == pytest.approx(1)

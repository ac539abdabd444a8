"""What is seen of places: read back nearly as it was, decaying, kept and added up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.measures import HALF_LIFE, Histogram, Measures, place_of

HERE = place_of("Groq", "Org/Model:cheapest")


def test_a_place_is_one_whatever_its_letters_and_suffix():
    assert HERE == ("groq", "org/model")


@given(st.lists(st.floats(0.001, 100), min_size=4, max_size=60), st.sampled_from([0.1, 0.5, 0.95]))
def test_a_quantile_is_one_of_the_values_within_a_buckets_width(values: list[float], part: float):
    histogram = Histogram()
    for value in values:
        histogram.note(value, 0.0)
    found = histogram.quantile(part, 0.0)
    assert found is not None
    assert min(values) / 1.08 <= found <= max(values) * 1.08
    near = sorted(values)[min(len(values) - 1, max(0, round(part * len(values) + 1e-9) - 1))]
    above = sum(1 for value in values if value > found * 1.08)
    assert above <= (1 - part) * len(values) + 1e-6 or found >= near / 1.08


def test_too_few_values_say_nothing_and_old_ones_count_less():
    measures = Measures()
    for _ in range(2):
        measures.note(HERE, 0.0, first_token=0.5)
    assert measures.seen(HERE, 0.0).first_token is None
    measures.note(HERE, 0.0, first_token=0.5)
    assert measures.seen(HERE, 0.0).first_token == pytest.approx(0.5, rel=0.08)
    assert measures.seen(HERE, HALF_LIFE).first_token is None, "a half of three is too few"


def test_what_was_slow_once_is_outvoted_by_what_is_seen_later():
    measures = Measures()
    for _ in range(20):
        measures.note(HERE, 0.0, first_token=9.0)
    for _ in range(10):
        measures.note(HERE, 4 * HALF_LIFE, first_token=0.2)
    assert measures.seen(HERE, 4 * HALF_LIFE).first_token == pytest.approx(0.2, rel=0.08)


def test_errors_are_a_part_of_all_calls():
    measures = Measures()
    for number in range(10):
        measures.note(HERE, 0.0, failed=number < 3)
    assert measures.seen(HERE, 0.0).error_rate == pytest.approx(0.3)
    assert measures.seen(place_of("other", "org/model"), 0.0).error_rate is None


def test_what_is_kept_is_read_again_and_added_up():
    measures = Measures()
    for _ in range(5):
        measures.note(HERE, 100.0, first_token=0.4, throughput=80.0, output=200)
    again = Measures.from_json(measures.to_json())
    assert again.seen(HERE, 100.0) == measures.seen(HERE, 100.0)
    again.add(measures, 100.0)
    assert again.tracks[HERE].good == pytest.approx(10)
    assert again.seen(HERE, 100.0).throughput == pytest.approx(80.0, rel=0.08)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"version": 2}', b'{"version":1,"places":[3]}']
)
def test_what_is_none_of_it_is_as_if_nothing_were_known(data: bytes):
    assert Measures.from_json(data).tracks == {}

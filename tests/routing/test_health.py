"""What places ask for, what probes find out, and what other processes are told."""

from __future__ import annotations

import math

import pytest

from trunkline.routing import health
from trunkline.routing.health import Bad, Health, Place
from trunkline.routing.measures import Histogram, Measures

HERE = Place("groq", "org/m")


def failing() -> Health:
    """Return what is known of a place that has just been given up."""
    found = Health()
    for _ in range(5):
        found.ended(HERE, 0.0, "bad")
    return found


def test_a_probe_that_is_told_to_wait_has_found_the_place_alive():
    found = failing()
    assert found.standing(HERE, 6.0).state == "half-open"
    assert found.begun(HERE, 6.0)
    assert found.standing(HERE, 6.1).why is not None, "one call at a time tries it"
    assert not found.begun(HERE, 6.1)
    found.ended(HERE, 6.2, "busy", probe=True, retry_after=3.0)
    assert found.standing(HERE, 6.3).seconds == pytest.approx(2.9)
    assert found.standing(HERE, 9.3).state == "closed"


def test_what_is_good_in_the_end_though_it_began_before_it_was_given_up_is_no_probe():
    found = failing()
    found.ended(HERE, 1.0, "good")
    assert found.standing(HERE, 1.0).state == "open"
    assert found.standing(HERE, 6.0).state == "half-open"


def test_a_probe_that_nobody_waited_for_leaves_the_next_call_to_try():
    found = failing()
    assert found.begun(HERE, 6.0)
    found.ended(HERE, 7.0, "left", probe=True)
    assert found.begun(HERE, 7.0)
    assert failing().begun(HERE, 6.0 + health.PROBE_SECONDS)


def test_what_another_process_found_out_counts_but_where_this_one_saw_better():
    other = failing()
    other.ended(HERE, 0.0, "busy", retry_after=2.0)
    told = other.told(1.0)
    assert told == [Bad("groq", "org/m", "", 4.0, 1.0)]
    heard = Health()
    heard.hear(told, 100.0)
    assert heard.standing(HERE, 100.5).why is not None
    assert heard.standing(HERE, 102.0).state == "open"
    assert [place for place, _ in heard.standings(100.5)] == [HERE]
    well = Health()
    well.ended(HERE, 100.0, "good")
    well.hear([Bad("groq", "org/m", "", 4.0, 0.0)], 100.0)
    assert well.standing(HERE, 100.0).why is None
    assert well.told(200.0) == []


def test_of_too_many_places_the_one_that_was_seen_longest_ago_makes_room(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(health, "_MOST_PLACES", 2)
    found = Health()
    for at, name in enumerate("abc"):
        found.ended(Place(name, "m"), float(at), "bad")
    assert {place.provider for place, _ in found.standings(3.0)} == {"b", "c"}


def test_of_too_many_measured_places_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trunkline.routing.measures._MOST_PLACES", 2)
    measures = Measures()
    for at, name in enumerate("abc"):
        measures.note((name, "m"), float(at))
    assert {provider for provider, _ in measures.tracks} == {"b", "c"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_what_is_no_time_is_not_counted(value: float):
    histogram = Histogram()
    histogram.note(value, 0.0)
    assert not histogram.counts

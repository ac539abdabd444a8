"""A place that was given up is found well again by a call that would go there otherwise."""

from __future__ import annotations

from trunkline.errors import InternalServerError
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Option, Wanted
from trunkline.routing.traffic import Facts, Traffic

QUICK = Option("groq", "groq", "org/m", first_token=0.1)
SLOW = Option("novita", "novita", "org/m", first_token=0.9)
FASTEST = Policy(order="fastest")


def first(traffic: Traffic, now: float) -> str:
    return traffic.rank((QUICK, SLOW), FASTEST, Wanted(), now, 1e9).order[0].name


def test_a_recovered_place_is_the_fastest_again_however_long_it_had_failed():
    traffic = Traffic(lambda: 0.99)
    now = 0.0
    for _ in range(400):  # an hour of failures, whenever it is tried
        if first(traffic, now) == "groq":
            probe = traffic.begun(QUICK, now)
            traffic.ended(QUICK, now, 1e9, InternalServerError("no", status=500), probe=probe)
        now += 10.0
    assert first(traffic, now + 1) in {"groq", "novita"}
    now += 15.0
    assert first(traffic, now) == "groq", "it is tried within fifteen seconds"
    probe = traffic.begun(QUICK, now)
    assert probe
    assert first(traffic, now) == "novita", "one call at a time tries it"
    traffic.ended(QUICK, now, 1e9, None, probe=probe, facts=Facts(first_token=0.1))
    assert first(traffic, now) == "groq", "what failed before is forgiven"

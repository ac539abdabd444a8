"""Policies: what a caller may write, and what is refused before a call is made."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trunkline.errors import InvalidInputError
from trunkline.routing.policy import Policy, in_small_letters, read_policy


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("fastest", Policy(order="fastest")),
        ("sticky", Policy(order="sticky")),
        (["groq", "together"], Policy(places=("groq", "together"))),
        (
            {"order": "cheapest", "max_price": 2, "deny": ["groq"]},
            Policy(order="cheapest", max_price=Decimal(2), deny=frozenset({"groq"})),
        ),
        ({"order": "cheapest", "max_price": None}, Policy(order="cheapest")),
        (Policy(places=["groq"]), Policy(places=("groq",))),  # type: ignore[arg-type]
        (
            {"needs": ["tools"], "move_on": ["content"]},
            Policy(needs={"tools"}, move_on={"content"}),
        ),  # type: ignore[arg-type]
    ],
)
def test_a_word_a_list_a_mapping_and_a_policy_mean_policies(given: Any, meant: Policy):
    assert read_policy(given) == meant


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("fastets", "Did you mean 'fastest'"),
        ("fixed", "one of these is expected"),
        (3, "a policy's name"),
        ([], "empty list"),
        ({"places": []}, "empty list"),
        ({"fallbacks": []}, "empty list"),
        ({"deny": "groq"}, "a list is expected"),
        ({"places": ["groq", 3]}, "names only"),
        ({"places": ["groq", "groq"]}, "'groq' twice"),
        ({"palces": ["groq"]}, "Did you mean 'places'"),
        ({"order": "cheap"}, "Did you mean 'cheapest'"),
        ({"by": "speed"}, "first_token"),
        ({"on_cut": "ignore"}, "restart"),
        ({"needs": ["tolls"]}, "tools"),
        ({"order": ["fastest"]}, "one of these is expected"),
        ({"hedge": "yes"}, "True or False"),
        ({"order": "weighted", "weights": ["groq"]}, "a number by place"),
        ({"order": "weighted", "weights": {3: 1}}, "a number by place"),
        ({"first_token_seconds": "10"}, "a number is expected"),
        ({"move_on": ["402"]}, "content"),
        ({"max_price": "much"}, "dollars for a million"),
        ({"max_price": -1}, "dollars for a million"),
        ({"min_context": 0}, "1 or more"),
        ({"min_context": 1.5}, "1 or more"),
        ({"first_token_seconds": 0}, "above 0"),
        ({"first_token_seconds": float("nan")}, "finite"),
        ({"weights": {"groq": 1}}, 'order="weighted"'),
        ({"order": "weighted", "weights": {"groq": -1}}, "0 or more"),
        ({"order": "weighted", "weights": {"groq": float("inf")}}, "0 or more"),
        ({"order": "weighted", "weights": {"groq": True}}, "0 or more"),
        ({"order": "weighted", "weights": {"groq": 0}, "places": ["groq"]}, "no place could"),
        ({"order": "weighted", "weights": {"novita": 1}, "places": ["groq"]}, "none of its places"),
        ({"allow": ["groq"], "deny": ["groq"]}, "both allows and denies"),
        ({"hold_tokens": 5}, 'on_cut="hold"'),
        ({"places": [f"p{n}" for n in range(51)]}, "50 are the most"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_reason(given: Any, said: str):
    with pytest.raises(InvalidInputError) as caught:
        read_policy(given)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_a_policy_is_titled_by_what_it_goes_by():
    assert Policy(order="fastest", by="throughput").title == "fastest by throughput"
    assert Policy(order="cheapest").title == "cheapest"


def test_providers_are_written_as_hugging_face_writes_them():
    given = {
        "order": "weighted",
        "places": ["Groq", "Org/Model"],
        "weights": {"Groq": 2, "Org/Model": 1},
    }
    small = in_small_letters(read_policy({**given, "deny": ["NScale"], "regions": ["EU"]}))
    assert small.places == ("groq", "Org/Model")
    assert small.weights == {"groq": 2, "Org/Model": 1}
    assert (small.deny, small.regions) == ({"nscale"}, {"eu"})
    assert in_small_letters(small) is small

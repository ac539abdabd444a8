"""What a call needs of its targets and stays with, and what stands between a stream that breaks and its client."""

from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plans import Places
from test_route_places import UPSTREAMS

from loopback import DONE, event
from trunkline.errors import StreamTruncated
from trunkline.gateway.asked import read_asked
from trunkline.gateway.config import Route, Target
from trunkline.gateway.cuts import Cuts
from trunkline.gateway.plans import Plan
from trunkline.gateway.refusals import Fault
from trunkline.gateway.roads import Roads
from trunkline.routing.policy import Policy

BODY = {"model": "r", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


def exchange(body: dict[str, Any], key: str = "key_1", **headers: bytes) -> Any:
    edge = SimpleNamespace(wall=2000.0, now=1000.0)
    return SimpleNamespace(
        size=len(json.dumps(body)),
        head=SimpleNamespace(headers={n.replace("_", "-").encode(): v for n, v in headers.items()}),
        connection=SimpleNamespace(edge=edge),
        caller=SimpleNamespace(key=SimpleNamespace(id=key)),
    )


def ordered(
    rules: dict[str, Any], body: dict[str, Any] = BODY, roads: Roads | None = None, **asked: Any
) -> Plan | Fault:
    route = Route((Target("huggingface", "org/two"),), **rules)
    plan = Places(upstreams=UPSTREAMS, routes={"r": route}).find("r")
    assert plan.policy is not None
    read = read_asked(json.dumps(body).encode(), "chat")
    return (roads or Roads(chance=lambda: 0.5)).ordered(
        plan, plan.policy, read, exchange(body, **asked)
    )


def names(found: Plan | Fault) -> list[str]:
    assert isinstance(found, Plan), found
    return [target.option.name for target in found.targets if target.option]


def test_the_cheapest_for_this_call_comes_first_and_who_is_not_live_is_left_out() -> None:
    long = {**BODY, "messages": [{"role": "user", "content": "Hi " * 300}], "max_tokens": 1}
    assert names(ordered({"order": "cheapest"}, {**BODY, "max_tokens": 200})) == ["groq", "novita"]
    assert names(ordered({"order": "cheapest"}, long)) == ["novita", "groq"]


def test_where_nobody_is_left_each_is_told_of() -> None:
    fault = ordered({"max_price": 0.01})
    assert isinstance(fault, Fault)
    assert (fault.status, fault.code) == (503, "no_target_left")
    assert "groq    its price of input is $1 for a million tokens, above $0.01" in fault.message
    assert "nscale  the router says that it is not live" in fault.message
    assert fault.more == {"attempts": []}


def test_what_does_not_fit_into_a_context_is_not_sent_there() -> None:
    found = ordered({"order": "cheapest"}, {**BODY, "max_tokens": 800})
    assert names(found) == ["groq"]


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({}, {"x_trunkline_session": b"s1"}),
        ({"prompt_cache_key": "s1"}, {}),
        ({"user": "s1"}, {"key": "other"}),
        ({}, {"key": "s1"}),
    ],
)
def test_a_session_stays_where_it_was(body: dict[str, Any], asked: dict[str, Any]) -> None:
    orders = {tuple(names(ordered({"order": "sticky"}, {**BODY, **body}, **asked)))}
    orders |= {tuple(names(ordered({"order": "sticky"}, {**BODY, "user": "s1"})))}
    assert len(orders) == 1


def test_sessions_are_spread() -> None:
    first = {names(ordered({"order": "sticky"}, {**BODY, "user": str(n)}))[0] for n in range(30)}
    assert first == {"groq", "novita"}


# streams that break


def pieces(text: str, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [event(text[a:b]) for a, b in pairwise(at)]


def said(data: bytes) -> str:
    lines = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: {")]
    chunks = [json.loads(line) for line in lines]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=40)
SPLITS = st.lists(st.integers(0, 40), max_size=6)


@given(TEXT, TEXT, SPLITS, SPLITS)
def test_a_restart_delivers_each_letter_once(
    begin: str, rest: str, first: list[int], second: list[int]
) -> None:
    cuts = Cuts(Policy(on_cut="restart"))
    cuts.begin(first=True)
    out = b"".join(cuts.out(piece, 1) for piece in pieces(begin, first))
    error = StreamTruncated("cut")
    assert cuts.broke(error).content == begin
    cuts.restart(error)
    out += b"".join(cuts.out(piece, 1) for piece in pieces(begin + rest, second))
    out += cuts.last(event(finish="stop"))
    assert cuts.failure is None
    assert said(out) == begin + rest


@given(TEXT, TEXT, SPLITS)
def test_a_second_answer_that_differs_is_never_delivered(
    begin: str, other: str, splits: list[int]
) -> None:
    cuts = Cuts(Policy(on_cut="restart"))
    cuts.out(event(begin), 1)
    error = StreamTruncated("cut")
    cuts.broke(error)
    cuts.restart(error)
    out = b""
    for piece in pieces(other, splits):
        out += cuts.out(piece, 1)
        if cuts.failure is not None:
            break
    if cuts.failure is None:
        out += cuts.last(event(finish="stop"))
    if other.startswith(begin):
        assert said(out) == other[len(begin) :]
    else:
        assert cuts.failure is not None
        assert said(out) == ""


def test_what_was_delivered_is_the_beginning_of_what_is_asked_for() -> None:
    cuts = Cuts(Policy(on_cut="continue"))
    body = msgspec.json.encode(BODY)
    assert cuts.body(body, served=True) is body
    cuts.out(event("Once "), 1)
    cuts.broke(StreamTruncated("cut"))
    cuts.go_on()
    asked = msgspec.json.decode(cuts.body(body, served=False))
    assert asked["messages"][1:] == [{"role": "assistant", "content": "Once "}]
    assert "continue_final_message" not in asked
    assert cuts.out(event("upon") + DONE, 2) == event("upon") + DONE

"""Calls with a route in the log: candidates, every attempt and why the call moved on, and the story."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from routed_side import ASK, MODEL, Serve, sandboxed, whole
from test_routes_hedged import ROUTE, fill, has_been_quick
from trunkline import errors
from trunkline.cli.past_calls import from_log
from trunkline.cli.story import story
from trunkline.store.call_log import CallLog
from trunkline.store.logged import LogFilter, Logged

__all__ = ["sandboxed"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.db"


def last(file: Path) -> Logged:
    with closing(CallLog(file)) as log:
        (call,) = log.calls(LogFilter(), 10)
        found = log.find(call.id)
    assert found is not None
    return found


def told(one: Logged) -> str:
    return "\n".join(story(from_log(one)))


def test_a_call_that_moved_on_is_told_with_every_attempt_and_why(
    sandboxed: Serve, file: Path
) -> None:
    with sandboxed({"together": "500"}, log=file) as (client, _):
        answer = whole(client, ["together", "groq"])
    one = last(file)
    assert one.call.id == answer.receipt.call_id
    assert (one.call.outcome, one.call.provider, one.call.stream) == ("ok", "groq", False)
    assert [(a.number, a.provider, a.role, a.status) for a in one.attempts] == [
        (1, "together", "first", 500),
        (2, "together", "retry", 500),
        (3, "groq", "failover", 200),
    ]
    assert all(a.moved for a in one.attempts[:2])
    route = json.loads(one.call.route or "")
    assert [c["name"] for c in route["candidates"]] == ["together", "groq"]
    said = told(one)
    for part in (
        "Of 2 candidates 2 could be asked:",
        "Attempt 1 went to together",
        "Attempt 2 (the same place again) went to together",
        "Attempt 3 (the next place on the route) went to groq",
        "The call moved on: ",
        "groq answered",
    ):
        assert part in said


def test_a_route_without_a_place_left_is_told_with_each_reason(
    sandboxed: Serve, file: Path
) -> None:
    with sandboxed({}, log=file) as (client, _), pytest.raises(errors.APIError) as caught:
        whole(client, {"order": "cheapest", "min_context": 10**9})
    one = last(file)
    assert one.call.id == caught.value.call_id
    assert (one.call.outcome, one.call.error) == ("failed", type(caught.value).__name__)
    assert one.attempts == ()
    said = told(one)
    assert "0 could be asked:" in said
    assert said.count("not asked: ") >= 2
    assert said.count("groq") == 1, said


@pytest.mark.parametrize(
    ("on_cut", "outcome", "roles"),
    [("error", "broken", ["first"]), ("restart", "ok", ["first", "restart"])],
)
def test_a_stream_that_breaks_is_told_as_it_ended(
    sandboxed: Serve, file: Path, on_cut: str, outcome: str, roles: list[str]
) -> None:
    route: dict[str, Any] = {"places": ["together", "groq"], "on_cut": on_cut}
    with sandboxed({"together": "cut"}, log=file) as (client, _):
        stream = client.stream(MODEL, ASK, route=route, temperature=0)
        try:
            stream.collect()
        except errors.StreamTruncated:
            pass
    one = last(file)
    assert (one.call.outcome, one.call.stream) == (outcome, True)
    assert [a.role for a in one.attempts] == roles
    assert one.call.route is not None


def test_a_whole_answer_that_breaks_off_everywhere_failed(sandboxed: Serve, file: Path) -> None:
    with (
        sandboxed({"together": "cut", "groq": "cut"}, log=file) as (client, _),
        pytest.raises(errors.APIError),
    ):
        whole(client, ["together", "groq"])
    one = last(file)
    assert one.call.outcome == "failed"
    assert {a.provider for a in one.attempts} == {"together", "groq"}
    assert "not asked" not in told(one)


def test_what_is_no_chat_is_told_with_its_route_too(sandboxed: Serve, file: Path) -> None:
    with sandboxed({"together": "500"}, log=file) as (client, _):
        made = client.image_generation(
            "black-forest-labs/FLUX.1-dev", "a fox", route=["together", "fal-ai"]
        )
    one = last(file)
    assert one.call.id == made.receipt.call_id
    assert (one.call.task, one.call.outcome) == ("text-to-image", "ok")
    assert one.call.provider == "fal-ai"
    assert [a.provider for a in one.attempts][-1] == "fal-ai"
    assert "Of 2 candidates" in told(one)


def test_a_place_that_was_hung_up_on_for_a_sooner_one_is_told(sandboxed: Serve, file: Path) -> None:
    with sandboxed({"together": "stall-head"}, log=file) as (client, _):
        has_been_quick("together")
        fill(client)
        whole(client, ROUTE)
    one = last(file)
    assert [(a.provider, a.role, a.error) for a in one.attempts] == [
        ("together", "first", "cancelled"),
        ("groq", "hedge", None),
    ]
    assert one.attempts[1].cost is not None
    said = told(one)
    assert "nobody waited for it any more" in said
    assert "A second place was asked beside it: the place beside it was sooner." in said
    assert "Attempt 2 (a second place beside the one that was slow) went to groq" in said

"""Hedging: a second place beside a slow first, before anything has come; the loser hangs up."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from routed_side import ASK, MODEL, Serve, chats, sandboxed, whole
from trunkline import AsyncClient
from trunkline.measured import add_measures, measures_file
from trunkline.routing.measures import Measures, place_of
from trunkline.settings import read_settings
from trunkline.types import Receipt

__all__ = ["sandboxed"]

ROUTE = {"places": ["together", "groq"], "hedge": True}


def has_been_quick(*providers: str) -> None:
    """Let the file of measures say that providers nearly always answered at once."""
    path = measures_file(read_settings())
    assert path is not None
    seen = Measures()
    for provider in providers:
        for _ in range(20):
            seen.note(place_of(provider, MODEL), time.time(), first_token=0.05)
    add_measures(path, seen)


def told(receipt: Receipt | None) -> list[tuple[str | None, str, str | None]]:
    assert receipt is not None
    return [(a.provider, a.role, a.error) for a in receipt.attempts]


def fill(client: Any) -> None:
    """Make so many calls that one in fifty may be hedged."""
    traffic = client._calls.roads.traffic
    for _ in range(60):
        traffic.called(time.monotonic())


def test_a_slow_place_is_left_for_one_that_is_sooner(sandboxed: Serve):
    with sandboxed({"together": "stall-head"}) as (client, server):
        has_been_quick("together")
        fill(client)
        answer = whole(client, ROUTE)
        assert told(answer.receipt) == [("together", "first", "cancelled"), ("groq", "hedge", None)]
        assert answer.receipt is not None
        assert answer.receipt.attempts[0].tokens is not None
        assert answer.receipt.attempts[0].moved == "the place beside it was sooner"
        assert [a.number for a in answer.receipt.attempts] == [1, 2]
        lost, won = (a.cost for a in answer.receipt.attempts)
        assert lost is not None
        assert won is not None
        assert (lost.amount, won.amount is None) == (None, False)
        assert "not known" in lost.detail
        assert chats(server) == {"together": 1, "groq": 1}


def test_the_first_place_may_still_be_the_sooner_one(sandboxed: Serve):
    slow = {"together": "slow;seconds=0.4", "groq": "stall-head"}
    with sandboxed(slow) as (client, _):
        has_been_quick("together")
        fill(client)
        answer = whole(client, ROUTE)
    assert told(answer.receipt) == [("groq", "hedge", "cancelled"), ("together", "first", None)]


@pytest.mark.parametrize(
    ("route", "measured", "calls"),
    [
        ({"places": ["together", "groq"]}, True, 60),
        (ROUTE, False, 60),
        (ROUTE, True, 0),
    ],
    ids=["not asked for", "nothing measured", "no budget"],
)
def test_no_second_place_is_asked_without_leave_measures_and_budget(
    sandboxed: Serve, route: Any, measured: bool, calls: int
):
    with sandboxed({"together": "slow;seconds=0.4"}) as (client, server):
        if measured:
            has_been_quick("together")
        if calls:
            fill(client)
        answer = whole(client, route)
        assert told(answer.receipt) == [("together", "first", None)]
        assert chats(server) == {"together": 1}


def test_a_second_place_that_fails_leaves_the_first_to_answer(sandboxed: Serve):
    with sandboxed({"together": "slow;seconds=0.4", "groq": "503"}) as (client, _):
        has_been_quick("together")
        fill(client)
        answer = whole(client, ROUTE)
    assert told(answer.receipt) == [
        ("groq", "hedge", "ServiceUnavailableError"),
        ("together", "first", None),
    ]


def test_awaited_calls_are_hedged_too(sandboxed: Serve):
    async def work() -> None:
        async with AsyncClient() as client:
            has_been_quick("together")
            fill(client)
            answer = await client.chat(MODEL, ASK, route=ROUTE, temperature=0)
            assert told(answer.receipt)[-1] == ("groq", "hedge", None)
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

    with sandboxed({"together": "stall-head"}):
        asyncio.run(work())


def test_streams_are_hedged_before_their_first_event(sandboxed: Serve):
    with sandboxed({"together": "stall-first"}) as (client, _):
        has_been_quick("together")
        fill(client)
        with client.stream(MODEL, ASK, route=ROUTE, temperature=0) as stream:
            text = "".join(stream.text)
        assert text
        assert told(stream.receipt)[-1] == ("groq", "hedge", None)

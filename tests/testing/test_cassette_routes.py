"""Calls with routes, recorded and replayed: the same places in the same order, for the same reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from routed_side import ASK, MODEL, Serve, chats, sandboxed, steps
from trunkline import Client
from trunkline.errors import APIError
from trunkline.routing.needs import Race, Raced, Reply, Send, Wait
from trunkline.testing import record, replay
from trunkline.testing.replaying import without_races
from trunkline.types import Timeouts

__all__ = ["sandboxed"]

PLACES = ["together", "groq", "novita"]
ROUTES: list[Any] = [
    PLACES,
    "cheapest",
    {"order": "weighted", "places": PLACES},
    {"places": PLACES, "on_cut": "restart"},
    {"places": PLACES, "on_cut": "hold", "hold_tokens": 5},
]


def outcome(client: Client, route: Any, *, stream: bool) -> tuple[Any, ...]:
    try:
        if stream:
            opened = client.stream(MODEL, ASK, route=route, temperature=0)
            text = "".join(opened.text)
            receipt = opened.completion.receipt
        else:
            answer = client.chat(MODEL, ASK, route=route, temperature=0)
            text, receipt = answer.text, answer.receipt
    except APIError as error:
        return type(error).__name__, error.message, [(a.provider, a.error) for a in error.attempts]
    assert receipt is not None
    return text, steps(receipt), [c.name for c in receipt.route.candidates]


@pytest.mark.parametrize(
    "at", [{}, {"together": "503"}, {"together": "cut"}, {"together": "402"}], ids=str
)
def test_a_route_is_taken_again(sandboxed: Serve, tmp_path: Path, at: dict[str, str]) -> None:
    path = tmp_path / "c.json"
    with sandboxed(at) as (client, server):
        with record(path):
            first = [outcome(client, r, stream=s) for r in ROUTES for s in (False, True)]
        count = len(server.requests)
        with replay(path):
            again = [outcome(client, r, stream=s) for r in ROUTES for s in (False, True)]
        assert len(server.requests) == count
        assert chats(server).total() >= len(first)
    assert again == first


def test_what_is_replayed_is_no_measure_of_a_provider(sandboxed: Serve, tmp_path: Path) -> None:
    with sandboxed() as (client, _):
        with record(tmp_path / "c.json"):
            client.chat(MODEL, ASK, route=PLACES)
        with replay(tmp_path / "c.json"):
            client.chat(MODEL, ASK, route=PLACES)
    assert not list(tmp_path.rglob("measures*"))
    with sandboxed() as (client, _):
        client.chat(MODEL, ASK, route=PLACES)
    assert list(tmp_path.rglob("measures*"))


def test_tasks_and_other_streams_with_routes_are_told_again(
    sandboxed: Serve, tmp_path: Path
) -> None:
    def program(client: Client) -> list[Any]:
        made = client.image_generation(
            "black-forest-labs/FLUX.1-schnell", "a cat", route=["together", "nscale"]
        )
        told = client.responses(MODEL, "Hello?", route=PLACES, stream=True)
        events = [str(event) for event in told]
        assert made.receipt is not None
        assert told.receipt is not None
        return [steps(made.receipt), made.data[0].content, events, steps(told.receipt)]

    with sandboxed({"together": "503"}) as (client, server):
        with record(tmp_path / "c.json"):
            first = program(client)
        count = len(server.requests)
        with replay(tmp_path / "c.json"):
            assert program(client) == first
        assert len(server.requests) == count
    assert first[0][-1][0] == "nscale"


def test_nobody_is_asked_beside_the_first_where_a_test_records_or_replays() -> None:
    send: Any = Send(None, None, Timeouts(), 1.0)  # type: ignore[arg-type]  # nobody looks
    answer = Reply(0.0, 1.0)

    def flow() -> Any:
        assert (yield Wait(1.0)) == 5.0
        raced = yield Race(send, lambda _: pytest.fail("it was asked"), 0.1)
        assert raced == Raced(0, answer)
        return "done"

    driven = without_races(flow())
    assert next(driven) == Wait(1.0)
    assert driven.send(5.0) is send
    with pytest.raises(StopIteration) as end:
        driven.send(answer)
    assert end.value.value == "done"
    left = without_races(inner := flow())
    next(left)
    left.close()
    assert inner.gi_frame is None

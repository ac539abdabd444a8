"""A second target beside one that is slower than it nearly ever is: who answers first goes on."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from routes_side import Scene, Script, answering, routed, said, text_of, until

from loopback import DONE, LAST, STREAM_HEAD, Visit, chunk, whole

pytestmark = pytest.mark.slow
USUAL = 60
"""Calls after which one in fifty may be asked beside."""


def usual_and_then(rare: Script) -> Script:
    """Answer the usual calls, and the next one as `rare` does."""
    left = [USUAL]

    def script(visit: Visit) -> None:
        while left[0]:
            visit.request()
            left[0] -= 1
            visit.send(STREAM_HEAD, said("usual"), chunk(DONE), LAST)
        rare(visit)

    return script


def measured(scene: Scene) -> None:
    for _ in range(USUAL):
        assert text_of(scene.ask(stream=True)) == "usual"


def test_the_second_answers_where_the_first_is_slow_which_is_hung_up_on(tmp_path: Path) -> None:
    def slow(visit: Visit) -> None:
        visit.request()
        visit.until_gone()
        visit.note("left")

    with routed(tmp_path, "hedge = true", usual_and_then(slow), answering("beside")) as scene:
        measured(scene)
        answer = scene.ask(stream=True)
        assert text_of(answer) == "beside"
        assert answer.headers["x-inference-provider"] == "b"
        scene.servers[0].wait("left")
        row = scene.row(answer)
        assert [(t["target"], t["role"], t["error"]) for t in row["tries"]] == [
            ("a", "first", "Slower"),
            ("b", "hedge", None),
        ]
        assert row["tries"][0]["cost"] is None
        assert Decimal(row["tries"][1]["cost"]) == Decimal(row["cost"]) > 0
        assert (row["attempts"], row["upstream"], row["outcome"]) == (2, "b", "ok")
        assert text_of(scene.ask(stream=True, model="b/x")) == "beside"


def test_the_second_is_waited_for_where_the_first_fails(tmp_path: Path) -> None:
    def failing(visit: Visit) -> None:
        visit.request()
        visit.hold("fail")
        visit.send(whole(b'{"error": {"message": "no"}}', 500))

    def second(visit: Visit) -> None:
        visit.request()
        visit.note("asked")
        visit.hold("go on")
        visit.send(STREAM_HEAD, said("beside"), chunk(DONE), LAST)

    with routed(tmp_path, "hedge = true", usual_and_then(failing), second) as scene:
        measured(scene)
        with scene.streaming() as wire:
            scene.servers[1].wait("asked")
            scene.servers[0].say("fail")
            until(scene.metrics, lambda told: 'outcome="InternalServerError"' in told)
            scene.servers[1].say("go on")
            wire.until(b"[DONE]")
        [row] = [r for r in scene.gateway.ledger(USUAL + 1) if len(r["tries"]) > 1]
        assert (row["upstream"], row["outcome"], row["attempts"]) == ("b", "ok", 2)
        assert [t["error"] for t in row["tries"]] == ["InternalServerError", None]


def test_no_more_than_one_call_in_fifty_asks_two(tmp_path: Path) -> None:
    def slow(visit: Visit) -> None:
        visit.request()
        visit.until_gone()

    rules = "hedge = true\nfirst_token_seconds = 0.7"
    with routed(tmp_path, rules, usual_and_then(slow), answering("beside")) as scene:
        measured(scene)
        for _ in range(3):
            assert text_of(scene.ask(stream=True)) == "beside"
        rows = scene.gateway.ledger(USUAL + 3)
        roles = [t["role"] for r in rows for t in r["tries"]]
        assert roles.count("hedge") <= 1
        assert roles.count("hedge") + roles.count("failover") == 3

"""A second target beside one that is slower than it nearly ever is: who answers first goes on."""

from __future__ import annotations

import re
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from routes_side import Scene, Script, answering, routed, said, text_of, until

from loopback import DONE, LAST, STREAM_HEAD, Visit, chunk, whole

pytestmark = pytest.mark.slow
USUAL = 60
"""Calls after which one in fifty may be asked beside."""
SPENT = re.compile(r'route_moves_total{action="hedge",reason="slow"} (\d+)')


class Turn:
    """A server that answers the usual calls, and from its turn on as `rare` does."""

    def __init__(self, rare: Script) -> None:
        self._rare = rare
        self.turned = threading.Event()

    def __call__(self, visit: Visit) -> None:
        while True:
            visit.request()
            if self.turned.is_set():
                self._rare(visit)
                return
            visit.send(STREAM_HEAD, said("usual"), chunk(DONE), LAST)

    def measured(self, scene: Scene) -> int:
        """Have usual calls answered until one may be asked beside; returns how many there were.

        On a busy machine a usual call may have been slow enough to be asked beside itself.
        """
        count = spent = 0
        while count < USUAL or count // 50 <= spent:
            assert text_of(scene.ask(stream=True)) in {"usual", "beside"}
            count += 1
            found = SPENT.search(scene.metrics()) if count >= USUAL else None
            spent = int(found[1]) if found else 0
        self.turned.set()
        return count


def newest(scene: Scene, usual: int, count: int) -> list[dict[str, Any]]:
    """Return the rows of the calls behind the usual ones."""
    rows = sorted(scene.gateway.ledger(usual + count), key=lambda row: row["started"])
    return rows[usual:]


def test_the_second_answers_where_the_first_is_slow_which_is_hung_up_on(tmp_path: Path) -> None:
    def slow(visit: Visit) -> None:
        visit.until_gone()
        visit.note("left")

    turn = Turn(slow)
    with routed(tmp_path, "hedge = true", turn, answering("beside")) as scene:
        turn.measured(scene)
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


def test_the_first_goes_on_where_it_is_sooner_after_all(tmp_path: Path) -> None:
    def late(visit: Visit) -> None:
        visit.hold("go on")
        visit.send(STREAM_HEAD, said("late"), chunk(DONE), LAST)

    def slower(visit: Visit) -> None:
        visit.request()
        if turn.turned.is_set():
            visit.note("asked")
        visit.until_gone()
        visit.note("left")

    turn = Turn(late)
    with routed(tmp_path, "hedge = true", turn, slower) as scene:
        count = turn.measured(scene)
        with scene.streaming() as wire:
            scene.servers[1].wait("asked")
            scene.servers[0].say("go on")
            wire.until(b"[DONE]")
        scene.servers[1].wait("left")
        [row] = newest(scene, count, 1)
        assert [(t["target"], t["role"], t["error"]) for t in row["tries"]] == [
            ("b", "hedge", "Slower"),
            ("a", "first", None),
        ]
        assert (row["upstream"], row["outcome"]) == ("a", "ok")


def test_the_second_is_waited_for_where_the_first_fails(tmp_path: Path) -> None:
    def failing(visit: Visit) -> None:
        visit.hold("fail")
        visit.send(whole(b'{"error": {"message": "no"}}', 500))

    def second(visit: Visit) -> None:
        visit.request()
        if turn.turned.is_set():
            visit.note("asked")
        visit.hold("go on")
        visit.send(STREAM_HEAD, said("beside"), chunk(DONE), LAST)

    turn = Turn(failing)
    with routed(tmp_path, "hedge = true", turn, second) as scene:
        count = turn.measured(scene)
        with scene.streaming() as wire:
            scene.servers[1].wait("asked")
            scene.servers[0].say("fail")
            until(scene.metrics, lambda told: 'outcome="InternalServerError"' in told)
            scene.servers[1].say("go on")
            wire.until(b"[DONE]")
        [row] = newest(scene, count, 1)
        assert (row["upstream"], row["outcome"], row["attempts"]) == ("b", "ok", 2)
        assert [t["error"] for t in row["tries"]] == ["InternalServerError", None]


def test_no_more_than_one_call_in_fifty_asks_two(tmp_path: Path) -> None:
    def slow(visit: Visit) -> None:
        visit.until_gone()

    rules = "hedge = true\nfirst_token_seconds = 0.7"
    turn = Turn(slow)
    with routed(tmp_path, rules, turn, answering("beside")) as scene:
        count = turn.measured(scene)
        for _ in range(3):
            assert text_of(scene.ask(stream=True)) == "beside"
        rows = newest(scene, count, 3)
        roles = [t["role"] for r in rows for t in r["tries"]]
        assert roles.count("hedge") <= 1
        assert roles.count("hedge") + roles.count("failover") == 3

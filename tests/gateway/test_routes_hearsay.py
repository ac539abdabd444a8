"""What processes on one store tell each other of targets, and what outlives them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from routes_side import Body, answering, refusing, routed, until

from trunkline.errors import InternalServerError, RateLimitError
from trunkline.gateway.hearsay import Hearsay, understood
from trunkline.routing.measures import place_of
from trunkline.routing.ranking import Option
from trunkline.routing.traffic import Facts, Traffic
from trunkline.store.records import Told
from trunkline.store.sqlite import SqliteStore

PLACE = Option("one", "groq", "org/m", account="hub")
ERROR = InternalServerError("no", status=500)


class Process:
    """One of several on a store, whose time is told."""

    def __init__(self, store: SqliteStore, boot: str) -> None:
        self.now = 100.0
        self.traffic = Traffic(lambda: 1.0)
        self.hearsay = Hearsay(
            self.traffic, store, boot, lambda: self.now, lambda: self.now + 1_000_000
        )

    def asked(self, error: Exception | None = None, first: float | None = None) -> None:
        self.traffic.ended(PLACE, self.now, 1_000_000, error, facts=Facts(first_token=first))

    def round(self) -> None:
        asyncio.run(self.hearsay.round())


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    made = SqliteStore(tmp_path / "s.db")
    made.migrate()
    return made


def test_one_learns_from_another_that_a_target_fails(store: SqliteStore) -> None:
    one, two = Process(store, "a"), Process(store, "b")
    two.asked()
    for _ in range(5):
        one.asked(ERROR)
    two.now += 60  # what it saw itself is long ago
    one.round()
    two.round()
    assert two.traffic.trouble(PLACE, two.now)
    two.now += 11
    assert two.traffic.trouble(PLACE, two.now) is None  # and tries it itself


def test_one_learns_from_another_for_how_long_a_target_wants_no_calls(store: SqliteStore) -> None:
    one, two = Process(store, "a"), Process(store, "b")
    two.asked()
    one.asked(RateLimitError("busy", status=429, retry_after=40))
    one.round()
    two.round()
    assert "without calls" in (two.traffic.trouble(PLACE, two.now + 35) or "")
    assert two.traffic.trouble(PLACE, two.now + 41) is None


def test_measures_are_added_up_once_however_often_they_are_told(store: SqliteStore) -> None:
    one, two = Process(store, "a"), Process(store, "b")
    for _ in range(2):
        one.asked(first=0.1)
        two.asked(first=0.1)
    for _ in range(3):
        one.round()
        two.round()
    track = one.traffic.measures.tracks[place_of("groq", "org/m")]
    assert track.first_token.total(one.now + 1_000_000) == pytest.approx(4)
    assert one.traffic.measures.seen(place_of("groq", "org/m"), one.now + 1_000_000).first_token


def test_what_was_measured_outlives_the_process(store: SqliteStore) -> None:
    one = Process(store, "a")
    for _ in range(4):
        one.asked(first=0.5)
    one.hearsay.close()
    later = Process(store, "c")
    later.round()
    seen = later.traffic.measures.seen(place_of("groq", "org/m"), later.now + 1_000_000)
    assert seen.first_token == pytest.approx(0.5, rel=0.1)


def test_a_process_without_routes_says_nothing(store: SqliteStore) -> None:
    silent = Process(store, "a")
    for _ in range(3):
        silent.round()
    silent.hearsay.close()
    assert len(store.tell("b", b"{}", seconds=60)) <= 1


def test_what_cannot_be_read_says_nothing() -> None:
    assert understood([Told("a", b"\xff{", 0.0), Told("b", b"[]", 0.0)]) == ([], [])


@pytest.mark.slow
def test_places_are_shown_and_known_after_a_restart(tmp_path: Path) -> None:
    with routed(tmp_path, 'order = "fastest"', answering(), refusing(500)) as scene:
        for _ in range(4):
            scene.ask(stream=True)
        gateway = scene.gateway
        [place] = gateway.admin("GET", "/places")["data"]
        assert (place["upstream"], place["model"], place["state"]) == ("a", "m-a", "closed")
        assert place["first_token"] > 0
        assert gateway.stop() == 0
        gateway.start()
        again = until(lambda: scene.row(scene.ask(stream=True))["route"], _known)
        assert again["candidates"][0]["source"] == "measured"


def _known(route: Body) -> bool:
    return route["candidates"][0].get("first_token") is not None

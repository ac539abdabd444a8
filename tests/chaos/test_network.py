"""Hundreds of calls through bad networks: each ends rightly or in an error of ours, in time, and nothing is left."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator

import pytest
from proxy import Proxy
from toxics import (
    Bandwidth,
    Blackhole,
    Corrupt,
    HalfOpen,
    Latency,
    LimitData,
    Refuse,
    Reset,
    Slicer,
    SlowClose,
    Stall,
    Toxic,
    Way,
)
from wild_calls import Ended, many, many_async, told
from wild_side import RETRIES, Scene, Tls, at_once, awaiting, blocking, made_tls, scene

from trunkline.providers.queued import QUEUED

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
CHATS = ("chat", "stream")
ALL = ("chat", "stream", "embedding", "chat", "stream", "image", "video")
COUNT = 100
SHORT, LONG = 0.6, 60.0

HARMLESS: dict[str, tuple[Toxic, ...]] = {
    "latency": (Latency(seconds=0.02, jitter=0.05), Latency(seconds=0.01, way="up")),
    "bandwidth": (Bandwidth(rate=40_000), Bandwidth(rate=40_000, way="up")),
    "slicer": (Slicer(size=40, seconds=0.0005), Slicer(size=60, way="up")),
    "slow close": (SlowClose(seconds=0.05),),
}
"""Under these every answer comes, and is right."""
HARMFUL: dict[str, tuple[Toxic, ...]] = {
    "reset": tuple(Reset(after=n, share=0.12) for n in (0, 100, 400, 900)),
    "reset on the way up": (Reset(after=0, share=0.2, way="up"), Reset(after=200, way="up", share=0.2)),
    "limited data": tuple(LimitData(after=n, share=0.12) for n in (0, 100, 400, 900)),
    "half open": tuple(HalfOpen(after=n, share=0.1) for n in (0, 100, 500)),
    "stall": tuple(Stall(after=n, share=0.1) for n in (0, 100, 500)),
    "black hole": (Blackhole(share=0.25),),
}  # fmt: skip
"""Under these some answers come; the others are errors, in time."""


@pytest.fixture(autouse=True)
def _quiet_world(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider, routes in at_once().items():
        monkeypatch.setitem(QUEUED, provider, routes)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return made_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["tcp", "tls"])
def wild(request: pytest.FixtureRequest, tls: Tls) -> Iterator[Scene]:
    """A scene over TCP, and over TLS."""
    with scene(seed=1, tls=tls if request.param == "tls" else None) as found:
        yield found


@pytest.fixture
def plain() -> Iterator[Scene]:
    """A scene over TCP."""
    with scene(seed=1) as found:
        yield found


def kinds_for(found: Scene) -> tuple[str, ...]:
    """Jobs' files lie at plain addresses, which nobody who came by TLS is sent to."""
    return ALL[:-1] if found.ca_file else ALL


def run(found: Scene, face: str, deadline: float, count: int = COUNT) -> list[Ended]:
    """Make calls of all kinds with a client that leaves nothing behind."""
    kinds = kinds_for(found)
    if face == "blocking":
        with blocking(found) as client:
            return many(client, kinds, count, at_once=32, deadline=deadline)
    return awaiting(
        found, lambda client: many_async(client, kinds, count, at_once=48, deadline=deadline)
    )


def judge(found: Scene, ends: list[Ended], deadline: float, *, altered: bool = False) -> None:
    for ended in ends:
        found.oracle.judge(ended, deadline, RETRIES, altered=altered)


faces = pytest.mark.parametrize("face", ["blocking", "awaiting"])


@faces
@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_slows_or_cuts_in_pieces_harms_no_answer(wild: Scene, face: str, name: str):
    with wild.proxy.poisoned(*HARMLESS[name]):
        ends = run(wild, face, LONG, COUNT // 2)
    judge(wild, ends, LONG)
    assert told(ends) == {"right": COUNT // 2}


@faces
@pytest.mark.parametrize("name", HARMFUL)
def test_what_breaks_or_falls_silent_ends_in_time_and_leaves_nothing(
    wild: Scene, face: str, name: str
):
    with wild.proxy.poisoned(*HARMFUL[name]):
        ends = run(wild, face, SHORT)
    judge(wild, ends, SHORT)
    assert told(ends)["right"]
    assert sum(wild.proxy.hits.values()) > COUNT // 10


@faces
@pytest.mark.parametrize(("way", "every"), [("down", 2000), ("up", 500)])
def test_flipped_bits_over_tls_are_errors_and_never_another_answer(
    tls: Tls, face: str, way: Way, every: int
):
    with scene(seed=2, tls=tls) as found:
        with found.proxy.poisoned(Corrupt(every=every, way=way)):
            ends = run(found, face, SHORT)
        judge(found, ends, SHORT)
        assert found.proxy.accepted > 50, "connections broke, and others took their place"


@faces
@pytest.mark.parametrize("way", ["down", "up"])
def test_flipped_bits_over_tcp_may_be_believed_and_end_in_time(plain: Scene, face: str, way):
    with plain.proxy.poisoned(Corrupt(every=700, way=way)):
        ends = run(plain, face, SHORT)
    judge(plain, ends, SHORT, altered=True)
    assert len(told(ends)) > 1


NOBODY: dict[str, tuple[Toxic, float]] = {
    "refused": (Refuse(), 2.0),
    "black hole": (Blackhole(), 0.5),
    "silence": (Stall(after=0), 0.5),
    "half a handshake": (Stall(after=300), 0.5),
    "reset at once": (Reset(after=0), 2.0),
    "closed at once": (LimitData(after=0), 2.0),
}


@faces
@pytest.mark.parametrize("name", NOBODY)
def test_nobody_there_is_an_error_to_all_within_the_attempts_allowed(tls, face: str, name: str):
    toxic, deadline = NOBODY[name]
    with scene(seed=3, tls=tls) as found:
        with found.proxy.poisoned(toxic):
            ends = run(found, face, deadline, 60)
        judge(found, ends, deadline)
        assert "right" not in told(ends)
        assert found.proxy.accepted <= 60 * (1 + RETRIES)
        assert found.posts() == 0


SEED = int(os.environ.get("TRUNKLINE_CHAOS_SEED", random.randrange(10**6)))


def mixture(chance: random.Random) -> tuple[Toxic, ...]:
    """Draw two to four toxics."""
    way = chance.choice(("up", "down"))
    after, share = chance.choice((0, 50, 200, 600, 1500)), chance.choice((0.05, 0.2, 0.5))
    drawn: list[Toxic] = [
        Latency(seconds=chance.random() / 50, jitter=chance.random() / 20, way=way),
        Bandwidth(rate=chance.choice((20_000, 200_000)), way=way),
        Slicer(size=chance.choice((7, 80)), seconds=0.0005, way=way),
        SlowClose(seconds=chance.random() / 5),
        Reset(after=after, share=share, way=way),
        LimitData(after=after, share=share, way=way),
        HalfOpen(after=after, share=share / 3, way=way),
        Stall(after=after, share=share / 3),
        Blackhole(share=share / 3),
        Refuse(),
    ]
    return tuple(chance.sample(drawn, chance.randint(2, 4)))


class Weather(threading.Thread):
    """Changes a proxy's toxics all the time, as a seed says."""

    def __init__(self, proxy: Proxy, seed: int) -> None:
        super().__init__()
        self._proxy = proxy
        self._chance = random.Random(seed)
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            with self._proxy.poisoned(*mixture(self._chance)):
                self._over.wait(self._chance.uniform(0.1, 0.4))
            if self._chance.random() < 0.2:
                self._proxy.cut()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@faces
@pytest.mark.parametrize("more", range(2))
def test_weather_that_changes_all_the_time_ends_each_call_in_time(wild: Scene, face: str, more):
    print(f"seed {SEED + more}")
    with Weather(wild.proxy, SEED + more):
        ends = run(wild, face, SHORT, 2 * COUNT)
    judge(wild, ends, SHORT)
    assert wild.posts() <= 2 * 2 * COUNT * (1 + RETRIES)
    assert told(run(wild, face, LONG, 20)) == {"right": 20}, "and afterwards all is well"

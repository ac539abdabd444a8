"""Two places to go, one behind a bad network or both: success stays, attempts stay few, what recovers is used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from test_network import HARMFUL
from toxics import Blackhole, HalfOpen, LimitData, Refuse, Reset, Slicer, Stall, Toxic
from wild_calls import GRACE, LLAMA, Ended, asked, call, many, many_async, told
from wild_side import TOKEN, Scene, nothing_left, scene

from trunkline import AsyncClient, Client, RouteExhaustedError, StreamTruncated
from trunkline.settings import read_settings
from trunkline.types import Timeouts

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]
CHATS = ("chat", "stream")
COUNT, MANY = 60, 600
LONG = 60.0
SECOND = f"huggingface/{LLAMA}"
GONE: dict[str, Toxic] = {
    "reset": Reset(after=0),
    "refused": Refuse(),
    "cut short": LimitData(after=300),
}
"""A place that fails each call, and says so."""
SILENT: dict[str, Toxic] = {
    "black hole": Blackhole(),
    "half open": HalfOpen(after=60),
}
"""A place that fails each call, and says nothing."""


class Fork:
    """A server behind one proxy, which is asked first, and a router behind another."""

    def __init__(self, first: Scene, second: Proxy, folder: Path) -> None:
        self.scene = first
        self.first = first.proxy
        self.second = second
        self._folder = folder

    def options(self, **route: Any) -> dict[str, Any]:
        """What clients are made with that have this route."""
        where = {
            "TRUNKLINE_ROUTER": f"{self.second.url}/v1",
            "HF_ENDPOINT": self.second.url,
            "XDG_CACHE_HOME": str(self._folder),
        }
        return {
            "token": TOKEN,
            "settings": read_settings(where),
            "api_base": f"{self.scene.url}/v1",
            "route": {"order": "fixed", "places": [SECOND], "first_token_seconds": 2.0} | route,
            "deadline": LONG,
            "timeout": Timeouts(idle=4.0),
        }

    def run(self, face: str, count: int, kinds: tuple[str, ...] = CHATS, **route: Any):
        """Make calls along the route with a client that leaves nothing behind; the second is here too."""
        if face == "blocking":
            with nothing_left(self.scene), Client(**self.options(**route)) as client:
                return many(client, kinds, count, at_once=16)

        async def work() -> list[Ended]:
            async with AsyncClient(**self.options(**route)) as client:
                return await many_async(client, kinds, count, at_once=16)

        with nothing_left(self.scene):
            return asyncio.run(work())

    def judge(self, ends: list[Ended]) -> None:
        for ended in ends:
            self.scene.oracle.judge(ended, LONG, 10, in_band=False)


@pytest.fixture
def fork(bare_environment: None, tmp_path: Path) -> Iterator[Fork]:
    with scene(seed=5) as first, Proxy(first.server.port, seed=6) as second:
        yield Fork(first, second, tmp_path)


faces = pytest.mark.parametrize("face", ["blocking", "awaiting"])


@faces
@pytest.mark.parametrize("name", HARMFUL)
def test_a_place_that_is_hit_now_and_then_costs_no_answer_but_begun_streams(
    fork: Fork, face: str, name: str
) -> None:
    with fork.first.poisoned(*HARMFUL[name]):
        ends = fork.run(face, COUNT)
    fork.judge(ends)
    assert {one.kind for one in ends if one.error} <= {"stream"}
    assert all(isinstance(one.error, StreamTruncated) for one in ends if one.error)


@faces
@pytest.mark.parametrize("name", [name for name in HARMFUL if name != "black hole"])
def test_streams_that_begin_anew_elsewhere_cost_none(fork: Fork, face: str, name: str) -> None:
    with fork.first.poisoned(*HARMFUL[name], Slicer(size=60)):
        ends = fork.run(face, COUNT, ("stream",), on_cut="restart")
    fork.judge(ends)
    assert told(ends) == {"right": COUNT}


@faces
@pytest.mark.parametrize("name", GONE)
def test_a_place_that_always_fails_costs_no_answer_and_few_attempts(
    fork: Fork, face: str, name: str
) -> None:
    with fork.first.poisoned(GONE[name]):
        ends = fork.run(face, MANY, ("chat",))
    fork.judge(ends)
    assert told(ends) == {"right": MANY}
    assert MANY <= fork.scene.posts() < 1.2 * MANY
    assert sum(one.attempts for one in ends) < 1.2 * MANY, "with those that reached nobody"


@pytest.mark.parametrize("name", SILENT)
def test_a_place_that_says_nothing_costs_no_answer_and_few_attempts(fork: Fork, name: str) -> None:
    with fork.first.poisoned(SILENT[name]):
        ends = fork.run("awaiting", MANY // 2, ("chat",))
    fork.judge(ends)
    assert told(ends) == {"right": MANY // 2}
    assert fork.first.accepted < 0.2 * MANY / 2, "what says nothing is left alone"


@faces
@pytest.mark.parametrize("name", GONE)
def test_where_all_fail_each_call_is_told_of_all_and_few_attempts_are_made(
    fork: Fork, face: str, name: str
) -> None:
    with fork.first.poisoned(GONE[name]), fork.second.poisoned(GONE[name]):
        ends = fork.run(face, MANY, ("chat",))
    assert told(ends) == {"RouteExhaustedError": MANY}
    assert sum(len(one.error.attempts) for one in ends if one.error) < 1.2 * MANY
    assert fork.scene.posts() < 1.2 * MANY
    for one in ends:
        assert isinstance(one.error, RouteExhaustedError)
        assert all(name in str(one.error) for name in ("endpoint", SECOND)), one.error
    assert not ends[-1].error.attempts, "where all are left out it is said at once"


@pytest.mark.parametrize("toxic", [Reset(after=0), Refuse(), Stall(after=0)], ids=str)
def test_a_place_that_has_recovered_is_used_again_within_fifteen_seconds(
    fork: Fork, toxic: Toxic
) -> None:
    with Client(**fork.options()) as client:
        with fork.first.poisoned(toxic):
            while served(client) or not served_elsewhere_at_once(client):
                pass
        seconds = until(lambda: served(client))
        assert seconds < 15 + GRACE
        assert sum(served(client) for _ in range(10)) > 5, "and stays in use"


def served(client: Client) -> bool:
    """Call; tells whether the first place served it."""
    receipt = client.chat(LLAMA, asked(1)).receipt
    assert receipt is not None
    return receipt.attempts[-1].url.startswith(receipt.attempts[0].url) and (
        receipt.route is not None
        and receipt.route.candidates[0].name == "endpoint"
        and receipt.route.candidates[0].excluded is None
        and len(receipt.attempts) == 1
    )


def served_elsewhere_at_once(client: Client) -> bool:
    """Call; tells whether the first place was not even asked."""
    receipt = client.chat(LLAMA, asked(1)).receipt
    assert receipt is not None
    return len(receipt.attempts) == 1


def until(true: Callable[[], bool]) -> float:
    """Return the seconds until something is so."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + 60
        time.sleep(0.1)
    return time.monotonic() - began


def test_a_deadline_shorter_than_the_limit_on_silence_leaves_time_for_the_next_place(
    fork: Fork,
) -> None:
    with (
        Client(**fork.options(first_token_seconds=10)) as client,
        fork.first.poisoned(Blackhole()),
    ):
        ended = call(client, "chat", 3, deadline=9.0)
    assert ended.error is None
    assert ended.value == fork.scene.oracle.right("chat", 3)


def test_a_deadline_that_passes_within_an_answer_is_called_so_and_no_fault_of_the_place(
    fork: Fork,
) -> None:
    with Client(**fork.options()) as client:
        with fork.first.poisoned(Stall(after=1200)):
            ends = many(client, ("chat",), 12, at_once=12, deadline=2.0, timeout=30)
        late = {one.name for one in ends} - {"right"}  # which had not begun after half the time
        assert late == {"DeadlineExceeded"}
        assert served(client)

"""A gateway's route with two upstreams, one behind a bad network or both: what clients get, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_network_gateway import Front, front
from test_network_routes import GONE, SILENT
from toxics import Refuse, Reset, Stall, Toxic
from wild_calls import GRACE, LLAMA, asked, told

from trunkline import ServiceUnavailableError

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]
MANY = 600
LONG = 60.0
OTHER = "deepseek-ai/DeepSeek-R1"


@pytest.fixture
def tame(bare_environment: None, tmp_path: Path) -> Iterator[Front]:
    with front(tmp_path, seed=7) as found:
        yield found


def posts(found: Front) -> int:
    return found.scene.posts()


@pytest.mark.parametrize("name", [*GONE, *SILENT])
def test_an_upstream_that_always_fails_costs_no_answer_and_few_attempts(
    tame: Front, name: str
) -> None:
    before = posts(tame)
    with tame.scene.proxy.poisoned((GONE | SILENT)[name]):
        ends = tame.run(("chat", "stream"), MANY, LONG, model="both", max_retries=0)
    assert told(ends) == {"right": MANY}
    tame.judge(ends, LONG)
    assert MANY <= posts(tame) - before < 1.2 * MANY
    rows = [row for row in tame.gateway.ledger() if row["route"]]
    assert all(row["outcome"] == "ok" for row in rows)
    tame.nothing_left()


@pytest.mark.parametrize("name", GONE)
def test_where_all_fail_each_client_is_told_of_all_at_once_and_few_attempts_are_made(
    tame: Front, name: str
) -> None:
    before = posts(tame)
    with tame.scene.proxy.poisoned(GONE[name]), tame.tame.poisoned(GONE[name]):
        ends = tame.run(("chat",), MANY, LONG, model="both", max_retries=0)
        status, headers, body = ask(tame, "both")
    assert set(told(ends)) == {"ServiceUnavailableError"}
    for one in ends:
        assert isinstance(one.error, ServiceUnavailableError)
        assert one.error.status == 503
        assert all(upstream in str(one.error) for upstream in ("wild/", "tame/")), one.error
    assert posts(tame) - before < 1.2 * MANY
    assert status == 503
    assert body["error"]["code"] == "no_target_left"
    assert body["error"]["attempts"] == [], "where all are left out it is said at once"
    assert float(headers["retry-after"]) <= 10
    tame.nothing_left()


@pytest.mark.parametrize("toxic", [Reset(after=0), Refuse(), Stall(after=0)], ids=str)
def test_an_upstream_that_has_recovered_is_used_again_within_fifteen_seconds(
    tame: Front, toxic: Toxic
) -> None:
    with tame.scene.proxy.poisoned(toxic):
        for _ in range(8):
            assert served_by(tame) == OTHER
    began = time.monotonic()
    while served_by(tame) != LLAMA:
        assert time.monotonic() - began < 15 + GRACE
        time.sleep(0.1)
    assert [served_by(tame) for _ in range(10)].count(LLAMA) > 5, "and stays in use"


def served_by(found: Front) -> str:
    """Call; returns which target's model answered."""
    status, headers, body = ask(found, "either")
    assert status == 200, body
    return headers["x-trunkline-model"]


def ask(found: Front, model: str) -> tuple[int, dict[str, str], Any]:
    wish = {"model": model, "messages": asked(1), "max_tokens": 50}
    return found.gateway.ask("POST", "/v1/chat/completions", wish, found.key)

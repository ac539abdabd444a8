"""Limits on upstreams and their providers where nobody waits: the next target, or a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crowd import CONFIG, Caller, Said, Upstream, ask_once, settled_book, upstream
from running import Gateway, running

from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.config import UpstreamLimits, UpstreamProvider
from trunkline.gateway.gates import UpstreamGates, blocked, enter, leave
from trunkline.gateway.guard import Guard

pytestmark = pytest.mark.slow

SECOND = """
[upstreams.second]
base_url = "{url}/v1"
prices."*" = {{ input = 1, output = 2, context = 10000 }}
[routes.both]
targets = [{{ upstream = "crowd", model = "first" }}, {{ upstream = "second", model = "second" }}]
"""


@asynccontextmanager
async def serving(
    folder: Path, limits: str, more: str = ""
) -> AsyncIterator[tuple[Gateway, Upstream]]:
    """Serve with `limits` on the upstream `crowd`, and another upstream beside it; nobody waits."""
    async with upstream() as behind:
        url = f"http://127.0.0.1:{behind.port}"
        text = CONFIG.format(url=url) + f"limits = {limits}\n" + SECOND.format(url=url) + more
        text += "[queue]\nsize = 0\n"
        with running(folder, text) as gateway:
            yield gateway, behind


async def in_flight(behind: Upstream, model: str, count: int = 1) -> None:
    async with asyncio.timeout(10):
        while behind.seen[model] < count:
            await asyncio.sleep(0.005)


async def ask(gateway: Gateway, key: str, model: str) -> Said:
    return await ask_once(gateway.port, key, model)


def test_a_call_over_the_limit_goes_to_the_routes_next_target(tmp_path: Path):
    async def work() -> None:
        async with serving(tmp_path, "{ concurrency = 1 }") as (gateway, behind):
            key = gateway.new_key()
            behind.gate.clear()
            first = asyncio.create_task(ask(gateway, key, "both"))
            await in_flight(behind, "first")
            second = asyncio.create_task(ask(gateway, key, "both"))
            await in_flight(behind, "second")
            behind.gate.set()
            assert (await first).done
            assert (await second).done
            assert (await ask(gateway, key, "both")).done
            assert behind.seen["first"] == 2, "the first has left the gate"
            book = await settled_book(gateway)
            assert sorted(row["upstream"] for row in book.rows) == ["crowd", "crowd", "second"]
            assert {row["attempts"] for row in book.rows} == {1}

    asyncio.run(work())


def test_without_another_target_it_is_refused_and_nothing_is_noted(tmp_path: Path):
    async def work() -> None:
        async with serving(tmp_path, "{ concurrency = 1 }") as (gateway, behind):
            key = gateway.new_key()
            behind.gate.clear()
            first = asyncio.create_task(ask(gateway, key, "alone"))
            await in_flight(behind, "alone")
            status, headers, told = await asyncio.to_thread(
                gateway.ask,
                "POST",
                "/v1/chat/completions",
                {"model": "other", "max_tokens": 5, "messages": [{"role": "user", "content": "?"}]},
                key,
            )
            assert (status, told["error"]["code"]) == (503, "upstream_busy")
            assert headers["retry-after"] == "1"
            assert (
                "The upstream 'crowd' may have 1 calls at the same time" in told["error"]["message"]
            )
            behind.gate.set()
            assert (await first).done
            assert len((await settled_book(gateway)).rows) == 1
            assert b'refused_total{reason="upstream"} 1.0' in gateway.ask("GET", "/metrics")[2]

    asyncio.run(work())


def test_requests_a_minute_are_counted_and_say_when_there_are_more(tmp_path: Path):
    async def work() -> None:
        async with serving(tmp_path, "{ requests_per_minute = 2 }") as (gateway, behind):
            key = gateway.new_key()
            caller = Caller(gateway.port, key)
            said = [await caller.ask(f"m{number}") for number in range(3)]
            assert [one.status for one in said] == [200, 200, 503]
            assert said[2].code == "upstream_busy"
            assert sum(behind.seen.values()) == 2
            caller.close()

    asyncio.run(work())


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_ends_in_any_way_leaves_its_gate(tmp_path: Path, stream: bool):
    async def work() -> None:
        async with serving(tmp_path, "{ concurrency = 1 }") as (gateway, behind):
            key = gateway.new_key()
            behind.gate.clear()
            leaving = Caller(gateway.port, key)
            await leaving.send("left", stream=stream)
            await in_flight(behind, "left")
            leaving.close(at_once=True)
            await settled_book(gateway)
            broken = asyncio.create_task(ask(gateway, key, "broken"))
            await in_flight(behind, "broken")
            behind.hang_up()
            await broken
            behind.gate.set()
            assert (await ask(gateway, key, "after")).done

    asyncio.run(work())


def test_a_call_that_moves_on_leaves_one_gate_and_enters_the_next(tmp_path: Path):
    more = """
[upstreams.gone]
base_url = "http://127.0.0.1:9/v1"
limits = { concurrency = 1 }
prices."*" = { input = 1, output = 2, context = 10000 }
[routes.moving]
targets = [{ upstream = "gone", model = "m" }, { upstream = "crowd", model = "moved" }]
"""

    async def work() -> None:
        async with serving(tmp_path, "{ concurrency = 1 }", more) as (gateway, behind):
            key = gateway.new_key()
            behind.gate.clear()
            first = asyncio.create_task(ask(gateway, key, "moving"))
            await in_flight(behind, "moved")
            shut = await ask(gateway, key, "moving")
            assert (shut.status, shut.code) == (503, "no_target_left")
            behind.gate.set()
            assert (await first).done
            assert (await ask(gateway, key, "moving")).done

    asyncio.run(work())


def test_limits_change_with_a_reload(tmp_path: Path):
    async def work() -> None:
        async with serving(tmp_path, "{ requests_per_minute = 1 }") as (gateway, _):
            key = gateway.new_key()
            assert (await ask(gateway, key, "a")).done
            assert (await ask(gateway, key, "b")).status == 503
            text = gateway.config.read_text()
            gateway.config.write_text(
                text.replace("requests_per_minute = 1 ", "requests_per_minute = 2 ")
            )
            told = await asyncio.to_thread(gateway.admin, "POST", "/reload")
            assert told["changed"] == ["upstreams.crowd.limits.requests_per_minute"]
            assert (await ask(gateway, key, "c")).done
            assert (await ask(gateway, key, "d")).status == 503

    asyncio.run(work())


def test_a_provider_has_gates_of_its_own_beside_its_upstreams():
    gates = UpstreamGates(Guard())
    config = UpstreamConfig(
        kind="huggingface",
        limits=UpstreamLimits(concurrency=2),
        providers={"groq": UpstreamProvider(UpstreamLimits(concurrency=1))},
    )
    groq, other = gates.of("hf", config, "groq"), gates.of("hf", config, None)
    assert (len(groq), len(other)) == (2, 1)
    enter(groq, 0.0)
    refusal = blocked(groq, 0.0)
    assert refusal is not None
    assert "The provider 'groq' of the upstream 'hf' may have 1 calls" in refusal.message
    assert blocked(other, 0.0) is None
    enter(other, 0.0)
    assert blocked(other, 0.0) is not None
    leave(groq)
    assert blocked(groq, 0.0) is None
    assert gates.of("free", UpstreamConfig(), "groq") == ()

"""Deadlines through the gateway: in line, at a target, at the next one, in a stream, in a job; and the money."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from crowd import Caller, Said, Upstream, settled_book, upstream
from hf_front import GROQS, LLAMA, front, hub_that, told_by_hub
from raw import eventually
from running import CHAT, Gateway, running

from loopback import PATIENCE, STREAM_HEAD, Request, Visit, chunk, event
from loopback import Upstream as Server
from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.slow

MORE = """
[upstreams.gone]
base_url = "http://127.0.0.1:9/v1"
prices."*" = {{ input = 1, output = 2, context = 10000 }}
[upstreams.narrow]
base_url = "{url}/v1"
limits = {{ concurrency = 1 }}
prices."*" = {{ input = 1, output = 2, context = 10000 }}
[routes.second]
targets = [{{ upstream = "gone", model = "m" }}, {{ upstream = "crowd", model = "second" }}]
[routes.short]
targets = [{{ upstream = "crowd", model = "short" }}]
deadline_seconds = 2
"""


@asynccontextmanager
async def scene(folder: Path, more: str = "") -> AsyncIterator[tuple[Gateway, Upstream]]:
    async with upstream() as behind:
        url = f"http://127.0.0.1:{behind.port}"
        with running(folder, behind.config + MORE.format(url=url) + more) as gateway:
            yield gateway, behind


async def ask(gateway: Gateway, key: str, model: str, deadline: str | None = "2") -> Said:
    headers = {} if deadline is None else {"x_trunkline_deadline": deadline}
    caller = Caller(gateway.port, key, **headers)
    try:
        async with asyncio.timeout(20):
            return await caller.ask(model)
    finally:
        caller.close()


def check_refused(said: Said) -> None:
    assert (said.status, said.code) == (504, "deadline_exceeded")
    assert said.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("how", ["header", "key", "route"])
def test_a_call_that_is_not_answered_in_time_ends_with_its_deadline(tmp_path: Path, how: str):
    async def work() -> None:
        async with scene(tmp_path) as (gateway, behind):
            key = gateway.new_key(**({"deadline_seconds": 2} if how == "key" else {}))
            behind.gate.clear()
            model = "short" if how == "route" else "any"
            # What a client asks for does not make it longer.
            check_refused(await ask(gateway, key, model, "2" if how == "header" else "50"))
            (row,) = (await settled_book(gateway)).rows
            assert (row["status"], row["outcome"], row["error"]) == (
                504,
                "failed",
                "deadline_exceeded",
            )
            assert row["cost"] is None, "it may be billed"
            assert row["charged"] == row["reserved"] > 0
            assert row["ended"] - row["started"] < 10
            behind.gate.set()
            async with asyncio.timeout(10):
                while behind.open:  # the gateway has hung up: the connection is of no more use
                    await asyncio.sleep(0.01)

    asyncio.run(work())


def test_it_passes_at_the_second_target_too(tmp_path: Path):
    async def work() -> None:
        async with scene(tmp_path) as (gateway, behind):
            key = gateway.new_key()
            behind.gate.clear()
            check_refused(await ask(gateway, key, "second"))
            assert behind.seen == {"second": 1}
            (row,) = (await settled_book(gateway)).rows
            assert (row["upstream"], row["attempts"], row["outcome"]) == ("crowd", 3, "failed")
            tries = gateway.entry(row["id"])["tries"]
            assert [one["target"].split("/")[0] for one in tries] == ["gone", "gone", "crowd"]
            assert tries[-1]["error"] == "DeadlineExceeded"

    asyncio.run(work())


def test_a_call_whose_deadline_passes_in_line_was_never_sent(tmp_path: Path):
    async def work() -> None:
        async with scene(tmp_path) as (gateway, behind):
            key = gateway.new_key()
            behind.gate.clear()
            first = asyncio.create_task(ask(gateway, key, "narrow/first", None))
            async with asyncio.timeout(10):
                while not behind.seen["first"]:
                    await asyncio.sleep(0.005)
            check_refused(await ask(gateway, key, "narrow/waits"))
            behind.gate.set()
            assert (await first).done
            assert behind.seen == {"first": 1}
            assert len((await settled_book(gateway)).rows) == 1
            told = gateway.ask("GET", "/metrics")[2]
            assert b'queue_calls_total{end="deadline",kind="interactive"} 1.0' in told
            assert b'refused_total{reason="deadline"} 1.0' in told

    asyncio.run(work())


def test_a_call_that_cannot_make_its_deadline_is_refused_at_once(tmp_path: Path):
    more = '[upstreams.slow]\nbase_url = "http://127.0.0.1:9/v1"\n'
    more += 'limits = { requests_per_minute = 1 }\nprices."*" = { input = 0, output = 0 }\n'

    async def work() -> None:
        async with scene(tmp_path, more) as (gateway, _):
            key = gateway.new_key()
            assert (await ask(gateway, key, "slow/one", None)).status == 502
            began = time.monotonic()
            said = await ask(gateway, key, "slow/two", "25")
            assert time.monotonic() - began < 15, "it did not wait for its deadline"
            assert (said.status, said.code) == (504, "deadline_exceeded")
            assert 25 < int(said.headers["retry-after"]) <= 60
            assert "x-should-retry" not in said.headers, "it says when to try again"

    asyncio.run(work())


def test_a_stream_that_has_begun_ends_with_the_error_in_it(tmp_path: Path):
    async def work() -> None:
        async with scene(tmp_path) as (gateway, behind):
            key = gateway.new_key()
            behind.gate.clear()
            caller = Caller(gateway.port, key, x_trunkline_deadline="2.5")
            async with asyncio.timeout(20):
                said = await caller.ask("streamed", stream=True)
            caller.close()
            assert (said.status, said.code, said.whole) == (200, "deadline_exceeded", True)
            assert b"word0" in said.body
            assert b"[DONE]" not in said.body
            (row,) = (await settled_book(gateway)).rows
            assert (row["status"], row["outcome"], row["error"]) == (
                200,
                "truncated",
                "deadline_exceeded",
            )
            assert row["token_source"] == "estimated"
            assert 0 < row["charged"] < row["reserved"]

    asyncio.run(work())


def test_an_answer_in_time_is_not_touched(tmp_path: Path):
    async def work() -> None:
        async with scene(tmp_path) as (gateway, behind):
            key = gateway.new_key()
            said = [await ask(gateway, key, f"m{number}", "20") for number in range(5)]
            assert all(one.done for one in said)
            assert sum(behind.seen.values()) == 5
            assert {row["outcome"] for row in (await settled_book(gateway)).rows} == {"ok"}

    asyncio.run(work())


def test_what_says_nothing_sensible_is_refused_before_anything_is_sent(tmp_path: Path):
    async def work() -> None:
        async with scene(tmp_path) as (gateway, behind):
            key = gateway.new_key()
            said = await ask(gateway, key, "any", "soon")
            assert (said.status, said.code) == (400, "invalid_deadline")
            caller = Caller(gateway.port, key, x_trunkline_priority="urgent")
            assert (await caller.ask("any")).code == "invalid_priority"
            caller.close()
            assert not behind.seen

    asyncio.run(work())


# other ways for calls to be carried


def makes_wait(visit: Visit) -> None:
    """Say that there is no /info where that is asked, and never answer the rest."""
    if visit.request().method == "GET":
        visit.answer(b"{}", 404)
        visit.request()
    visit.until_gone()


SLOW = """
default_upstream = "slow"
[upstreams.slow]
base_url = "{url}"
prices."*" = {{ input = 1, output = 1, context = 1000, request = 0.25 }}
"""
CARRIED = [
    ("/v1/images/generations", {"prompt": "a fox"}),
    ("/v1/audio/speech", {"input": "a fox"}),
    ("/v1/rerank", {"query": "q", "documents": ["a"]}),
    ("/v1/embeddings", {"input": "a fox"}),
    ("/v1/responses", {"input": "a fox", "max_output_tokens": 5}),
]


@pytest.mark.parametrize(("path", "wish"), CARRIED)
def test_whatever_carries_a_call_it_ends_with_its_deadline(
    tmp_path: Path, serve: Callable[..., Server], path: str, wish: dict[str, Any]
) -> None:
    upstream = serve(makes_wait)
    with running(tmp_path, SLOW.format(url=upstream.url)) as gateway:
        key = gateway.new_key()
        status, headers, told = gateway.ask(
            "POST", path, {"model": "slow/m", **wish}, key, x_trunkline_deadline="4"
        )
        assert (status, told["error"]["code"]) == (504, "deadline_exceeded")
        assert headers["x-should-retry"] == "false"
        assert upstream.visits[-1].gone.wait(PATIENCE)
        row = gateway.entry(headers["x-request-id"])
        assert (row["outcome"], row["error"], row["cost"]) == ("failed", "deadline_exceeded", None)
        assert row["charged"] == row["reserved"] != "0"


def test_a_message_of_anthropics_is_told_in_its_own_shape(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    upstream = serve(makes_wait)
    with running(tmp_path, SLOW.format(url=upstream.url)) as gateway:
        wish = {**CHAT, "model": "slow/m"}
        status, _, told = gateway.ask(
            "POST", "/v1/messages", wish, gateway.new_key(), x_trunkline_deadline="0.5"
        )
        assert (status, told["type"], told["error"]["type"]) == (504, "error", "timeout_error")


@pytest.mark.parametrize("begun", [False, True])
def test_below_hf_a_stream_of_text_is_told_too(tmp_path: Path, begun: bool) -> None:
    def begin(visit: Visit, _request: Request) -> None:
        if begun:
            visit.send(STREAM_HEAD, chunk(event("Hel")))
        visit.until_gone()

    with front(tmp_path, begin) as there:
        path = "/hf/groq/openai/v1/chat/completions"
        wish = {**CHAT, "model": GROQS, "stream": True}
        status, headers, told = there.gateway.ask(
            "POST", path, wish, there.gateway.new_key(), x_trunkline_deadline="2"
        )
        row = there.gateway.entry(headers["x-request-id"])
        assert row["error"] == "deadline_exceeded"
        if begun:
            assert (status, row["outcome"]) == (200, "truncated")
            assert b"deadline_exceeded" in told
        else:
            assert (status, row["outcome"]) == (504, "failed")
            assert "deadline" in str(told)


def test_a_job_that_is_followed_ends_with_its_calls_deadline_and_is_cancelled(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    with running(tmp_path, "", sandbox_server.environment) as gateway:
        model = "huggingface/fal-ai/text-to-image/fault-job-endless"

        def seen(method: str, ending: str) -> bool:
            return any(
                r.method == method and r.path.endswith(ending) for r in sandbox_server.requests
            )

        status, headers, told = gateway.ask(
            "POST",
            "/v1/images/generations",
            {"model": model, "prompt": "a cat"},
            gateway.new_key(),
            x_trunkline_deadline="4",
        )
        assert (status, told["error"]["code"]) == (504, "deadline_exceeded")
        if seen("GET", "/status"):  # else there was no time to begin it
            eventually(lambda: seen("PUT", "/cancel"), "the job is cancelled")
        row = gateway.entry(headers["x-request-id"])
        assert (row["outcome"], row["error"], row["cost"]) == ("failed", "deadline_exceeded", None)


def test_what_only_asks_after_a_video_or_a_model_has_a_deadline_too(tmp_path: Path) -> None:
    def never(visit: Visit, _request: Request) -> None:
        visit.until_gone()

    def told_or_never(visit: Visit, request: Request) -> None:
        if request.target.startswith("/api/models/"):
            visit.until_gone()
        else:
            visit.send(told_by_hub(request))

    with front(tmp_path, never, hub=hub_that(told_or_never)) as there:
        key = there.gateway.new_key()
        for path in (f"/hf/api/models/{LLAMA}", "/hf/fal-ai/fal-ai/flux/requests/7/status"):
            status, headers, told = there.gateway.ask(
                "GET", path, key=key, x_trunkline_deadline="0.5"
            )
            assert status == 504, (path, told)
            assert headers["x-should-retry"] == "false"
            status, _, _ = there.gateway.ask("GET", path, key=key, x_trunkline_deadline="soon")
            assert status == 400


def test_a_video_that_is_asked_after_for_too_long_is_told_so(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    with running(tmp_path, "", sandbox_server.environment) as gateway:
        key = gateway.new_key()
        wish = {"model": "huggingface/fal-ai/Wan-AI/Wan2.1-T2V-14B", "prompt": "a cat"}
        status, _, video = gateway.ask("POST", "/v1/videos", wish, key)
        assert status == 200
        path = f"/v1/videos/{video['id']}"
        status, _, told = gateway.ask("GET", path, key=key, x_trunkline_deadline="0.000001")
        assert (status, told["error"]["code"]) == (504, "deadline_exceeded")
        assert gateway.ask("GET", path, key=key, x_trunkline_deadline="30")[0] == 200

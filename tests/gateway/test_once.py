"""Requests that name themselves, against a real gateway: done once, told again, never spent again."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from crowd import Upstream, read_book, settled_book, upstream
from raw import CHATS, Answer, Wire, ask, chat, eventually, get, post
from running import CHAT, Gateway, running

from trunkline.sandbox.server import SandboxServer

MODEL = CHAT["model"]
EMBEDS = "huggingface/hf-inference/sentence-transformers/all-MiniLM-L6-v2"
TEXT = "huggingface/together/mistralai/Mixtral-8x7B-v0.1"
Scene = Callable[[Gateway, Upstream], Awaitable[None]]


def named(name: str, key: str, body: Any, *lines: str, path: str = CHATS) -> bytes:
    return post(body, key, f"idempotency-key: {name}", *lines, path=path)


def asked(model: str, **more: Any) -> dict[str, Any]:
    return {**CHAT, "model": model, **more}


def play(folder: Path, scene: Scene, more: str = "") -> None:
    async def work() -> None:
        async with upstream() as serving:
            with running(folder, more + serving.config) as gateway:
                await scene(gateway, serving)

    asyncio.run(work())


async def told(gateway: Gateway, request: bytes) -> Answer:
    return await asyncio.to_thread(ask, gateway, request)


async def known(gateway: Gateway, request: bytes) -> Answer:
    """Ask until it is known that a process which has ended does so no more: within a second or two."""
    async with asyncio.timeout(20):
        while (answer := await told(gateway, request)).status == 409:
            if answer.error["code"] != "idempotency_in_progress":
                break
            await asyncio.sleep(0.05)
    return answer


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


def replayed(answer: Answer, first: Answer) -> None:
    """Assert that an answer is another one again."""
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.headers["x-original-request-id"] == first.headers["x-request-id"]
    assert answer.headers["x-request-id"] != first.headers["x-request-id"]
    assert (answer.status, answer.body) == (first.status, first.body)
    for name in ("content-type", "cache-control", "retry-after", "x-inference-provider"):
        assert answer.headers.get(name) == first.headers.get(name), name
    assert not any(name.startswith("x-ratelimit-") for name in answer.headers)


@pytest.fixture
def key(lax_gateway: Gateway) -> str:
    """A key of this test's own."""
    return lax_gateway.new_key(limits={"requests_per_minute": 1000})


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return str(request.node.name)[:255]


def calls(gateway: Gateway, first: Answer) -> int:
    """How many calls the ledger has of whoever got this answer."""
    key = gateway.entry(first.headers["x-request-id"])["key"]
    return sum(row["key"] == key for row in gateway.ledger())


@pytest.mark.parametrize("stream", [False, True])
def test_the_same_request_again_gets_the_same_answer_and_is_sent_once(
    lax_gateway: Gateway, key: str, name: str, stream: bool
):
    request = named(name, key, asked(MODEL, stream=stream))
    with Wire(lax_gateway) as wire:
        first = wire.ask(request)
        again = [wire.ask(request) for _ in range(3)]
        assert first.status == 200
        assert "idempotent-replayed" not in first.headers
        if stream:
            assert first.body.endswith(b"data: [DONE]\n\n")
        for answer in again:
            replayed(answer, first)
    assert calls(lax_gateway, first) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": TEXT, "prompt": "Once", "max_tokens": 5}),
        (
            "/v1/completions",
            {"model": TEXT, "prompt": "Once", "max_tokens": 5, "stream": True},
        ),
        ("/v1/embeddings", {"model": EMBEDS, "input": ["a", "b"]}),
    ],
)
def test_it_is_so_with_every_call(
    lax_gateway: Gateway, key: str, name: str, path: str, body: dict[str, Any]
):
    first, again = (ask(lax_gateway, named(name, key, body, path=path)) for _ in range(2))
    replayed(again, first)
    assert calls(lax_gateway, first) == 1


@pytest.mark.parametrize("fault", ["500", "503", "400", "404", "422"])
def test_what_an_upstream_refused_is_told_again(
    lax_gateway: Gateway, key: str, name: str, fault: str
):
    request = named(name, key, asked(f"org/fault-{fault}"))
    first, again = (ask(lax_gateway, request) for _ in range(2))
    assert first.status >= 400
    replayed(again, first)
    assert again.headers["x-should-retry"] == "false"
    assert calls(lax_gateway, first) == 1


@pytest.mark.parametrize("fault", ["error-mid-stream", "truncated", "cut", "event-error"])
def test_a_stream_that_broke_off_is_told_again_with_its_error(
    lax_gateway: Gateway, key: str, name: str, fault: str
):
    request = named(name, key, asked(f"org/fault-{fault}", stream=True))
    first, again = (ask(lax_gateway, request) for _ in range(2))
    assert first.status == 200
    assert b'"error"' in first.body
    replayed(again, first)
    assert calls(lax_gateway, first) == 1


def test_an_upstreams_limit_is_no_answer_to_keep(lax_gateway: Gateway, key: str, name: str):
    request = named(name, key, asked("org/fault-429"))
    first, again = (ask(lax_gateway, request) for _ in range(2))
    assert first.status == again.status == 429
    assert "idempotent-replayed" not in again.headers
    assert calls(lax_gateway, first) == 2


def test_what_was_refused_before_anything_was_sent_may_be_tried_again(
    gateway: Gateway, lax_gateway: Gateway, name: str
):
    poor = gateway.new_key(budgets=[{"amount": "0.0000001", "period": "day"}])
    slow = gateway.new_key(limits={"requests_per_minute": 1})
    assert ask(gateway, post(chat(), slow)).status == 200
    for key, body, status in (
        (poor, chat(), 402),
        (slow, chat(), 429),
        (slow, {"model": "no/such"}, 400),
        (slow, {**chat(), "model": "no/such-model"}, 404),
        (slow, {**chat(), "api_base": "http://x"}, 400),
    ):
        for _ in range(2):
            answer = ask(gateway, named(name, key, body))
            assert answer.status == status
            assert "idempotent-replayed" not in answer.headers
            assert "x-should-retry" not in answer.headers
    assert ask(gateway, named(name, gateway.new_key(), chat())).status == 200


def test_an_upstream_that_is_not_reached_was_sent_nothing(
    tmp_path: Path, sandbox_server: SandboxServer
):
    config = '[upstreams.down]\nbase_url = "http://127.0.0.1:1/v1"\nprices."*" = { input = 1 }\n'
    with running(tmp_path, config, sandbox_server.environment) as gateway:
        key = gateway.new_key()
        request = named("n", key, asked("down/model"))
        for _ in range(2):
            answer = ask(gateway, request)
            assert answer.error["code"] == "upstream_unreachable"
            assert "idempotent-replayed" not in answer.headers


def test_another_request_under_the_same_name_is_refused(lax_gateway: Gateway, key: str, name: str):
    first = ask(lax_gateway, named(name, key, asked(MODEL, user="reused")))
    assert first.status == 200
    for request in (
        named(name, key, asked(MODEL, user="other")),
        named(name, key, asked(MODEL, user="reused", temperature=0)),
        named(name, key, {"model": MODEL, "input": "x"}, path="/v1/embeddings"),
        named(name, key, asked(MODEL, user="reused"), path=f"{CHATS}?a=b"),
    ):
        answer = ask(lax_gateway, request)
        assert (answer.status, answer.error["code"]) == (422, "idempotency_key_reused")
        assert answer.headers["x-should-retry"] == "false"
    replayed(ask(lax_gateway, named(name, key, asked(MODEL, user="reused"))), first)


def test_a_name_belongs_to_one_key_and_lives_on_when_its_secret_is_replaced(
    lax_gateway: Gateway, name: str
):
    made = lax_gateway.admin("POST", "/keys", {"name": "one"})
    one, other = made["secret"], lax_gateway.new_key()
    first = ask(lax_gateway, named(name, one, asked(MODEL, user="owners")))
    theirs = ask(lax_gateway, named(name, other, asked(MODEL, user="owners")))
    assert "idempotent-replayed" not in theirs.headers
    rotated = lax_gateway.admin("POST", f"/keys/{made['key']['id']}/rotate", {})["secret"]
    replayed(ask(lax_gateway, named(name, rotated, asked(MODEL, user="owners"))), first)
    assert calls(lax_gateway, first) == 1
    assert calls(lax_gateway, theirs) == 1


@pytest.mark.parametrize("bad", ["", "x" * 256, "caf\xe9", "tab\there"])
def test_a_name_that_is_none_is_refused_before_the_body_is_read(
    lax_gateway: Gateway, key: str, bad: str
):
    answer = ask(lax_gateway, named(bad, key, chat()))
    assert (answer.status, answer.error["code"]) == (400, "invalid_idempotency_key")


def test_the_longest_name_is_taken(lax_gateway: Gateway, key: str):
    for request in [named("y" * 255, key, asked(MODEL, user="longest"))] * 2:
        answer = ask(lax_gateway, request)
        assert answer.status == 200
    assert answer.headers["idempotent-replayed"] == "true"


def test_what_makes_no_call_takes_no_note_of_it(lax_gateway: Gateway, key: str):
    for request in (
        get("/v1/models", "idempotency-key: m", key=key),
        get("/health/live", "idempotency-key: m"),
    ):
        for _ in range(2):
            answer = ask(lax_gateway, request)
            assert answer.status == 200
            assert "idempotent-replayed" not in answer.headers
    admin = post({"name": "x"}, lax_gateway.admin_key, "idempotency-key: m", path="/admin/keys")
    assert ask(lax_gateway, admin).json["key"]["id"] != ask(lax_gateway, admin).json["key"]["id"]


def test_turned_off_it_says_so_rather_than_do_something_twice(
    tmp_path: Path, sandbox_server: SandboxServer
):
    off = "[idempotency]\nenabled = false\n"
    with running(tmp_path, off, sandbox_server.environment) as gateway:
        key = gateway.new_key()
        answer = ask(gateway, named("n", key, chat()))
        assert (answer.status, answer.error["code"]) == (400, "idempotency_off")
        assert ask(gateway, post(chat(), key)).status == 200


def test_while_the_first_is_answered_others_are_told_to_wait_and_one_is_sent(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.gate.clear()
        request = named("n", key, asked("org/one"))
        asking = [asyncio.create_task(told(gateway, request)) for _ in range(8)]
        await until(lambda: sum(task.done() for task in asking) == 7)
        for task in asking:
            if task.done():
                answer = task.result()
                assert (answer.status, answer.error["code"]) == (409, "idempotency_in_progress")
                assert answer.headers["retry-after"] == "1"
                assert "x-should-retry" not in answer.headers
        serving.gate.set()
        answers = await asyncio.gather(*asking)
        (first,) = [answer for answer in answers if answer.status == 200]
        replayed(await told(gateway, request), first)
        assert serving.seen == {"org/one": 1}

    play(tmp_path, scene)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_whose_client_left_goes_on_and_is_told_to_whoever_asks_again(
    tmp_path: Path, stream: bool
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.gate.clear()
        request = named("n", key, asked("org/left", stream=stream))
        with Wire(gateway) as wire:
            wire.send(request)
            if stream:
                await asyncio.to_thread(wire.head)
            await until(lambda: serving.seen["org/left"] == 1)
        await until(lambda: gateway.admin("GET", "/status")["connections"] == 1)
        waiting = await told(gateway, request)
        assert waiting.error["code"] == "idempotency_in_progress"
        serving.gate.set()
        book = await settled_book(gateway)
        (row,) = book.rows
        assert (row["status"], row["outcome"], row["token_source"]) == (200, "ok", "provider")
        again = await told(gateway, request)
        assert again.status == 200
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["x-original-request-id"] == row["id"]
        assert again.body.endswith(b"[DONE]\n\n") if stream else again.json["usage"]
        assert serving.seen == {"org/left": 1}

    play(tmp_path, scene)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_above_the_bound_is_delivered_and_not_kept(tmp_path: Path, stream: bool):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.pause = 0.0
        request = named("n", key, asked("org/large", stream=stream))
        first = await told(gateway, request)
        assert first.status == 200
        assert len(first.body) > 100
        again = await told(gateway, request)
        assert (again.status, again.error["code"]) == (409, "idempotency_answer_not_kept")
        assert again.error["original_request_id"] == first.headers["x-request-id"]
        assert first.headers["x-request-id"] in again.error["message"]
        assert again.headers["x-should-retry"] == "false"
        assert "retry-after" not in again.headers
        assert serving.seen == {"org/large": 1}

    play(tmp_path, scene, "idempotency.max_bytes = 100\n")


def test_a_large_answer_that_nobody_will_get_is_called_off(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.gate.clear()
        request = named("n", key, asked("org/called-off", stream=True))
        with Wire(gateway) as wire:
            await asyncio.to_thread(wire.send(request).head)
            await asyncio.to_thread(wire.until, b"word3")
        book = await settled_book(gateway)  # though its end never came
        (row,) = book.rows
        assert (row["status"], row["outcome"]) == (499, "cancelled")
        again = await told(gateway, request)
        assert again.error["code"] == "idempotency_answer_not_kept"

    play(tmp_path, scene, "idempotency.max_bytes = 100\n")


@pytest.mark.slow
def test_a_process_that_died_in_the_middle_leaves_a_call_that_is_never_sent_again(
    tmp_path: Path,
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        done = await told(gateway, named("done", key, asked("org/done")))
        serving.gate.clear()
        request = named("n", key, asked("org/died", stream=True))
        with Wire(gateway) as wire:
            answer = await asyncio.to_thread(wire.send(request).head)
            gateway.kill()
        await asyncio.to_thread(gateway.start)
        serving.gate.set()
        for _ in range(2):
            again = await known(gateway, request)
            assert (again.status, again.error["code"]) == (409, "idempotency_outcome_unknown")
            assert again.error["original_request_id"] == answer.headers["x-request-id"]
            assert again.headers["x-should-retry"] == "false"
            assert "retry-after" not in again.headers
        row = gateway.entry(answer.headers["x-request-id"])
        assert row["outcome"] == "unknown"
        replayed(await told(gateway, named("done", key, asked("org/done"))), done)
        assert serving.seen == {"org/died": 1, "org/done": 1}

    play(tmp_path, scene)


def test_a_gateway_that_is_stopped_leaves_what_it_broke_off_as_unknown(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.gate.clear()
        request = named("n", key, asked("org/stopped"))
        with Wire(gateway) as wire:
            wire.send(request)
            await until(lambda: serving.seen["org/stopped"] == 1)
            assert await asyncio.to_thread(gateway.stop) == 0
            answer = await asyncio.to_thread(wire.answer)
            assert answer.error["code"] == "gateway_stopping"
        await asyncio.to_thread(gateway.start)
        again = await known(gateway, request)
        assert again.error["code"] == "idempotency_outcome_unknown"
        assert serving.seen == {"org/stopped": 1}

    play(tmp_path, scene, "edge.drain_seconds = 0.2\n")


@pytest.fixture
def locked(lax_gateway: Gateway) -> Iterator[sqlite3.Connection]:
    """The store, held by another writer."""
    with closing(sqlite3.connect(lax_gateway.store, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@pytest.mark.slow
def test_while_the_store_is_down_nothing_is_sent(
    lax_gateway: Gateway, key: str, name: str, locked: sqlite3.Connection
):
    request = named(name, key, asked(MODEL, user="store-down"))
    answer = ask(lax_gateway, request)  # after as long as a store is waited for
    assert (answer.status, answer.error["code"]) == (503, "idempotency_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    locked.execute("ROLLBACK")
    first, again = ask(lax_gateway, request), ask(lax_gateway, request)
    replayed(again, first)
    assert calls(lax_gateway, first) == 1


@pytest.mark.slow
def test_an_answer_is_told_though_it_cannot_be_kept_and_kept_when_it_can(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.gate.clear()
        request = named("n", key, asked("org/later"))
        asking = asyncio.create_task(told(gateway, request))
        await until(lambda: serving.seen["org/later"] == 1)
        with closing(sqlite3.connect(gateway.store, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            serving.gate.set()
            first = await asking
            assert first.status == 200
            connection.execute("ROLLBACK")
        async with asyncio.timeout(20):
            while (again := await told(gateway, request)).status == 409:
                assert again.error["code"] == "idempotency_in_progress"
                await asyncio.sleep(0.05)
        replayed(again, first)
        assert serving.seen == {"org/later": 1}

    play(tmp_path, scene)


@pytest.mark.slow
def test_what_is_kept_has_its_time_and_no_request_is_in_it(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        request = named("named-by-me", key, asked("org/secretive"))
        first = await told(gateway, request)
        with closing(sqlite3.connect(gateway.store)) as connection:
            (row,) = connection.execute("SELECT * FROM claims").fetchall()
            assert first.body in row
            for text in (b"named-by-me", b"Say hello", key.encode()):
                assert not any(text in v for v in row if isinstance(v, bytes)), text
        await asyncio.sleep(0)
        second: Answer | None = None
        async with asyncio.timeout(20):
            while second is None or "idempotent-replayed" in second.headers:
                second = await told(gateway, request)
        assert serving.seen == {"org/secretive": 2}

    play(tmp_path, scene, "idempotency.retention_hours = 0.0005\n")


def test_many_names_at_once_are_each_done_once(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.pause = 0.0
        answers: list[Answer] = []
        lock = threading.Lock()

        def work(number: int) -> None:
            with Wire(gateway) as wire:
                for turn in range(20):
                    place = (number * 7 + turn) % 25
                    stream = place % 2 == 0
                    request = named(f"n{place}", key, asked(f"org/{place}", stream=stream))
                    while (answer := wire.ask(request)).status == 409:
                        pass
                    with lock:
                        answers.append(answer)

        await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(6)))
        assert {answer.status for answer in answers} == {200}
        assert len(answers) == 120
        assert set(serving.seen.values()) == {1}
        assert len((await settled_book(gateway)).rows) == len(serving.seen)

    play(tmp_path, scene)


def test_requests_without_it_touch_no_claims(lax_gateway: Gateway, key: str):
    before = read_book(lax_gateway.store).calls
    with closing(sqlite3.connect(lax_gateway.store)) as connection:
        count = "SELECT COUNT(*) FROM claims"
        known = connection.execute(count).fetchone()
        assert ask(lax_gateway, post(asked(MODEL, user="plain"), key)).status == 200
        eventually(lambda: read_book(lax_gateway.store).calls > before, "in the ledger")
        assert connection.execute(count).fetchone() == known


def test_replays_and_refusals_are_counted(lax_gateway: Gateway, key: str, name: str):
    def value(metric: str) -> float:
        text = ask(lax_gateway, get("/metrics", key=lax_gateway.admin_key)).body.decode()
        found = [line.split()[-1] for line in text.splitlines() if line.startswith(metric)]
        return float(found[0]) if found else 0.0

    refused = 'trunkline_refused_total{reason="idempotency"}'
    before = value("trunkline_answers_replayed_total"), value(refused)
    for user in ("counted", "counted", "other"):
        ask(lax_gateway, named(name, key, asked(MODEL, user=user)))
    assert value("trunkline_answers_replayed_total") == before[0] + 1
    assert value(refused) == before[1] + 1

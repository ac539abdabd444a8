"""Names that hold on every process that shares a store, and over the death of those that claimed them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from crowd import Upstream, book_of, upstream
from ledger_side import Caller, new_store, sent
from raw import Answer, Wire, ask, post
from running import CHAT, Gateway, running
from workers_side import all_ready, kill, wait_for, workers

from trunkline.gateway.journal import Journal
from trunkline.gateway.journal_files import segments
from trunkline.gateway.ledger import Ledger
from trunkline.gateway.recovery import bring_in, recover
from trunkline.store.claims import Claim
from trunkline.store.sqlite import SqliteStore

pytestmark = pytest.mark.slow

Scene = Callable[[list[Gateway], Upstream], Awaitable[None]]


def named(name: str, key: str, model: str, **more: Any) -> bytes:
    return post({**CHAT, "model": model, **more}, key, f"idempotency-key: {name}")


async def told(gateway: Gateway, request: bytes) -> Answer:
    return await asyncio.to_thread(ask, gateway, request)


@pytest.fixture
def play(tmp_path: Path, postgres_url: str) -> Callable[[Scene], None]:
    """Run a scene with two gateways on one database."""

    async def work(scene: Scene) -> None:
        async with upstream() as serving:
            with ExitStack() as stack:
                gateways = []
                for name in ("a", "b"):
                    folder = tmp_path / name
                    folder.mkdir()
                    store = f'store = {{ url = "{postgres_url}", journal = "{folder}/journal", lost_seconds = 3 }}\n'
                    gateways.append(stack.enter_context(running(folder, store + serving.config)))
                await scene(gateways, serving)

    return lambda scene: asyncio.run(work(scene))


async def settled(gateway: Gateway, request: bytes) -> Answer:
    """Ask until the first request of the name is known to have ended, or to be nobody's any more."""
    async with asyncio.timeout(30):
        while True:
            answer = await told(gateway, request)
            if b"idempotency_in_progress" not in answer.body:
                return answer
            await asyncio.sleep(0.1)


async def key_of_all(gateways: list[Gateway]) -> str:
    key = await asyncio.to_thread(gateways[0].new_key)
    for gateway in gateways:
        await asyncio.to_thread(
            wait_for, lambda g=gateway: g.ask("GET", "/v1/models", key=key)[0] == 200, "a key"
        )
    return key


def test_another_gateway_on_the_store_tells_the_first_ones_answer_again(play: Any):
    async def scene(gateways: list[Gateway], serving: Upstream) -> None:
        one, other = gateways
        key = await key_of_all(gateways)
        for stream in (False, True):
            request = named(f"n{stream}", key, f"org/{stream}", stream=stream)
            first, again = await told(one, request), await told(other, request)
            assert first.status == 200
            assert again.headers["idempotent-replayed"] == "true"
            assert again.headers["x-original-request-id"] == first.headers["x-request-id"]
            assert again.body == first.body
            reused = await told(other, named(f"n{stream}", key, "org/else"))
            assert reused.error["code"] == "idempotency_key_reused"
        assert serving.seen == {"org/False": 1, "org/True": 1}

    play(scene)


def test_of_two_gateways_that_are_asked_at_once_one_sends(play: Any):
    async def scene(gateways: list[Gateway], serving: Upstream) -> None:
        key = await key_of_all(gateways)
        for turn in range(10):
            request = named(f"n{turn}", key, f"org/{turn}")
            answers = await asyncio.gather(*(told(g, request) for g in gateways * 4))
            assert {answer.status for answer in answers} <= {200, 409}
            assert any(answer.status == 200 for answer in answers)
        assert set(serving.seen.values()) == {1}
        assert len(serving.seen) == 10

    play(scene)


def test_what_a_gateway_was_doing_when_it_died_is_unknown_to_the_other_and_not_sent_again(
    play: Any,
):
    async def scene(gateways: list[Gateway], serving: Upstream) -> None:
        one, other = gateways
        key = await key_of_all(gateways)
        serving.gate.clear()
        request = named("n", key, "org/died", stream=True)
        with Wire(one) as wire:
            head = await asyncio.to_thread(wire.send(request).head)
            busy = await told(other, request)
            assert busy.error["code"] == "idempotency_in_progress"
            await asyncio.to_thread(one.kill)
        serving.gate.set()
        again = await settled(other, request)
        assert (again.status, again.error["code"]) == (409, "idempotency_outcome_unknown")
        assert again.error["original_request_id"] == head.headers["x-request-id"]
        await asyncio.to_thread(one.start)
        again = await settled(one, request)
        assert again.error["code"] == "idempotency_outcome_unknown"
        book = await asyncio.to_thread(book_of, other)
        assert [row["outcome"] for row in book.rows] == ["unknown"]
        assert serving.seen == {"org/died": 1}

    play(scene)


def test_workers_tell_each_others_answers_and_know_when_one_has_died(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        pids = await asyncio.to_thread(all_ready, gateway, 2)
        key = await key_of_all([gateway])
        request = named("n", key, "org/shared")
        answers = [await told(gateway, request) for _ in range(12)]
        assert len({answer.body for answer in answers}) == 1
        serving.gate.clear()
        dying = named("d", key, "org/dying", stream=True)
        with Wire(gateway) as wire:
            await asyncio.to_thread(wire.send(dying).head)
            for pid in pids.values():
                kill(pid)
        serving.gate.set()
        await asyncio.to_thread(
            wait_for,
            lambda: set(workers(gateway).values()).isdisjoint(pids.values()),
            "new workers",
        )
        again = await settled(gateway, dying)
        assert again.error["code"] == "idempotency_outcome_unknown"
        assert serving.seen == {"org/shared": 1, "org/dying": 1}

    async def work() -> None:
        async with upstream() as serving:
            with running(tmp_path, serving.config, {}, "--workers", "2") as gateway:
                await scene(gateway, serving)

    asyncio.run(work())


def claims_of_the_dead(folder: Path, store: SqliteStore) -> list[Claim]:
    """Be a process that died: one call in the journal, one in the ledger, one claimed and not begun."""
    claims = [Claim(b"%d" % n, b"r", f"req_{n:06}", "dead") for n in range(3)]
    for claim in claims:
        store.claim(claim, seconds=100)

    async def work() -> None:
        ledger = Ledger(store, folder)
        journal = Journal(folder, "dead", ledger.take)
        journal.intend(sent(0, boot="dead"), Caller())
        await asyncio.sleep(0)
        ledger._commit_waiting()
        journal.intend(sent(1, boot="dead"), Caller())
        await asyncio.sleep(0)
        journal.close()

    asyncio.run(work())
    return claims


@pytest.mark.parametrize("start", [recover, bring_in])
def test_a_start_gives_names_back_whose_calls_were_never_sent(tmp_path: Path, start: Any):
    with closing(new_store(tmp_path)) as store:
        claims = claims_of_the_dead(tmp_path, store)
        start(store, tmp_path, 2.0)
        standing = [store.claim(claim, seconds=100) for claim in claims]
        assert standing == [claims[0], claims[1], None]
        assert {entry.id for entry in store.entries()} == {"req_000000", "req_000001"}


def test_where_a_journal_is_damaged_no_name_is_given_back(tmp_path: Path):
    with closing(new_store(tmp_path)) as store:
        claims = claims_of_the_dead(tmp_path, store)
        (path,) = segments(tmp_path)
        data = bytearray(path.read_bytes())
        data[30] ^= 1
        path.write_bytes(data + path.read_bytes()[8:])
        recover(store, tmp_path, 2.0)
        recover(store, tmp_path, 2.0)
        assert list(tmp_path.glob("*.damaged"))
        assert store.claim(claims[2], seconds=100) == claims[2]

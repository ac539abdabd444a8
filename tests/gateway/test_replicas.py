"""Several gateways on one database: they know of each other, settle for each other, and follow one another."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from crowd import COST, ask_once, book_of, settled_book
from replicas_side import Fleet, balancing, fleet
from running import Gateway, running
from workers_side import Load, wait_for

from servers import PostgresServer

pytestmark = pytest.mark.slow

Scene = Callable[[Fleet], Awaitable[None]]
ROLLS = int(os.environ.get("TRUNKLINE_ROLLS", "3"))


def play(
    folder: Path,
    url: str,
    scene: Scene,
    *,
    count: int = 3,
    store: str = "",
    environments: Mapping[int, Mapping[str, str]] | None = None,
) -> None:
    async def work() -> None:
        async with fleet(folder, url, count=count, store=store, environments=environments) as found:
            await scene(found)

    asyncio.run(work())


async def eventually(done: Callable[[], object], what: str, seconds: float = 30.0) -> object:
    return await asyncio.to_thread(wait_for, done, what, seconds)


def journals(folder: Path) -> list[Path]:
    return list(folder.glob("journal/**/*.journal"))


def test_replicas_see_each_other_and_all_calls_are_in_one_ledger(tmp_path: Path, postgres_url: str):
    async def scene(found: Fleet) -> None:
        key = await asyncio.to_thread(found.new_key)
        said = await asyncio.gather(
            *(ask_once(found[n % 3].port, key, f"n{n}", stream=n % 2 == 0) for n in range(60))
        )
        assert all(one.done for one in said)
        told = found.replicas(1)
        assert [one["this"] for one in told] == [True, False, False]
        assert len({one["config"] for one in told}) == 1
        assert {one["version"] for one in told} == {told[0]["version"]}
        assert "trunkline_replicas 3.0" in found[2].ask("GET", "/metrics")[2].decode()
        assert await asyncio.to_thread(found.stop) == [0, 0, 0]
        book = await asyncio.to_thread(book_of, found[0])
        assert {row["boot"] for row in book.rows} == {one["boot"] for one in told}
        assert book.charged == sum(row["charged"] for row in book.rows) == 60 * COST
        assert journals(tmp_path) == []

    play(tmp_path, postgres_url, scene)


def test_replicas_that_start_at_once_on_an_empty_database_all_serve(
    tmp_path: Path, postgres_url: str
):
    config = f"""
store.url = "{postgres_url}"
default_upstream = "a"
upstreams.a.base_url = "http://127.0.0.1:9/v1"
"""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:

        def start(at: int) -> Gateway:
            (tmp_path / f"{at}").mkdir()
            return stack.enter_context(running(tmp_path / f"{at}", config))

        gateways = list(pool.map(start, range(4)))
        assert [g.admin("GET", "/status")["ready"] for g in gateways] == [True] * 4
        assert len(gateways[0].admin("GET", "/keys")["data"]) == 1
        assert list(pool.map(Gateway.stop, gateways)) == [0] * 4


def test_a_key_that_one_revokes_is_refused_by_every_other_within_two_seconds(
    tmp_path: Path, postgres_url: str
):
    async def scene(found: Fleet) -> None:
        made = found[0].admin("POST", "/keys", {"name": "one"})
        for gateway in found.gateways:
            assert status(gateway, made["secret"]) == 200, "it is known at its first request"
        found[0].admin("POST", f"/keys/{made['key']['id']}/revoke")
        began = time.monotonic()
        for gateway in found.gateways:
            await eventually(lambda g=gateway: status(g, made["secret"]) == 401, "it is refused", 2)
        assert [status(gateway, made["secret"]) for gateway in found.gateways] == [401] * 3
        print(f"refused by all after {time.monotonic() - began:.3f} s")

    play(tmp_path, postgres_url, scene)


def status(gateway: Gateway, key: str) -> int:
    return gateway.ask("GET", "/v1/models", key=key)[0]


def test_a_reload_reaches_all_and_a_bad_file_leaves_its_replica_as_it_was(
    tmp_path: Path, postgres_url: str
):
    async def scene(found: Fleet) -> None:
        before = found[0].config.read_text()
        for gateway in found.gateways:
            gateway.config.write_text(before.replace("context = 10000", "context = 20000"))
        found[2].config.write_text("no.such.setting = 1\n" + before)
        report = found[0].admin("POST", "/reload")
        assert report["applied"]
        assert report["others"] is None
        began = time.monotonic()
        await eventually(lambda: context(found[1]) == 20000, "the second has it", 2)
        print(f"reloaded elsewhere after {time.monotonic() - began:.3f} s")
        await eventually(lambda: trouble_of(found) == [False, False, True], "the third says why")
        assert context(found[2]) == 10000
        await eventually(
            lambda: any("is unknown" in (one["trouble"] or "") for one in found.replicas()), "told"
        )
        assert "the configuration was not reloaded" in found[2].log.read_text()
        told = found[1].admin("GET", "/status")["replicas"]
        assert told["config_differs"]
        assert any("did not reload" in warning for warning in told["warnings"])
        await eventually(
            lambda: "replicas have different configurations" in found[1].log.read_text(), "logged"
        )
        assert (
            "trunkline_replicas_config_differs 1.0" in found[1].ask("GET", "/metrics")[2].decode()
        )
        found[2].config.write_text(found[0].config.read_text())
        found[1].admin("POST", "/reload")
        await eventually(lambda: trouble_of(found) == [False] * 3, "nothing is wrong any more")
        await eventually(
            lambda: not found[0].admin("GET", "/status")["replicas"]["config_differs"], "all agree"
        )
        found[0].config.write_text("edge.idle_seconds = false\n" + before)
        refused, _, _ = found[0].ask("POST", "/admin/reload", key=found[0].admin_key)
        assert refused == 409

    play(tmp_path, postgres_url, scene)


def context(gateway: Gateway) -> object:
    told = gateway.admin("GET", "/config")["data"]
    return next(one["value"] for one in told if one["name"].endswith("context"))


def trouble_of(found: Fleet) -> list[bool]:
    told = {one["host"].split()[-1]: one for one in found.replicas(1)}
    return [told[str(g.process.pid)]["trouble"] is not None for g in found.gateways]


def test_a_replica_that_dies_is_given_up_and_its_successor_corrects_what_was_unknown(
    tmp_path: Path, postgres_url: str
):
    async def scene(found: Fleet) -> None:
        key = await asyncio.to_thread(found.new_key)
        assert (await ask_once(found[1].port, key, "before")).done
        found.serving.gate.clear()
        asking = [
            asyncio.create_task(ask_once(found[at].port, key, f"open{at}")) for at in (0, 1, 2)
        ]
        while sum(found.serving.seen.values()) < 4:
            await asyncio.sleep(0.005)
        await eventually(lambda: len(rows(found)) == 4, "all are in the ledger")
        found[1].kill()
        await eventually(lambda: len(found.replicas()) == 2, "it is given up")
        await eventually(lambda: rows(found)["open1"]["state"] == "unknown", "it is settled")
        assert {rows(found)[f"open{at}"]["state"] for at in (0, 2)} == {"open"}
        assert "a replica is given up" in found[0].log.read_text() + found[2].log.read_text()
        found.serving.gate.set()
        done = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(done[1], (OSError, EOFError))
        await asyncio.to_thread(found[1].start)
        await asyncio.to_thread(found.all_live)
        book = await settled_book(found[0])
        assert book.charged == sum(row["charged"] for row in book.rows)
        assert {row["model"]: row["state"] for row in book.rows} == {
            "before": "settled",
            "open0": "settled",
            "open1": "unknown",
            "open2": "settled",
        }
        assert await asyncio.to_thread(found.stop) == [0, 0, 0]
        assert journals(tmp_path) == []

    play(tmp_path, postgres_url, scene, store="store.lost_seconds = 2")


def rows(found: Fleet) -> dict[str, dict[str, object]]:
    return {row["model"]: row for row in book_of(found[0]).rows}


def test_a_replica_that_was_frozen_longer_than_it_may_ends_and_the_sums_are_exact(
    tmp_path: Path, postgres_url: str
):
    async def scene(found: Fleet) -> None:
        key = await asyncio.to_thread(found.new_key)
        found.serving.gate.clear()
        asking = [
            asyncio.create_task(ask_once(found[n % 3].port, key, f"n{n}", stream=n % 2 == 0))
            for n in range(12)
        ]
        while sum(found.serving.seen.values()) < 12:
            await asyncio.sleep(0.005)
        await eventually(lambda: len(rows(found)) == 12, "all are in the ledger")
        found[1].process.send_signal(signal.SIGSTOP)
        await eventually(lambda: len(found.replicas()) == 2, "it is given up")
        states = {name: row["state"] for name, row in rows(found).items()}
        assert states == {f"n{n}": "unknown" if n % 3 == 1 else "open" for n in range(12)}
        found[1].process.send_signal(signal.SIGCONT)
        await eventually(lambda: not_ready(found[1]), "it says that it is not ready")
        found.serving.gate.set()
        said = await asyncio.gather(*asking)
        assert all(one.done for one in said), "what it had begun, it ends"
        assert await asyncio.to_thread(found[1].process.wait, 30) == 3
        assert "this process was given up by others" in found[1].log.read_text()
        await asyncio.to_thread(found[1].start)
        await asyncio.to_thread(found.all_live)
        book = await settled_book(found[0])
        assert {row["state"] for row in book.rows} == {"settled"}
        assert len(book.rows) == book.calls == 12
        assert book.charged == 12 * COST
        assert await asyncio.to_thread(found.stop) == [0, 0, 0]
        assert journals(tmp_path) == []

    play(tmp_path, postgres_url, scene, store="store.lost_seconds = 2")


def not_ready(gateway: Gateway) -> bool:
    try:
        return gateway.ask("GET", "/health/ready")[0] == 503
    except OSError:
        return True  # it listens no more


def test_nobody_is_given_up_because_the_database_was_away_and_all_tell_the_truth_meanwhile(
    tmp_path: Path, postgres_server: PostgresServer
):
    url = postgres_server.new_database()

    async def scene(found: Fleet) -> None:
        key = await asyncio.to_thread(found.new_key)
        pids = [gateway.process.pid for gateway in found.gateways]
        await asyncio.to_thread(postgres_server.stop)
        try:
            for gateway in found.gateways:
                await eventually(lambda g=gateway: not_ready(g), "it is not ready")
            _, _, told = found[0].ask("GET", "/health/ready")
            assert "the store cannot be used" in told["troubles"]
            assert status(found[0], key) == 200, "keys are known as before"
            await asyncio.sleep(3)  # longer than anybody may be unseen
        finally:
            await asyncio.to_thread(postgres_server.start)
        for gateway in found.gateways:
            await eventually(lambda g=gateway: not not_ready(g), "it is ready again", 60)
        await asyncio.to_thread(found.all_live)
        assert [gateway.process.poll() for gateway in found.gateways] == [None] * 3
        assert {int(one["host"].split()[-1]) for one in found.replicas()} == set(pids)
        assert (await ask_once(found[2].port, key, "after")).done

    try:
        play(tmp_path, url, scene, store="store.lost_seconds = 2")
    finally:
        postgres_server.restart()  # it ends with the thread that started it


def test_replicas_are_rolled_behind_a_balancer_and_no_request_fails(
    tmp_path: Path, postgres_url: str
):
    async def scene(found: Fleet) -> None:
        key = await asyncio.to_thread(found.new_key)
        async with balancing(found.gateways) as balancer:
            load = Load(balancer.port, key)
            load.begin("stream", callers=6, fresh=True, stream=True)
            load.begin("whole", callers=3, fresh=True, stream=False)
            load.begin("kept", callers=3, fresh=False, stream=True)
            for _ in range(ROLLS):
                for gateway in found.gateways:
                    assert await asyncio.to_thread(gateway.stop) == 0
                    await asyncio.to_thread(gateway.start)
            await load.end()
        assert load.failed == []
        assert load.asked > 20 * ROLLS
        assert await asyncio.to_thread(found.stop) == [0, 0, 0]
        book = await asyncio.to_thread(book_of, found[0])
        assert {model: len(each) for model, each in book.by_model().items()} == found.serving.seen
        assert {row["outcome"] for row in book.rows} == {"ok"}
        assert book.charged == len(book.rows) * COST
        assert journals(tmp_path) == []

    play(tmp_path, postgres_url, scene)


LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


def hours(ahead: int) -> dict[str, str]:
    return {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": f"{ahead:+d}h", "DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed")
def test_clocks_that_are_hours_apart_do_no_harm_and_are_told_of(tmp_path: Path, postgres_url: str):
    async def scene(found: Fleet) -> None:
        for gateway, skew in zip(found.gateways, (0, -1, 25), strict=True):
            told = gateway.admin("GET", "/status")["replicas"]
            assert abs(told["clock_skew_seconds"] + skew * 3600) < 5
            warned = any("clock differs" in warning for warning in told["warnings"])
            assert warned is bool(skew)
            assert ("the clock differs" in gateway.log.read_text()) is bool(skew)
        soon = time.time() + 600
        key = await asyncio.to_thread(
            found.new_key, expires=stamp(soon), budgets=[{"amount": "1", "period": "day"}]
        )
        said = [await ask_once(gateway.port, key, f"n{gateway.port}") for gateway in found.gateways]
        assert [one.status for one in said] == [200] * 3
        book = await settled_book(found[0])
        for row in book.rows:
            assert abs(row["started"] - time.time()) < 60
            assert 0 <= row["ended"] - row["started"] < 60
            assert 0 <= row["first_byte"] < 60
        times = [int(one.request_id.removeprefix("req_")[:11], 16) / 1000 for one in said]
        assert max(times) - min(times) < 60, "ids grow with time, whoever gave them"

    play(tmp_path, postgres_url, scene, environments={1: hours(-1), 2: hours(25)})


def stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

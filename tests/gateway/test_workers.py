"""Several workers on one port: replaced when they die, rolled without a loss, ended together, counted together."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from crowd import COST, Caller, Upstream, ask_once, book_of, read_book, upstream
from running import Gateway, running
from workers_side import Load, all_ready, kill, wait_for

pytestmark = pytest.mark.slow

Scene = Callable[[Gateway, Upstream], Awaitable[None]]
COUNT = 3


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest) -> str:
    """Settings for each kind of store."""
    if request.param == "sqlite":
        return ""
    return f'store.url = "{request.getfixturevalue("postgres_url")}"\n'


def play(folder: Path, scene: Scene, more: str = "", count: int = COUNT, where: str = "") -> None:
    async def work() -> None:
        async with upstream() as serving:
            config = where + more + serving.config
            with running(folder, config, {}, "--workers", str(count)) as gateway:
                await asyncio.to_thread(all_ready, gateway, count)
                await scene(gateway, serving)

    asyncio.run(work())


async def stopped(gateway: Gateway) -> int:
    return await asyncio.to_thread(gateway.stop)


def sockets_of(pid: int) -> int:
    found = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return sum(name.startswith("socket:") for name in found)


def test_all_workers_serve_the_port_and_their_calls_are_in_one_ledger(tmp_path: Path, where: str):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        said = await asyncio.gather(*(ask_once(gateway.port, key, f"n{n}") for n in range(60)))
        assert all(one.done for one in said)
        assert {gateway.ask("GET", "/health/live")[2]["worker"] for _ in range(60)} == {0, 1, 2}
        assert await stopped(gateway) == 0
        book = await asyncio.to_thread(book_of, gateway)
        assert len({row["boot"] for row in book.rows}) == COUNT
        assert {model: len(rows) for model, rows in book.by_model().items()} == serving.seen
        assert book.charged == 60 * COST
        assert list(tmp_path.glob("**/*.journal/**/*.journal")) == []

    play(tmp_path, scene, where=where)


def test_a_key_that_one_worker_made_or_took_back_is_known_to_all(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        made = gateway.admin("POST", "/keys", {"name": "one"})

        def statuses() -> set[int]:
            return {gateway.ask("GET", "/v1/models", key=made["secret"])[0] for _ in range(30)}

        await asyncio.to_thread(wait_for, lambda: statuses() == {200}, "the key is known to all", 5)
        gateway.admin("POST", f"/keys/{made['key']['id']}/revoke")
        await asyncio.to_thread(wait_for, lambda: statuses() == {401}, "nobody takes the key", 5)
        assert await asyncio.to_thread(statuses) == {401}

    play(tmp_path, scene)


def test_a_worker_that_dies_under_load_is_replaced_and_what_connects_meanwhile_is_answered(
    tmp_path: Path, where: str
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        before = await asyncio.to_thread(all_ready, gateway, COUNT)
        load = Load(gateway.port, gateway.new_key())
        load.begin("fresh", callers=6, fresh=True, stream=False)
        load.begin("kept", callers=6, fresh=False, stream=True)
        await asyncio.sleep(0.3)
        kill(before[1])
        again = await asyncio.to_thread(
            wait_for, lambda: replaced(gateway, before), "a new worker serves"
        )
        asked = load.asked
        while load.asked < asked + 30:
            await asyncio.sleep(0.01)
        await load.end()
        assert again[0] == before[0]
        assert again[2] == before[2]
        # What the dead one had accepted is lost; nobody else is, however many connected meanwhile.
        assert len(load.failed) <= 12
        assert await stopped(gateway) == 0
        rows = (await asyncio.to_thread(book_of, gateway)).by_model()
        assert set(serving.seen) <= set(rows)
        assert all(len(found) == 1 for found in rows.values())
        states = {model: found[0]["state"] for model, found in rows.items()}
        assert set(states.values()) <= {"settled", "unknown"}
        never_sent = {states[model] for model in set(rows) - set(serving.seen)}
        assert never_sent <= {"unknown"}, "who dies may have written down what it did not yet send"
        assert "a worker died" in gateway.log.read_text()
        assert list(tmp_path.glob("**/*.journal/**/*.journal")) == []

    play(tmp_path, scene, where=where)


def replaced(gateway: Gateway, before: dict[int, int]) -> dict[int, int] | None:
    found = all_ready(gateway, COUNT)
    return found if found[1] != before[1] else None


def test_workers_are_rolled_again_and_again_under_load_and_no_request_fails(
    tmp_path: Path, where: str
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        before = await asyncio.to_thread(all_ready, gateway, 2)
        load = Load(gateway.port, gateway.new_key())
        load.begin("fresh", callers=4, fresh=True, stream=False)
        load.begin("stream", callers=4, fresh=True, stream=True)
        load.begin("kept", callers=4, fresh=False, stream=False)
        for _ in range(ROLLS):
            gateway.process.send_signal(signal.SIGUSR2)
            before = await asyncio.to_thread(
                wait_for, lambda b=before: rolled(gateway, b), "a roll", 60
            )
        await load.end()
        assert load.failed == []
        assert load.asked > 20 * ROLLS
        assert await stopped(gateway) == 0
        rows = (await asyncio.to_thread(book_of, gateway)).by_model()
        assert {model: len(found) for model, found in rows.items()} == serving.seen
        assert {row["outcome"] for found in rows.values() for row in found} == {"ok"}
        assert list(tmp_path.glob("**/*.journal/**/*.journal")) == []

    play(tmp_path, scene, count=2, where=where)


ROLLS = int(os.environ.get("TRUNKLINE_ROLLS", "3"))


def rolled(gateway: Gateway, before: dict[int, int]) -> dict[int, int] | None:
    found = all_ready(gateway, 2)
    return found if not set(found.values()) & set(before.values()) else None


def test_a_setting_that_takes_a_restart_rolls_the_workers_and_another_does_not(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        before = await asyncio.to_thread(all_ready, gateway, COUNT)
        config = gateway.config.read_text()
        gateway.config.write_text(config.replace("idle_seconds = 20", "idle_seconds = 21"))
        gateway.process.send_signal(signal.SIGHUP)
        told = "the configuration was reloaded"
        await asyncio.to_thread(
            wait_for, lambda: gateway.log.read_text().count(told) == COUNT, "all have reloaded"
        )
        assert await asyncio.to_thread(all_ready, gateway, COUNT) == before
        gateway.config.write_text("edge.drain_seconds = 31\nlisten.workers = 2\n" + serving.config)
        gateway.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(
            wait_for, lambda: rolled_all(gateway, before), "other workers serve"
        )
        settings = {one["name"]: one["value"] for one in gateway.admin("GET", "/config")["data"]}
        assert settings["edge.drain_seconds"] == 31
        gateway.config.write_text("edge.drain_seconds = false\n")
        gateway.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(
            wait_for,
            lambda: "the configuration was not reloaded" in gateway.log.read_text(),
            "said",
        )
        assert (await ask_once(gateway.port, gateway.new_key(), "one")).done

    play(tmp_path, scene)


def rolled_all(gateway: Gateway, before: dict[int, int]) -> bool:
    found = all_ready(gateway, COUNT)
    return not set(found.values()) & set(before.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_answers_end_and_the_second_signal_hurries(
    tmp_path: Path, number: signal.Signals
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.gate.clear()
        asking = [asyncio.create_task(ask_once(gateway.port, key, f"n{n}")) for n in range(8)]
        while len(serving.seen) < 8:
            await asyncio.sleep(0.005)
        gateway.process.send_signal(number)
        await refused(gateway)
        if number is signal.SIGTERM:
            serving.gate.set()
            assert all(one.done for one in await asyncio.gather(*asking))
        else:
            gateway.process.send_signal(number)
            assert {one.code for one in await asyncio.gather(*asking)} == {"gateway_stopping"}
        assert await asyncio.to_thread(gateway.process.wait, 30) == 0
        assert {row["state"] for row in read_book(gateway.store).rows} == {"settled"}
        assert "Stopped.\n" in gateway.log.read_text()
        assert list(tmp_path.glob("**/*.journal/**/*.journal")) == []

    play(tmp_path, scene, "edge.drain_seconds = 60\n")


async def refused(gateway: Gateway) -> None:
    """Wait until nobody can connect any more."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue
            writer.close()
            await asyncio.sleep(0.005)


def test_numbers_are_those_of_all_workers_and_outlive_the_ones_that_counted(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        await asyncio.gather(*(ask_once(gateway.port, key, f"n{n}") for n in range(40)))
        assert {counted(gateway) for _ in range(12)} == {40}
        assert gateway.admin("GET", "/status")["counts"]["calls"] == 40
        before = await asyncio.to_thread(all_ready, gateway, COUNT)
        kill(before[1])
        await asyncio.to_thread(wait_for, lambda: replaced(gateway, before), "a new worker")
        assert {counted(gateway) for _ in range(12)} == {40}
        gateway.process.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(wait_for, lambda: rolled_all(gateway, before), "new workers")
        await asyncio.gather(*(ask_once(gateway.port, key, f"m{n}") for n in range(10)))
        assert {counted(gateway) for _ in range(12)} == {50}
        lines = ("trunkline_replicas 3.0", "trunkline_workers 3.0")  # those who go count till then
        text = await asyncio.to_thread(
            wait_for, lambda: shows(gateway, *lines), "the new ones alone are counted"
        )
        assert set(re.findall(r'process_open_fds\{worker="(\d)"\}', text)) == {"0", "1", "2"}

    play(tmp_path, scene)


def shows(gateway: Gateway, *lines: str) -> str | None:
    text: str = gateway.ask("GET", "/metrics")[2].decode()
    return text if all(f"\n{line}\n" in text for line in lines) else None


def counted(gateway: Gateway) -> float:
    text = gateway.ask("GET", "/metrics")[2].decode()
    found = re.findall(r"^trunkline_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def test_each_line_of_the_log_says_which_worker_it_is_from(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        gateway.process.send_signal(signal.SIGHUP)
        lines = await asyncio.to_thread(
            wait_for,
            lambda: (
                re.findall(r'reloaded".*"worker":(\d)', gateway.log.read_text())[COUNT - 1 :]
                and re.findall(r'reloaded".*"worker":(\d)', gateway.log.read_text())
            ),
            "all have reloaded",
        )
        assert set(lines) == {"0", "1", "2"}

    play(tmp_path, scene)


def test_a_first_start_that_fails_ends_it_all_with_what_is_wrong(tmp_path: Path):
    config = tmp_path / "trunkline.toml"
    config.write_text('default_upstream = "a"\nupstreams.a.base_url = "http://127.0.0.1:9/v1"\n')
    (tmp_path / "gateway.db").write_text("this is no database, and never was one" * 100)
    command = [str(Path(sys.executable).with_name("trunkline")), "serve", "--port", "0"]
    command += ["--workers", "3", "--config", str(config), "--store", str(tmp_path / "gateway.db")]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"not a database" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"serves on" not in done.stdout


def test_workers_end_when_their_supervisor_is_killed_and_the_store_is_free_again(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        found = await asyncio.to_thread(all_ready, gateway, COUNT)
        serving.gate.clear()
        asking = asyncio.create_task(ask_once(gateway.port, gateway.new_key(), "one"))
        while not serving.seen:
            await asyncio.sleep(0.005)
        gateway.kill()
        serving.gate.set()
        assert (await asking).done
        await asyncio.to_thread(
            wait_for, lambda: not any(map(runs, found.values())), "all workers end"
        )
        await asyncio.to_thread(gateway.start)
        await asyncio.to_thread(all_ready, gateway, COUNT)
        assert [row["outcome"] for row in gateway.ledger(1)] == ["ok"]

    play(tmp_path, scene)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return False
    return state != "Z"


def test_two_gateways_cannot_have_one_file_nor_one_port(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        command = [str(Path(sys.executable).with_name("trunkline")), "serve", "--workers", "2"]
        command += ["--config", str(gateway.config)]
        for store, port, reason in (
            (gateway.store, "0", b"Another gateway uses the store"),
            (tmp_path / "other.db", str(gateway.port), b"cannot listen there"),
        ):
            other = await asyncio.to_thread(
                subprocess.run,
                [*command, "--store", str(store), "--port", port],
                env=gateway._environment,
                capture_output=True,
                timeout=30,
            )
            assert other.returncode == 1
            assert reason in other.stderr

    play(tmp_path, scene, count=2)


def test_what_one_process_left_is_brought_in_by_workers_and_theirs_by_one_process(tmp_path: Path):
    async def work() -> None:
        async with upstream() as serving:
            with running(tmp_path, serving.config) as gateway:
                key = gateway.new_key()
                serving.gate.clear()
                for options, name in (((), "one"), (("--workers", "2"), "two"), ((), "three")):
                    callers = [Caller(gateway.port, key) for _ in range(4)]
                    for number, caller in enumerate(callers):
                        await caller.send(f"{name}{number}")
                    while sum(model.startswith(name) for model in serving.seen) < 4:
                        await asyncio.sleep(0.005)
                    pids = list(workers_of(gateway))
                    gateway.kill()
                    for pid in pids:
                        kill(pid)
                    for caller in callers:
                        caller.close()
                    gateway._options = ("--workers", "2") if not options else ()
                    await asyncio.to_thread(gateway.start)
                assert await stopped(gateway) == 0
            rows = read_book(gateway.store).by_model()
            assert {model: len(found) for model, found in rows.items()} == serving.seen
            assert {row["state"] for found in rows.values() for row in found} == {"unknown"}
            assert list(tmp_path.glob("**/*.journal/**/*.journal")) == []

    asyncio.run(work())


def workers_of(gateway: Gateway) -> list[int]:
    pid = gateway.process.pid
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

"""How a gateway ends: answers finish or are told, nothing is left behind, and one process has a store."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from crowd import Caller, Upstream, ask_once, read_book, upstream
from running import Gateway, running

Scene = Callable[[Gateway, Upstream], Awaitable[None]]


def play(folder: Path, scene: Scene, more: str = "") -> None:
    """Run a scene with a gateway in front of an upstream that counts; `more` goes before its tables."""

    async def work() -> None:
        async with upstream() as serving:
            with running(folder, more + serving.config) as gateway:
                await scene(gateway, serving)

    asyncio.run(work())


async def exit_code(gateway: Gateway) -> int:
    return await asyncio.to_thread(gateway.process.wait, 30)


async def seen(serving: Upstream, count: int) -> None:
    async with asyncio.timeout(20):
        while sum(serving.seen.values()) < count:
            await asyncio.sleep(0.005)


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


def test_sigterm_lets_answers_end_and_leaves_all_in_the_store_and_no_journal(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        idle = Caller(gateway.port, key)
        assert (await idle.ask("first")).done
        serving.gate.clear()
        whole, streamed = (
            asyncio.create_task(ask_once(gateway.port, key, name, stream=name == "stream"))
            for name in ("whole", "stream")
        )
        await seen(serving, 3)
        gateway.process.send_signal(signal.SIGTERM)
        await refused(gateway)
        assert idle._streams is not None
        assert await idle._streams[0].read() == b"", "idle connections are closed"
        idle.close()
        assert gateway.process.poll() is None, "answers are waited for"
        serving.gate.set()
        assert (await whole).done
        assert (await streamed).done
        assert await exit_code(gateway) == 0
        rows = read_book(gateway.store).rows
        assert [(row["state"], row["outcome"]) for row in rows] == [("settled", "ok")] * 3
        assert list(tmp_path.glob("*.journal/*.journal")) == []
        assert "Stopped.\n" in gateway.log.read_text()

    play(tmp_path, scene)


def test_who_had_connected_when_the_stop_came_is_answered(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        kept = Caller(gateway.port, key)
        assert (await kept.ask("first")).done
        gateway.process.send_signal(signal.SIGSTOP)
        callers = [Caller(gateway.port, key) for _ in range(20)]
        for number, caller in enumerate([*callers, kept]):
            await caller.send(f"n{number}")  # the kernel takes it, and keeps it
        gateway.process.send_signal(signal.SIGTERM)
        gateway.process.send_signal(signal.SIGCONT)
        for caller in [*callers, kept]:
            assert caller._streams is not None
            head = await caller._streams[0].readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            caller.close()
        assert await exit_code(gateway) == 0
        assert sum(serving.seen.values()) == 22

    play(tmp_path, scene)


def test_a_connection_that_is_in_use_is_told_that_the_gateway_is_not_ready(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.gate.clear()
        reader, writer = await Caller(gateway.port, key).send("one")
        writer.write(b"GET /health/ready HTTP/1.1\r\nhost: gateway\r\n\r\n")
        await seen(serving, 1)
        gateway.process.send_signal(signal.SIGTERM)
        await refused(gateway)
        serving.gate.set()
        told = await reader.read()
        assert b"HTTP/1.1 200" in told
        assert b"HTTP/1.1 503" in told
        assert b"the gateway is being stopped" in told
        assert await exit_code(gateway) == 0
        writer.close()

    play(tmp_path, scene)


def test_after_the_drain_limit_streams_end_with_an_error_and_others_with_503(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        serving.gate.clear()
        whole, streamed = (
            asyncio.create_task(ask_once(gateway.port, key, name, stream=name == "stream"))
            for name in ("whole", "stream")
        )
        await seen(serving, 2)
        gateway.process.send_signal(signal.SIGTERM)
        assert await exit_code(gateway) == 0
        told, cut = await whole, await streamed
        assert (told.status, told.code) == (503, "gateway_stopping")
        assert (cut.status, cut.whole, cut.code) == (200, True, "gateway_stopping")
        assert b"[DONE]" not in cut.body
        rows = {row["model"]: row for row in read_book(gateway.store).rows}
        assert {row["state"] for row in rows.values()} == {"settled"}
        assert rows["whole"]["charged"] == rows["whole"]["reserved"], "it may have been billed"
        assert 0 < rows["stream"]["charged"] < rows["stream"]["reserved"]
        assert list(tmp_path.glob("*.journal/*.journal")) == []

    play(tmp_path, scene, "edge.drain_seconds = 0.3\n")


def test_a_second_sigterm_ends_the_waiting(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        serving.gate.clear()
        asking = asyncio.create_task(ask_once(gateway.port, gateway.new_key(), "one"))
        await seen(serving, 1)
        gateway.process.send_signal(signal.SIGTERM)
        await refused(gateway)
        gateway.process.send_signal(signal.SIGTERM)
        assert (await asking).code == "gateway_stopping"
        assert await exit_code(gateway) == 0

    play(tmp_path, scene, "edge.drain_seconds = 60\n")


def test_requests_that_were_sent_ahead_are_settled_when_the_waiting_ends(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        serving.gate.clear()
        caller = Caller(gateway.port, gateway.new_key())
        await caller.send("one")
        await caller.send("two")
        await seen(serving, 1)
        gateway.process.send_signal(signal.SIGTERM)
        assert await exit_code(gateway) == 0
        assert {row["state"] for row in read_book(gateway.store).rows} == {"settled"}
        caller.close()

    play(tmp_path, scene, "edge.drain_seconds = 0.2\n")


def test_one_process_at_a_time_serves_a_store(tmp_path: Path):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        command = [str(Path(sys.executable).with_name("trunkline")), "serve", "--port", "0"]
        command += ["--config", str(gateway.config), "--store", str(gateway.store)]
        other = await asyncio.to_thread(
            subprocess.run, command, env=gateway._environment, capture_output=True, timeout=30
        )
        assert other.returncode != 0
        assert b"Another gateway uses the store" in other.stderr
        assert b"Traceback" not in other.stderr
        assert (await ask_once(gateway.port, gateway.new_key(), "one")).done
        gateway.kill()
        await asyncio.to_thread(gateway.start)  # a lock does not outlive its process

    play(tmp_path, scene)


def test_of_two_that_start_at_once_on_one_store_one_serves(tmp_path: Path):
    command = [str(Path(sys.executable).with_name("trunkline")), "serve", "--port", "0"]
    command += ["--store", str(tmp_path / "gateway.db")]
    config = tmp_path / "trunkline.toml"
    config.write_text('default_upstream = "a"\nupstreams.a.base_url = "http://127.0.0.1:9/v1"\n')
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
        for _ in range(3)
    ]
    serving = [process for process in started if b"serves on" in process.stdout.readline()]
    for process in serving:
        process.terminate()
    told = [process.communicate(timeout=30) for process in started]
    assert len(serving) == 1
    assert min(process.returncode for process in started) == 0
    refused = [text for _, text in told if b"Another gateway uses the store" in text]
    assert len(refused) == 2

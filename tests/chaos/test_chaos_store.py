"""A store that is held by another process, or whose own disk is full, while calls come all the time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from crowd import Caller, Said, Upstream, ask_once, settled_book, upstream
from running import Gateway, running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


class Crowd:
    """Callers that ask until they are told to stop."""

    def __init__(self, gateway: Gateway, count: int = 8) -> None:
        self.said: list[Said] = []
        self._over = asyncio.Event()
        key = gateway.new_key()
        self._tasks = [
            asyncio.create_task(self._ask(Caller(gateway.port, key), number))
            for number in range(count)
        ]

    async def _ask(self, caller: Caller, number: int) -> None:
        asked = 0
        while not self._over.is_set():
            asked += 1
            self.said.append(await caller.ask(f"n{number}/{asked}", stream=asked % 2 == 0))
            await asyncio.sleep(0.02)
        caller.close()

    async def stop(self) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    def refused(self) -> int:
        return sum(one.status == 503 for one in self.said)


@asynccontextmanager
async def serving(folder: Path, more: str = "") -> AsyncIterator[tuple[Gateway, Upstream]]:
    async with upstream() as behind:
        with running(folder, more + behind.config) as gateway:
            yield gateway, behind


async def check(gateway: Gateway, behind: Upstream, crowd: Crowd) -> None:
    """Hold answers, upstream and ledger against each other."""
    await crowd.stop()
    book = await settled_book(gateway)
    assert {model: len(rows) for model, rows in book.by_model().items()} == dict(behind.seen)
    assert book.charged == sum(row["charged"] for row in book.rows)
    for one in crowd.said:
        assert one.done or (one.status, one.code) == (503, "ledger_unavailable")
    assert sum(one.done for one in crowd.said) <= len(book.rows)
    assert await asyncio.to_thread(gateway.stop) == 0
    assert list(gateway.folder.glob("*.journal/*.journal")) == []


async def until_ready(gateway: Gateway, wanted: bool, seconds: float = 30) -> str:
    async with asyncio.timeout(seconds):
        while True:
            status, _, told = await asyncio.to_thread(gateway.ask, "GET", "/health/ready")
            if (status == 200) == wanted:
                return str(told.get("troubles", ""))
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("on_down", ["refuse", "spool"])
def test_a_store_that_another_process_holds_is_waited_for(tmp_path: Path, on_down: str):
    async def work() -> None:
        async with serving(tmp_path, f'store.on_down = "{on_down}"\n') as (gateway, behind):
            crowd = Crowd(gateway)
            holder = await asyncio.create_subprocess_exec(
                sys.executable, "-c", HOLD, str(gateway.store), stdin=-1, stdout=-1
            )
            assert await holder.stdout.readline() == b"held\n"
            if on_down == "refuse":
                assert "another process holds it" in await until_ready(gateway, wanted=False)
                before = len(behind.seen)
                while crowd.refused() < 50:
                    await asyncio.sleep(0.05)
                assert len(behind.seen) == before, "nothing is sent that cannot be accounted for"
            else:
                before = len(crowd.said)
                while b"store_up 0.0" not in gateway.ask("GET", "/metrics")[2]:
                    await asyncio.sleep(0.1)
                await until_ready(gateway, wanted=True)
                assert len(crowd.said) > before
            await holder.communicate(b"")
            await until_ready(gateway, wanted=True)
            while b"store_up 1.0" not in gateway.ask("GET", "/metrics")[2]:
                await asyncio.sleep(0.1)
            assert (await ask_once(gateway.port, gateway.new_key(), "after")).done
            await check(gateway, behind, crowd)
            if on_down == "spool":
                assert crowd.refused() == 0

    asyncio.run(work())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of the store's own; the journal lies on another."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only a user who may mount can fill a disk of his own")
    (tmp_path / "elsewhere").mkdir()
    (folder / "gateway.db.journal").symlink_to(tmp_path / "elsewhere")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("on_down", ["refuse", "spool"])
def test_a_stores_full_disk_is_lived_through(small_disk: Path, on_down: str):
    async def work() -> None:
        async with serving(small_disk, f'store.on_down = "{on_down}"\n') as (gateway, behind):
            gateway.log = small_disk.parent / "gateway.log"
            crowd = Crowd(gateway)
            while len(crowd.said) < 20:
                await asyncio.sleep(0.02)
            ballast = small_disk / "ballast"
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass  # full
            while b"store_up 0.0" not in gateway.ask("GET", "/metrics")[2]:
                await asyncio.sleep(0.1)
            if on_down == "refuse":
                await until_ready(gateway, wanted=False)
                while crowd.refused() < 50:
                    await asyncio.sleep(0.05)
            else:
                before = len(crowd.said)
                while len(crowd.said) < before + 50:
                    await asyncio.sleep(0.05)
                await until_ready(gateway, wanted=True)
            assert gateway.ask("GET", "/admin/entries", key=gateway.admin_key)[0] == 200
            ballast.unlink()
            await until_ready(gateway, wanted=True)
            await check(gateway, behind, crowd)
            if on_down == "spool":
                assert crowd.refused() == 0

    asyncio.run(work())

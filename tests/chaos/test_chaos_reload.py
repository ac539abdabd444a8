"""Fifty reloads under load, good and bad ones in turn, and restarts: no request fails."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from crowd import Caller, Said, settled_book, upstream
from running import running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]
RELOADS = 50


def test_no_request_fails_through_fifty_reloads(tmp_path: Path):
    async def work() -> None:
        async with upstream() as serving:
            serving.pause = 0.005
            with running(tmp_path, serving.config) as gateway:
                key, over = gateway.new_key(), asyncio.Event()

                async def go_on(number: int) -> list[Said]:
                    caller, said = Caller(gateway.port, key), []
                    while not over.is_set():
                        model = f"n{number}/{len(said)}"
                        said.append(await caller.ask(model, stream=number % 2 == 0))
                    caller.close()
                    return said

                asking = [asyncio.create_task(go_on(number)) for number in range(32)]
                good = bad = 0
                for number in range(RELOADS):
                    broken = number % 3 == 2
                    bad, good = bad + broken, good + (not broken)
                    more = f"edge.idle_seconds = {60 + number}\n"
                    gateway.config.write_text(("wrong = 1\n" if broken else more) + serving.config)
                    gateway.process.send_signal(signal.SIGHUP)
                    async with asyncio.timeout(20):
                        while True:
                            log = gateway.log.read_text()
                            told = [log.count(f"was {how}reloaded") for how in ("", "not ")]
                            if told == [good, bad]:
                                break
                            await asyncio.sleep(0.005)
                over.set()
                said = [one for group in await asyncio.gather(*asking) for one in group]
                assert len(said) > 500
                assert [one for one in said if not one.done] == []
                book = await settled_book(gateway)
                assert len(book.rows) == len(said) == sum(serving.seen.values())
                assert book.charged == sum(row["charged"] for row in book.rows)

    asyncio.run(work())

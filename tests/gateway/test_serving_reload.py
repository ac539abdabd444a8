"""A configuration that is read again under load: a good one applies, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from crowd import Caller, Said, ask_once, settled_book, upstream
from running import Gateway, running

GOOD = """
routes."fast".targets = [{{ upstream = "crowd", model = "behind-fast" }}]
"""


async def hang_up(gateway: Gateway, said: str, times: int) -> None:
    """Send SIGHUP and wait for what the log says of it."""
    gateway.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(20):
        while gateway.log.read_text().count(said) < times:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "bad",
    [
        b"default_upstream = ",
        b'default_upstream = "nobody"\n',
        b"unknown_setting = 1\n",
        b"\xff\xfe\x00",
        b"[edge]\nidle_seconds = -1\n",
        b'[upstreams.a]\nbase_url = "http://127.0.0.1:9/v1"\nkey_env = "NOT_SET"\n',
        None,
    ],
    ids=["syntax", "reference", "unknown", "no text", "range", "environment", "gone"],
)
def test_a_bad_file_keeps_the_old_configuration_and_the_log_says_why(
    tmp_path: Path, bad: bytes | None
):
    async def work() -> None:
        async with upstream() as serving:
            with running(tmp_path, serving.config) as gateway:
                key = gateway.new_key()
                if bad is None:
                    gateway.config.unlink()
                else:
                    gateway.config.write_bytes(bad)
                await hang_up(gateway, "the configuration was not reloaded", 1)
                log = gateway.log.read_text()
                assert "Traceback" not in log
                assert "was never retrieved" not in log
                assert "trunkline.toml" in log.split("was not reloaded")[1] or "NOT_SET" in log
                assert (await ask_once(gateway.port, key, "one")).done
                gateway.config.write_text(serving.config)
                await hang_up(gateway, "the configuration was reloaded", 1)

    asyncio.run(work())


def test_reloads_under_load_lose_no_request_and_apply_what_is_new(tmp_path: Path):
    async def work() -> None:
        async with upstream() as serving:
            serving.pause = 0.002
            with running(tmp_path, serving.config) as gateway:
                key = gateway.new_key()
                assert (await ask_once(gateway.port, key, "fast")).done
                assert serving.seen["behind-fast"] == 0
                over = asyncio.Event()

                async def go_on(number: int) -> list[Said]:
                    caller, said = Caller(gateway.port, key), []
                    while not over.is_set():
                        model = f"n{number}/{len(said)}"
                        said.append(await caller.ask(model, stream=number % 2 == 0))
                    caller.close()
                    return said

                asking = [asyncio.create_task(go_on(number)) for number in range(16)]
                for number in range(1, 11):
                    price = f'prices."*" = {{ input = {number}, output = 2, context = 10000 }}'
                    text = serving.config.splitlines()
                    text[-1] = price
                    gateway.config.write_text(GOOD.format() + "\n".join(text))
                    await hang_up(gateway, "the configuration was reloaded", number)
                over.set()
                said = [one for group in await asyncio.gather(*asking) for one in group]
                assert len(said) > 50
                assert all(one.done for one in said)
                assert (await ask_once(gateway.port, key, "fast")).done
                assert serving.seen["behind-fast"] == 1
                book = await settled_book(gateway)
                assert len(book.rows) == len(said) + 2
                last = book.rows[-1]
                assert last["input_price"] == 10 * 10**12
                assert len({row["input_price"] for row in book.rows}) > 2, (
                    "old rows keep their price"
                )
                assert book.charged == sum(row["charged"] for row in book.rows)

    asyncio.run(work())

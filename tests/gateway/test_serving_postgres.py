"""A gateway whose store is a PostgreSQL database: the same books, and no password anywhere."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from crowd import Upstream, ask_all, ask_once, settled_book, upstream
from running import Gateway, running

from servers import PASSWORD, PASSWORD_IN_URL, PostgresServer

Scene = Callable[[Gateway, Upstream], Awaitable[None]]


def play(folder: Path, url: str, scene: Scene, more: str = "") -> None:
    async def work() -> None:
        async with upstream() as serving:
            config = f'store.url = "{url}"\n{more}{serving.config}'
            with running(folder, config) as gateway:
                await scene(gateway, serving)

    asyncio.run(work())


def cli(gateway: Gateway, *words: str) -> str:
    """Run the command line with the gateway's configuration, and return what it prints."""
    command = [str(Path(sys.executable).with_name("trunkline")), *words]
    environment = {**gateway._environment, "TRUNKLINE_CONFIG": str(gateway.config)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_call_is_in_the_database_once_though_the_gateway_is_killed(
    tmp_path: Path, postgres_url: str
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key(team="red")
        assert all(said.done for said in await ask_all(gateway.port, [key], "first", 40))
        await asyncio.to_thread(gateway.kill)
        await asyncio.to_thread(gateway.start)
        said = await ask_all(gateway.port, [key], "second", 40, stream=True)
        assert all(one.done for one in said)
        book = await settled_book(gateway)
        assert {model: len(rows) for model, rows in book.by_model().items()} == dict(serving.seen)
        assert (book.calls, book.charged) == (80, sum(row["charged"] for row in book.rows))
        assert not gateway.store.exists()
        assert (tmp_path / ".local/share/trunkline/gateway.journal").is_dir()

    play(tmp_path, postgres_url, scene)


def test_the_command_line_makes_keys_in_the_configured_database_and_adds_up_its_spend(
    tmp_path: Path, postgres_url: str
):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        secret = (await asyncio.to_thread(cli, gateway, "keys", "create", "-q")).strip()
        async with asyncio.timeout(20):
            while not (said := await ask_once(gateway.port, secret, "one")).done:
                assert said.status == 401  # until the gateway has seen the key
        await settled_book(gateway)
        told = json.loads(await asyncio.to_thread(cli, gateway, "spend", "--json"))
        assert told["total"]["calls"] == 1
        shown = await asyncio.to_thread(cli, gateway, "keys", "list", "--store", postgres_url)
        assert shown.count("key_") == 2

    play(tmp_path, postgres_url, scene)


def test_the_databases_password_is_shown_nowhere(tmp_path: Path, postgres_url: str):
    async def scene(gateway: Gateway, serving: Upstream) -> None:
        told = [
            json.dumps(gateway.admin("GET", "/config")),
            json.dumps(gateway.admin("GET", "/status")),
            await asyncio.to_thread(cli, gateway, "config", "show", "--origin"),
            await asyncio.to_thread(cli, gateway, "config", "show", "--json"),
            gateway.log.read_text(),
        ]
        assert "trunkline:****@127.0.0.1" in told[0]
        assert "trunkline:****@127.0.0.1" in told[2]
        for text in told:
            assert PASSWORD not in text
            assert PASSWORD_IN_URL not in text

    play(tmp_path, postgres_url, scene)


def test_calls_are_refused_while_the_database_is_down_and_go_on_by_themselves(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
):
    async def ready(gateway: Gateway, *, trouble: str = "") -> None:
        async with asyncio.timeout(30):
            while True:
                status, _, told = await asyncio.to_thread(gateway.ask, "GET", "/health/ready")
                if status == 503 and trouble in str(told) if trouble else status == 200:
                    return
                await asyncio.sleep(0.02)

    async def scene(gateway: Gateway, serving: Upstream) -> None:
        key = gateway.new_key()
        assert (await ask_once(gateway.port, key, "before")).done
        await settled_book(gateway)
        await asyncio.to_thread(postgres_server.stop)
        try:
            assert (await ask_once(gateway.port, key, "noted")).done, "it is in the journal"
            await ready(gateway, trouble="the ledger cannot be written")
            refused = await ask_once(gateway.port, key, "refused")
            assert (refused.status, refused.code) == (503, "ledger_unavailable")
        finally:
            await asyncio.to_thread(postgres_server.start)
        await ready(gateway)
        assert (await ask_once(gateway.port, key, "after")).done
        book = await settled_book(gateway)
        assert [row["model"] for row in book.rows] == ["before", "noted", "after"]
        assert PASSWORD not in gateway.log.read_text()

    play(tmp_path, postgres_url, scene)

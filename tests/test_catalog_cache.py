"""The catalog at hand: asked for once an hour, and what stands in when the router is silent."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trunkline.catalog import Catalog, Catalogs, fetch_list, shipped, write_file
from trunkline.sandbox import InProcessTransport, Sandbox
from trunkline.sandbox.inprocess import AsyncInProcessTransport
from trunkline.settings import ROUTER, read_settings
from trunkline.types import Secret

SETTINGS = read_settings({})
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SILENT = "503"


class World:
    """A router that may fall silent, and a clock that moves when told to."""

    def __init__(self, file: Path | None = None, *, awaited: bool = False) -> None:
        self.seconds = 0.0
        self.awaited = awaited
        self.transport = AsyncInProcessTransport() if awaited else InProcessTransport()
        self.catalogs = Catalogs(file, clock=lambda: self.seconds, now=self.now)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def falls(self, fault: str | None) -> None:
        self.transport.sandbox = Sandbox(fault=fault)

    def read(self, secret: Secret | None = None) -> Catalog:
        if self.awaited:
            return asyncio.run(self.catalogs.aread(self.transport, SETTINGS, secret))
        return self.catalogs.read(self.transport, SETTINGS, secret)

    @property
    def asked(self) -> int:
        return len(self.transport.requests)


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def awaited(request) -> bool:
    return request.param


def test_a_list_is_used_for_an_hour(awaited) -> None:
    world = World(awaited=awaited)
    first = world.read()
    assert (first.source, first.as_of, first.router) == ("router", START, ROUTER)
    assert first.find("meta-llama/llama-3.3-70b-instruct") is not None
    world.seconds = 3599
    assert world.read() is first
    world.seconds = 3600
    assert world.read().as_of == START + timedelta(hours=1)
    assert world.asked == 2


def test_an_old_list_stands_in_while_the_router_is_silent(awaited) -> None:
    world = World(awaited=awaited)
    first = world.read()
    world.falls(SILENT)
    world.seconds = 3600
    second = world.read()
    assert second.entries == first.entries
    assert (second.source, second.as_of) == ("router", START)
    assert "refuses /v1/models" in str(second.trouble)


def test_a_silent_router_is_asked_again_after_a_minute_only(awaited) -> None:
    world = World(awaited=awaited)
    world.falls(SILENT)
    first = world.read()
    world.falls(None)
    assert world.read() is first
    assert world.asked == 1
    world.seconds = 60
    assert world.read().source == "router"
    assert world.read().trouble is None


def test_without_a_list_the_snapshot_stands_in(awaited) -> None:
    world = World(awaited=awaited)
    world.falls(SILENT)
    found = world.read()
    assert found.source.startswith("snapshot")
    assert found.entries == shipped().entries
    assert shipped().trouble is None


@pytest.mark.parametrize("fault", ["503", "cut-length", "401"])
def test_the_file_stands_in_if_it_is_newer_than_the_snapshot(
    awaited, fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "models.json"
    data = fetch_list(SETTINGS, InProcessTransport())
    write_file(path, data, ROUTER, shipped().as_of + timedelta(days=1))
    world = World(path, awaited=awaited)
    world.falls(fault)
    assert world.read().source == f"file {path}"
    write_file(path, data, ROUTER, shipped().as_of - timedelta(days=1))
    world.seconds = 60
    assert world.read().source.startswith("snapshot")


def test_another_routers_file_does_not_stand_in(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    data = fetch_list(SETTINGS, InProcessTransport())
    write_file(path, data, "https://router.example", START)
    assert Catalogs(path).offline(SETTINGS).source.startswith("snapshot")


def test_a_file_that_cannot_be_read_is_named(awaited, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_bytes(b'{"as_of": ')
    world = World(path, awaited=awaited)
    catalog = world.catalogs.offline(SETTINGS)
    assert catalog.source.startswith("snapshot")
    assert f"The file {path} cannot be read" in str(catalog.trouble)
    world.falls(SILENT)
    trouble = str(world.read().trouble)
    assert f"The file {path} cannot be read" in trouble
    assert "refuses /v1/models" in trouble


def test_offline_nobody_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    world = World(path)
    assert world.catalogs.offline(SETTINGS).source.startswith("snapshot")
    write_file(path, fetch_list(SETTINGS, InProcessTransport()), ROUTER, START)
    world.seconds += 2  # it is not looked for again for every call
    read = world.catalogs.offline(SETTINGS)
    assert read.source == f"file {path}"
    world.seconds += 2
    assert world.catalogs.offline(SETTINGS) is read, "nor is it read again"
    assert world.asked == 0
    world.read()
    assert world.catalogs.offline(SETTINGS).source == "router"


def test_a_token_goes_along_if_it_is_hugging_faces(awaited) -> None:
    for value, sent in (("hf_good", "Bearer hf_good"), ("sk-other", None)):
        world = World(awaited=awaited)
        world.read(Secret(value, "a test"))
        assert world.transport.requests[-1].headers.get("authorization") == sent


def test_a_token_that_is_refused_is_left_out() -> None:
    class Refusing(AsyncInProcessTransport):
        """Refuses whoever shows a token."""

        async def open(self, request, timeouts, until):
            told = dict(request.headers)
            self.sandbox = Sandbox(fault="401" if "authorization" in told else None)
            return await super().open(request, timeouts, until)

    transport = Refusing()
    found = asyncio.run(Catalogs().aread(transport, SETTINGS, Secret("hf_old", "a test")))
    assert found.source == "router"
    assert len(transport.requests) == 2


def test_routers_are_kept_apart() -> None:
    world = World()
    world.read()
    other = read_settings({"TRUNKLINE_ROUTER": "http://127.0.0.1:9/v1"})
    assert world.catalogs.read(world.transport, other).router == "http://127.0.0.1:9/v1"
    assert world.asked == 2


def test_the_two_faces_take_the_same() -> None:
    blocking, awaiting = (
        [(p.name, p.default) for p in inspect.signature(face).parameters.values()]
        for face in (Catalogs.read, Catalogs.aread)
    )
    assert blocking == awaiting

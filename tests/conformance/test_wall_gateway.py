"""Our own gateway before the wall, a real process: nothing wrong, nothing hangs, all of it as expected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from running import running

from trunkline.conformance.asking import place_of
from trunkline.conformance.calls import Result, calls_for
from trunkline.conformance.gateway import Wall
from trunkline.conformance.upstream import Upstream

CONFIG = """
unlisted_models = "pass"
default_upstream = "sandbox"
[upstreams.sandbox]
kind = "openai"
base_url = "{url}"
key_env = "SANDBOX_TOKEN"
idle_seconds = 8.0
first_byte_seconds = 8.0
"""
SECRET = "hf_only_the_gateway_has_this"


def before_the_wall(folder: Path, only: Sequence[str] = ()) -> list[Result]:
    """Hold a gateway of its own to the faults that `only` names."""

    async def run() -> list[Result]:
        async with Upstream() as upstream:
            started = running(folder, CONFIG.format(url=upstream.url), {"SANDBOX_TOKEN": SECRET})
            with started as gateway:
                key = (("authorization", f"Bearer {gateway.new_key()}"),)
                wall = Wall(place_of(gateway.url, key), upstream, limit=60.0)
                await wall.ready(20.0)
                return await wall.run(calls_for(only))

    return asyncio.run(run())


@pytest.mark.slow  # what stays silent is waited for
def test_the_gateway_comes_past_the_whole_wall(tmp_path: Path) -> None:
    results = before_the_wall(tmp_path)
    assert [result for result in results if not result.expected] == []
    assert len(results) == len(calls_for())

"""What the Hub tells, kept and asked for again: on a clock of the test's own, and a Hub of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from loopback import Request, Upstream, Visit, whole
from trunkline.errors import APIConnectionError
from trunkline.gateway.hf_hub import Hub, read_partner_models
from trunkline.providers.memory import GRACE, LIFETIME, PATIENCE
from trunkline.settings import read_settings
from trunkline.transport.aio import AioTransport
from trunkline.types import Secret

LISTED = {
    "conversational": {
        "org/a": {"providerId": "own-a", "status": "live"},
        "org/b": {"providerId": "own-a"},
        "tag-filter=base_model:adapter:org/a": {"providerId": "own-lora"},
        "org/lora": {"providerId": "own-lora", "adapterType": "lora"},
        "org/odd": {"providerId": 7},
        "org/none": None,
    },
    "text-to-image": {"org/c": {"providerId": "who/what:12ab"}},
    "odd": ["x"],
}


class Clock:
    """Stands still until it is told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Asked:
    """A Hub that counts, and may be told to fail."""

    def __init__(self) -> None:
        self.down = False
        self.body: Any = LISTED
        self.server = Upstream(self._serve)

    def _serve(self, visit: Visit) -> None:
        while True:
            self._answer(visit, visit.request())

    def _answer(self, visit: Visit, request: Request) -> None:
        if self.down:
            visit.send(whole(b"{}", 503))
        else:
            visit.send(whole(json.dumps(self.body).encode()))

    @property
    def times(self) -> int:
        return len(self.server.requests)


@pytest.fixture
def asked() -> Iterator[Asked]:
    one = Asked()
    yield one
    one.server.close()


def hub_of(asked: Asked, clock: Clock) -> Hub:
    url = asked.server.url.removesuffix("/v1")
    settings = read_settings({"HF_ENDPOINT": url})
    secret = Secret("hf_token", "the test")
    return Hub(settings, AioTransport(), lambda: secret, clock=clock)


async def until(true: Any) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def test_a_providers_list_is_read_whatever_else_is_in_it() -> None:
    names = read_partner_models("replicate", json.dumps(LISTED).encode())
    assert names == {"own-a": ("org/a", "org/b"), "who/what:12ab": ("org/c",), "12ab": ("org/c",)}
    assert read_partner_models("groq", b'{"x": {"org/a": {"providerId": "a:b"}}}') == {
        "a:b": ("org/a",)
    }
    assert read_partner_models("groq", b"[]") is None
    assert read_partner_models("groq", b"no json") is None


def test_a_list_serves_for_a_day_more_while_a_new_one_is_asked_for(asked: Asked) -> None:
    async def story() -> None:
        clock = Clock()
        hub = hub_of(asked, clock)
        assert hub.known("groq", "own-a") is None
        assert await hub.find("groq", "own-a") == ("org/a", "org/b")
        assert hub.known("groq", "own-a") == ("org/a", "org/b")
        assert hub.known("groq", "nobodys") == ()
        assert asked.times == 1
        clock.now += LIFETIME + 1
        asked.body = {"conversational": {"org/new": {"providerId": "own-a"}}}
        assert hub.known("groq", "own-a") == ("org/a", "org/b")
        await until(lambda: hub.known("groq", "own-a") == ("org/new",))
        assert asked.times == 2
        clock.now += LIFETIME + GRACE + 1
        assert hub.known("groq", "own-a") is None

    asyncio.run(story())


def test_a_hub_that_is_down_is_asked_again_after_a_minute(asked: Asked) -> None:
    async def story() -> None:
        clock = Clock()
        hub = hub_of(asked, clock)
        asked.down = True
        assert await hub.find("groq", "own-a") == ()
        assert hub.known("groq", "own-a") == ()
        assert asked.times == 1
        clock.now += PATIENCE + 1
        asked.down = False
        assert hub.known("groq", "own-a") is None
        assert await hub.find("groq", "own-a") == ("org/a", "org/b")

    asyncio.run(story())


def test_a_look_up_teaches_what_providers_call_a_model_but_not_of_adapters(asked: Asked) -> None:
    async def story() -> None:
        hub = hub_of(asked, Clock())
        asked.body = {
            "inferenceProviderMapping": {
                "groq": {"providerId": "own-a", "task": "conversational"},
                "fal-ai": {"providerId": "fal-ai/lora", "adapter": "lora"},
            }
        }
        answer = await hub.look("/api/models/org/a", "org/a")
        assert answer.status == 200
        assert hub.known("groq", "own-a") == ("org/a",)
        await hub.look("/api/models/org/b", "org/b")
        assert hub.known("groq", "own-a") == ("org/a", "org/b")
        assert hub.known("fal-ai", "fal-ai/lora") is None

    asyncio.run(story())


def test_an_answer_is_kept_for_an_hour_and_outlives_a_hub_that_is_gone(asked: Asked) -> None:
    async def story() -> None:
        clock = Clock()
        hub = hub_of(asked, clock)
        first = await hub.look("/api/tasks", None)
        assert hub.remembered("/api/tasks") == first
        assert hub.remembered("/api/tasks?x=y") is None
        clock.now += LIFETIME + 1
        assert hub.remembered("/api/tasks") is None
        asked.down = True
        assert await hub.look("/api/tasks", None) == first
        asked.server.close()
        assert await hub.look("/api/tasks", None) == first
        with pytest.raises(APIConnectionError):
            await hub.look("/api/models/org/a", "org/a")

    asyncio.run(story())


def test_errors_of_the_hub_are_told_and_those_of_its_own_not_kept(asked: Asked) -> None:
    async def story() -> None:
        hub = hub_of(asked, Clock())
        asked.down = True
        assert (await hub.look("/api/tasks", None)).status == 503
        assert hub.remembered("/api/tasks") is None

    asyncio.run(story())

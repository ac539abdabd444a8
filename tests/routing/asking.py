"""Look-ups driven by hand: the Hub's answers from a list, and a clock that moves when told."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from trunkline.errors import APIConnectionError, APIError, Timeout
from trunkline.providers.mapping import ModelMap, ModelMaps, Serving
from trunkline.routing.look_up import find_map
from trunkline.routing.needs import Later, Reply, Send, Wait
from trunkline.types import Secret, Timeouts
from trunkline.wire.message import ResponseHead

HUB = "https://hub.example"
ASKED = f"{HUB}/api/models/org/m?expand=inferenceProviderMapping"
NOW = 1000.0
TOKEN = Secret("hf_abcdefghijkl", "a test")
ROW = {"providerId": "flux", "status": "live", "task": "text-to-image"}
INFO = {"id": "org/m", "inferenceProviderMapping": {"fal-ai": ROW}}
KNOWN = ModelMap("org/m", (Serving("fal-ai", "flux", "text-to-image", "live"),))
OLD = ModelMap("org/m", (Serving("fal-ai", "old", "text-to-image", "live"),))
TEI_INFO = {"model_id": "org/e", "model_type": {"embedding": {}}, "max_client_batch_size": 32}
LIMIT = Timeouts().connect * 2

Outcome = Callable[[Send, float], Reply]


def says(body: Any = INFO, status: int = 200, takes: float = 0.1, **headers: str) -> Outcome:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _, now: Reply(now, now + takes, ResponseHead(status, named), data)


def fails(error: APIError | None = None) -> Outcome:
    return lambda _, now: Reply(now, now + 0.1, error=error or APIConnectionError("refused"))


def silent(send: Send, now: float) -> Reply:
    return Reply(now, send.until, error=Timeout("nothing came"))


class Hand:
    """Drives flows with outcomes from a list and a clock that moves when told."""

    def __init__(self, *outcomes: Outcome, now: float = NOW) -> None:
        self.outcomes = list(outcomes)
        self.now = now
        self.sends: list[Send] = []
        self.waits: list[float] = []
        self.later: list[Any] = []

    def run(self, flow: Any) -> Any:
        told: Any = None
        while True:
            try:
                need = flow.send(told)
            except StopIteration as end:
                return end.value
            told = self.answer(need)

    def answer(self, need: Any) -> Any:
        if isinstance(need, Send):
            self.sends.append(need)
            reply = self.outcomes.pop(0)(need, self.now)
            self.now = reply.ended
            return reply
        if isinstance(need, Wait):
            self.waits.append(need.seconds)
            self.now += need.seconds
            return self.now
        assert isinstance(need, Later)
        return self.later.append(need.flow)

    def find(self, maps: ModelMaps, secret: Secret | None = None, end: float = math.inf) -> Any:
        found, now = self.run(asking(maps, secret, self.now, end))
        assert now == self.now
        return found


def asking(maps: ModelMaps, secret: Secret | None, now: float, end: float = math.inf) -> Any:
    return find_map(maps, "org/m", secret, timeouts=Timeouts(), now=now, end=end)


def urls(hand: Hand) -> list[str]:
    return [str(send.request.url) for send in hand.sends]

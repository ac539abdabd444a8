"""Whatever a task's call waits for, a look-up, an input, a job, a file: it ends by its deadline, and says so."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hand import OK, START, Hand
from hypothesis import given, settings
from hypothesis import strategies as st
from job_hand import FORMS, carry
from task_hand import HUB, KEY, carry_task, task_ask

from job_forms import Form
from trials import often
from trunkline.errors import APIConnectionError, APIError, DeadlineExceeded, Timeout
from trunkline.providers.engines import Engines, Seekers
from trunkline.routing.needs import Reply, Send
from trunkline.routing.task_flow import ask_flow
from trunkline.types.job import Job
from trunkline.types.media import Blob
from trunkline.wire.message import ResponseHead

MAP = json.dumps(
    {
        "id": "org/m",
        "inferenceProviderMapping": {
            "fal-ai": {"providerId": "fal-ai/m", "task": "text-to-image", "status": "live"}
        },
    }
).encode()
ACCEPTED = json.dumps(
    {
        "request_id": "7",
        "status": "IN_QUEUE",
        "response_url": "https://queue.fal.run/fal-ai/m/requests/7",
        "status_url": "https://queue.fal.run/fal-ai/m/requests/7/status",
        "cancel_url": "https://queue.fal.run/fal-ai/m/requests/7/cancel",
    }
).encode()
DONE = b'{"status": "COMPLETED", "images": [{"url": "https://files.example.com/x.png"}]}'
BODIES = (OK, MAP, ACCEPTED, b'{"status": "IN_PROGRESS"}', DONE, b"\x89PNG", b"[]")
STATUSES = (400, 401, 404, 408, 429, 500, 503)


class Chance(list[Any]):
    """Answers without end, as chance has them, and whether the last of them came in time."""

    def __init__(self, seed: int, *first: Any) -> None:
        super().__init__(first)
        self.random = Random(seed)
        self.late = False

    def pop(self, at: Any = 0) -> Any:
        return super().pop(at) if self else self._happen

    def _happen(self, send: Send, now: float) -> Reply:
        chance = self.random
        takes = chance.choice((0.01, 0.5, 3.0, 40.0)) * chance.random()
        self.late = now + takes > send.until
        if self.late:
            late = Timeout("Nothing came.")
            late.sent = True
            return Reply(now, max(now, send.until), error=late)
        if chance.random() < 0.2:
            return Reply(now, now + takes, error=APIConnectionError("Cut."))
        if chance.random() < 0.3:
            headers = chance.choice(({}, {"retry-after": "7"}, {"retry-after": "1e9"}))
            return Reply(now, now + takes, ResponseHead(chance.choice(STATUSES), headers), b"")
        return says(chance.choice(BODIES), takes)(send, now)


def says(body: bytes, takes: float) -> Any:
    """Answer whole, if there is time for it."""

    def happen(send: Send, now: float) -> Reply:
        if now + takes > send.until:
            return Reply(now, max(now, send.until), error=Timeout("Nothing came."))
        kind = "image/png" if body.startswith(b"\x89") else "application/json"
        return Reply(now, now + takes, ResponseHead(200, {"content-type": kind}), body)

    return happen


def check(hand: Hand, deadline: float, raised: APIError | None) -> None:
    """Check that a call ended in time; one that ran out of it says so."""
    assert hand.now <= START + deadline + 1e-6
    assert all(send.until <= START + deadline for send in hand.sends)
    chance = hand.outcomes
    assert isinstance(chance, Chance)
    if chance.late and hand.now >= START + deadline - 0.01:
        assert isinstance(raised, DeadlineExceeded), repr(raised)


def by_chance(seed: int, *first: Any) -> Hand:
    hand = Hand()
    hand.outcomes = Chance(seed, *first)
    return hand


CALLS: dict[str, dict[str, Any]] = {
    "a model that the Hub is asked for": {"model": "org/m"},
    "a provider of it": {"model": "fal-ai/org/m"},
    "a provider by its own key": {
        "model": "fal-ai/org/m",
        "secret": KEY,
        "places": {"explicit": True},
    },
    "a server that is asked what it is": {
        "task": "feature-extraction",
        "inputs": "x",
        "model": "m",
        "places": {"api_base": "http://127.0.0.1:8080"},
    },
    "an input that is fetched": {
        "task": "image-classification",
        "model": "hf-inference/org/m",
        "inputs": Blob(b"", url="https://example.com/x.png"),
    },
    "a job that is resumed": {
        "job": Job("fal-ai", "text-to-image", "org/m", "7", "/fal-ai/m/requests/7")
    },
}


@pytest.mark.parametrize("name", CALLS)
@given(seed=st.integers(0, 1 << 32), deadline=st.floats(0.1, 100), retries=st.integers(0, 4))
@settings(max_examples=often(100), deadline=None)
def test_a_call_of_a_task_never_outlives_its_deadline(
    name: str, seed: int, deadline: float, retries: int
) -> None:
    options = dict(CALLS[name])
    task, inputs = options.pop("task", "text-to-image"), options.pop("inputs", "a cat")
    hand = by_chance(seed)
    raised: APIError | None = None
    try:
        carry_task(hand, task, inputs, deadline=deadline, retries=retries, **options)
    except APIError as error:
        raised = error
    check(hand, deadline, raised)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.provider}-{form.task}")
@given(seed=st.integers(0, 1 << 32), deadline=st.floats(0.1, 100))
@settings(max_examples=often(25), deadline=None)
def test_a_job_of_any_provider_is_not_followed_past_the_deadline(
    form: Form, seed: int, deadline: float
) -> None:
    pending = [says(json.dumps(answer).encode(), 0.5) for answer in form.pending]
    hand = by_chance(seed, says(json.dumps(form.accepted).encode(), 0.05), *pending)
    raised: APIError | None = None
    try:
        carry(hand, form, deadline=deadline)
    except APIError as error:
        raised = error
    check(hand, deadline, raised)


def test_what_runs_at_an_address_is_not_asked_past_the_deadline():
    ask = task_ask("text-to-image", model="m", places={"api_base": "http://h:80"}, deadline=0.5)
    ask = type(ask)(ask.journey, ask.places, what="info")
    hand = Hand(says(b"{}", 30.0))
    with pytest.raises(DeadlineExceeded):
        hand.run(ask_flow(ask, Seekers(Engines(), HUB)))
    assert hand.now == START + 0.5

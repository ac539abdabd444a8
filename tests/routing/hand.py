"""Flows driven by hand: answers from a script, a clock that only moves when told, no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from trunkline.dialects.openai_chat import ChunkReader
from trunkline.errors import APIError, Timeout
from trunkline.model_id import parse
from trunkline.providers.mapping import ModelMaps
from trunkline.providers.spec import Target
from trunkline.providers.targets import Places, chat_target
from trunkline.routing.carry import Journey
from trunkline.routing.flow import Opened, chat_flow, stream_flow
from trunkline.routing.needs import Need, Reply, Send, Wait
from trunkline.routing.retry import Retry
from trunkline.types import Chat, Completion, Secret, Timeouts
from trunkline.wire.message import ResponseHead

START = 1000.0
ROUTER = "https://router.huggingface.co"
TOKEN = Secret("hf_first", "the environment variable HF_TOKEN")
OK = json.dumps(
    {
        "id": "c1",
        "model": "served-name",
        "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
).encode()

Outcome = Callable[[Send, float], Reply]


def answers(status: int = 200, body: Any = OK, *, takes: float = 1.0, **headers: str) -> Outcome:
    """Answer with a whole response after `takes` seconds; `x_request_id` is `x-request-id`."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def happen(send: Send, now: float) -> Reply:
        return Reply(now, now + takes, ResponseHead(status, named), data)

    return happen


def fails(
    error: APIError, *, takes: float = 1.0, sent: bool = False, received: bool = False
) -> Outcome:
    """Fail without an answer after `takes` seconds."""
    error.sent, error.received = sent, received  # type: ignore[attr-defined]
    return lambda _, now: Reply(now, now + takes, error=error)


def silent() -> Outcome:
    """Say nothing until the time is up."""
    error = Timeout("Nothing came.")
    error.sent = True
    return lambda send, now: Reply(now, send.until, error=error)


def streams(*events: Any, takes: float = 1.0, **headers: str) -> Outcome:
    """Begin a stream with these events, as a driver reads it up to its first chunk."""
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)

    def happen(send: Send, now: float) -> Reply:
        assert isinstance(send.reader, ChunkReader)
        chunks = send.reader.feed(data)
        head = ResponseHead(200, {k.replace("_", "-"): v for k, v in headers.items()})
        if send.reader.failure is not None and not chunks:
            return Reply(now, now + takes, head, error=send.reader.failure)
        return Reply(now, now + takes, head, exchange="exchange", chunks=chunks)

    return happen


class Hand:
    """Runs one flow and writes down what it asked for."""

    def __init__(self, *outcomes: Outcome, fresh: Secret | None = None) -> None:
        self.outcomes = list(outcomes)
        self.fresh = fresh
        self.now = START
        self.needs: list[Need] = []

    @property
    def sends(self) -> list[Send]:
        return [need for need in self.needs if isinstance(need, Send)]

    @property
    def waits(self) -> list[float]:
        return [need.seconds for need in self.needs if isinstance(need, Wait)]

    def run(self, flow: Any) -> Any:
        """Return what the flow returns; raises what it raises."""
        told: Any = None
        while True:
            try:
                need = flow.send(told)
            except StopIteration as end:
                return end.value
            self.needs.append(need)
            told = self._answer(need)

    def _answer(self, need: Need) -> Any:
        if isinstance(need, Send):
            reply = self.outcomes.pop(0)(need, self.now)
            self.now = reply.ended
            return reply
        if isinstance(need, Wait):
            self.now += need.seconds
            return self.now
        return self.fresh


def target(model: str = "groq/org/m", secret: Secret = TOKEN, **places: Any) -> Target:
    explicit = places.pop("explicit", False)
    return chat_target(parse(model), Places(ROUTER, secret=secret, explicit=explicit, **places))


def journey(
    *, retries: int = 2, deadline: float | None = None, chance: float = 0.5, **chat: Any
) -> Journey:
    asked = Chat(
        parse("groq/org/m"),
        [{"role": "user", "content": "Say hello"}],
        deadline=deadline,
        **{"timeouts": Timeouts(total=60.0), **chat},
    )
    return Journey(asked, Retry(retries, lambda: chance), START, ModelMaps("https://hub.example"))


def chat(hand: Hand, at: Target | None = None, **options: Any) -> Completion:
    """Carry a chat by hand."""
    result = hand.run(chat_flow(journey(**options), at or target()))
    assert isinstance(result, Completion)
    return result


def stream(hand: Hand, at: Target | None = None, **options: Any) -> Opened:
    """Open a stream by hand."""
    result = hand.run(stream_flow(journey(stream=True, **options), at or target()))
    assert isinstance(result, Opened)
    return result


def refusal(hand: Hand, at: Target | None = None, **options: Any) -> APIError:
    """Carry a chat that fails, and return its error."""
    try:
        chat(hand, at, **options)
    except APIError as error:
        return error
    raise AssertionError("the chat did not fail")

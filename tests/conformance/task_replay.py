"""Replays recorded exchanges of tasks to real clients: the answer, the Hub's mapping, the files.

Run as a program it prints what comes of them, as a table in Markdown.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from recordings import Exchange, artifacts
from task_plans import HUB_NAME, Plan, plans

from trunkline import AsyncClient, Client, drive
from trunkline.errors import APIError
from trunkline.routing.task_flow import ask_flow
from trunkline.settings import read_settings
from trunkline.transport.switch import AsyncSwitch, Switch
from trunkline.types import Timeouts
from trunkline.types.results import Items
from trunkline.wire.message import HttpRequest, ResponseHead

_KEPT = b"kept for the test"
SMALL = {
    "jpeg": b"\xff\xd8\xff\xe0 " + _KEPT,
    "jpg": b"\xff\xd8\xff\xe0 " + _KEPT,
    "mp4": b"\x00\x00\x00\x18ftypisom" + _KEPT,
    "png": b"\x89PNG\r\n\x1a\n" + _KEPT,
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt " + _KEPT,
    "webp": b"RIFF\x24\x00\x00\x00WEBPVP8 " + _KEPT,
}
"""Files by their ending, for those of which only that they came was recorded."""


@dataclass
class Script:
    """Answers requests as they were answered when they were recorded, and keeps them."""

    plan: Plan
    questions: list[HttpRequest] = field(default_factory=list)
    """Those that went to the Hub."""
    sent: list[HttpRequest] = field(default_factory=list)
    """The request of the task, and the polls."""
    fetched: list[HttpRequest] = field(default_factory=list)

    def answer(self, request: HttpRequest) -> tuple[ResponseHead, bytes]:
        url = str(request.url)
        if url.startswith("https://huggingface.co/api/models/"):
            self.questions.append(request)
            return self._told_by_the_hub()
        if request.public:
            self.fetched.append(request)
            return file_at(url)
        place = min(len(self.sent), len(self.plan.exchanges) - 1)
        self.sent.append(request)
        found = self.plan.exchanges[place]
        return head_of(found), found.body

    def _told_by_the_hub(self) -> tuple[ResponseHead, bytes]:
        plan = self.plan
        row = {"status": "live", "providerId": plan.named, "task": plan.task}
        body = {"id": HUB_NAME, "inferenceProviderMapping": {plan.first.provider: row}}
        return ResponseHead(200, {"content-type": "application/json"}), json.dumps(body).encode()


def head_of(exchange: Exchange) -> ResponseHead:
    """Return the recorded head, but for what a transport takes off: its body is decoded."""
    kept = {name: value for name, value in exchange.headers if name != "content-encoding"}
    return ResponseHead(exchange.status, kept)


def file_at(url: str) -> tuple[ResponseHead, bytes]:
    """Return a recorded file, or a small one of its type where its bytes were not kept."""
    found = artifacts().get(url)
    body = found.body if found else b""
    suffix = url.partition("?")[0].rpartition(".")[2]
    return (head_of(found) if found else ResponseHead(200)), body or SMALL[suffix]


class WholeExchange:
    """An answer that is there."""

    def __init__(self, head: ResponseHead, body: bytes) -> None:
        self.head, self._parts, self.started = head, [body], time.monotonic()

    def read(self, until: float) -> bytes:
        return self._parts.pop() if self._parts else b""

    def close(self) -> None:
        """Nothing is open."""


class AsyncWholeExchange(WholeExchange):
    """The same, awaited."""

    async def read(self, until: float) -> bytes:  # type: ignore[override]
        return super().read(until)


class ScriptTransport:
    """A transport whose answers are a script's."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> WholeExchange:
        return WholeExchange(*self.script.answer(request))

    def close(self) -> None:
        """Nothing is open."""


class AsyncScriptTransport(ScriptTransport):
    """The same, awaited."""

    async def open(  # type: ignore[override]
        self, request: HttpRequest, timeouts: Timeouts, until: float
    ) -> AsyncWholeExchange:
        return AsyncWholeExchange(*self.script.answer(request))


class ImpatientClient(Client):
    """A client that does not sleep between the polls of a job."""

    def carry_out(self, asking: Any, *args: Any, **kwargs: Any) -> Any:
        ask = asking(self._calls, *args, **kwargs)
        flow, switch = ask_flow(ask, self._calls.seekers), Switch(self._line)
        return drive.run(flow, switch, self._calls.renew, sleep=lambda _: None)


class ImpatientAsyncClient(AsyncClient):
    """The same, awaited."""

    async def carry_out(self, asking: Any, *args: Any, **kwargs: Any) -> Any:
        ask = asking(self._calls, *args, **kwargs)
        flow, switch = ask_flow(ask, self._calls.seekers), AsyncSwitch(self._line)
        return await drive.run_async(
            flow, switch, self._calls.renew, sleep=lambda _: asyncio.sleep(0)
        )


@dataclass(frozen=True)
class Outcome:
    """What came of a call: a result or an error, and what was asked for it."""

    script: Script
    result: Any = None
    error: APIError | None = None

    @property
    def kind(self) -> str:
        """The type of the result, of each of its items where there are several, or of the error."""
        found = self.result if self.error is None else self.error
        if isinstance(found, Items):
            return f"Items of {type(found[0]).__name__}"
        return type(found).__name__


@cache
def outcome(plan: Plan) -> Outcome:
    """Make the call that a plan describes with a blocking client."""
    script = Script(plan)
    kind = ImpatientClient if plan.waits else Client
    with kind(settings=read_settings({}), transport=ScriptTransport(script)) as client:
        try:
            return Outcome(script, _begin(client, plan))
        except APIError as error:
            return Outcome(script, error=error)


def outcome_async(plan: Plan, runner: asyncio.Runner) -> Outcome:
    """Make the same call with an awaiting client."""
    script = Script(plan)
    kind = ImpatientAsyncClient if plan.waits else AsyncClient

    async def call() -> Any:
        transport = AsyncScriptTransport(script)
        async with kind(settings=read_settings({}), transport=transport) as client:
            return await _begin(client, plan)

    try:
        return Outcome(script, runner.run(call()))
    except APIError as error:
        return Outcome(script, error=error)


def _begin(client: Any, plan: Plan) -> Any:
    if plan.job is not None:
        return client.resume_job(plan.job, **plan.options)
    if plan.raw:
        asked = (plan.task, plan.model, plan.inputs, plan.parameters, plan.options)
        return client.carry_out(lambda calls: calls.ask(*asked))
    first, named = plan.call
    return getattr(client, plan.function)(plan.model, *first, **named)


def counts(replayed: Iterable[Plan]) -> Counter[tuple[str, str, str]]:
    """Return how many exchanges came to each end, by provider and task: a job's polls count too."""
    return Counter(
        (plan.first.provider, plan.first.task, outcome(plan).kind)
        for plan in replayed
        for _ in plan.exchanges
    )


def table() -> str:
    """Return the counts as a table in Markdown."""
    rows = ["| provider | task | outcome | exchanges |", "|---|---|---|---|"]
    found = sorted(counts(plans()).items())
    rows += [f"| {' | '.join(place)} | {number} |" for place, number in found]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())

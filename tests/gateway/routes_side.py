"""A gateway with a route over servers that do as they are told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from raw import Answer, Wire, ask, post
from running import Gateway, running

from loopback import (
    DONE,
    LAST,
    STREAM_HEAD,
    Upstream,
    Visit,
    chunk,
    completion,
    event,
    usage_event,
    whole,
)

Script = Callable[[Visit], None]
Body = dict[str, Any]
T = TypeVar("T")
CHAT = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 50}


def said(text: str, *, finish: str | None = "stop") -> bytes:
    """Return the events of a stream that says a text, a piece between two bars each."""
    events = [event(piece) for piece in text.split("|")]
    if finish:
        events += [event(finish=finish), usage_event(10, 5)]
    return b"".join(chunk(each) for each in events)


def answering(text: str = "hello") -> Script:
    """Answer every request well, as it asks: whole or streamed."""

    def script(visit: Visit) -> None:
        while True:
            request = visit.request()
            if request.json.get("stream"):
                visit.send(STREAM_HEAD, said(text), chunk(DONE), LAST)
            else:
                visit.answer(completion(text.replace("|", "")))

    return script


def refusing(status: int, body: Body | None = None, **headers: str) -> Script:
    """Answer every request with an error."""
    told = json.dumps(body or {"error": {"message": "no", "code": "broken"}}).encode()

    def script(visit: Visit) -> None:
        while True:
            visit.request()
            visit.send(whole(told, status, **headers))

    return script


def turning(*statuses: int) -> Script:
    """Answer the first requests with these statuses, and well those behind them."""
    left = list(statuses)

    def script(visit: Visit) -> None:
        while True:
            visit.request()
            if left and left[0] != 200:
                visit.send(whole(b'{"error": {"message": "no"}}', left.pop(0), retry_after="1"))
            else:
                visit.answer(completion("hello"))

    return script


def resetting(visit: Visit) -> None:
    """Reset every connection once it has asked."""
    visit.request()
    visit.reset()


def silent(visit: Visit) -> None:
    """Take a request, and say nothing."""
    visit.request()
    visit.note("asked")
    visit.until_gone()


def cutting(text: str) -> Script:
    """Break every stream off after a text."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, said(text, finish=None))
        visit.close()

    return script


def holding(text: str) -> Script:
    """Say a text, and end the answer when the test says "go on"."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(STREAM_HEAD, said(text, finish=None))
        visit.hold("go on")
        visit.send(said(""), chunk(DONE), LAST)

    return script


class Scene:
    """A gateway whose route `r` leads to servers, named after their order: `a`, `b`, `c`."""

    def __init__(self, gateway: Gateway, servers: list[Upstream]) -> None:
        self.gateway = gateway
        self.servers = servers
        self.key = gateway.new_key()

    def ask(self, model: str = "r", **more: Any) -> Answer:
        return ask(self.gateway, post({"model": model, **CHAT, **more}, self.key))

    def ask_for_a_response(self, **more: Any) -> Answer:
        body = {"model": "r", "input": "Say hello.", **more}
        return ask(self.gateway, post(body, self.key, path="/v1/responses"))

    @contextmanager
    def streaming(self) -> Generator[Wire]:
        """Ask for a stream, and give the connection that it comes on."""
        with Wire(self.gateway) as wire:
            wire.send(post({"model": "r", **CHAT, "stream": True}, self.key))
            yield wire

    def metrics(self) -> str:
        text: bytes = self.gateway.ask("GET", "/metrics", key=self.gateway.admin_key)[2]
        return text.decode()

    def row(self, answer: Answer) -> Body:
        return self.gateway.entry(answer.headers["x-request-id"])

    def asked(self, at: int) -> int:
        """Return how many requests a server has had."""
        return sum(len(visit.requests) for visit in self.servers[at].visits)


PRICES = 'prices."*" = {{ input = 1, output = 2, context = {context} }}'


@contextmanager
def routed(
    folder: Path, rules: str, *scripts: Script, contexts: tuple[int, ...] = (), more: str = ""
) -> Generator[Scene]:
    """Run servers `a`, `b`, ... and a gateway whose route `r` has them as targets, and `rules`."""
    servers = [Upstream(script) for script in scripts]
    names = "abcdef"[: len(servers)]
    config = 'default_upstream = "a"\n'
    for name, server, context in zip(
        names, servers, contexts or (1000,) * len(servers), strict=True
    ):
        config += (
            f'[upstreams.{name}]\nbase_url = "{server.url}"\n{PRICES.format(context=context)}\n'
        )
    targets = ", ".join(f'{{ upstream = "{n}", model = "m-{n}", name = "{n}" }}' for n in names)
    config += f"[routes.r]\ntargets = [{targets}]\n{rules}\n{more}"
    try:
        with running(folder, config) as gateway:
            yield Scene(gateway, servers)
    finally:
        for server in servers:
            server.close()


def text_of(answer: Answer) -> str:
    """Return what an answer says, whole or streamed."""
    if answer.headers["content-type"] == "application/json":
        return str(answer.json["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.body.split(b"\n") if line.startswith(b"data: {")]
    chunks = [json.loads(each) for each in events]
    return "".join(
        c["choices"][0]["delta"].get("content") or "" for c in chunks if c.get("choices")
    )


def until(look: Callable[[], T], fits: Callable[[T], bool], patience: float = 20.0) -> T:
    """Look again and again until what is seen fits."""
    end = time.monotonic() + patience
    while True:
        seen = look()
        if fits(seen):
            return seen
        assert time.monotonic() < end, seen
        time.sleep(0.05)

"""A gateway in front of two servers that do as they are told, and a client that asks one of its APIs."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raw import Answer, Wire, ask, post
from running import Gateway, running

from loopback import Upstream, Visit, chunk

Body = dict[str, Any]
Script = Callable[[Visit], None]


_NATIVE = """
default_upstream = "first"
[upstreams.first]
base_url = "{first}"
speaks = ["chat", "{api}"]
idle_seconds = 1.0
first_byte_seconds = 1.0
prices."*" = {{ input = 1, output = 2, context = 1000 }}
[upstreams.second]
base_url = "{second}"
speaks = ["{api}", "chat"]
prices."*" = {{ input = 1, output = 2, context = 1000 }}
[upstreams.chats]
base_url = "{second}"
prices."*" = {{ input = 1, output = 2, context = 1000 }}
[routes.both]
targets = [{{ upstream = "first", model = "one" }}, {{ upstream = "second", model = "two" }}]
[routes.mixed]
targets = [{{ upstream = "first", model = "one" }}, {{ upstream = "chats", model = "two" }}]
"""


def native(api: str) -> str:
    """Return the configuration for servers that make answers of an API themselves."""
    return _NATIVE.replace("{api}", api)


# what servers say


def sse(kind: str, **fields: Any) -> bytes:
    """Return one event, named as its type says, as a chunk of the body."""
    body = json.dumps({"type": kind, **fields}).encode()
    return chunk(b"event: %b\ndata: %b\n\n" % (kind.encode(), body))


def scripted(*parts: bytes) -> Script:
    """Answer each request of a connection with the same bytes."""

    def script(visit: Visit) -> None:
        while True:
            visit.request()
            visit.send(*parts)

    return script


def breaking(*parts: bytes) -> Script:
    """Answer one request, and close."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(*parts)

    return script


def silent(*parts: bytes) -> Script:
    """Answer one request in part, and say nothing more."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(*parts)
        visit.until_gone()

    return script


# what a client asks


class Scene:
    """A gateway with a key, the two servers behind it, and what is asked where nothing else is said."""

    def __init__(
        self, gateway: Gateway, servers: tuple[Upstream, Upstream], path: str, asked: Body
    ) -> None:
        self.gateway = gateway
        self.key = gateway.new_key()
        self.first, self.second = servers
        self._path = path
        self._asked = asked

    def request(self, model: str = "both", **more: Any) -> bytes:
        """Return a request as it is sent."""
        return post({"model": model, **self._asked, **more}, self.key, path=self._path)

    def ask(self, model: str = "both", **more: Any) -> Answer:
        return ask(self.gateway, self.request(model, **more))

    def row(self, answer: Answer) -> Body:
        return self.gateway.entry(answer.headers["x-request-id"])

    def stopped_within(self, mark: bytes) -> bytes:
        """Stop the gateway in the middle of a stream; returns what is told, from there to a mark."""
        with Wire(self.gateway) as wire:
            wire.send(self.request("first/one", stream=True))
            wire.until(b"Hello")
            self.gateway.process.terminate()
            said = wire.until(mark)
            assert self.gateway.stop() == 0
        return said


@contextmanager
def before_two(
    folder: Path, config: str, first: Script, second: Script, *, path: str, asked: Body
) -> Generator[Scene]:
    """Run two servers and a gateway in front of them."""
    one, two = Upstream(first), Upstream(second)
    try:
        with running(folder, config.format(first=one.url, second=two.url)) as gateway:
            yield Scene(gateway, (one, two), path, asked)
    finally:
        one.close()
        two.close()


def events(answer: Answer) -> list[Body]:
    """Return the events of an answer, each named as its type says."""
    found = []
    for block in answer.body.split(b"\n\n")[:-1]:
        name, _, data = block.partition(b"\n")
        found.append(json.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + found[-1]["type"].encode()
    return found

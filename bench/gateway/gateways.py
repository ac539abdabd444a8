"""What every measurement sees of a gateway: how it is got, started, asked and stopped."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

import payloads
from processes import GATEWAY_CORE, CannotRunError, Processes, free_port


@dataclass(frozen=True)
class Place:
    """Where one run of a gateway lives."""

    home: Path
    """Where it is installed."""
    folder: Path
    """For its configuration and its data; new for each run."""
    port: int
    upstream: int
    """The upstream's port."""
    stream: bool = False
    """Whether streams are what it will carry."""

    @property
    def upstream_url(self) -> str:
        """The base URL of the upstream's API."""
        return f"http://127.0.0.1:{self.upstream}/v1"


@dataclass(frozen=True)
class Request:
    """How a chat is asked of a gateway."""

    path: str = "/v1/chat/completions"
    model: str = payloads.MODEL
    headers: Mapping[str, str] = field(
        default_factory=lambda: {
            "Authorization": "Bearer sk-bench-0123456789abcdefghijklmnopqrstuvwxyz",
            "Content-Type": "application/json",
        }
    )

    def with_key(self, key: str) -> Request:
        """Return the same request with another bearer key."""
        return replace(self, headers={**self.headers, "Authorization": f"Bearer {key}"})

    def on_the_wire(self, body: bytes) -> bytes:
        """Return the request as it is sent on a connection that is kept."""
        headers = {"Host": "127.0.0.1", **self.headers, "Content-Length": str(len(body))}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + body


class Rows(NamedTuple):
    """What a ledger has."""

    all: int
    settled: int


@dataclass(frozen=True)
class Gateway:
    """One of those that are measured, as a row."""

    name: str
    command: Callable[[Place], list[str]]
    """Writes its configuration and returns its command line."""
    install: Callable[[Path], None] = lambda _home: None
    """Puts it into a folder of its own, or raises CannotRunError."""
    version: Callable[[Path], str] = lambda _home: ""
    """What was installed there."""
    ready: str = "/health"
    """GET of this is 200 when it can work; empty for one that is ready when its port is known."""
    env: Callable[[Place], Mapping[str, str]] = lambda _place: {}
    request: Callable[[Place], Request] = lambda _place: Request()
    """How it is asked, when it is ready."""
    port: Callable[[Place], int | None] = lambda place: place.port
    """Where it listens, for one that chooses itself; None as long as it has not."""
    ledger: Callable[[Place], Rows] | None = None
    """Counts what it wrote down, when it has ended."""


@dataclass(frozen=True)
class Running:
    """A gateway that answers."""

    gateway: Gateway
    place: Place
    port: int
    process: Popen[str]
    request: Request


def spawn(
    processes: Processes,
    gateway: Gateway,
    home: Path,
    upstream: int,
    *,
    stream: bool = False,
    core: int | None = GATEWAY_CORE,
) -> tuple[Place, Popen[str]]:
    """Start a gateway on its core, with fresh data, without waiting for it."""
    port = free_port()
    folder = processes.folder / f"{gateway.name}-{port}"
    folder.mkdir()
    place = Place(home / gateway.name, folder, port, upstream, stream)
    argv = gateway.command(place)
    return place, processes.start(gateway.name, argv, core=core, env=gateway.env(place))


def wait(processes: Processes, gateway: Gateway, place: Place, process: Popen[str]) -> int:
    """Wait until a gateway is ready and return its port."""
    processes.wait_until(process, lambda: gateway.port(place) is not None, 90)
    port = gateway.port(place)
    assert port is not None
    if gateway.ready:
        processes.wait_ready(process, port, gateway.ready, 90)
    return port


@contextmanager
def running(
    processes: Processes,
    gateway: Gateway,
    home: Path,
    upstream: int,
    *,
    stream: bool = False,
    core: int | None = GATEWAY_CORE,
) -> Iterator[Running]:
    """Have a gateway that answers, until the block ends."""
    place, process = spawn(processes, gateway, home, upstream, stream=stream, core=core)
    try:
        port = wait(processes, gateway, place, process)
        yield Running(gateway, place, port, process, gateway.request(place))
    except CannotRunError as error:
        if (said := processes.said(process)) and said not in str(error):
            raise CannotRunError(f"{error}; its log ends: {said}") from error
        raise
    finally:
        processes.stop(process)


def ask(port: int, request: Request, body: bytes) -> tuple[int, bytes]:
    """Send one request on a connection of its own; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", request.path, body, dict(request.headers))
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise CannotRunError(f"did not answer: {error!r}") from error
    finally:
        connection.close()


def check(run: Running) -> None:
    """Raise CannotRunError unless a gateway gives the upstream's answer."""
    status, body = ask(run.port, run.request, payloads.question(run.request.model))
    if status != 200 or not payloads.is_right(body):
        text = body[:500].decode(errors="replace")
        raise CannotRunError(f"answered {status}: {text}")

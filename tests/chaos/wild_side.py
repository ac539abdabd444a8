"""A sandbox behind a proxy, clients in front of it, and a count of whatever may be left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import trustme
from proxy import Proxy
from wild_calls import Oracle

from trunkline import AsyncClient, Client
from trunkline.providers.queued import QUEUED
from trunkline.sandbox import Sandbox, SandboxServer, serve_in_thread
from trunkline.settings import read_settings

TOKEN = "hf_good"
PATIENCE = 30.0
RETRIES = 2


class Tls(msgspec.Struct):
    """A server's certificate, and the file of the authority that made it."""

    server: ssl.SSLContext
    ca_file: str


def made_tls(folder: Path) -> Tls:
    """Make an authority and a certificate of localhost by it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return Tls(context, str(file))


class Scene:
    """A sandbox, and a proxy that is between it and every client."""

    def __init__(self, server: SandboxServer, proxy: Proxy, ca_file: str | None) -> None:
        self.server = server
        self.proxy = proxy
        self.ca_file = ca_file
        scheme, host = ("https", "localhost") if ca_file else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{proxy.port}"
        self.oracle = Oracle(
            lambda: Client(TOKEN, settings=read_settings(server.environment), max_retries=0)
        )

    @property
    def options(self) -> dict[str, Any]:
        """What clients are made with."""
        where = {"TRUNKLINE_ROUTER": f"{self.url}/v1", "HF_ENDPOINT": self.url}
        return {
            "token": TOKEN,
            "settings": read_settings(where),
            "ca_file": self.ca_file,
            "max_retries": RETRIES,
        }

    def posts(self) -> int:
        """Count the requests for work that reached the sandbox."""
        return sum(seen.method == "POST" for seen in self.server.requests)


@contextmanager
def scene(*, seed: int = 0, tls: Tls | None = None, pace: float | None = None) -> Iterator[Scene]:
    """Run a sandbox and a proxy in front of it, with TLS between it and the clients if asked."""
    with ExitStack() as stack:
        server = stack.enter_context(serve_in_thread(Sandbox(pace=pace), keep=100_000))
        port = server.port
        if tls is not None:
            port = stack.enter_context(Proxy(port, tls=tls.server)).port
        proxy = stack.enter_context(Proxy(port, seed=seed))
        yield Scene(server, proxy, tls.ca_file if tls else None)


@contextmanager
def nothing_left(scene: Scene) -> Iterator[None]:
    """Fail where the block leaves a descriptor, a thread, or a connection, to the proxy or behind it."""
    _all_gone(scene)
    files, threads = open_files(), threading.active_count()
    yield
    _all_gone(scene)
    gc.collect()
    becomes(lambda: open_files() <= files, lambda: f"{files} files before, {open_files()} now")
    becomes(lambda: threading.active_count() <= threads, lambda: str(threading.enumerate()))


def _all_gone(scene: Scene) -> None:
    becomes(lambda: scene.proxy.connections == 0, lambda: f"{scene.proxy.connections} links")
    becomes(lambda: scene.server.connections == 0, lambda: f"{scene.server.connections} served")


def open_files(process: int | str = "self") -> int:
    """Count a process's descriptors."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def open_sockets(process: int) -> int:
    """Count a process's sockets."""
    links = []
    for number in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            links.append(os.readlink(number))
    return sum(link.startswith("socket:") for link in links)


def becomes(true: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, what()
        time.sleep(0.01)


@contextmanager
def blocking(scene: Scene) -> Iterator[Client]:
    """Make a client; when it is closed, nothing is left."""
    with nothing_left(scene), Client(**scene.options) as client:
        yield client


def awaiting(scene: Scene, work: Callable[[AsyncClient], Any], loop: Any = None) -> Any:
    """Run `work` with a client on a loop of its own; when the client is closed, nothing is left."""

    async def carry() -> Any:
        async with AsyncClient(**scene.options) as client:
            result = await work(client)
        for _ in range(3):  # closed transports say so in the loop's next turns
            await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others
        return result

    with nothing_left(scene), asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(carry())


def at_once() -> dict[str, Any]:
    """Return the table of queues with jobs that are asked after without a pause."""
    found = {}
    for provider, routes in QUEUED.items():
        found[provider] = {task: _impatient(route) for task, route in routes.items()}
    return found


def _impatient(route: Any) -> Any:
    if route.shape.job is None:
        return route
    form = msgspec.structs.replace(route.shape.job, first=0.005, growth=1.0)
    return msgspec.structs.replace(route, shape=msgspec.structs.replace(route.shape, job=form))

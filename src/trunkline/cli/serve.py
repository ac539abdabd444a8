"""`trunkline serve`: the gateway, until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import sys
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from trunkline.cli.report import note, styled
from trunkline.errors import ConfigurationError

LOST = 3
"""What a process exits with that was given up by others."""
_WAITS = "Stopped. What the store did not take waits in the journal."


@click.command(name="serve")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration; trunkline.toml in this folder unless given.",
)
@click.option("--host", help="Where to listen; this machine only unless given.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="4000 unless given; 0 takes a free one."
)
@click.option("--workers", type=click.IntRange(1), help="Processes that serve; 1 unless given.")
@click.option("--store", metavar="FILE|URL", help="Keys and ledger: a SQLite file, or a database.")
@click.option("--log-requests", is_flag=True, help="Write a line for each request.")
@click.option("--log-json", is_flag=True, help="Write the log as JSON, on a terminal too.")
@click.option("--worker", "place", hidden=True, help="Where one of several workers stands.")
def command(
    *,
    path: Path | None,
    host: str | None,
    port: int | None,
    store: str | None,
    log_requests: bool,
    log_json: bool,
    workers: int | None,
    place: str | None,
) -> None:
    """Serve models to a team: OpenAI's API with keys, budgets and a ledger.

    Without a configuration, every model of Hugging Face's router is served on port 4000 of this
    machine, and an admin key is made and shown once. Ctrl-C or SIGTERM ends answers and stops;
    SIGHUP reads the configuration again.
    """
    flags = {
        "listen.host": host,
        "listen.port": port,
        "listen.workers": workers,
        "store.path": store,
    }
    plain = False if log_json else None
    if find_spec("uvloop") is None:
        raise ConfigurationError(
            "The gateway needs more than the SDK: pip install 'trunkline[gateway]'."
        )
    serve = _Serve(path, flags, log_requests=log_requests, plain=plain)
    try:
        if place is not None:
            code = _run(serve.as_worker(place))
        elif serve.loaded.config.listen.workers > 1:
            code = serve.above_workers()
        else:
            code = _run(serve.alone())
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise
        raise ConfigurationError(
            f"The gateway cannot listen there: {error.strerror}. --host and --port choose another "
            "address, and port 0 a free one."
        ) from error
    click.get_current_context().exit(code)


class _Serve:
    """The command with its options, in each of the ways that a process can serve."""

    def __init__(
        self, path: Path | None, flags: dict[str, Any], *, log_requests: bool, plain: bool | None
    ) -> None:
        from trunkline.gateway.config_file import read_config  # loads when it is needed

        self._path = path
        self._flags = flags
        self._log_requests = log_requests
        self._plain = plain
        self._read_config = read_config
        self.loaded = self.read()

    def read(self) -> Any:
        """Read the configuration; raises ConfigurationError."""
        return self._read_config(self._path, os.environ, self._flags)

    async def alone(self) -> int:
        """Serve, as the only process."""
        with self._log() as log:
            self._warn()
            gateway = self._gateway(log)
            started = await gateway.start()
            _settle_down()
            stops = _Stops(gateway)
            _welcome(started.url, started.admin_secret, started.recovered)
            await _first((stops.first, gateway.lost))
            stopping = asyncio.create_task(gateway.stop(self.loaded.config.edge.drain_seconds))
            hurry = asyncio.create_task(stops.second.wait())
            await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                gateway.hurry()
            whole = await stopping
            hurry.cancel()
            note("Stopped." if whole else _WAITS)
            return LOST if gateway.lost.is_set() else 0

    async def as_worker(self, told: str) -> int:
        """Serve as one of several."""
        from trunkline.gateway.control import place_of
        from trunkline.gateway.worker import Worker

        place = place_of(told)
        with self._log(place.slot) as log:
            worker = Worker(self._gateway(log, place), place)
            return await worker.run(_settle_down)

    def above_workers(self) -> int:
        """Have several processes serve."""
        from trunkline.gateway.supervisor import Supervisor, lock_of

        with self._log(), lock_of(self.loaded.config, os.environ) as lock:
            self._warn()
            command = [sys.executable, "-P", "-m", "trunkline", *sys.argv[1:], "--worker"]
            supervisor = Supervisor(self.loaded, self.read, command, _welcome_of, lock=lock)
            code = supervisor.run()
        note("Stopped." if not code else "The first worker did not start, so none was.")
        return code

    def _warn(self) -> None:
        for warning in self.loaded.warnings:
            note(warning)

    def _log(self, worker: int | None = None) -> Any:
        from trunkline.gateway.log import Log
        from trunkline.types.secret_shapes import Secrets

        secrets = Secrets()
        return Log(secrets, log_requests=self._log_requests, plain=self._plain, worker=worker)

    def _gateway(self, log: Any, place: Any = None) -> Any:
        from trunkline.gateway.server import Gateway
        from trunkline.settings import read_settings

        return Gateway(self.loaded, os.environ, read_settings(), log, self.read, place)


def _run(work: Coroutine[Any, Any, int]) -> int:
    import uvloop  # the gateway's own loop, slow to load for every other command

    return uvloop.run(work)


def _settle_down() -> None:
    gc.collect()
    gc.freeze()  # what is there now stays: no need to look at it again and again
    gc.set_threshold(20_000, 20, 50)


async def _first(events: tuple[asyncio.Event, ...]) -> None:
    """Wait for the first of some events."""
    waits = {asyncio.create_task(event.wait()) for event in events}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


class _Stops:
    """The signals that the process gets."""

    def __init__(self, gateway: Any) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._gateway = gateway
        self._reloads: set[asyncio.Task[Any]] = set()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _stop(self) -> None:
        (self.second if self.first.is_set() else self.first).set()

    def _reload(self) -> None:
        task = asyncio.create_task(self._gateway.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)


def _welcome_of(url: str, ready: Any) -> None:
    _welcome(url, ready.admin_secret, ready)


def _welcome(url: str, admin_secret: str | None, recovered: Any) -> None:
    click.echo(f"The gateway serves on {url} (Ctrl-C stops it).")
    if recovered.replayed or recovered.unknown:
        note(
            f"From a process that died: {recovered.replayed} entries were brought into the ledger, "
            f"{recovered.unknown} calls are settled as unknown."
        )
    if admin_secret is not None:
        click.echo(f"\n{styled('Admin key, shown this once:', bold=True)} {admin_secret}")
        click.echo(
            "\nMake a key for a caller, in another shell:\n"
            "    trunkline keys create --name me\n"
            f"Then point any OpenAI client at {url}/v1 with that key."
        )
    sys.stdout.flush()

"""`trunkline serve`: the gateway, until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from trunkline.cli.report import note, styled
from trunkline.errors import ConfigurationError


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
@click.option("--store", metavar="FILE|URL", help="Keys and ledger: a SQLite file, or a database.")
@click.option("--log-requests", is_flag=True, help="Write a line for each request.")
@click.option("--log-json", is_flag=True, help="Write the log as JSON, on a terminal too.")
def command(
    *,
    path: Path | None,
    host: str | None,
    port: int | None,
    store: str | None,
    log_requests: bool,
    log_json: bool,
) -> None:
    """Serve models to a team: OpenAI's API with keys, budgets and a ledger.

    Without a configuration, every model of Hugging Face's router is served on port 4000 of this
    machine, and an admin key is made and shown once. Ctrl-C or SIGTERM ends answers and stops;
    SIGHUP reads the configuration again.
    """
    flags = {"listen.host": host, "listen.port": port, "store.path": store}
    plain = False if log_json else None
    try:
        import uvloop  # the gateway's own loop, slow to load for every other command
    except ImportError as error:
        raise ConfigurationError(
            "The gateway needs more than the SDK: pip install 'trunkline[gateway]'."
        ) from error
    try:
        uvloop.run(_serve(path, flags, log_requests=log_requests, plain=plain))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise
        raise ConfigurationError(
            f"The gateway cannot listen there: {error.strerror}. --host and --port choose another "
            "address, and port 0 a free one."
        ) from error


async def _serve(
    path: Path | None, flags: dict[str, Any], *, log_requests: bool, plain: bool | None
) -> None:
    from trunkline.gateway.config_file import read_config  # all of this loads when it is needed
    from trunkline.gateway.log import Log
    from trunkline.gateway.secret_shapes import Secrets
    from trunkline.gateway.server import Gateway
    from trunkline.settings import read_settings

    def read() -> Any:
        return read_config(path, os.environ, flags)

    loaded = read()
    with Log(Secrets(), log_requests=log_requests, plain=plain) as log:
        for warning in loaded.warnings:
            note(warning)
        gateway = Gateway(loaded, os.environ, read_settings(), log, read)
        started = await gateway.start()
        gc.collect()
        gc.freeze()  # what is there now stays: no need to look at it again and again
        gc.set_threshold(20_000, 20, 50)
        stops = _Stops(gateway)
        _welcome(started)
        await stops.first.wait()
        patience = loaded.config.edge.drain_seconds
        stopping = asyncio.create_task(gateway.stop(patience))
        hurry = asyncio.create_task(stops.second.wait())
        await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            gateway.hurry()
        whole = await stopping
        hurry.cancel()
        note("Stopped." if whole else "Stopped. What the store did not take waits in the journal.")


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


def _welcome(started: Any) -> None:
    click.echo(f"The gateway serves on {started.url} (Ctrl-C stops it).")
    recovered = started.recovered
    if recovered.replayed or recovered.unknown:
        note(
            f"From a process that died: {recovered.replayed} entries were brought into the ledger, "
            f"{recovered.unknown} calls are settled as unknown."
        )
    if started.admin_secret is not None:
        click.echo(f"\n{styled('Admin key, shown this once:', bold=True)} {started.admin_secret}")
        click.echo(
            "\nMake a key for a caller, in another shell:\n"
            "    trunkline keys create --name me\n"
            f"Then point any OpenAI client at {started.url}/v1 with that key."
        )
    sys.stdout.flush()

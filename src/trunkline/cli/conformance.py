"""`trunkline conformance`: a wall of faults between a gateway, or the SDK, and the sandbox."""

from __future__ import annotations

import asyncio
import errno
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import click
import msgspec

from trunkline.cli.inert import hide_secrets, inert_json
from trunkline.cli.report import note
from trunkline.cli.verdicts import print_table, summary
from trunkline.conformance.asking import place_of
from trunkline.conformance.calls import PLAIN_CALLS, Call, Result, calls_for, count
from trunkline.conformance.gateway import Wall
from trunkline.conformance.sdk import run_sdk
from trunkline.conformance.upstream import Upstream
from trunkline.errors import ConfigurationError

Note = Callable[[Result], None]


@click.command(name="conformance")
@click.argument("url", required=False)
@click.option("--sdk", type=click.Choice(["trunkline"]), help="Look at the SDK; so without URL.")
@click.option(
    "--listen",
    default="127.0.0.1:8399",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the sandbox serves: the gateway's upstream.",
)
@click.option("--model-prefix", default="", help="What the gateway wants before a model's name.")
@click.option("--key", help="The key for the gateway.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="One more header.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=10.0,
    show_default=True,
    help="Seconds for each call; the gateway's own limits on silence have to be shorter.",
)
@click.option("--only", multiple=True, metavar="FAULT", help="A fault, a pattern or a group (F7).")
@click.option("--wait", type=click.FloatRange(min=0), default=10.0, show_default=True,
              help="Seconds in which the gateway has to be up.")  # fmt: skip
@click.option("--at-once", type=click.IntRange(min=1), default=16, show_default=True,
              help="Calls at the same time.")  # fmt: skip
@click.option("--bad", is_flag=True, help="Show only what is not as it should be.")
@click.option("--list", "listing", is_flag=True, help="Print the models that are asked for.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    *,
    url: str | None,
    sdk: str | None,
    listen: str,
    model_prefix: str,
    key: str | None,
    headers: Sequence[str],
    timeout: float,
    only: Sequence[str],
    wait: float,
    at_once: int,
    bad: bool,
    listing: bool,
    as_json: bool,
) -> int:
    """Ask the gateway at URL once per fault, with the sandbox as its upstream, and judge it.

    The sandbox plays every way in which a provider can fail; each call gets one verdict: pass, safe
    error, wrong or hang. The exit code is 1 where anything is wrong or hangs. Without URL the SDK
    itself is looked at.
    """
    calls = calls_for(only)
    if listing:
        asked = [*PLAIN_CALLS.values(), *calls]
        click.echo("\n".join(f"{model_prefix}{call.model}" for call in asked))
        return 0
    if url is not None and sdk is not None:
        raise click.UsageError("Give a URL or --sdk, not both.")
    began = time.monotonic()
    if url is None:
        results = _watched(len(calls) * 2, lambda tell: run_sdk(calls, timeout, tell))
    else:
        sent = tuple(_header(text) for text in headers)
        if key:
            sent = (("authorization", f"Bearer {key}"), *sent)
        wall = Wall(place_of(url, sent), _upstream(listen), model_prefix, timeout, at_once)
        results = _watched(len(calls), lambda tell: _against(wall, calls, wait, tell))
    took = time.monotonic() - began
    _print(results, took, (key, *(value for _, value in map(_header, headers))), bad, as_json)
    found = count(results)
    return 1 if found["wrong"] or found["hang"] else 0


def _print(
    results: list[Result],
    took: float,
    hidden: tuple[str | None, ...],
    bad: bool,
    as_json: bool,
) -> None:
    if as_json:
        found = count(results)
        ok = not found["wrong"] and not found["hang"]
        told = msgspec.json.encode(
            {"ok": ok, "seconds": round(took, 3), "verdicts": found, "results": results}
        )
        text = inert_json(msgspec.json.format(told, indent=2).decode())
        click.echo(hide_secrets(text, *hidden))
        return
    shown = [r for r in results if not bad or not r.expected or r.verdict in ("wrong", "hang")]
    print_table(shown, lambda text: hide_secrets(text, *hidden))
    click.echo(summary(results, took))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.UsageError(f"--header {text!r} is not NAME:VALUE.")
    return name.strip(), value.strip()


def _upstream(listen: str) -> Upstream:
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise click.UsageError(f"--listen {listen!r} is not HOST:PORT.")
    return Upstream(host or "127.0.0.1", int(port))


async def _against(wall: Wall, calls: Sequence[Call], wait: float, tell: Note) -> list[Result]:
    """Serve the sandbox, wait for the gateway, and make every call."""
    upstream = wall.upstream
    try:
        async with upstream:
            note(
                f"The sandbox serves on {upstream.url}: the gateway's upstream has to be that base "
                "URL, with any key, and its limits on silence shorter than --timeout."
            )
            await wall.ready(wait)
            return await wall.run(calls, tell)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ConfigurationError(
            f"Port {upstream.server.port} is taken: --listen names another, and the gateway's "
            "upstream has to be there."
        ) from error


def _watched(number: int, run: Callable[[Note], Awaitable[list[Result]]]) -> list[Result]:
    """Run the wall; at a terminal a bar tells how far it is."""

    async def whole(tell: Note) -> list[Result]:
        return await run(tell)

    if not sys.stderr.isatty():
        return asyncio.run(whole(lambda _: None))
    from rich.console import Console  # slow to load, and only a terminal needs it
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("faults", total=number)
        return asyncio.run(whole(lambda _: progress.advance(task)))

"""`trunkline models`: what the router serves, by whom, for how much and how fast."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import click
import msgspec

from trunkline.catalog import ModelEntry, Offer, fetch_models
from trunkline.cli.inert import inert_json, inert_line
from trunkline.cli.report import note, styled
from trunkline.errors import AuthenticationError
from trunkline.settings import find_token, read_settings
from trunkline.transport.blocking import BlockingTransport
from trunkline.types import Secret

UNKNOWN = "-"
COLUMNS = ("model", "provider", "context", "$ in/1M", "$ out/1M", "tools", "first ms", "tok/s")
"""Of the table and of the tab-separated lines."""


class Wanted(msgspec.Struct, frozen=True):
    """Which models, and which offers of them."""

    search: str | None = None
    provider: str | None = None
    tools: bool = False
    dead: bool = False
    """Whether offers that are not live count, too."""
    limit: int | None = None


@click.command(name="models")
@click.argument("search", required=False)
@click.option("--provider", metavar="NAME", help="Only models that this provider serves.")
@click.option("--tools", is_flag=True, help="Only offers that take tools.")
@click.option("--all", "dead", is_flag=True, help="Offers that are not live, too.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N models.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list; unknown is null.")
def command(
    search: str | None,
    *,
    provider: str | None,
    tools: bool,
    dead: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the models that the router serves, with a line for each provider's offer.

    SEARCH is part of a model's name; several words must all be in it. Prices are US dollars for
    a million tokens, "first ms" the milliseconds to the first token, "tok/s" the tokens a second;
    what the router does not tell is shown as "-". Without a terminal the columns are separated by
    tabs. No token is needed.
    """
    settings = read_settings()
    transport = BlockingTransport(proxies=settings.proxies)
    try:
        known = fetch_models(settings, transport, _token())
    finally:
        transport.close()
    found = choose(known, Wanted(search, provider, tools, dead, limit))
    if as_json:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        click.echo(inert_json(text))
        return
    if not found:
        note(f"No model of {len(known)} fits.{_meant(known, provider)}")
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        for cells in (COLUMNS, *rows(found)):
            click.echo("\t".join(cells))


def choose(known: Iterable[ModelEntry], wanted: Wanted) -> list[ModelEntry]:
    """Return the models that are wanted, each with the offers that are."""
    words = (wanted.search or "").lower().split()
    narrowed = bool(wanted.provider or wanted.tools)
    found: list[ModelEntry] = []
    for model in known:
        offers = tuple(offer for offer in model.providers if _fits(offer, wanted))
        if all(word in model.id.lower() for word in words) and (offers or not narrowed):
            found.append(msgspec.structs.replace(model, providers=offers))
    return found[: wanted.limit]


def rows(models: Iterable[ModelEntry]) -> Iterator[tuple[str, ...]]:
    """Return a line for each offer; a model without one has a line of its own."""
    for model in models:
        name = inert_line(model.id)
        for offer in model.providers:
            yield name, *_cells(offer)
        if not model.providers:
            yield name, *[UNKNOWN] * (len(COLUMNS) - 1)


def _fits(offer: Offer, wanted: Wanted) -> bool:
    return (
        (wanted.dead or offer.live)
        and wanted.provider in (None, offer.provider)
        and (not wanted.tools or offer.supports_tools is True)
    )


def _cells(offer: Offer) -> tuple[str, ...]:
    status = "" if offer.live else f" ({inert_line(offer.status or 'status unknown')})"
    return (
        inert_line(offer.provider) + status,
        UNKNOWN if offer.context_length is None else str(offer.context_length),
        _shown(offer.pricing.input, 4),
        _shown(offer.pricing.output, 4),
        {True: "yes", False: "no", None: UNKNOWN}[offer.supports_tools],
        _shown(offer.first_token_latency_ms, 0),
        _shown(offer.throughput, 1),
    )


def _shown(number: float | None, digits: int) -> str:
    """Write a number without noise; one too small for its digits is not shown as nothing."""
    if number is None:
        return UNKNOWN
    rounded = round(number, digits)
    return f"{number:.2g}" if number and not rounded else f"{rounded:.15g}"


def _print_table(models: list[ModelEntry]) -> None:
    """Print each model's name over its offers, so that no name is too long for a terminal."""
    lines = list(rows(models))
    table = [COLUMNS, *lines]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(COLUMNS))]

    def aligned(cells: tuple[str, ...]) -> str:
        numbers = zip(cells[2:], widths[2:], strict=True)
        said = [cells[1].ljust(widths[1]), *(cell.rjust(width) for cell, width in numbers)]
        return "  " + "  ".join(said)

    click.echo(styled(aligned(COLUMNS), dim=True))
    before = ""
    for cells in lines:
        if cells[0] != before:
            click.echo(styled(cells[0], bold=True))
            before = cells[0]
        click.echo(aligned(cells))


def _meant(known: Iterable[ModelEntry], provider: str | None) -> str:
    import difflib  # slow to load and rarely needed

    names = {offer.provider for model in known for offer in model.providers}
    if provider is None or provider in names:
        return ""
    near = difflib.get_close_matches(provider, names, n=1)
    return f" Did you mean --provider {near[0]}?" if near else ""


def _token() -> Secret | None:
    try:
        return find_token()
    except AuthenticationError:
        return None  # the list is public

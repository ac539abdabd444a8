"""`trunkline models`: what the router serves, by whom, for how much and how fast, as of when."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import click
import msgspec

from trunkline.catalog import (
    Catalog,
    Catalogs,
    ModelEntry,
    Offer,
    catalog_file,
    fetch_list,
    models,
    router_catalog,
    write_file,
)
from trunkline.cli.inert import inert_json, inert_line
from trunkline.cli.report import note, styled
from trunkline.errors import AuthenticationError, ConfigurationError
from trunkline.settings import Settings, find_token, read_settings
from trunkline.transport.blocking import BlockingTransport
from trunkline.types import Secret

UNKNOWN = "-"
COLUMNS = ("model", "provider", "context", "$ in/1M", "$ out/1M", "tools", "first ms", "tok/s")
"""Of the table and of the tab-separated lines."""
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _Listing(click.Command):
    """The list, and the command below it: `trunkline models refresh`."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """Hand over to `refresh` where that is the first word."""
        if args[:1] == [refresh.name]:
            return refresh.make_context(f"{info_name} {refresh.name}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(name="models", cls=_Listing)
@click.argument("search", required=False)
@click.option("--provider", metavar="NAME", help="Only models that this provider serves.")
@click.option("--tools", is_flag=True, help="Only offers that take tools.")
@click.option("--all", "dead", is_flag=True, help="Offers that are not live, too.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N models.")
@click.option("--offline", is_flag=True, help="Ask nobody: the kept list, or the shipped one.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list; unknown is null.")
def command(
    search: str | None,
    *,
    provider: str | None,
    tools: bool,
    dead: bool,
    limit: int | None,
    offline: bool,
    as_json: bool,
) -> None:
    """List the models that the router serves, with a line for each provider's offer.

    SEARCH is part of a model's name; several words must all be in it. Prices are US dollars for
    a million tokens, "first ms" the milliseconds to the first token, "tok/s" the tokens a second;
    what the router does not tell is shown as "-". Without a terminal the columns are separated by
    tabs. No token is needed.

    "trunkline models refresh" keeps the router's list for --offline and for calls that cannot
    reach the router; without it the list shipped with Trunkline is shown.
    """
    settings = read_settings()
    catalog = _kept(settings) if offline else _asked(settings)
    found = models(
        catalog,
        search,
        provider=provider,
        capability="tools" if tools else None,
        live=not dead,
        limit=limit,
    )
    if as_json:
        click.echo(inert_json(msgspec.json.format(_ENCODER.encode(found), indent=2).decode()))
    elif not found:
        note(f"No model of {len(catalog.entries)} fits.{_meant(catalog.entries, provider)}")
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        for cells in (COLUMNS, *rows(found)):
            click.echo("\t".join(cells))
    note(inert_line(provenance(catalog, datetime.now(UTC))))


@click.command(name="refresh")
def refresh() -> None:
    """Ask the router for its models and keep the list on this machine.

    It is shown by --offline, and stands in where the router cannot be reached. No token is needed.
    """
    settings = read_settings()
    data = _fetched(settings)
    catalog = router_catalog(data, settings.router_url)
    path = catalog_file(os.environ)
    if path is None:
        raise ConfigurationError(
            "There is no home directory to keep the list in. "
            "Name another in the environment variable XDG_CACHE_HOME."
        )
    write_file(path, data, catalog.router, catalog.as_of)
    offers = sum(len(entry.providers) for entry in catalog.entries)
    click.echo(
        f"{len(catalog.entries)} models in {offers} offers from {catalog.router}, "
        f"{catalog.as_of:%Y-%m-%d %H:%M} UTC, kept in {path}."
    )


def provenance(catalog: Catalog, now: datetime) -> str:
    """Say where a catalog is from and how old it is."""
    source = f"{catalog.source} {catalog.router}" if catalog.source == "router" else catalog.source
    statuses = any(offer.status for entry in catalog.entries for offer in entry.providers)
    unsaid = "" if statuses else " It does not tell which offers are live."
    trouble = f" {catalog.trouble}" if catalog.trouble else ""
    return (
        f"Source: {source}, as of {catalog.as_of:%Y-%m-%d %H:%M} UTC "
        f"({old(catalog.age(now))}).{unsaid}{trouble}"
    )


def old(age: timedelta) -> str:
    """Say an age in its largest unit; a clock that was set back makes one of less than nothing."""
    if age < timedelta(minutes=-1):
        return "from the future, by this machine's clock"
    if age < timedelta(minutes=1):
        return "now"
    units = (("day", 86400), ("hour", 3600), ("minute", 60))
    name, seconds = next(unit for unit in units if age.total_seconds() >= unit[1])
    count = int(age.total_seconds() // seconds)
    return f"{count} {name}{'s'[: count != 1]} old"


def rows(found: Iterable[ModelEntry]) -> Iterator[tuple[str, ...]]:
    """Return a line for each offer; a model without one has a line of its own."""
    for model in found:
        name = inert_line(model.id)
        for offer in model.providers:
            yield name, *_cells(offer)
        if not model.providers:
            yield name, *[UNKNOWN] * (len(COLUMNS) - 1)


def _asked(settings: Settings) -> Catalog:
    return router_catalog(_fetched(settings), settings.router_url)


def _kept(settings: Settings) -> Catalog:
    return Catalogs(catalog_file(os.environ)).offline(settings)


def _fetched(settings: Settings) -> bytes:
    transport = BlockingTransport(proxies=settings.proxies)
    try:
        return fetch_list(settings, transport, _token())
    finally:
        transport.close()


def _cells(offer: Offer) -> tuple[str, ...]:
    status = "" if offer.maybe_live else f" ({inert_line(offer.status or '')})"
    return (
        inert_line(offer.provider) + status,
        UNKNOWN if offer.context_length is None else str(offer.context_length),
        _price(offer.pricing.input),
        _price(offer.pricing.output),
        {True: "yes", False: "no", None: UNKNOWN}[offer.supports_tools],
        _shown(offer.first_token_latency_ms, 0),
        _shown(offer.throughput, 1),
    )


def _price(price: Decimal | None) -> str:
    return UNKNOWN if price is None else f"{price:f}"


def _shown(number: float | None, digits: int) -> str:
    """Write a measurement without noise; one too small for its digits is not shown as nothing."""
    if number is None:
        return UNKNOWN
    rounded = round(number, digits)
    return f"{number:.2g}" if number and not rounded else f"{rounded:.15g}"


def _print_table(found: list[ModelEntry]) -> None:
    """Print each model's name over its offers, so that no name is too long for a terminal."""
    lines = list(rows(found))
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

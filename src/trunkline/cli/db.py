"""`trunkline db`: bring the gateway's store up to date, look through it, move it to another."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import click

from trunkline.cli.inert import inert_line
from trunkline.cli.key_store import placed, print_json
from trunkline.cli.report import note
from trunkline.gateway.store_care import check as check_store
from trunkline.gateway.store_care import move
from trunkline.gateway.stores import StorePlace, store_at
from trunkline.store.seam import SharedStore, StoreError
from trunkline.types.money import shown

F = TypeVar("F", bound=Callable[..., Any])


def named(function: F) -> F:
    """Add the option that says which store."""
    return click.option(
        "--store",
        "store_file",
        type=click.Path(dir_okay=False),
        metavar="FILE|URL",
        help="The store, unless it is the configured one.",
    )(function)


@click.group(name="db")
def command() -> None:
    """Migrate, check or move the gateway's store: a SQLite file, or a PostgreSQL database.

    The password of a database that is named by URL is taken from PGPASSWORD or ~/.pgpass where
    the URL has none.
    """


@command.command(name="migrate")
@named
def migrate(*, store_file: str | None) -> None:
    """Bring the schema up to date, and print the steps that were taken.

    The gateway's start does so too. It may be run at any time, and be broken off.
    """
    with _opened(store_file, make=True) as (store, place):
        steps = store.migrate()
    for step in steps:
        click.echo(f"applied: {inert_line(step)}")
    note(f"{inert_line(place.shown)} is up to date.")


@command.command(name="check")
@named
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(*, store_file: str | None, as_json: bool) -> None:
    """Look through the whole store, and say what is wrong; then the exit code is 1.

    Its schema; whether spend is what the ledger's rows add up to, and what budgets count is what
    spend adds up to; whether calls are open that nothing will end. Every row is read.
    """
    with _opened(store_file) as (store, place):
        found = check_store(store, place)
    if as_json:
        print_json({"ok": not found.findings, "findings": found.findings, "serving": found.serving})
    else:
        for finding in found.findings:
            click.echo(inert_line(finding))
        if not found.findings:
            click.echo(f"{inert_line(place.shown)}: nothing is wrong.")
        elif found.serving:
            note("A gateway serves from it: what it wrote meanwhile may look wrong. Look again.")
    if found.findings:
        click.get_current_context().exit(1)


@command.command(name="export")
@named
@click.option("--to", "target", required=True, type=click.Path(dir_okay=False), metavar="FILE|URL",
              help="The store to fill: a new file, or an empty database.")  # fmt: skip
def export(*, store_file: str | None, target: str) -> None:
    """Bring everything into another store, from SQLite to PostgreSQL or back, all or nothing.

    No gateway may serve from it meanwhile. The store itself is left as it is; what arrived is
    counted and added up before it counts.
    """
    with _opened(store_file) as (source, place), _opened(target, make=True) as (filled, there):
        if there.shown == place.shown:
            raise click.ClickException("A store cannot be brought into itself.")
        totals = move(source, place, filled)
    for name in ("keys", "accounts", "ledger", "spend", "contents", "claims"):
        click.echo(f"{name}: {totals[name]}")
    click.echo(f"charged in all: {shown(totals['spend.charged'])}")
    note(
        f"All of it is in {inert_line(there.shown)}. Let store.path or store.url name that one, and "
        "start the gateway."
    )


@contextmanager
def _opened(given: str | None, *, make: bool = False) -> Generator[tuple[SharedStore, StorePlace]]:
    """Open a store and change nothing in it; what goes wrong with it is a clear error."""
    place, config = placed(given)
    if not make and place.path is not None and not place.path.exists():
        raise click.ClickException(f"There is no store at {inert_line(place.shown)}.")
    try:
        with closing(store_at(place, config)) as store:
            yield store, place
    except StoreError as error:
        raise click.ClickException(inert_line(str(error))) from error

"""`trunkline spend`: what the gateway's calls cost, added up by day, key, owner, team, model, provider."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from trunkline.cli.key_store import common, opened, print_json
from trunkline.cli.report import note
from trunkline.cli.rows import print_rows
from trunkline.gateway.spend import SpendReport, SpendRow, as_csv, read_by, read_days, report

_NUMBERS = ("calls", "failed", "input", "output", "cost", "charged")


@click.command(name="spend")
@click.option("--since", default="", metavar="DAY", help="First day; the first of the month.")
@click.option("--until", default="", metavar="DAY", help="Last day, included; today.")
@click.option("--by", default="day", metavar="WAYS", show_default=True,
              help="day, key, owner, team, model, provider; several with commas.")  # fmt: skip
@click.option("--team", metavar="NAME", help="Only this team's.")
@click.option("--csv", "csv_wanted", is_flag=True, help="Print CSV.")
@common
def command(
    *,
    store_file: str | None,
    as_json: bool,
    since: str,
    until: str,
    by: str,
    team: str | None,
    csv_wanted: bool,
) -> None:
    """Add up what the gateway's calls cost.

    Days are of UTC and written as 2026-11-29. A call whose cost is unknown is charged at what was
    held for it, and it is said how many there are.
    """
    if as_json and csv_wanted:
        raise click.UsageError("Give --json or --csv, not both.")
    first, last = read_days(since, until, datetime.fromtimestamp(time.time(), UTC).date())
    ways = read_by(by)
    with opened(store_file) as store:
        made = report(store.spend(first, last, ways, team=team), first, last, ways)
    if as_json:
        print_json(made)
    elif csv_wanted:
        click.echo(as_csv(made), nl=False)
    else:
        _print(made)


def _print(made: SpendReport) -> None:
    if not made.data:
        note(f"No calls from {made.since} to {made.until}.")
        return
    rows = [(*(getattr(row, way) or "" for way in made.by), *_numbers(row)) for row in made.data]
    total = ("total", *("" for _ in made.by[1:]), *_numbers(made.total))
    print_rows((*made.by, *_NUMBERS), [*rows, total], numbers=len(_NUMBERS))
    if made.total.unpriced:
        note(
            f"{made.total.unpriced} of the calls have no known cost: "
            "they are charged at what was held for them."
        )


def _numbers(row: SpendRow) -> tuple[str, ...]:
    counts = (row.calls, row.failed, row.input_tokens, row.output_tokens)
    return (*map(str, counts), f"${row.cost}", f"${row.charged}")

"""`trunkline plan`: which provider a call would go to now, and which next; no call is made."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from trunkline.cli.inert import inert_json, inert_line
from trunkline.cli.models import old
from trunkline.cli.report import note
from trunkline.cli.route_options import read_route, route_options
from trunkline.cli.rows import ABSENT, print_rows
from trunkline.client import Client
from trunkline.planning import Plan, PlannedPlace

_COLUMNS = ("place", "$ expected", "first s", "tok/s", "fail", "from")
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_WIDEST_WHY = 100


@click.command(name="plan")
@click.argument("model")
@click.option("--tokens-in", type=click.IntRange(0), metavar="N",
              help="Tokens that are sent; 1000 unless given.")  # fmt: skip
@click.option("--tokens-out", type=click.IntRange(0), metavar="N",
              help="Tokens of the answer at the most; 500 unless given.")  # fmt: skip
@click.option("--session", metavar="TEXT", help="For sticky: what stays together.")
@route_options
@click.option("--offline", is_flag=True, help="Ask nobody: the kept list, or the shipped one.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object; unknown is null.")
def command(
    model: str,
    *,
    tokens_in: int | None,
    tokens_out: int | None,
    session: str | None,
    offline: bool,
    as_json: bool,
    **route: Any,
) -> int:
    """Show where a call would go now, at what price and how fast, and where if that fails.

    No call is made. Prices and offers are the router's, speeds and failures those that this
    machine's programs measured, where they saw enough, else the router's. The exit code is 1
    where no place may be asked.
    """
    given = read_route(route) or None
    with Client() as client:
        plan = client.plan(
            model,
            route=given,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            session_id=session,
            offline=offline,
        )
    if as_json:
        click.echo(inert_json(msgspec.json.format(_ENCODER.encode(plan), indent=2).decode()))
    else:
        _print(plan)
    return 0 if plan.first is not None else 1


def _print(plan: Plan) -> None:
    asked = [row for row in plan.places if row.number is not None]
    left_out = [row for row in plan.places if row.number is None]
    if asked:
        _print_table(("", *_COLUMNS, "why"), [(str(row.number), *_cells(row)) for row in asked])
    else:
        note("No place may be asked:")
    if left_out:
        if asked:
            click.echo()
        _print_table(
            ("not asked", "why"), [(row.place.name, row.why) for row in left_out], numbers=False
        )
    for said in plan.notes:
        note(inert_line(said))
    age = old(datetime.now(UTC) - plan.as_of)
    note(
        inert_line(
            f"Route: {plan.policy}; {plan.input_tokens} tokens in, {plan.output_tokens} out. Offers: "
            f"{plan.source}, as of {plan.as_of:%Y-%m-%d %H:%M} UTC ({age})."
        )
    )


def _cells(row: PlannedPlace) -> tuple[str, ...]:
    place = row.place
    return (
        place.name,
        "" if place.cost is None else f"{place.cost:f}",
        "" if place.first_token is None else f"{place.first_token:.2f}",
        "" if place.throughput is None else f"{place.throughput:.0f}",
        "" if place.error_rate is None else f"{place.error_rate:.0%}",
        "" if place.source == "unknown" else place.source,
        row.why,
    )


def _print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True
) -> None:
    if not sys.stdout.isatty():
        print_rows(columns, rows)
        return
    from rich.console import Console  # only terminals have tables
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    right = {"$ expected", "first s", "tok/s", "fail"} if numbers else set()
    for name in columns:
        folds = name in ("why", "place", "not asked")
        table.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold" if folds else "ellipsis",
            max_width=_WIDEST_WHY if name == "why" else None,
        )
    for cells in rows:
        table.add_row(*(Text(inert_line(cell) or ABSENT) for cell in cells))
    Console().print(table)

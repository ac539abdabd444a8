"""How `trunkline bench` has a cap agreed to, and makes its calls below a bar."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import click

from trunkline.bench.asking import Asker, Plan, steps
from trunkline.bench.measured import measured
from trunkline.bench.measuring import LeftOut, bounds_of, result
from trunkline.bench.sheet import dollars
from trunkline.bench.spending import Purse
from trunkline.bench.values import Run
from trunkline.cli import bench_screen as screen
from trunkline.cli.bench_options import read_dollars
from trunkline.cli.report import describe, note
from trunkline.client import AsyncClient
from trunkline.measured import add_measures, measures_file
from trunkline.settings import read_settings


def agreed_cap(
    plan: Plan, left_out: Sequence[LeftOut], spend: Decimal | None, *, yes: bool
) -> Decimal:
    """Say what a run can cost, and have it agreed to; returns the most that it may spend."""
    calls, bound = bounds_of(plan)
    screen.announce(plan, left_out, calls, bound)
    if yes:
        return bound.most if spend is None else spend
    return asked_cap(spend, bound.most)


def asked_cap(spend: Decimal | None, usual: Decimal) -> Decimal:
    """Ask for the cap, or whether the one that was given is meant."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to be asked: give --yes, and --spend for a cap.")
    if spend is not None:
        click.confirm(f"Spend up to ${spend:f}?", abort=True, err=True)
        return spend
    default = dollars(usual, 4)
    return read_dollars(
        click.prompt("Spend at most, in dollars", default=default, err=True, value_proc=_checked)
    )


def _checked(value: str) -> str:
    """Have the question asked again for what is no amount."""
    read_dollars(value)
    return value


def measure(plan: Plan, left_out: Sequence[LeftOut], purse: Purse) -> tuple[Run, bool]:
    """Make a plan's calls; returns the run, and whether it came to its end."""
    wanted = list(steps(plan))
    began = datetime.now(UTC)
    asked: list[Asker] = []
    whole = True
    with screen.Bar(len(wanted), purse) as bar:

        async def ask() -> None:
            async with AsyncClient() as client:
                asked.append(Asker(client, plan, purse, bar.ended))
                await asked[0].ask(wanted)

        try:
            asyncio.run(ask())
        except KeyboardInterrupt:
            whole = False
    samples = asked[0].samples if asked else []
    notes = [] if whole else ["It was stopped before its end."]
    if asked and asked[0].unasked:
        notes.append(
            f"The cap of ${purse.cap:f} was reached: "
            f"{asked[0].unasked} of {len(wanted)} calls were not made."
        )
    ended = datetime.now(UTC)
    run = result(plan, left_out, samples, purse, began=began, ended=ended, notes=notes)
    _remember(run)
    return run, whole


def _remember(run: Run) -> None:
    """Add what was seen to what routing knows of places."""
    path = measures_file(read_settings())
    if path is None:
        return
    try:
        add_measures(path, measured(run))
    except OSError as error:
        note(f"What was measured cannot be kept for routing: {describe(error)}")

"""`trunkline bench --watch`: rounds on a schedule, and the marks that they set and lift."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import click
import msgspec

from trunkline.bench.measuring import Wishes, bounds_of, plan_for
from trunkline.bench.sheet import dollars
from trunkline.bench.spending import Purse
from trunkline.bench.values import Run
from trunkline.bench.watching import Change, after_round
from trunkline.catalog import Catalog
from trunkline.cli import bench_screen as screen
from trunkline.cli.bench_asking import asked_cap, measure
from trunkline.cli.inert import inert_json, inert_line
from trunkline.cli.report import describe, note
from trunkline.client import Client
from trunkline.errors import ConfigurationError, TrunklineError
from trunkline.marked import change_marks, load_marks, marks_file
from trunkline.model_id import parse
from trunkline.routing.marks import Mark, lifted
from trunkline.settings import read_settings

_DAY = timedelta(days=1)


class Schedule(msgspec.Struct, frozen=True):
    """When rounds are, how many, and how they are told."""

    every: timedelta
    rounds: int | None = None
    as_json: bool = False
    """An object a round, a line each."""


def watch(wishes: Wishes, schedule: Schedule, spend: Decimal | None, *, yes: bool) -> int:
    """Ask in rounds until Ctrl-C, the last round or the cap; returns the exit code."""
    path = _path()
    plan, left_out = plan_for(wishes, _catalog())
    calls, bound = bounds_of(plan)
    screen.announce(plan, left_out, calls, bound)
    times = min(_DAY / schedule.every, schedule.rounds or _DAY / schedule.every)
    note(f"That is a round; one every {schedule.every}. Marks are kept in {path}.")
    if spend is None and yes:
        raise click.UsageError("A watch has no end of its own: give --spend for its cap.")
    usual = bound.most * Decimal(str(max(1.0, times)))
    purse = Purse(spend if yes and spend is not None else asked_cap(spend, usual))
    try:
        return _rounds(wishes, schedule, purse, path)
    except KeyboardInterrupt:
        note("Stopped.")
        return 0


def _rounds(wishes: Wishes, schedule: Schedule, purse: Purse, path: Path) -> int:
    number = 0
    while True:
        due = time.monotonic() + schedule.every.total_seconds()
        number += 1
        try:
            enough = _round(wishes, schedule, purse, path)
        except TrunklineError as error:  # the router is away: the next round may find it
            if number == 1:
                raise
            note(describe(error))
            enough = True
        if not enough:
            note("The cap is reached; the watch ends.")
            return 1
        if number == schedule.rounds:
            return 0
        time.sleep(max(0.0, due - time.monotonic()))


def _round(wishes: Wishes, schedule: Schedule, purse: Purse, path: Path) -> bool:
    """Ask once; returns whether the purse sufficed."""
    plan, left_out = plan_for(wishes, _catalog())
    calls, _ = bounds_of(plan)
    run, whole = measure(plan, left_out, purse)
    if not whole:
        raise KeyboardInterrupt
    found: list[Change] = []

    def change(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
        found.append(after_round(marks, run, schedule.every))
        return found[0].marks

    change_marks(path, change)
    if schedule.as_json:
        _tell_json(run, found[0], purse)
    else:
        _tell(run, found[0], purse)
    return len(run.samples) == calls


def _tell(run: Run, change: Change, purse: Purse) -> None:
    failed = sum(sample.error is not None for sample in run.samples)
    marked = ", ".join(mark.provider for mark in change.marked) or "nobody"
    freed = f", agree again: {', '.join(change.freed)}" if change.freed else ""
    click.echo(
        inert_line(
            f"{run.ended:%Y-%m-%d %H:%M:%S} UTC  {len(run.samples)} calls, {failed} failed, "
            f"marked: {marked}{freed}, spent ${dollars(purse.known + purse.unsure)}"
        )
    )
    for odd in run.odd:
        screen.say_odd(odd)


def _tell_json(run: Run, change: Change, purse: Purse) -> None:
    told = {
        "model": run.model,
        "ended": run.ended,
        "calls": len(run.samples),
        "failed": sum(sample.error is not None for sample in run.samples),
        "marked": change.marked,
        "freed": change.freed,
        "spent": purse.known,
        "unsure": purse.unsure,
    }
    click.echo(inert_json(msgspec.json.encode(told).decode()))


def show_marks(model: str) -> int:
    """Print the marks on a model, each with its evidence."""
    name = parse(model).name.lower()
    now = datetime.now(UTC).timestamp()
    marks = [m for m in load_marks(_path()) if m.place[1] == name and m.stands(now)]
    for mark in marks:
        since = "" if mark.since is None else f"{mark.since:%Y-%m-%d %H:%M} UTC"
        until = "lifted" if mark.until is None else f"{mark.until:%Y-%m-%d %H:%M} UTC"
        click.echo(inert_line(f"{mark.provider}  since {since}, until {until}: {mark.reason}"))
        for evidence in mark.evidence:
            screen.say_evidence(evidence)
    if not marks:
        note(f"No provider of {name} is marked.")
    return 0


def clear(model: str, providers: tuple[str, ...]) -> int:
    """Lift the marks on a model, or on some of its providers."""
    asked = parse(model)
    names = providers or ((asked.provider,) if asked.provider else None)
    before: list[tuple[Mark, ...]] = []

    def change(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
        before.append(marks)
        return lifted(marks, asked.name, names)

    after = change_marks(_path(), change)
    gone = [mark.provider for mark in before[0] if mark not in after]
    note(f"Lifted: {', '.join(gone)}." if gone else f"No provider of {asked.name} is marked.")
    return 0


def _path() -> Path:
    path = marks_file(read_settings())
    if path is None:
        raise ConfigurationError(
            "There is no home directory to keep marks in. "
            "Name another in the environment variable XDG_CACHE_HOME."
        )
    return path


def _catalog() -> Catalog:
    with Client() as client:
        return client.catalog()

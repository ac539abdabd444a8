"""What `trunkline bench` shows: the estimate, a bar while it asks, the table, and who stands out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from trunkline.bench.against import Change
from trunkline.bench.asking import Plan
from trunkline.bench.figures import Figures, figures
from trunkline.bench.measuring import LeftOut
from trunkline.bench.sheet import COLUMNS, cells, dollars, share
from trunkline.bench.spending import Bounds, Purse
from trunkline.bench.values import Finding, Odd, Run, Sample
from trunkline.cli.inert import inert_line
from trunkline.cli.report import note, styled
from trunkline.routing.marks import Evidence

if TYPE_CHECKING:
    from rich.progress import Progress

_SPARE = (11, 12, 4, 6, 10, 2)
"""Columns of the table that a narrow terminal does without, the first to go first."""
_GAP = 3
_SHOWN = 110
"""Characters of an answer on the screen; the JSON and the report have more."""


def announce(plan: Plan, left_out: Iterable[LeftOut], calls: int, bound: Bounds) -> None:
    """Say what will be asked, and what it can cost."""
    catalog = plan.catalog
    names = ", ".join(offer.provider for offer in plan.offers)
    note(f"{plan.model} at {names}.")
    for offer, why in left_out:
        note(f"Not asked: {inert_line(offer.provider)}, {inert_line(why)}.")
    settings = plan.settings
    note(
        f"{len(plan.prompts)} prompts, {settings.runs} runs, at most {settings.max_tokens} tokens "
        f"an answer: {calls} calls for about ${dollars(bound.likely)}, ${dollars(bound.most)} at most."
    )
    note(f"Prices: {catalog.source}, as of {catalog.as_of:%Y-%m-%d %H:%M} UTC.")
    if catalog.trouble:
        note(inert_line(catalog.trouble))


class Bar:
    """A bar on stderr, where that is a terminal: calls made, failures, money spent."""

    def __init__(self, calls: int, purse: Purse) -> None:
        """Draw nothing yet."""
        self._calls = calls
        self._purse = purse
        self._failed = 0
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        """Draw it."""
        if sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
            from rich.console import Console  # slow to load
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeRemainingColumn as Remaining

            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                Remaining(),
                TextColumn("{task.description}"),
            )
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.add_task("", total=self._calls)
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take it away."""
        if self._progress is not None:
            self._progress.stop()

    def ended(self, sample: Sample) -> None:
        """Count a call."""
        self._failed += sample.error is not None
        if self._progress is None:
            return
        failed = f", {self._failed} failed" if self._failed else ""
        purse = self._purse
        spent = f"${dollars(purse.known + purse.unsure)} of ${dollars(purse.cap)}{failed}"
        self._progress.update(self._progress.task_ids[0], advance=1, description=spent)


def show(run: Run) -> None:
    """Print the table and, below it on stderr, what it does not say."""
    rows = figures(run)
    marked = [row.provider for row in rows if row.odd]
    print_table(COLUMNS, cells(rows), marked=marked, spare=_SPARE)
    for row in rows:
        _say_errors(run, row)
    for odd in run.odd:
        say_odd(odd)
    for told in run.notes:
        note(inert_line(told))
    unsure = f", and up to ${dollars(run.unsure)} of unknown cost" if run.unsure else ""
    note(f"Spent: ${dollars(run.spent)}{unsure}.")


def show_changes(changes: Sequence[Change], earlier: Run) -> None:
    """Print how each place has moved since an earlier run."""
    click.echo()
    note(f"Against the run of {earlier.began:%Y-%m-%d %H:%M} UTC, {inert_line(earlier.model)}:")
    columns = ("provider", "what", "before", "now", "change", "95 % interval", "moved")
    print_table(columns, [_change_cells(change) for change in changes], words=2, spare=(2, 3))
    if not changes:
        note("No place was asked in both.")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    marked: Iterable[str] = (),
    words: int = 1,
    spare: Sequence[int] = (),
) -> None:
    """Print a table: drawn at a terminal, with tabs anywhere else.

    `spare` are columns that go where the terminal is too narrow.
    """
    rows = list(rows)
    if not sys.stdout.isatty():
        for cells_of_row in (columns, *rows):
            click.echo("\t".join(inert_line(cell) for cell in cells_of_row))
        return
    from rich.box import SIMPLE_HEAD  # slow to load
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    shown = _fitting([columns, *rows], spare, console.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at in shown:
        table.add_column(columns[at], justify="left" if at < words else "right", no_wrap=True)
    names = set(marked)
    for row in rows:
        style = "yellow" if row[0].removesuffix(" !") in names else ""
        table.add_row(*(Text(inert_line(row[at])) for at in shown), style=style)
    console.print(table)
    if len(shown) < len(columns):
        left = ", ".join(columns[at] for at in range(len(columns)) if at not in shown)
        note(f"Not shown for want of room: {left}.")


def _fitting(table: Sequence[Sequence[str]], spare: Sequence[int], width: int) -> list[int]:
    """Return the columns that fit, without as many of the spare ones as it takes."""
    widths = [max(len(row[at]) for row in table) + _GAP for at in range(len(table[0]))]
    shown = list(range(len(widths)))
    for at in spare:
        if sum(widths[column] for column in shown) <= width:
            break
        shown.remove(at)
    return shown


def _say_errors(run: Run, row: Figures) -> None:
    for name, count in row.errors.items():
        first = next(s for s in run.of(row.provider) if s.error == name)
        said = inert_line(first.message)[:_SHOWN]
        note(f"{row.provider}: {count} x {name}: {said}")


def say_odd(odd: Odd) -> None:
    """Say who stands out, and why."""
    click.echo(
        styled(f"! {inert_line(odd.provider)} stands out: {inert_line(odd.reason)}.", fg="yellow"),
        err=True,
    )
    for finding in odd.findings[:3]:
        _say_finding(finding)


def _say_finding(finding: Finding) -> None:
    told = f"{finding.prompt}: {finding.what}"
    say_evidence(Evidence(finding.prompt, finding.said, finding.peers, told))


def say_evidence(evidence: Evidence) -> None:
    """Say what a place answered, and what its peers did."""
    note(f"  {inert_line(evidence.finding)}.")
    note(f"    it said: {_short(evidence.said)}")
    for said in dict.fromkeys(map(_short, evidence.peers.values())):
        names = [name for name, text in evidence.peers.items() if _short(text) == said]
        note(f"    {', '.join(names)}: {said}")


def _short(text: str) -> str:
    line = inert_line(text)
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def _change_cells(change: Change) -> tuple[str, ...]:
    def written(value: float | None, *, signed: bool = False) -> str:
        if value is None:
            return "-"
        sign = "+" if signed and value > 0 else ""
        if change.unit == "$":
            return f"{sign or '-' * (value < 0)}${dollars(abs(value))}"
        return sign + (share(value) if change.unit == "share" else f"{value:.3g}{change.unit}")

    between = (
        "-"
        if change.low is None
        else f"{written(change.low, signed=True)} to {written(change.high, signed=True)}"
    )
    verdict = {True: "yes", False: "no", None: "too few"}[change.beyond_noise]
    if change.beyond_noise:
        verdict = "better" if change.better else "worse"
    return (
        change.provider,
        change.name,
        written(change.before),
        written(change.now),
        written(change.difference, signed=True),
        between,
        verdict,
    )

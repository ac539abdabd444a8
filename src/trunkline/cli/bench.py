"""`trunkline bench`: a model measured at every provider, from the user's own seat."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypedDict, Unpack

import click

from trunkline.bench.against import compare
from trunkline.bench.canaries import NEEDLE_TOKENS, built_in
from trunkline.bench.figures import figures
from trunkline.bench.measuring import Wishes, plan_for
from trunkline.bench.prompts import Prompt, read_prompts
from trunkline.bench.sheet import as_csv
from trunkline.bench.spending import Purse
from trunkline.bench.values import Run, Settings, read_run, write_run
from trunkline.cli import bench_screen as screen
from trunkline.cli.bench_asking import agreed_cap, measure
from trunkline.cli.bench_options import read_dollars, read_span
from trunkline.cli.inert import inert_json
from trunkline.cli.program import INTERRUPTED
from trunkline.cli.report import note
from trunkline.client import Client

_RUNS = 3
_WATCH_RUNS = 2
"""Of a watch's round: what is marked was wrong twice."""


class Options(TypedDict):
    """What the command line gave."""

    providers: str | None
    prompts: Path | None
    runs: int | None
    concurrency: int
    max_tokens: int
    context: int
    timeout: float
    spend: Decimal | None
    spend_unknown: Decimal | None
    yes: bool
    as_json: bool
    csv_file: Path | None
    html_file: Path | None
    against: Path | None
    watch: timedelta | None
    rounds: int | None
    marks: bool
    clear: bool


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(name="bench")
@click.argument("model")
@click.option("--providers", metavar="A,B", help="Only these; all that are live unless given.")
@click.option("--prompts", type=_FILE, help="Prompts of your own: .txt, one a line, or .jsonl.")
@click.option("--runs", type=click.IntRange(min=1), metavar="N",
              help="How often each prompt is asked. [default: 3]")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True,
              metavar="N", help="Calls at a time, over all providers.")  # fmt: skip
@click.option("--max-tokens", type=click.IntRange(min=1), default=512, show_default=True,
              metavar="N", help="Limit of each answer.")  # fmt: skip
@click.option("--context", type=click.IntRange(0, 2_000_000), default=NEEDLE_TOKENS,
              show_default=True, metavar="N",
              help="Tokens of the built-in long prompt; 0 leaves it out.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=60.0,
              show_default=True, metavar="SECONDS", help="How long one call may take.")  # fmt: skip
@click.option(
    "--spend",
    type=read_dollars,
    metavar="DOLLARS",
    help="Spend no more than this; asked for unless given.",
)
@click.option("--spend-unknown", type=read_dollars, metavar="PRICE",
              help="Count an unknown price as so many dollars for a million tokens.")  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: the estimate's most is the cap.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole run as JSON.")
@click.option("--csv", "csv_file", type=_FILE, help="Write a line for each call.")
@click.option("--html", "html_file", type=_FILE, help="Write a report with plots.")
@click.option("--against", type=_FILE, help="Compare with an earlier run's JSON.")
@click.option("--watch", type=read_span, metavar="EVERY",
              help="Ask every 10m, 2h, ...: mark providers that drift from their peers.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), metavar="N",
              help="End a watch after N rounds.")  # fmt: skip
@click.option("--marks", is_flag=True, help="Show the marks, with their evidence; ask nobody.")
@click.option("--clear", is_flag=True, help="Lift the marks on MODEL, or on its --providers.")
def command(model: str, **options: Unpack[Options]) -> int:
    """Measure MODEL at every provider: speed, failures, price, and whether answers agree.

    Every prompt is asked everywhere at temperature 0, streamed, and tried once. Without --prompts
    these are short ones whose answers show what is wrong with a place: its weights, its template,
    its tools, its JSON, its context. A place whose answers are not those of its peers is marked "!"
    and shown with what it said; --watch does this on a schedule, and keeps the marks that routing
    then goes around.

    What it can cost is shown and asked for first, and never exceeded. Prices are the catalog's.
    Where stdout is no terminal the table's columns are separated by tabs.
    """
    _check(options)
    if options["marks"] or options["clear"]:
        from trunkline.cli.bench_watch import clear, show_marks  # needs none of what measures

        return clear(model, _names(options)) if options["clear"] else show_marks(model)
    wishes = _wishes(model, options)
    if options["watch"] is not None:
        from trunkline.cli.bench_watch import Schedule, watch

        schedule = Schedule(options["watch"], options["rounds"], as_json=options["as_json"])
        return watch(wishes, schedule, options["spend"], yes=options["yes"])
    return _once(wishes, options)


def _check(options: Options) -> None:
    """Refuse options of which one would be passed over."""
    asked = {
        "--watch": options["watch"] is not None,
        "--marks": options["marks"],
        "--clear": options["clear"],
    }
    files = {
        "--csv": options["csv_file"],
        "--html": options["html_file"],
        "--against": options["against"],
    }
    ways = [name for name, wanted in asked.items() if wanted]
    given = [name for name, file in files.items() if file is not None]
    given += ["--json"] if options["as_json"] and ways != ["--watch"] else []
    if ways and (len(ways) > 1 or given):
        raise click.UsageError(f"{(*ways, *given)[0]} does not go with {(*ways, *given)[1]}.")
    for path in (options["csv_file"], options["html_file"]):
        if path is not None and not os.access(path if path.exists() else path.parent, os.W_OK):
            raise click.UsageError(f"{path} cannot be written: is its folder there?")
    if options["rounds"] is not None and options["watch"] is None:
        raise click.UsageError("--rounds is for --watch.")


def _once(wishes: Wishes, options: Options) -> int:
    earlier = None if options["against"] is None else _earlier(options["against"])
    with Client() as client:
        catalog = client.catalog()
    plan, left_out = plan_for(wishes, catalog)
    purse = Purse(agreed_cap(plan, left_out, options["spend"], yes=options["yes"]))
    run, whole = measure(plan, left_out, purse)
    _write(run, earlier, options)
    if options["as_json"]:
        click.echo(inert_json(write_run(run, figures(run)).decode()), nl=False)
    else:
        screen.show(run)
        if earlier is not None:
            screen.show_changes(compare(earlier, run), earlier)
    if not whole:
        return INTERRUPTED
    return 0 if any(sample.error is None for sample in run.samples) else 1


def _wishes(model: str, options: Options) -> Wishes:
    usual = _RUNS if options["watch"] is None else _WATCH_RUNS
    settings = Settings(
        runs=options["runs"] or usual,
        concurrency=options["concurrency"],
        max_tokens=options["max_tokens"],
        timeout=options["timeout"],
    )
    return Wishes(
        model=model,
        prompts=_prompts(options["prompts"], options["context"]),
        settings=settings,
        providers=_names(options),
        assumed=options["spend_unknown"],
    )


def _names(options: Options) -> tuple[str, ...]:
    if options["providers"] is None:
        return ()
    names = tuple(name.strip() for name in options["providers"].split(","))
    if not all(names):
        raise click.UsageError("--providers takes names with commas between them: groq,novita.")
    return names


def _prompts(path: Path | None, context: int) -> tuple[Prompt, ...]:
    return built_in(context) if path is None else read_prompts(path.read_bytes(), str(path))


def _earlier(path: Path) -> Run:
    return read_run(path.read_bytes(), str(path))


def _write(run: Run, earlier: Run | None, options: Options) -> None:
    """Write the files that were asked for."""
    if options["csv_file"] is not None:
        _keep(options["csv_file"], as_csv(run))
    if options["html_file"] is not None:
        from trunkline.bench.page import page  # plots are drawn for those who want them

        changes = () if earlier is None else compare(earlier, run)
        _keep(options["html_file"], page(run, changes, earlier))


def _keep(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="replace")
    note(f"Written: {path}")

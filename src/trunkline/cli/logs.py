"""`trunkline logs`: the calls that this machine's programs made, where they are logged."""

from __future__ import annotations

import sys
import time

import click
import msgspec

from trunkline.cli.given import read_length
from trunkline.cli.inert import hide_secrets, inert_json, inert_line
from trunkline.cli.log_file import named, opened, place, since_text
from trunkline.cli.report import note
from trunkline.cli.rows import ABSENT, print_rows
from trunkline.store.logged import LogFilter, Logged, LoggedCall

_COLUMNS = ("started", "id", "task", "model", "provider", "outcome", "tries")
_NUMBERS = ("seconds", "first", "in", "out", "cost")
_COLOURS = {"ok": "green", "left": "yellow", "cancelled": "yellow"}


@click.group(name="logs", invoke_without_command=True)
@click.option("--model", metavar="TEXT", help="Only models with this in their name.")
@click.option("--provider", metavar="NAME", help="Only calls that it served, or failed.")
@click.option("--task", metavar="TASK", help="Only this task: chat, text-to-image, ...")
@click.option("--since", metavar="WHEN", help="2h, 7d, a day, or a time (UTC).")
@click.option("--failed", is_flag=True, help="Only calls that did not end well.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True,
              help="How many.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each, in a line.")
@named
@click.pass_context
def command(
    context: click.Context,
    *,
    model: str | None,
    provider: str | None,
    task: str | None,
    since: str | None,
    failed: bool,
    limit: int,
    as_json: bool,
    log_file: str | None,
) -> None:
    """List the calls of this machine's programs, the newest first, where they are logged.

    Logging is off until TRUNKLINE_LOG=1, the settings file, or a program's Client(log=True) turns
    it on. `trunkline why ID` tells the story of one.
    """
    context.obj = log_file
    if context.invoked_subcommand is not None:
        return
    start = since_text(since, time.time()) if since else None
    wanted = LogFilter(model, provider, task, start, failed)
    with opened(log_file) as log:
        calls = log.calls(wanted, limit)
    if as_json:
        for call in calls:
            _print_line(call)
    elif not calls:
        note("No calls like that are in the log.")
    else:
        _print_table(calls)


@command.command(name="show")
@click.argument("call_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@named
@click.pass_context
def show(context: click.Context, call_id: str, *, as_json: bool, log_file: str | None) -> None:
    """Show all that is kept of one call: by its id or the provider's request id."""
    with opened(log_file or context.obj) as log:
        found = log.find(call_id)
    if found is None:
        raise click.ClickException(f"The log has no call {inert_line(call_id)!r}.")
    if as_json:
        _print_line(found)
    else:
        _print_all(found)


@command.command(name="path")
@named
@click.pass_context
def path(context: click.Context, *, log_file: str | None) -> None:
    """Print where the log is, or would be."""
    click.echo(str(place(log_file or context.obj)))


@command.command(name="prune")
@click.option("--older", metavar="LENGTH", help="Delete calls older than this: 30d, 12h.")
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Delete all but the N newest.")
@named
@click.pass_context
def prune(
    context: click.Context, *, older: str | None, keep: int | None, log_file: str | None
) -> None:
    """Delete old calls now."""
    if older is None and keep is None:
        raise click.UsageError("Give --older LENGTH or --keep N.")
    if older is not None:
        read_length(older)  # a length alone: a day here would be read as one to come
    before = None if older is None else since_text(older, time.time())
    with opened(log_file or context.obj) as log:
        deleted = log.prune(before=before, keep=keep)
    note(f"{deleted} call{'s'[: deleted != 1]} deleted.")


def _print_line(value: LoggedCall | Logged) -> None:
    text = msgspec.json.encode(as_object(value)).decode()
    click.echo(hide_secrets(inert_json(text)))


def as_object(value: LoggedCall | Logged) -> dict[str, object]:
    """Return a call as JSON has it; with all that is kept of it where that is given."""
    if isinstance(value, LoggedCall):
        return _with_json(msgspec.structs.asdict(value), "route")
    told = as_object(value.call)
    attempts = [msgspec.structs.asdict(one) for one in value.attempts]
    for one in attempts:
        del one["call"]
    told["attempts"] = attempts
    content = value.content
    told["asked"] = content and msgspec.json.decode(content.asked)
    told["answered"] = content and content.answered and msgspec.json.decode(content.answered)
    return told


def _with_json(told: dict[str, object], name: str) -> dict[str, object]:
    text = told[name]
    return {**told, name: msgspec.json.decode(text)} if isinstance(text, str) else told


def _print_table(calls: list[LoggedCall]) -> None:
    rows = [_cells(call) for call in calls]
    if not sys.stdout.isatty():
        print_rows((*_COLUMNS, *_NUMBERS), rows, numbers=len(_NUMBERS))
        return
    from rich.console import Console  # only terminals have tables
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in _COLUMNS:
        table.add_column(name, overflow="fold" if name in ("id", "model") else "ellipsis")
    for name in _NUMBERS:
        table.add_column(name, justify="right")
    at = _COLUMNS.index("outcome")
    for cells in rows:
        shown = [Text(inert_line(cell) or ABSENT) for cell in cells]
        shown[at].stylize(_COLOURS.get(cells[at], "red"))
        table.add_row(*shown)
    Console().print(table)


def _cells(call: LoggedCall) -> tuple[str, ...]:
    return (
        call.started[:19].replace("T", " ") + "Z",
        call.id,
        call.task,
        call.model,
        call.provider or "",
        call.outcome if call.error is None else f"{call.outcome}: {call.error}",
        str(call.attempts),
        f"{call.seconds:.2f}",
        "" if call.first_token is None else f"{call.first_token:.2f}",
        "" if call.input_tokens is None else str(call.input_tokens),
        "" if call.output_tokens is None else str(call.output_tokens),
        "" if call.cost is None else f"${call.cost}",
    )


def _print_all(found: Logged) -> None:
    told = as_object(found)
    attempts = told.pop("attempts")
    for name, value in told.items():
        if value is not None and value != "":
            click.echo(hide_secrets(inert_line(f"{name}: {_shown(value)}")))
    assert isinstance(attempts, list)  # noqa: S101 - as_object makes one
    for one in attempts:
        facts = ", ".join(
            f"{n} {_shown(v)}" for n, v in one.items() if v is not None and n != "number"
        )
        click.echo(hide_secrets(inert_line(f"attempt {one['number']}: {facts}")))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

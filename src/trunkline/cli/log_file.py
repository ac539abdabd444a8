"""The local log of calls, as the commands find and open it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from trunkline.cli.given import read_length, read_moment
from trunkline.cli.inert import inert_line
from trunkline.settings import read_settings
from trunkline.store.call_log import CallLog
from trunkline.store.seam import StoreError

F = TypeVar("F", bound=Callable[..., Any])

TURN_ON = "TRUNKLINE_LOG=1 turns it on for every program, Client(log=True) for one."


def named(function: F) -> F:
    """Add the option that says which log."""
    return click.option(
        "--log",
        "log_file",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="The log, unless it is the one that the settings name.",
    )(function)


def place(given: str | None) -> Path:
    """Return where the log is, as given or as the settings say."""
    file = given or read_settings().log.file
    if file is None:
        raise click.ClickException("There is no home directory with a log in it. Give --log FILE.")
    return Path(file)


def no_log(path: Path) -> click.ClickException:
    """Return the error of there being none, with how there will be."""
    return click.ClickException(f"There is no log of calls at {inert_line(str(path))}. {TURN_ON}")


@contextmanager
def opened(given: str | None) -> Generator[CallLog]:
    """Open the log; what goes wrong with it, and that there is none, is a clear error."""
    path = place(given)
    if not path.exists():
        raise no_log(path)
    try:
        with closing(CallLog(path)) as log:
            yield log
    except StoreError as error:
        raise click.ClickException(inert_line(str(error))) from error


def since_text(text: str, now: float) -> str:
    """Read `2h`, a day or a time as the log has times; a length of time is one ago."""
    try:
        moment: float | None = now - read_length(text)
    except click.BadParameter:
        moment = read_moment(text, now)
    if moment is None:
        raise click.BadParameter(f"{text!r} is no time. Write 2h, 7d, 2026-11-29 or a time.")
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""How errors and notes reach the user: one clear message on stderr, never a secret."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from trunkline.cli.inert import hide_secrets, inert
from trunkline.errors import TrunklineError


def print_error(error: Exception) -> None:
    """Say what happened, where, and what to do next."""
    click.echo(f"{styled('Error:', fg='red', bold=True)} {describe(error)}", err=True)


def describe(error: Exception) -> str:
    """Return an error as text that may be printed."""
    if isinstance(error, TrunklineError):
        said = str(error)
    elif isinstance(error, OSError):
        name = f": {error.filename}" if error.filename else ""
        said = f"{error.strerror or error}{name}."
    else:
        said = (
            f"{type(error).__name__}: {error}\n"
            "This should not have happened; TRUNKLINE_DEBUG=1 shows where it did."
        )
    return hide_secrets(inert(said), given_token())


def styled(text: str, **style: Any) -> str:
    """Return `text` with click's colours, unless NO_COLOR is set."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def note(text: str) -> None:
    """Print a line beside the answer."""
    click.echo(styled(text, dim=True), err=True)


def given_token() -> str | None:
    """Return the token of the command line, which no message may repeat."""
    for option, value in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        if option == "--token":
            return value
        if option.startswith("--token="):
            return option.removeprefix("--token=")
    return None

"""`trunkline config`: check the gateway's configuration, or show it with where each value is from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from trunkline.cli.inert import hide_secrets, inert_json, inert_line
from trunkline.cli.report import styled
from trunkline.gateway.config_file import FILE, Loaded, read_config
from trunkline.gateway.config_show import shown_json, shown_lines


@click.group(name="config")
def command() -> None:
    """Check or show the gateway's configuration.

    FILE is trunkline.toml in this folder if it is there, else the one that TRUNKLINE_CONFIG
    names, unless given.
    """


@command.command(name="check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check(file: Path | None) -> None:
    """Say whether the configuration can be used, and everything that is wrong if not.

    The exit code is 1 if it cannot. Warnings, such as of a variable that is not set in this
    shell, do not change it.
    """
    loaded = _loaded(file)
    read = f"No {FILE} here, and the defaults are" if loaded.path is None else f"{loaded.path}:"
    config = loaded.config
    counts = f"{_count(len(config.upstreams), 'upstream')}, {_count(len(config.routes), 'route')}"
    click.echo(inert_line(f"{read} fine. {counts}."))


@command.command(name="show")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--origin", is_flag=True, help="Say of each value where it is from.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, origins included.")
def show(file: Path | None, *, origin: bool, as_json: bool) -> None:
    """Show the configuration as it takes effect: defaults, file and environment together.

    What is printed is TOML that can be read again. It has no secrets: keys are named by their
    variables.
    """
    loaded = _loaded(file)
    if as_json:
        click.echo(hide_secrets(inert_json(shown_json(loaded).decode())))
        return
    for line in shown_lines(loaded, origin=origin):
        click.echo(hide_secrets(inert_json(line)))


def _loaded(file: Path | None) -> Loaded:
    loaded = read_config(file, os.environ)
    for warning in loaded.warnings:
        said = hide_secrets(inert_line(warning))
        click.echo(f"{styled('Warning:', fg='yellow', bold=True)} {said}", err=True)
    return loaded


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s'[: number != 1]}"

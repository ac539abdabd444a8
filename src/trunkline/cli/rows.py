"""Rows as the program prints them: aligned at a terminal, separated by tabs anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

from trunkline.cli.inert import inert_line
from trunkline.cli.report import styled

ABSENT = "-"


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> None:
    """Print rows below their columns; the last `numbers` columns are aligned to the right."""
    table = [[inert_line(cell) or ABSENT for cell in cells] for cells in (columns, *rows)]
    if not sys.stdout.isatty():
        for cells in table:
            click.echo("\t".join(cells))
        return
    widths = [max(len(cells[at]) for cells in table) for at in range(len(columns))]
    words = len(columns) - numbers
    for cells in table:
        aligned = [
            cell.ljust(width) if at < words else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        line = "  ".join(aligned).rstrip()
        click.echo(styled(line, dim=True) if cells is table[0] else line)

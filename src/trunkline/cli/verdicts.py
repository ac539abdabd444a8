"""Verdicts as a table: one row for calls of a fault that came to the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunkline.cli.inert import inert_line
from trunkline.conformance.calls import Result, count

_STYLES = {"pass": "green", "safe error": "cyan", "wrong": "bold red", "hang": "bold magenta"}
_WIDE = 160
"""Columns where nobody says how many there are."""


def print_table(results: Iterable[Result], clean: Callable[[str], str]) -> None:
    """Print results; `clean` takes secrets out of what a gateway said."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("fault", "call", "verdict", "asked"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="fold")
    for result, who in _together(results):
        verdict = result.verdict if result.expected else f"{result.verdict} !"
        style = _STYLES[result.verdict] if result.expected else "bold yellow"
        if result.verdict in ("wrong", "hang"):
            style = _STYLES[result.verdict]
        why = clean(inert_line(f"{result.says}: {result.why}"))
        table.add_row(result.fault, who, Text(verdict, style=style), str(result.asked), Text(why))
    plain = bool(os.environ.get("NO_COLOR"))
    width = None if sys.stdout.isatty() else _WIDE
    Console(width=width, no_color=plain, highlight=False).print(table)


def summary(results: list[Result], took: float) -> str:
    """Return one line of numbers."""
    found = ", ".join(f"{number} {name}" for name, number in count(results).items())
    odd = sum(not result.expected and result.verdict == "safe error" for result in results)
    more = f"; {odd} safe errors where an answer was due, or without asking (!)" if odd else ""
    faults = len({result.fault for result in results})
    return f"\n{faults} faults, {len(results)} calls in {took:.1f} s: {found}{more}."


def _together(results: Iterable[Result]) -> list[tuple[Result, str]]:
    """Return results that came to the same as one, with the names of its calls."""
    found: dict[tuple[str, str, str, int], tuple[Result, list[Result]]] = {}
    for result in results:
        key = (result.fault, result.verdict, result.why, result.asked)
        found.setdefault(key, (result, []))[1].append(result)
    return [(result, _who(same)) for result, same in found.values()]


def _who(results: list[Result]) -> str:
    """Name calls: `whole, stream`; of the SDK's clients the one, where it was not both."""
    shapes = ", ".join(dict.fromkeys(result.shape for result in results))
    clients = list(dict.fromkeys(result.client for result in results))
    return shapes if clients == ["gateway"] or len(clients) > 1 else f"{clients[0]}: {shapes}"

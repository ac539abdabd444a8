"""Where an answer appears while it is written: formatted on a terminal, plain anywhere else.

Reasoning goes to stderr, dim. Everything passes through `inert` first.
"""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING, Protocol

import click

from trunkline.cli.inert import Inert
from trunkline.cli.report import styled

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.segment import Segment

_FENCE = re.compile(r"\s*(`{3,}|~{3,})(.*)")
_PAINT_EVERY = 0.07
"""Seconds between two paintings of the part that is being written."""


class Paper(Protocol):
    """What the text of an answer is written on."""

    def write(self, text: str) -> None:
        """Add to it."""
        ...

    def finish(self) -> None:
        """Complete the answer's last line."""
        ...


class Screen:
    """An answer and its reasoning, written as they come."""

    def __init__(self, *, plain: bool = False) -> None:
        """Format Markdown where stdout is a terminal that can, unless `plain`."""
        self._paper: Paper = PlainPaper() if plain or not _can_format() else MarkdownPaper()
        self._content = Inert()
        self._thought = Inert()
        self._line_open = False

    def think(self, text: str) -> None:
        """Add to the reasoning."""
        self._think(self._thought.feed(text))

    def write(self, text: str) -> None:
        """Add to the answer."""
        self._write(self._content.feed(text))

    def finish(self) -> None:
        """Complete what is shown; harmless when repeated."""
        self._think(self._thought.finish())
        self._end_thought()
        self._write(self._content.finish())
        self._paper.finish()

    def _write(self, text: str) -> None:
        if text:
            self._end_thought()
            self._paper.write(text)

    def _think(self, text: str) -> None:
        if not text:
            return
        if not self._line_open:
            self._paper.finish()
            text = text.lstrip("\n")
        self._line_open = self._line_open or bool(text)
        click.echo(styled(text, dim=True), nl=False, err=True)

    def _end_thought(self) -> None:
        if self._line_open:
            click.echo("\n", err=True)
            self._line_open = False


class PlainPaper:
    """Text as it comes."""

    def __init__(self) -> None:
        """Begin at the start of a line."""
        self._line_open = False

    def write(self, text: str) -> None:
        """Add to it."""
        click.echo(text, nl=False)
        self._line_open = not text.endswith("\n")

    def finish(self) -> None:
        """End the line."""
        if self._line_open:
            click.echo()
            self._line_open = False


class MarkdownPaper:
    """Markdown, formatted block by block; the block that is being written shows as plain text.

    A block is never painted again once it is complete, so that long answers stay cheap and
    scroll as usual.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Write on `console`, or on stdout."""
        from rich.console import Console  # rich is slow to load, and only a terminal needs it

        self._console = console or Console()
        self._live: Live | None = None
        self._block = ""
        self._painted = 0.0
        self._first = True

    def write(self, text: str) -> None:
        """Add to it."""
        self._block += text
        now = time.monotonic()
        if now - self._painted < _PAINT_EVERY:
            return
        self._painted = now
        done, self._block = split_blocks(self._block)
        live = self._live or self._start()
        if done.strip():
            self._print(done)
        live.update(self._tail(), refresh=True)

    def finish(self) -> None:
        """Format what is left."""
        live, self._live = self._live, None
        if live is not None:
            live.update("")
            live.stop()
        if self._block.strip():
            self._print(self._block)
        self._block = ""

    def _start(self) -> Live:
        from rich.live import Live  # as above

        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        return self._live

    def _print(self, markdown: str) -> None:
        from rich.markdown import Markdown  # as above
        from rich.segment import SegmentLines

        # hyperlinks=False: a link shows where it leads
        block = Markdown(markdown, hyperlinks=False)
        lines = self._console.render_lines(block, pad=False)
        while lines and _is_empty(lines[0]):
            lines.pop(0)
        while lines and _is_empty(lines[-1]):
            lines.pop()
        if not self._first:
            self._console.print()
        self._first = False
        self._console.print(SegmentLines(lines, new_lines=True), end="")

    def _tail(self) -> RenderableType:
        """Return the end of the open block, as much as fits: what is painted must be erasable."""
        from rich.console import Group  # as above
        from rich.text import Text

        width, height = self._console.size
        fits = max(height - 2, 1)
        text = Text(self._block[-width * fits :].expandtabs(8))
        return Group(*text.wrap(self._console, width)[-fits:])


def split_blocks(text: str) -> tuple[str, str]:
    """Return the blocks of Markdown that are complete, and the rest.

    A block ends at an empty line outside of a code fence, once a line follows that is not
    indented (an indented one may continue a list).
    """
    fence = ""
    cut = at = 0
    empty = False
    for line in text.splitlines(keepends=True):
        if empty and not fence and line[0] not in " \t\n":
            cut = at
        marked = _FENCE.match(line)
        if marked and not fence:
            fence = marked[1]
        elif marked and marked[1].startswith(fence) and not marked[2].strip():
            fence = ""
        empty = not line.strip()
        at += len(line)
    return text[:cut], text[cut:]


def _is_empty(line: list[Segment]) -> bool:
    """Tell whether a line shows nothing, not even a background."""
    return not any(part.text.strip() or (part.style and part.style.bgcolor) for part in line)


def _can_format() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")

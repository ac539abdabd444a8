"""One run of measurements: which gateways, how long, how often; and how they take turns."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateways import Gateway
from processes import CannotRunError, Processes
from results import Results

LIMIT = "nginx"
"""The gateway that the others are compared with: it only passes bytes on."""


@dataclass(frozen=True)
class Bench:
    """What all measurements are given."""

    gateways: tuple[Gateway, ...]
    """Those that installed."""
    asked_for: bool
    """Whether somebody named them; otherwise some measurements leave out those that would crawl."""
    home: Path
    """Where the peers are installed, a folder each."""
    rounds: int
    seconds: float
    """Of each measured run."""
    streams: int
    """How many at once, where the gateways are to hold many."""
    wanted_streams: int
    """How many it would be if enough files might be open."""
    results: Results

    def among(self, names: Sequence[str]) -> list[Gateway]:
        """Return the gateways that a measurement is for: those of `names`, or those asked for."""
        return [each for each in self.gateways if self.asked_for or each.name in names]

    @contextmanager
    def processes(self) -> Iterator[Processes]:
        """Have a folder and processes that are gone when the block ends."""
        with (
            tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder,
            Processes(Path(folder)) as processes,
        ):
            yield processes

    def take_turns(
        self,
        what: str,
        gateways: Sequence[Gateway],
        measure: Callable[[Processes, Gateway], None],
        rounds: int | None = None,
    ) -> None:
        """Measure each gateway once a round, so that a slow moment of the machine falls on all.

        One that cannot do it is named with its reason, and is not asked again.
        """
        left = list(gateways)
        for turn in range(self.rounds if rounds is None else rounds):
            for gateway in left.copy():
                print(f"{what}, round {turn + 1}: {gateway.name}", file=sys.stderr)
                try:
                    with self.processes() as processes:
                        measure(processes, gateway)
                except CannotRunError as error:
                    print(f"{gateway.name}, {what}: {error}", file=sys.stderr)
                    self.results.fails(what, gateway.name, error)
                    left.remove(gateway)

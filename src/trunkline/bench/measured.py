"""A run's samples as routing counts them: first tokens, speeds and failures of each place. Pure."""

from __future__ import annotations

from trunkline.bench.values import Run
from trunkline.routing.measures import Measures, place_of


def measured(run: Run) -> Measures:
    """Return what a run has seen of places.

    How long its answers were is left out: prompts that are made to be answered in a word tell nothing of
    other calls.
    """
    found = Measures()
    began = run.began.timestamp()
    for sample in sorted(run.samples, key=lambda s: s.began + s.seconds):
        if sample.outcome == "left":
            continue  # our own limit on time came first
        found.note(
            place_of(sample.provider, run.model),
            began + sample.began + sample.seconds,
            failed=sample.outcome != "good",
            first_token=sample.first_token,
            throughput=sample.throughput,
        )
    return found

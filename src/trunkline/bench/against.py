"""Two runs compared: how far each place has moved, and whether that is more than noise. Pure.

The interval is a bootstrap's: both runs' samples are drawn again a thousand times, by a source of chance
that is always the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import NamedTuple

import msgspec

from trunkline.bench.figures import (
    COST,
    FAILED,
    FIRST_TOKEN,
    THROUGHPUT,
    TOTAL,
    WRONG,
    Metric,
    numbers,
)
from trunkline.bench.values import Run

DRAWS = 1_000
FEW = 4
"""Samples on either side below which nothing is said of noise."""
_CONFIDENCE = 0.95
_DIGITS = 12
"""Decimals beyond which a difference is the noise of binary fractions."""
_SEED = 20_261_129


class Row(NamedTuple):
    """A number that two runs are compared by."""

    name: str
    unit: str
    metric: Metric
    middle: Callable[[Sequence[float]], float]
    less_is_better: bool = True


ROWS = (
    Row("first token", "s", FIRST_TOKEN, median),
    Row("tokens/s", "", THROUGHPUT, median, less_is_better=False),
    Row("total", "s", TOTAL, median),
    Row("failed", "share", FAILED, fmean),
    Row("wrong", "share", WRONG, fmean),
    Row("cost", "$", COST, fmean),
)


class Change(msgspec.Struct, frozen=True):
    """How one number of one place has moved."""

    provider: str
    name: str
    unit: str
    before: float
    now: float
    difference: float
    low: float | None
    """The difference lies between these two, as far as so few samples can tell."""
    high: float | None
    beyond_noise: bool | None
    """None where there are too few samples to say."""
    better: bool | None
    """None where nothing has moved."""


def compare(before: Run, now: Run) -> tuple[Change, ...]:
    """Return the changes of the places that both runs asked; only prompts that both had count."""
    prompts = {p.name for p in before.prompts} & {p.name for p in now.prompts}
    names = [place.provider for place in now.asked]
    both = [name for name in names if name in {place.provider for place in before.asked}]
    chance = random.Random(_SEED)  # noqa: S311 - no secret comes of it
    found: list[Change] = []
    for provider in both:
        sides = [
            [sample for sample in run.of(provider) if sample.prompt in prompts]
            for run in (before, now)
        ]
        for row in ROWS:
            values = [numbers(side, row.metric) for side in sides]
            if all(values):
                found.append(_change(provider, row, values[0], values[1], chance))
    return tuple(found)


def interval(
    before: Sequence[float],
    now: Sequence[float],
    middle: Callable[[Sequence[float]], float],
    chance: random.Random,
) -> tuple[float, float]:
    """Return between which two values the difference of two middles lies."""
    drawn = sorted(
        middle(chance.choices(now, k=len(now))) - middle(chance.choices(before, k=len(before)))
        for _ in range(DRAWS)
    )
    cut = int(DRAWS * (1 - _CONFIDENCE) / 2)
    return round(drawn[cut], _DIGITS), round(drawn[-cut - 1], _DIGITS)


def _change(
    provider: str, row: Row, before: Sequence[float], now: Sequence[float], chance: random.Random
) -> Change:
    difference = round(row.middle(now) - row.middle(before), _DIGITS)
    enough = min(len(before), len(now)) >= FEW
    low, high = interval(before, now, row.middle, chance) if enough else (None, None)
    beyond = None if low is None or high is None else low > 0 or high < 0
    return Change(
        provider=provider,
        name=row.name,
        unit=row.unit,
        before=row.middle(before),
        now=row.middle(now),
        difference=difference,
        low=low,
        high=high,
        beyond_noise=beyond,
        better=None if not difference else (difference < 0) == row.less_is_better,
    )

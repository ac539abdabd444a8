"""What a run's samples come to for each place: times, speed, failures, cost, agreement. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from statistics import fmean

import msgspec

from trunkline.bench.values import Run, Sample


class Spread(msgspec.Struct, frozen=True):
    """A number's middle and its bad end."""

    p50: float
    p95: float
    count: int


class Figures(msgspec.Struct, frozen=True):
    """One place, measured. None is unknown."""

    provider: str
    calls: int
    failed: int
    errors: dict[str, int]
    """How often each class of error came."""
    first_token: Spread | None
    throughput: Spread | None
    """The bad end is the slow one: 19 of 20 are faster."""
    total: Spread | None
    input_price: Decimal | None
    output_price: Decimal | None
    cost: Decimal | None
    """Of a call, the mean of those whose cost is known."""
    unpriced: int
    """Answered calls whose cost is not known."""
    estimated: int
    """Answered calls whose tokens were counted here, because the provider told none."""
    judged: int
    right: int
    similarity: float | None
    """How like its peers' its answers are, on average."""
    exact: float | None
    """Part of the pairs of answers that are the same."""
    odd: str | None
    """Why it stands out."""
    skipped: str | None = None

    @property
    def error_rate(self) -> float | None:
        """Part of the calls that failed."""
        return self.failed / self.calls if self.calls else None


_MEAN = Context(prec=12)

Metric = Callable[[Sample], float | None]

FIRST_TOKEN: Metric = lambda sample: sample.first_token  # noqa: E731 - rows of a table
THROUGHPUT: Metric = lambda sample: sample.throughput  # noqa: E731
TOTAL: Metric = lambda sample: None if sample.error else sample.seconds  # noqa: E731
FAILED: Metric = lambda sample: float(sample.error is not None)  # noqa: E731
COST: Metric = lambda sample: None if sample.cost is None else float(sample.cost)  # noqa: E731
WRONG: Metric = lambda sample: float(sample.wrong is not None) if sample.judged else None  # noqa: E731


def numbers(samples: Iterable[Sample], metric: Metric) -> list[float]:
    """Return what is known of a metric."""
    return [value for sample in samples if (value := metric(sample)) is not None]


def figures(run: Run) -> tuple[Figures, ...]:
    """Return what a run comes to, a row for each place, in the run's order."""
    odd = {row.provider: row.reason for row in run.odd}
    return tuple(
        _figures(run, place.provider, odd.get(place.provider))
        if place.skipped is None
        else _skipped(place.provider, place.skipped, (place.input_price, place.output_price))
        for place in run.places
    )


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value below which a part of all lies, between two where it falls between."""
    ordered = sorted(values)
    at = part * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def _figures(run: Run, provider: str, odd: str | None) -> Figures:
    samples = run.of(provider)
    answered = [sample for sample in samples if sample.error is None]
    place = next(p for p in run.places if p.provider == provider)
    costs = [sample.cost for sample in answered if sample.cost is not None]
    judged = [sample for sample in samples if sample.judged]
    near = [pair for pair in run.pairs if provider in (pair.first, pair.second)]
    return Figures(
        provider=provider,
        calls=len(samples),
        failed=len(samples) - len(answered),
        errors=dict(Counter(s.error for s in samples if s.error).most_common()),
        first_token=_spread(numbers(samples, FIRST_TOKEN), 0.95),
        throughput=_spread(numbers(samples, THROUGHPUT), 0.05),
        total=_spread(numbers(samples, TOTAL), 0.95),
        input_price=place.input_price,
        output_price=place.output_price,
        cost=_MEAN.divide(sum(costs, Decimal(0)), Decimal(len(costs))) if costs else None,
        unpriced=len(answered) - len(costs),
        estimated=sum(sample.tokens == "estimated" for sample in answered),
        judged=len(judged),
        right=sum(sample.wrong is None for sample in judged),
        similarity=fmean(pair.similarity for pair in near) if near else None,
        exact=fmean(pair.exact for pair in near) if near else None,
        odd=odd,
    )


def _skipped(provider: str, why: str, prices: tuple[Decimal | None, Decimal | None]) -> Figures:
    return Figures(
        provider, 0, 0, {}, None, None, None, *prices, None, 0, 0, 0, 0, None, None, None, why
    )  # fmt: skip


def _spread(values: Sequence[float], bad: float) -> Spread | None:
    if not values:
        return None
    return Spread(quantile(values, 0.5), quantile(values, bad), len(values))

"""The sums that a person looks at first, as plain values for the admin API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from trunkline.gateway.tallies import Counts, Histogram, Series, Tallies
from trunkline.types.money import dollars


def summary(tallies: Tallies) -> dict[str, object]:
    """Return what happened since the start. Money is text in dollars, unknown is None."""
    series = list(tallies.series.items())
    outcomes: Counter[str] = Counter()
    for labels, sums in series:
        outcomes[labels[3]] += sums.calls
    every = [sums for _, sums in series]
    return {
        "calls": sum(outcomes.values()),
        "outcomes": dict(outcomes),
        "refused": _by_first(tallies.refusals),
        "rate_limited": _by_first(tallies.rate_limits),
        "client_disconnects": _by_first(tallies.disconnects),
        "tokens": _tokens(every),
        "cost_usd": f"{dollars(sum(s.cost_reported + s.cost_estimated for s in every)):f}",
        "unpriced_calls": sum(s.unpriced for s in every),
        "duration_seconds": {name: _quantiles(h) for name, h in tallies.durations.items()},
        "time_to_first_byte_seconds": {n: _quantiles(h) for n, h in tallies.first_bytes.items()},
        "ledger": {**_quantiles(tallies.commits), "recovered": tallies.recovered_entries},
        "gauges": tallies.readings(),
    }


def _by_first(counts: Counts) -> dict[str, int]:
    return {values[0]: count for values, count in list(counts.counts.items())}


def _tokens(every: Iterable[Series]) -> dict[str, int]:
    found: Counter[str] = Counter({"input": 0, "output": 0, "cached": 0})
    for sums in every:
        found["input"] += sums.input_tokens
        found["output"] += sums.output_tokens
        found["cached"] += sums.cached_tokens
    return dict(found)


def _quantiles(histogram: Histogram) -> dict[str, float | int | None]:
    """Return upper bounds: half of the values were at most `p50`. None where no bound is known."""
    count = sum(histogram.counts)
    return {
        "count": count,
        "mean": histogram.total / count if count else None,
        "p50": histogram.within(0.5),
        "p95": histogram.within(0.95),
        "p99": histogram.within(0.99),
    }

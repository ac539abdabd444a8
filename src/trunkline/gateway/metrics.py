"""The tallies in Prometheus' text format, by prometheus_client, made when somebody asks for them.

A registry of our own: nothing that another library put in the global one is shown.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from trunkline._version import __version__
from trunkline.errors import ConfigurationError
from trunkline.gateway.tallies import GAUGES, NONE, Counts, Histogram, Tallies
from trunkline.types.money import PICOS

try:
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ConfigurationError(
        "Metrics need prometheus_client: pip install 'trunkline[gateway]'."
    ) from error

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The form that every scraper reads."""
Labelled = Mapping[tuple[str, ...], float]
"""Numbers by the values of their labels."""


def publisher(tallies: Tallies) -> Callable[[], tuple[str, bytes]]:
    """Return what makes content type and text of the tallies as they are when it is called."""
    registry = CollectorRegistry()
    registry.register(_Tallied(tallies))
    ProcessCollector(registry=registry)
    return lambda: (CONTENT_TYPE, generate_latest(registry))


def published(tallies: Tallies, processes: Mapping[str, int]) -> bytes:
    """Return the text for tallies of several workers, and their process ids by their numbers."""
    registry = CollectorRegistry()
    registry.register(_Tallied(tallies))
    registry.register(_Processes(processes))
    return generate_latest(registry)


class _Processes(Collector):
    """What the system tells of several processes, each with its worker's number."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        """Yield every family, with all processes' samples."""
        families: dict[str, Metric] = {}
        for worker, pid in self._processes.items():
            for told in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                family = families.setdefault(
                    told.name, Metric(told.name, told.documentation, told.type)
                )
                for sample in told.samples:
                    labels = {**sample.labels, "worker": worker}
                    family.add_sample(sample.name, labels, sample.value)
        yield from families.values()


class _Tallied(Collector):
    """Reads the tallies; the numbers stay where they are counted."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        tallies = self._tallies
        yield _build()
        yield from _calls(tallies)
        yield from _sums(tallies)
        yield _histogram(
            "request_duration_seconds", "From a call's start to its end.", tallies.durations
        )
        yield _histogram(
            "time_to_first_byte_seconds",
            "From a call's start to the first byte of its answer.",
            tallies.first_bytes,
        )
        yield _histogram(
            "queue_wait_seconds",
            "How long calls waited that were let in.",
            tallies.wait_seconds,
            label="kind",
        )
        yield from _events(tallies)
        yield from _ledger(tallies)
        yield from _readings(tallies)


def _build() -> Metric:
    family = GaugeMetricFamily(
        "trunkline_build_info", "Always 1; the labels say what runs.", labels=("version", "python")
    )
    family.add_metric((__version__, platform.python_version()), 1)
    return family


def _calls(tallies: Tallies) -> Iterator[Metric]:
    calls: Counter[tuple[str, ...]] = Counter()
    truncated: Counter[tuple[str, ...]] = Counter()
    for (endpoint, provider, model, outcome, status), sums in list(tallies.series.items()):
        told = NONE if status is None else str(status)
        calls[endpoint, str(provider), model, outcome, told] += sums.calls
        if outcome == "truncated":
            truncated[str(provider),] += sums.calls
    labels = ("endpoint", "provider", "model", "outcome", "status")
    yield _counter("requests", "Calls that were dispatched and have ended.", labels, calls)
    yield _counter(
        "streams_truncated", "Answers that ended before they were whole.", ("provider",), truncated
    )


def _sums(tallies: Tallies) -> Iterator[Metric]:
    tokens: Counter[tuple[str, ...]] = Counter()
    cost: Counter[tuple[str, ...]] = Counter()
    unpriced: Counter[tuple[str, ...]] = Counter()
    for (_, provider, model, _, _), sums in list(tallies.series.items()):
        served = (str(provider), model)
        tokens["input", *served] += sums.input_tokens
        tokens["output", *served] += sums.output_tokens
        tokens["cached", *served] += sums.cached_tokens
        cost["reported", *served] += sums.cost_reported
        cost["estimated", *served] += sums.cost_estimated
        unpriced[served] += sums.unpriced
    served_by = ("provider", "model")
    yield _counter(
        "tokens", "Tokens of ended calls; cached ones are input too.", ("type", *served_by), tokens
    )
    yield _counter(
        "cost_usd",
        "Cost of ended calls, by where the number of tokens came from.",
        ("source", *served_by),
        {labels: amount / PICOS for labels, amount in cost.items()},
    )
    yield _counter("unpriced_calls", "Ended calls whose cost is unknown.", served_by, unpriced)


def _events(tallies: Tallies) -> Iterator[Metric]:
    refused = _now(tallies.refusals)
    yield _counter("refused", "Requests that were not dispatched.", ("reason",), refused)
    budget: Labelled = {(): refused.get(("budget",), 0)}
    yield _counter("budget_refused", "Requests refused as a budget was used up.", (), budget)
    limited = _now(tallies.rate_limits)
    yield _counter("rate_limited", "Requests refused by a rate limit.", ("scope",), limited)
    left = _now(tallies.disconnects)
    yield _counter("client_disconnects", "Clients that left unanswered.", ("phase",), left)
    attempts = _now(tallies.attempts)
    attempts.update(((upstream, "ok"), n) for upstream, n in list(tallies.answered.items()))
    waits = _now(tallies.waits)
    yield _counter("queue_calls", "Calls that waited to be let in.", ("kind", "end"), waits)
    moves = _now(tallies.moves)
    says = (
        "Times that a call with a route went on after a target failed, to the same one or another."
    )
    yield _counter("route_moves", says, ("action", "reason"), moves)
    labels = ("upstream", "outcome")
    yield _counter("upstream_attempts", "Exchanges with upstreams.", labels, attempts)


def _ledger(tallies: Tallies) -> Iterator[Metric]:
    yield _histogram("ledger_commit_seconds", "Transactions of the ledger.", {"": tallies.commits})
    yield _counter(
        "ledger_recovered",
        "Entries taken over from a process that died.",
        (),
        {(): tallies.recovered_entries},
    )


def _readings(tallies: Tallies) -> Iterator[Metric]:
    for name, value in tallies.readings().items():
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        yield kind(f"trunkline_{name}", GAUGES[name], value=value)


def _now(counts: Counts) -> dict[tuple[str, ...], int]:
    return dict(list(counts.counts.items()))


def _counter(name: str, says: str, labels: Sequence[str], values: Labelled) -> Metric:
    family = CounterMetricFamily(f"trunkline_{name}", says, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _histogram(
    name: str, says: str, by_endpoint: dict[str, Histogram], *, label: str = "endpoint"
) -> Metric:
    """Return one family by the values of a label; "" stands for no label."""
    labels = () if "" in by_endpoint else (label,)
    family = HistogramMetricFamily(f"trunkline_{name}", says, labels=labels)
    for endpoint, histogram in list(by_endpoint.items()):
        buckets = list(_cumulative(histogram))
        family.add_metric([endpoint][: len(labels)], buckets, sum_value=histogram.total)
    return family


def _cumulative(histogram: Histogram) -> Iterable[tuple[str, float]]:
    seen = 0
    bounds = (*(str(float(bound)) for bound in histogram.bounds), "+Inf")
    for bound, count in zip(bounds, list(histogram.counts), strict=True):
        seen += count
        yield bound, seen

"""Numbers of what happened, as plain integers, bounded in number whatever clients send.

Labels come from bounded sets: names that clients choose are kept up to a number, the rest is
`other`. Knows no text of calls, no keys, and not how numbers are published.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable

from trunkline.types.secret_shapes import looks_secret

_LOG = logging.getLogger(__name__)
OTHER = "other"
NONE = "none"
"""Where a label's value is not known."""
MOST_VALUES = 500
"""Different values of one label."""
MOST_SERIES = 2000
"""Different combinations of labels in one family."""
_LONGEST = 160
_UNPRINTED = re.compile(r"[^A-Za-z0-9._:/@+ -]")

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

GAUGES: dict[str, str] = {
    "inflight_requests": "Requests being answered now.",
    "queued_interactive": "Calls that wait for an upstream to let them in.",
    "queued_batch": "The same of batch calls, which wait behind the others.",
    "targets_shut": "Targets of routes that failed, and are given up or tried by one call.",
    "open_connections": "Clients' connections that are open now.",
    "ledger_pending_entries": "Ledger entries that wait to be committed to the store.",
    "journal_bytes": "Bytes of journal on disk.",
    "spool_bytes": "Bytes of journal that wait for a store that cannot be written.",
    "store_up": "1 while the store can be written, 0 while it cannot.",
    "price_age_seconds": "Age of the price list in use.",
    "eventloop_lag_seconds": "How late the event loop ran its last timer.",
    "answers_replayed_total": "Answers that were told again, to requests that named themselves.",
    "replicas": "Processes that serve from the store, here and elsewhere.",
    "replicas_config_differs": "1 while not all of them have the same configuration.",
    "clock_skew_seconds": "How far the store's clock is ahead of the process's.",
    "workers": "Processes of this gateway that serve.",
    "money_rounds_total": "Rounds in which the store was asked for money, for all budgets at once.",
    "rate_rounds_total": "Rounds in which the store, or Redis, was asked for limits.",
    "lease_waits_total": "Calls that waited for such a round.",
    "limits_by_shares": "1 while limits are not shared out, and each process keeps to its share.",
    "contents_dropped_total": "Calls whose prompt and answer were not kept, as too many waited.",
}
"""What others own and are asked for when somebody looks; a `_total` only grows."""


class Histogram:
    """How often a value fell into which bucket; the last one has no upper bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Begin with nothing; `bounds` are the buckets' upper ends, in order."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def within(self, share: float) -> float | None:
        """Return the bound under which at least `share` of the values lay; None if there is none."""
        wanted, seen = share * sum(self.counts), 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            seen += count
            if seen and seen >= wanted:
                return bound
        return None


class Counts:
    """Counters by one or more labels, bounded in number."""

    __slots__ = ("_labels", "counts")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.counts: dict[tuple[str, ...], int] = {}
        self._labels = Labels()

    def add(self, *values: str, by: int = 1) -> None:
        """Count `by` more under the labels' values."""
        if values in self.counts:
            self.counts[values] += by
            return
        admitted = tuple(self._labels.admit(value) for value in values)
        if admitted not in self.counts and len(self.counts) >= MOST_SERIES:
            admitted = (OTHER,) * len(values)
        self.counts[admitted] = self.counts.get(admitted, 0) + by


class Labels:
    """The values that a label may have: the first ones seen, up to a number."""

    __slots__ = ("_known", "_most")

    def __init__(self, known: Iterable[str] = (), most: int = MOST_VALUES) -> None:
        """Know the operator's own names, beside which `most` others fit."""
        self._known = {fit for name in known if (fit := fitting(name)) is not None}
        self._most = most + len(self._known)

    def admit(self, value: str | None, *, new: bool = True) -> str:
        """Return the label for a value: itself made harmless, or `other`; `new` admits unseen ones."""
        if not value:
            return NONE
        fit = fitting(value)
        if fit is None:
            return OTHER
        if fit not in self._known:
            if not new or len(self._known) >= self._most:
                return OTHER
            self._known.add(fit)
        return fit


def fitting(value: str) -> str | None:
    """Return `value` as a label may show it; None for what is too long, or looks like a secret."""
    if len(value) > _LONGEST or looks_secret(value):
        return None
    return _UNPRINTED.sub("_", value)


class Series:
    """Sums over the ended calls of one endpoint, provider, model, outcome and status."""

    __slots__ = (
        "cached_tokens",
        "calls",
        "cost_estimated",
        "cost_reported",
        "durations",
        "first_bytes",
        "input_tokens",
        "output_tokens",
        "unpriced",
    )

    def __init__(self, durations: Histogram, first_bytes: Histogram) -> None:
        """Begin with nothing, and with the histograms that its endpoint's series share."""
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cached_tokens = 0
        self.unpriced = 0
        self.cost_reported = 0
        """Picodollars, where the provider told the tokens."""
        self.cost_estimated = 0
        """Picodollars, where they were estimated."""
        self.durations = durations
        self.first_bytes = first_bytes


Call = tuple[str, str | None, str, str, int | None]
"""A call's endpoint, provider, model, outcome and status."""


class Tallies:
    """All numbers that are kept."""

    def __init__(self, models: Iterable[str] = (), *, most_values: int = MOST_VALUES) -> None:
        """Know the operator's own `models`: their labels are never crowded out by clients'."""
        self.series: dict[Call, Series] = {}
        self.durations: dict[str, Histogram] = {}
        """By endpoint, as are `first_bytes`."""
        self.first_bytes: dict[str, Histogram] = {}
        self.refusals = Counts()
        self.rate_limits = Counts()
        self.disconnects = Counts()
        self.attempts = Counts()
        """Exchanges with upstreams that did not end well, by upstream and how they ended."""
        self.answered: dict[str, int] = {}
        """Those that did, by upstream: the operator's own names."""
        self.waits = Counts()
        """Calls that waited for an upstream to let them in, by kind and how that ended."""
        self.wait_seconds: dict[str, Histogram] = {}
        """For how long those did that were let in, by kind."""
        self.moves = Counts()
        """Calls with routes that went on after a target failed: `again` or `move`, and after what."""
        self.commits = Histogram(COMMIT_SECONDS)
        self.recovered_entries = 0
        self.gauges: dict[str, Callable[[], float | None]] = {}
        self._models = Labels(models, most_values)
        self._providers = Labels(most=most_values)
        self._endpoints = Labels(most=16)
        self._outcomes = Labels(most=16)

    def series_of(self, key: Call) -> tuple[Call, Series]:
        """Return fit labels and their series for labels as they came, folded if there are too many.

        A model that an upstream refused need not exist: only a name that is known is shown.
        """
        endpoint, provider, model, outcome, status = key
        labels: Call = (
            self._endpoints.admit(endpoint),
            self._providers.admit(provider),
            self._models.admit(model, new=outcome != "refused"),
            self._outcomes.admit(outcome),
            status,
        )
        if labels not in self.series and len(self.series) >= MOST_SERIES:
            labels = (labels[0], OTHER, OTHER, labels[3], None)
        found = self.series.get(labels)
        if found is None:
            found = self.series[labels] = self._new_series(labels[0])
        return labels, found

    def _new_series(self, endpoint: str) -> Series:
        durations = self.durations.setdefault(endpoint, Histogram(CALL_SECONDS))
        return Series(durations, self.first_bytes.setdefault(endpoint, Histogram(CALL_SECONDS)))

    def readings(self) -> dict[str, float]:
        """Return what others own, as it is now; what is not known, or fails to tell, is left out."""
        found: dict[str, float] = {}
        for name, read in self.gauges.items():
            try:
                value = read()
            except Exception:
                # One number that cannot be had is no reason to have none: it is missing, and said.
                _LOG.exception("gauge.failed", extra={"gauge": name})
                continue
            if value is not None:
                found[name] = float(value)
        return found

"""What happened, counted: the methods that the rest of the gateway calls when something does.

`ended` is on the hot path of every call. Knows no text of calls, no keys, and not how numbers are
published: that is `metrics`, which is loaded when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from trunkline.gateway.summary import summary
from trunkline.gateway.tallies import (
    CALL_SECONDS,
    GAUGES,
    MOST_SERIES,
    MOST_VALUES,
    OTHER,
    Call,
    Histogram,
    Series,
    Tallies,
)
from trunkline.store.records import Entry

_LONGEST_KEY = 400
"""Characters of the names that are remembered as they came."""


class Telemetry(Tallies):
    """Counts what happens. Each method belongs to one thread at a time; reading is free to any."""

    def __init__(self, models: Iterable[str] = (), *, most_values: int = MOST_VALUES) -> None:
        """Know the operator's own `models`: their labels are never crowded out by clients'."""
        super().__init__(models, most_values=most_values)
        self._fast: dict[Call, Series] = {}
        """By labels as they come, so that most calls cost one look-up."""
        self._publish: Callable[[], tuple[str, bytes]] | None = None

    def ended(self, entry: Entry) -> None:
        """Count a dispatched call that has ended."""
        key = (entry.endpoint, entry.provider, entry.model, entry.outcome, entry.status)
        series = self._fast.get(key) or self._slowly(key)
        if entry.outcome == "ok":
            upstream = entry.upstream
            self.answered[upstream] = self.answered.get(upstream, 0) + 1
        series.calls += 1
        series.input_tokens += entry.input_tokens or 0
        series.output_tokens += entry.output_tokens or 0
        series.cached_tokens += entry.cached_tokens or 0
        if entry.cost is None:
            series.unpriced += 1
        elif entry.token_source == "provider":  # noqa: S105 - tokens of text
            series.cost_reported += entry.cost
        else:
            series.cost_estimated += entry.cost
        if entry.stream and entry.first_byte is not None:
            series.first_bytes.add(entry.first_byte)
        if entry.ended is not None:
            seconds = entry.ended - entry.started
            if seconds < 0:
                seconds = 0.0  # the clock has been set
            durations = series.durations
            durations.counts[bisect_left(durations.bounds, seconds)] += 1
            durations.total += seconds
        if entry.status == 499:
            self.disconnects.add("waiting" if entry.first_byte is None else "answering")

    def refused(self, reason: str) -> None:
        """Count a request that was not dispatched: `auth`, `budget`, `rate`, `body`, ..."""
        self.refusals.add(reason)

    def rate_limited(self, scope: str) -> None:
        """Count whose limit was passed: `key`, `owner` or `team`. It is a refusal beside."""
        self.rate_limits.add(scope)

    def disconnected(self, phase: str) -> None:
        """Count a client that left before its call was dispatched; `ended` counts the others."""
        self.disconnects.add(phase)

    def waited(self, kind: str, end: str, seconds: float) -> None:
        """Count a call that waits no longer for an upstream, and how that ended."""
        self.waits.add(kind, end)
        if end == "let in":
            self.wait_seconds.setdefault(kind, Histogram(CALL_SECONDS)).add(seconds)
        elif end == "left":
            self.disconnected("queued")

    def moved(self, action: str, reason: str) -> None:
        """Count a call with a route that went on after a target failed, and after what."""
        self.moves.add(action, reason)

    def attempted(self, upstream: str, outcome: str) -> None:
        """Count one exchange with an upstream that did not end well; `ended` counts the others."""
        self.attempts.add(upstream, outcome)

    def committed(self, seconds: float, entries: int = 0) -> None:  # noqa: ARG002 - counted elsewhere
        """Count one transaction of the ledger."""
        self.commits.add(seconds)

    def recovered(self, entries: int) -> None:
        """Count entries that were found in the journal of a process that died."""
        self.recovered_entries += entries

    def gauge(self, name: str, read: Callable[[], float | None]) -> None:
        """Have `read` asked for one of GAUGES; None says that it is not known now."""
        if name not in GAUGES:
            raise ValueError(f"there is no gauge {name!r}; there are {', '.join(GAUGES)}")
        self.gauges[name] = read

    def exposition(self) -> tuple[str, bytes]:
        """Return content type and text for Prometheus. On any thread; the first call is slow."""
        if self._publish is None:
            # Loads prometheus_client, which takes longer than the gateway may take to start.
            from trunkline.gateway.metrics import publisher

            self._publish = publisher(self)
        return self._publish()

    def snapshot(self) -> dict[str, object]:
        """Return the sums that a person looks at first, as plain values."""
        return summary(self)

    def _slowly(self, key: Call) -> Series:
        """Find the series by labels made fit; remember it, save for names there are too many of."""
        labels, series = self.series_of(key)
        size = len(key[0]) + len(key[1] or "") + len(key[2]) + len(key[3])
        if labels[2] != OTHER and len(self._fast) < MOST_SERIES and size <= _LONGEST_KEY:
            self._fast[key] = series
        return series

"""Tallies of several processes added up, those of processes that have ended too.

Sums must never shrink while anybody of the gateway lives: a scraper would take that for a restart. So
what was told once is on file, and counts on when its process is gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from trunkline.gateway.tallies import Call, Counts, Histogram, Series, Tallies

_SUMS = tuple(name for name in Series.__slots__ if name not in ("durations", "first_bytes"))
_COMBINED: dict[str, Callable[[list[float]], float]] = {
    "store_up": min,
    "price_age_seconds": max,
    "eventloop_lag_seconds": max,
    "limits_by_shares": max,
    "replicas": max,
    "replicas_config_differs": max,
    "clock_skew_seconds": lambda values: max(values, key=abs),
}
"""Gauges that are not added up."""
_GONE = "gone.numbers"
_REMEMBERED = 1000
"""Ended processes whose names are kept, so that none counts twice."""


class Buckets(msgspec.Struct, array_like=True):
    """A histogram."""

    bounds: tuple[float, ...]
    counts: list[int]
    total: float


class Numbers(msgspec.Struct):
    """All tallies of a process, or of several, as values."""

    series: list[tuple[Call, list[str]]] = []
    """Labels, and sums as text: those of money outgrow 64 bits."""
    histograms: dict[str, dict[str, Buckets]] = {}
    """By attribute and label; "" where it has none."""
    counts: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    named: dict[str, dict[str, int]] = {}
    sums: dict[str, int] = {}
    gauges: dict[str, float] = {}


class _Gone(msgspec.Struct):
    boots: list[str] = []
    numbers: Numbers = msgspec.field(default_factory=Numbers)


def numbers_of(tallies: Tallies) -> Numbers:
    """Return tallies as values."""
    told = Numbers(gauges=tallies.readings())
    told.series = [
        (labels, [str(getattr(sums, name)) for name in _SUMS])
        for labels, sums in list(tallies.series.items())
    ]
    for name, value in vars(tallies).items():
        if not name.startswith("_") and name not in ("series", "gauges"):
            _tell(told, name, value)
    return told


def _tell(told: Numbers, name: str, value: Any) -> None:
    if isinstance(value, Counts):
        told.counts[name] = list(value.counts.items())
    elif isinstance(value, Histogram):
        told.histograms[name] = {"": _buckets(value)}
    elif isinstance(value, int):
        told.sums[name] = value
    elif any(isinstance(each, Histogram) for each in value.values()):
        told.histograms[name] = {label: _buckets(each) for label, each in list(value.items())}
    else:
        told.named[name] = dict(value)


def _buckets(histogram: Histogram) -> Buckets:
    return Buckets(histogram.bounds, list(histogram.counts), histogram.total)


def added(every: Iterable[Numbers]) -> Tallies:
    """Return tallies that are the sums of others."""
    total = Tallies()
    gauges: dict[str, list[float]] = {}
    for numbers in every:
        _add(total, numbers)
        for name, value in numbers.gauges.items():
            gauges.setdefault(name, []).append(value)
    for name, values in gauges.items():
        total.gauges[name] = partial(float, _COMBINED.get(name, sum)(values))
    return total


def _add(total: Tallies, numbers: Numbers) -> None:
    for labels, told in numbers.series:
        series = total.series.get(labels)
        if series is None:
            series = total.series[labels] = Series(Histogram(()), Histogram(()))
        for name, value in zip(_SUMS, told, strict=True):
            setattr(series, name, getattr(series, name) + int(value))
    for name, by_label in numbers.histograms.items():
        for label, buckets in by_label.items():
            _add_buckets(getattr(total, name), label, buckets)
    for name, counts in numbers.counts.items():
        _add_counts(getattr(total, name).counts, dict(counts))
    for name, named in numbers.named.items():
        _add_counts(getattr(total, name), named)
    _add_counts(vars(total), numbers.sums)


def _add_counts(into: dict[Any, int], counts: Mapping[Any, int]) -> None:
    for key, count in counts.items():
        into[key] = into.get(key, 0) + count


def _add_buckets(kept: Any, label: str, buckets: Buckets) -> None:
    """Add to a histogram, or to the one that has the label."""
    if not isinstance(kept, Histogram):
        kept = kept.setdefault(label, Histogram(buckets.bounds))
    kept.counts = [a + b for a, b in zip(kept.counts, buckets.counts, strict=True)]
    kept.total += buckets.total


# on file


def write_numbers(folder: Path, boot: str, numbers: Numbers) -> None:
    """Keep what a process tells, in place of what it told before; raises OSError."""
    _write(folder / f"{boot}.numbers", numbers)


def keep_numbers_of(folder: Path, boot: str) -> None:
    """Add what a process told last to what those told that have ended. One process alone calls it."""
    path = folder / f"{boot}.numbers"
    numbers = _read(path, Numbers)
    if boot and numbers is not None:
        gone = _read(folder / _GONE, _Gone) or _Gone()
        numbers.gauges = {n: v for n, v in numbers.gauges.items() if n.endswith("_total")}
        gone.numbers = numbers_of(added([gone.numbers, numbers]))
        gone.boots = [*gone.boots[-_REMEMBERED:], boot]
        with contextlib.suppress(OSError):
            _write(folder / _GONE, gone)
    path.unlink(missing_ok=True)
    (folder / f"{boot}.sock").unlink(missing_ok=True)


def numbers_on_file(folder: Path, *, but: Iterable[str]) -> list[Numbers]:
    """Return what processes told that cannot be asked, `but` for those that can."""
    asked = set(but)
    found = {path.stem: _read(path, Numbers) for path in folder.glob("*.numbers")}
    gone = (
        _read(folder / _GONE, _Gone) or _Gone()
    )  # last: what was moved there meanwhile counts once
    kept = [
        numbers
        for boot, numbers in found.items()
        if numbers is not None and boot not in asked and boot not in gone.boots and boot != "gone"
    ]
    return [*kept, gone.numbers]


def _write(path: Path, value: Any) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.msgpack.encode(value))
    beside.rename(path)


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None

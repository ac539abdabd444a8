"""What this program itself has seen of places: how soon, how fast and how well they answer. Pure.

Histograms whose counts decay, so that an hour-old morning does not outvote the last minutes; a few hundred
bytes a place, kept across restarts as JSON and added up between processes.
"""

from __future__ import annotations

import math

import msgspec

HALF_LIFE = 900.0
"""Seconds in which what was seen comes to count half."""
ENOUGH = 3.0
"""Decayed count below which a figure is not relied on."""
_MOST_PLACES = 2_000
_STEP = math.log(1.15)
"""Buckets are 15 % wide: what is read back is off by 7 % at the most."""


class Histogram(msgspec.Struct):
    """Counts of values above 0, by the logarithm, that decay."""

    counts: dict[int, float] = {}
    at: float = 0.0
    """Time up to which the counts have decayed."""

    def note(self, value: float, now: float, weight: float = 1.0) -> None:
        """Count a value."""
        if not math.isfinite(value) or value < 0 or weight <= 0:
            return
        self.decay(now)
        bucket = round(math.log(max(value, 1e-4)) / _STEP)
        self.counts[bucket] = self.counts.get(bucket, 0.0) + weight

    def decay(self, now: float) -> None:
        """Let time pass."""
        passed = now - self.at
        self.at = max(self.at, now)
        if passed <= 0 or not self.counts:
            return
        factor = 0.5 ** (passed / HALF_LIFE)
        self.counts = {b: c * factor for b, c in self.counts.items() if c * factor > 0.01}

    def total(self, now: float) -> float:
        """Return how many values count now."""
        self.decay(now)
        return sum(self.counts.values())

    def quantile(self, part: float, now: float) -> float | None:
        """Return the value below which a part of all lies; None where too few are known."""
        total = self.total(now)
        if total < ENOUGH:
            return None
        wanted, seen, found = part * total, 0.0, 0
        for found in sorted(self.counts):
            seen += self.counts[found]
            if seen >= wanted:
                break
        return math.exp(found * _STEP)

    def add(self, other: Histogram, now: float) -> None:
        """Add what another process has seen."""
        self.decay(now)
        other.decay(now)
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0.0) + count


class Track(msgspec.Struct):
    """What was seen of one place."""

    first_token: Histogram = msgspec.field(default_factory=Histogram)
    """Seconds from a request to the first token of its answer."""
    throughput: Histogram = msgspec.field(default_factory=Histogram)
    """Tokens a second, once the first had come."""
    output: Histogram = msgspec.field(default_factory=Histogram)
    """Tokens of an answer."""
    good: float = 0.0
    bad: float = 0.0
    at: float = 0.0
    """Time up to which the two above have decayed."""

    def decay(self, now: float) -> None:
        """Let time pass."""
        passed = now - self.at
        self.at = max(self.at, now)
        if passed > 0:
            factor = 0.5 ** (passed / HALF_LIFE)
            self.good *= factor
            self.bad *= factor

    def error_rate(self, now: float) -> float | None:
        """Return the part of its calls that failed; None where too few were made."""
        self.decay(now)
        total = self.good + self.bad
        return self.bad / total if total >= ENOUGH else None


class Seen(msgspec.Struct, frozen=True):
    """What there is to say of a place now. Unknown is None."""

    first_token: float | None = None
    """Seconds, the median."""
    slow_first_token: float | None = None
    """Seconds, which nineteen of twenty do not exceed."""
    throughput: float | None = None
    output: float | None = None
    error_rate: float | None = None


_NOTHING = Seen()
Place = tuple[str, str]
"""A provider, and the model as the Hub calls it, in small letters."""


def place_of(provider: str | None, model: str) -> Place:
    """Return under what a place's numbers are kept."""
    return ((provider or "").lower(), model.partition(":")[0].lower())


class Measures:
    """What was seen of every place. Times are seconds since the epoch: they outlive the process."""

    def __init__(self, tracks: dict[Place, Track] | None = None) -> None:
        """Begin with what is known already."""
        self.tracks: dict[Place, Track] = tracks or {}

    def note(  # noqa: PLR0913 - one call's facts
        self,
        place: Place,
        now: float,
        *,
        failed: bool | None = False,
        first_token: float | None = None,
        throughput: float | None = None,
        output: int | None = None,
        weight: float = 1.0,
    ) -> None:
        """Note what was seen of a call. What is not known is left out, or None yet."""
        track = self._track(place)
        track.decay(now)
        if failed:
            track.bad += weight
        elif failed is False:
            track.good += weight
        for histogram, value in (
            (track.first_token, first_token),
            (track.throughput, throughput),
            (track.output, output),
        ):
            if value is not None:
                histogram.note(value, now, weight)

    def forgive(self, place: Place) -> None:
        """Forget the failures of a place that was given up and does well again."""
        track = self.tracks.get(place)
        if track is not None:
            track.bad = 0.0

    def seen(self, place: Place, now: float) -> Seen:
        """Return what there is to say of a place."""
        track = self.tracks.get(place)
        if track is None:
            return _NOTHING
        return Seen(
            track.first_token.quantile(0.5, now),
            track.first_token.quantile(0.95, now),
            track.throughput.quantile(0.5, now),
            track.output.quantile(0.5, now),
            track.error_rate(now),
        )

    def add(self, other: Measures, now: float) -> None:
        """Add what another process has seen."""
        for place, theirs in other.tracks.items():
            ours = self._track(place)
            ours.decay(now)
            theirs.decay(now)
            ours.good += theirs.good
            ours.bad += theirs.bad
            for name in ("first_token", "throughput", "output"):
                getattr(ours, name).add(getattr(theirs, name), now)

    def to_json(self) -> bytes:
        """Write all of it."""
        rows = [Row(*place, track) for place, track in self.tracks.items()]
        return msgspec.json.encode({"version": 1, "half_life": HALF_LIFE, "places": rows})

    @classmethod
    def from_json(cls, data: bytes) -> Measures:
        """Read what `to_json` wrote; what is none of it is as if nothing were known."""
        try:
            kept = msgspec.json.decode(data, type=_Kept)
        except (msgspec.DecodeError, ValueError):
            return cls()
        if kept.version != 1:
            return cls()
        return cls({(row.provider, row.model): row.track for row in kept.places})

    def _track(self, place: Place) -> Track:
        track = self.tracks.get(place)
        if track is None:
            if len(self.tracks) >= _MOST_PLACES:  # the place that was seen longest ago makes room
                del self.tracks[min(self.tracks, key=lambda p: self.tracks[p].at)]
            track = self.tracks[place] = Track()
        return track


class Row(msgspec.Struct, frozen=True):
    """A place as it is kept."""

    provider: str
    model: str
    track: Track


class _Kept(msgspec.Struct, frozen=True):
    version: int
    places: tuple[Row, ...] = ()

"""Limits on upstreams and on their providers: how many calls are sent there, by all processes together.

A call enters the gates of its target before it is sent and leaves them when it has ended, or goes on to
the next target. One that is not let in goes to the next target, or waits (`doorkeeper`), and nothing was
sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from trunkline.gateway.guard import LATER, Guard, Meter, Refusal
from trunkline.store.records import Limits

if TYPE_CHECKING:
    from trunkline.gateway.config import Config, Upstream, UpstreamLimits
    from trunkline.gateway.plans import Target

Gates = tuple[Meter, ...]


class UpstreamGates:
    """The gates of every upstream; they outlive the configuration that they are from."""

    def __init__(self, guard: Guard) -> None:
        """Have `guard` keep them, as it keeps the limits of keys."""
        self._guard = guard
        self._own = Meter(Limits(), "gateway", "")
        """For all that this process sends."""
        self._made: dict[str, str] = {}
        """What messages call those that are there, by their places."""

    def use(self, config: Config) -> None:
        """Keep to the limits of a configuration from now on: calls may wait for those before."""
        self._own.use(Limits(concurrency=config.edge.concurrency))
        before, self._made = self._made, {}
        for name, upstream in config.upstreams.items():
            for provider in (None, *upstream.providers):
                self.of(name, upstream, provider)
        for place in before.keys() - self._made.keys():
            self._guard.gate(place, Limits(), before[place])

    def of(self, name: str, config: Upstream, provider: str | None) -> Gates:
        """Return the gates of an upstream, and of its provider where that is known beforehand."""
        rows: list[tuple[str, UpstreamLimits, str]] = [(name, config.limits, f"upstream {name!r}")]
        of_provider = config.providers.get(provider or "")
        if of_provider is not None:
            called = f"provider {provider!r} of the upstream {name!r}"
            rows.append((f"{name}/{provider}", of_provider.limits, called))
        own = () if self._own.limits.concurrency is None else (self._own,)
        return own + tuple(
            self._gate(place, limits, called)
            for place, limits, called in rows
            if limits.requests_per_minute is not None or limits.concurrency is not None
        )

    def _gate(self, place: str, limits: UpstreamLimits, called: str) -> Meter:
        self._made[place] = called
        most = Limits(limits.requests_per_minute, None, limits.concurrency)
        return self._guard.gate(place, most, called)


def blocked(gates: Gates, now: float) -> Refusal | None:
    """Return why a call is not let in; LATER where that has to be asked for."""
    later: Refusal | None = None
    for gate in gates:
        refusal = gate.refusal(0, now)
        if refusal is LATER:
            later = LATER
        elif refusal is not None:
            return refusal
    return later


def enter(gates: Gates, now: float) -> Gates:
    """Let a call in that is not blocked."""
    for gate in gates:
        gate.hold(0, now)
    return gates


def leave(gates: Gates) -> None:
    """Let a call out."""
    for gate in gates:
        gate.settle(0, None)


def opens(gates: Gates, now: float) -> float:
    """Return after how many seconds gates may let a call in: 0 where nobody can know.

    A minute ends when it ends; a place among calls at the same time may be free at any moment.
    """
    refusals = [gate.refusal(0, now) for gate in gates]
    return max(
        (r.retry_after or 0.0 for r in refusals if r is not None and r.code == "requests_exceeded"),
        default=0.0,
    )


def crowded(meters: Iterable[Meter], waiting: Mapping[Meter, int]) -> Refusal | None:
    """Return why nobody else of a key may wait: with those that do, it would have too many calls."""
    for meter in meters:
        most = meter.limits.concurrency
        if most is not None and meter.inflight + waiting.get(meter, 0) >= most:
            return Refusal(
                429,
                "concurrency_exceeded",
                f"The {meter.called} may have {most} calls at the same time, and has, with those that "
                "wait for an upstream.",
                "Try again when one has ended.",
                retry_after=1.0,
                scope=meter.scope,
            )
    return None


def as_busy(refusal: Refusal) -> Refusal:
    """Say a gate's refusal as what it is for a client: not its own limit."""
    if refusal.status != 429:
        return refusal
    return Refusal(
        503,
        f"{refusal.scope}_busy",
        refusal.message,
        refusal.hint,
        retry_after=refusal.retry_after or 1.0,
        scope=refusal.scope,
    )


def soonest(targets: Sequence[Target], now: float) -> Refusal:
    """Say that no target lets a call in, and when the first of them may."""
    found = (blocked(target.gates, now) for target in targets)
    refusals = [refusal for refusal in found if refusal is not None and refusal is not LATER]
    return as_busy(min(refusals, key=lambda refusal: refusal.retry_after or 0.0, default=_BUSY))


_BUSY = Refusal(
    503,
    "upstream_busy",
    "As many calls are sent to the upstream as it may have, by all processes together.",
    "Try again when one has ended.",
    retry_after=1.0,
    scope="upstream",
)

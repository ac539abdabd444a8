"""Limits on upstreams and on their providers: how many calls are sent there, by all processes together.

A call enters the gates of its target before it is sent and leaves them when it has ended, or goes on to
the next target. One that is not let in goes to the next target, or is refused, and nothing was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trunkline.gateway.guard import LATER, Guard, Meter, Refusal
from trunkline.store.records import Limits

if TYPE_CHECKING:
    from trunkline.gateway.config import Upstream, UpstreamLimits
    from trunkline.gateway.plans import Target

Gates = tuple[Meter, ...]


class UpstreamGates:
    """The gates of every upstream; they outlive the configuration that they are from."""

    def __init__(self, guard: Guard) -> None:
        """Have `guard` keep them, as it keeps the limits of keys."""
        self._guard = guard

    def of(self, name: str, config: Upstream, provider: str | None) -> Gates:
        """Return the gates of an upstream, and of its provider where that is known beforehand."""
        rows: list[tuple[str, UpstreamLimits, str]] = [(name, config.limits, f"upstream {name!r}")]
        of_provider = config.providers.get(provider or "")
        if of_provider is not None:
            called = f"provider {provider!r} of the upstream {name!r}"
            rows.append((f"{name}/{provider}", of_provider.limits, called))
        return tuple(
            self._guard.gate(
                place, Limits(limits.requests_per_minute, None, limits.concurrency), called
            )
            for place, limits, called in rows
            if limits.requests_per_minute is not None or limits.concurrency is not None
        )


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


def as_busy(refusal: Refusal) -> Refusal:
    """Say a gate's refusal as what it is for a client: not its own limit."""
    if refusal.status != 429:
        return refusal
    return Refusal(
        503,
        "upstream_busy",
        refusal.message,
        refusal.hint,
        retry_after=refusal.retry_after or 1.0,
        scope="upstream",
    )


def soonest(targets: Sequence[Target], now: float) -> Refusal:
    """Say that no target lets a call in, and when the first of them may."""
    found = (blocked(target.gates, now) for target in targets)
    refusals = [refusal for refusal in found if refusal is not None]
    return as_busy(min(refusals, key=lambda refusal: refusal.retry_after or 0.0))

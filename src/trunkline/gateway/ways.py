"""What stays the same for all of a call on its way along targets, and what is said where none of them is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from trunkline.gateway.refusals import Fault
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Option
from trunkline.routing.traffic import Traffic
from trunkline.store.tries import Try
from trunkline.types.route import RouteReport

if TYPE_CHECKING:
    from trunkline.errors import APIError

NO_TARGET = "no_target_left"


class Way(msgspec.Struct, frozen=True, eq=False):
    """What stays the same for all of a call."""

    traffic: Traffic
    policy: Policy
    options: tuple[Option, ...]
    """Of all its targets, those left out too."""
    report: RouteReport
    clock: Callable[[], float]
    wall: float
    """What the clock lacks to seconds since 1970."""
    moved: Callable[[str, str], None]
    """Told when a call goes on, whether to the same target or another, and after what."""


def no_target(
    way: Way, report: RouteReport, tries: Sequence[Try], error: APIError | None = None
) -> Fault:
    """Say of each target why it did not answer."""
    soonest = way.traffic.soonest(way.options, way.clock())
    after = soonest if error is None or error.retry_after is None else error.retry_after
    notes = "".join(f"\n  ({note})" for note in report.notes)
    told = [
        {
            "target": one.target,
            "model": one.model,
            "status": one.status,
            "error": one.error,
            "seconds": one.seconds,
        }
        for one in tries
    ]
    return Fault(
        503,
        NO_TARGET,
        f"No target of the route ({report.policy}) could serve the call:\n"
        f"{_table(report, tries)}{notes}",
        retry_after=after,
        more={"attempts": told},
    )


def _table(report: RouteReport, tries: Sequence[Try]) -> str:
    """Return a line for each candidate: how it ended there, or why it was not asked."""
    ends: dict[str, list[str]] = {}
    for one in tries:
        said = f"{one.status} {one.error}" if one.status else str(one.error)
        ends.setdefault(one.target, []).append(said)
    rows = [
        (c.name, ", then ".join(ends.get(c.name, ())) or c.excluded or "it was not asked")
        for c in report.candidates
    ]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"  {name:<{width}}  {why}" for name, why in rows) or "  it has no targets"

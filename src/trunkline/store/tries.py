"""What an entry of the ledger tells of a call with a route: each try at a target, and how targets were chosen.

Both are JSON in the entry, so that they are settled with it. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.store.records import Entry
from trunkline.types.route import RouteReport

_DAMAGED = (msgspec.MsgspecError, ValueError)


class Try(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try at a target, and how it ended. Unknown is None."""

    target: str
    """As the route names it."""
    upstream: str
    model: str
    """As the upstream was asked for it."""
    provider: str | None = None
    role: str = "first"
    """`first`, `retry` (the same target again), `failover`, `hedge`, `restart` or `continue`."""
    status: int | None = None
    error: str | None = None
    """What kind of error ended it; None where it answered."""
    started: float = 0.0
    """Seconds since the call began."""
    seconds: float = 0.0
    first_token: float | None = None
    """Seconds from its start to the first token of a stream."""
    moved: str | None = None
    """Why the call went on after it."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: int | None = None
    """Picodollars; None is unknown, and never zero."""


def write_tries(tries: list[Try]) -> str:
    """Return tries as an entry keeps them."""
    return msgspec.json.encode(tries).decode()


def write_report(report: RouteReport) -> str:
    """Return a route's report as an entry keeps it: what is not known is left out."""
    candidates = [
        {
            name: value
            for name in one.__struct_fields__
            if (value := getattr(one, name)) is not None or name == "provider"
        }
        for one in report.candidates
    ]
    kept: dict[str, Any] = {"policy": report.policy, "candidates": candidates}
    if report.notes:
        kept["notes"] = list(report.notes)
    return msgspec.json.encode(kept).decode()


def read_tries(entry: Entry) -> tuple[Try, ...]:
    """Return the tries of a call with a route; none of another, or where they cannot be read."""
    if entry.tries is None:
        return ()
    try:
        return msgspec.json.decode(entry.tries, type=tuple[Try, ...])
    except _DAMAGED:
        return ()


def read_report(entry: Entry) -> RouteReport | None:
    """Return how the targets of a call with a route were chosen."""
    if entry.route is None:
        return None
    try:
        return msgspec.json.decode(entry.route, type=RouteReport)
    except _DAMAGED:
        return None

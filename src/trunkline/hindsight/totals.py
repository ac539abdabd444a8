"""What a log's calls cost and took, and would have along another route: sums, and how far to trust them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from trunkline.hindsight.redo import Redone
from trunkline.providers.prices import total
from trunkline.types.record import Record

_FEW = 100
"""Calls below which a 99th part is hardly one of them."""


class Side(Record, msgspec.Struct, frozen=True):
    """Calls added up."""

    failed: int
    cost: Decimal | None
    """Of the calls whose cost is known on both sides; None where there are none."""
    first_token_p50: float | None
    """Of streams that were answered, as `first_token_p99`."""
    first_token_p99: float | None
    seconds_p50: float | None
    """Of calls that succeeded, as `seconds_p99`."""
    seconds_p99: float | None
    attempts: float
    """A call."""


class Range(Record, msgspec.Struct, frozen=True):
    """What a figure is over several draws."""

    least: float | None
    middle: float | None
    most: float | None


class PlaceShare(Record, msgspec.Struct, frozen=True):
    """How many calls a place answered, and would have."""

    provider: str
    model: str
    was: int
    would: int


class Hindsight(Record, msgspec.Struct, frozen=True):
    """A log's calls as they were, and as they would have been."""

    policy: str | None
    prices: str
    """Where prices are from."""
    since: str | None
    until: str | None
    calls: int
    """In the log."""
    left_out: dict[str, int]
    """Calls that are not carried anew, by why."""
    unknown: dict[str, int]
    """Calls that would have gone to a place of which the log knows nothing, by place; left out, too."""
    compared: int
    priced: int
    """Of these, those whose cost is known on both sides."""
    moved: int
    """Of these, those that would have been answered by another place."""
    was: Side
    would: Side
    ranges: dict[str, Range]
    """By figure, what it is over the draws."""
    draws: int
    seed: int
    grains: dict[str, int]
    """Compared calls by what they were given: what they got, or what others got in their hour, or in others."""
    places: tuple[PlaceShare, ...]
    notes: tuple[str, ...]


class About(msgspec.Struct, frozen=True):
    """What there is to say of a log beside its calls."""

    policy: str | None
    prices: str
    calls: int
    left_out: dict[str, int]
    seed: int
    since: str | None = None
    until: str | None = None
    remarks: tuple[str, ...] = ()


def added(about: About, draws: Sequence[Sequence[Redone]]) -> Hindsight:
    """Add up; the figures are those of the first draw, the ranges those of all."""
    first = [one for one in draws[0] if one.unknown is None]
    unknown = Counter(" ".join(one.unknown) for one in draws[0] if one.unknown is not None)
    was, would = _was(first), _would(first)
    grains = Counter(_coarsest(one) for one in first)
    moved = sum(_moved(one) for one in first)
    told = Hindsight(
        policy=about.policy,
        prices=about.prices,
        since=about.since,
        until=about.until,
        calls=about.calls,
        left_out=about.left_out,
        unknown=dict(unknown.most_common()),
        compared=len(first),
        priced=len(_priced(first)),
        moved=moved,
        was=was,
        would=would,
        ranges=_ranges(draws),
        draws=len(draws),
        seed=about.seed,
        grains=dict(grains),
        places=tuple(_places(first)),
        notes=(),
    )
    return msgspec.structs.replace(told, notes=(*_notes(told, first), *about.remarks))


def _was(found: Sequence[Redone]) -> Side:
    return _side(
        found,
        lambda one: (one.past.ok, one.past.first_token, one.past.seconds, one.past.attempts),
        total(one.past.cost for one in _priced(found)),
    )


def _would(found: Sequence[Redone]) -> Side:
    return _side(
        found,
        lambda one: (one.ok, one.first_token, one.seconds, one.attempts),
        total(one.cost for one in _priced(found)),
    )


def _side(
    found: Sequence[Redone],
    told: Callable[[Redone], tuple[bool, float | None, float, int]],
    cost: Any,
) -> Side:
    rows = [(told(one), one.past.stream) for one in found]
    firsts = sorted(row[1] for row, stream in rows if stream and row[0] and row[1] is not None)
    seconds = sorted(row[2] for row, _ in rows if row[0])
    return Side(
        failed=sum(not row[0] for row, _ in rows),
        cost=cost if _priced(found) else None,
        first_token_p50=_part(firsts, 50),
        first_token_p99=_part(firsts, 99),
        seconds_p50=_part(seconds, 50),
        seconds_p99=_part(seconds, 99),
        attempts=sum(row[3] for row, _ in rows) / len(rows) if rows else 0.0,
    )


def _priced(found: Sequence[Redone]) -> list[Redone]:
    return [one for one in found if one.cost is not None and one.past.cost is not None]


def _part(ordered: Sequence[float], part: int) -> float | None:
    return ordered[min(len(ordered) - 1, len(ordered) * part // 100)] if ordered else None


def _ranges(draws: Sequence[Sequence[Redone]]) -> dict[str, Range]:
    sides = [_would([one for one in draw if one.unknown is None]) for draw in draws]
    found: dict[str, Range] = {}
    for name in Side.__struct_fields__:
        values = sorted(float(v) for side in sides if (v := getattr(side, name)) is not None)
        middle = values[len(values) // 2] if values else None
        found[name] = Range(values[0] if values else None, middle, values[-1] if values else None)
    return found


def _moved(one: Redone) -> bool:
    return one.place is not None and one.place != (one.past.provider, one.past.model.lower())


def _coarsest(one: Redone) -> str:
    for grain in ("other hours", "that hour"):
        if grain in one.grains:
            return grain
    return "as it was"


def _places(found: Sequence[Redone]) -> list[PlaceShare]:
    was = Counter((one.past.provider, one.past.model.lower()) for one in found if one.past.ok)
    would = Counter(one.place for one in found if one.place is not None)
    names = sorted(was.keys() | would.keys(), key=lambda place: (-would[place], place))
    return [PlaceShare(*place, was[place], would[place]) for place in names]


def _notes(told: Hindsight, found: Sequence[Redone]) -> list[str]:
    """Say how far the figures can be trusted."""
    said: list[str] = []
    if told.policy is None:
        return said
    away = sum(told.unknown.values())
    if away:
        said.append(
            f"{away} calls would have gone where the log saw nothing ({', '.join(told.unknown)}): "
            "of them nothing is said."
        )
    drawn = told.grains.get("that hour", 0) + told.grains.get("other hours", 0)
    if drawn:
        said.append(
            f"{drawn} calls are given what others got at their place, {told.grains.get('other hours', 0)} of "
            "them in other hours: the log has too few of theirs."
        )
    blind = sum(one.past.first_token is None for one in found)
    if blind:
        said.append(f"Of {blind} calls no first token was seen; rankings by it go by the others'.")
    if found and len(found) < _FEW:
        said.append(f"{len(found)} calls are few: the 99th of a hundred is none of them.")
    if told.moved:
        said.append(
            "A place that gets more calls than it had may be slower than the log saw it; what calls "
            "use (tools, pictures) is not known."
        )
    return said

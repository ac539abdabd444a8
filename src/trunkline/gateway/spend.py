"""Spend added up, as values and as CSV: what the admin API answers and the command line prints."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from trunkline.gateway.wishes import RefusedError
from trunkline.store.records import Spend
from trunkline.store.seam import SpendBy
from trunkline.types import money

Dollars = Annotated[str, Meta(description="US dollars, exactly.", pattern=r"^[0-9]+(\.[0-9]+)?$")]
WAYS: tuple[SpendBy, ...] = get_args(SpendBy)
NUMBERS = ("calls", "unpriced", "failed", "input_tokens", "output_tokens", "cost", "charged")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class SpendRow(msgspec.Struct, frozen=True):
    """Calls added up. Of day, key, ... those that were not asked for are null."""

    day: str | None
    key: str | None
    owner: str | None
    team: str | None
    model: str | None
    provider: str | None
    calls: int
    unpriced: int
    """Calls whose cost is unknown: it is not in `cost`; what was held for them is in `charged`."""
    failed: int
    input_tokens: int
    output_tokens: int
    cost: Dollars
    """Sum of the costs that are known."""
    charged: Dollars
    """What counted against budgets."""


class SpendReport(msgspec.Struct, frozen=True):
    """Spend of the days from `since` to `until`, both included."""

    since: str
    until: str
    by: tuple[str, ...]
    data: list[SpendRow]
    total: SpendRow


def read_days(since: str, until: str, today: date) -> tuple[str, str]:
    """Read a span of days; raises RefusedError."""
    last = _day(until, "until") if until else today
    first = _day(since, "since") if since else last.replace(day=1)
    if first > last:
        raise RefusedError(f"since ({first}) is after until ({last}).", param="since")
    return first.isoformat(), last.isoformat()


def read_by(text: str) -> tuple[SpendBy, ...]:
    """Read `key,model`; raises RefusedError."""
    words = [word.strip() for word in text.split(",")]
    ways: dict[str, SpendBy] = {way: way for way in WAYS}
    found: list[SpendBy] = []
    for word in words:
        known = ways.get(word)
        if known is None:
            raise RefusedError(
                f"Spend is added up by {', '.join(WAYS)}; {word[:40]!r} is none of them.",
                param="by",
            )
        if known not in found:
            found.append(known)
    return tuple(found)


def report(rows: Iterable[Spend], since: str, until: str, by: tuple[SpendBy, ...]) -> SpendReport:
    """Return spend as it is shown, with the sum of all of it."""
    rows = list(rows)
    total = Spend("", "", "", "", "", "", **{n: sum(getattr(r, n) for r in rows) for n in NUMBERS})
    return SpendReport(since, until, by, [_row(row, by) for row in rows], _row(total, ()))


def as_csv(made: SpendReport) -> str:
    """Return a report as CSV, the columns that were asked for first.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*made.by, *NUMBERS])
    for row in made.data:
        writer.writerow([inert_cell(getattr(row, name)) for name in (*made.by, *NUMBERS)])
    return out.getvalue()


def inert_cell(value: object) -> str:
    """Return a cell's text such that no spreadsheet computes it."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(spend: Spend, by: Iterable[SpendBy]) -> SpendRow:
    row: dict[str, Any] = {way: getattr(spend, way) if way in by else None for way in WAYS}
    row |= {name: getattr(spend, name) for name in NUMBERS}
    for name in ("cost", "charged"):
        row[name] = f"{money.dollars(row[name]):f}"
    return SpendRow(**row)


def _day(text: str, name: str) -> date:
    try:
        if len(text) != 10:
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as error:
        raise RefusedError(
            f"{name} is no day: {text[:40]!r}. Write it as 2026-11-29.", param=name
        ) from error

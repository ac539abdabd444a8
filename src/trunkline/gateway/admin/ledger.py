"""What the routes of `/admin/entries` and `/admin/spend` do. They only read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from trunkline.gateway.admin.keys import PageSize
from trunkline.gateway.admin.table import Csv, Visit
from trunkline.gateway.admin.views import EntryPage, EntryView, entry_view
from trunkline.gateway.grants import sees
from trunkline.gateway.spend import SpendReport, as_csv, read_by, read_days, report
from trunkline.gateway.wishes import RefusedError


class EntriesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries to list."""

    key: str = ""
    team: str = ""
    limit: PageSize = 100
    cursor: str = ""


class SpendQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to add up: days, both included, and by what."""

    since: str = ""
    """`2026-11-01`; without one the first of the month of `until`."""
    until: str = ""
    """Without one today, UTC."""
    by: str = "day"
    """Of day, key, owner, team, model, provider; several with commas."""
    team: str = ""
    format: Literal["json", "csv"] = "json"


def list_entries(visit: Visit) -> EntryPage:
    """List entries of the ledger that the caller may see."""
    query: EntriesQuery = visit.query
    may, team = _team(visit, query.team)
    if not may:
        return EntryPage([], None)
    entries = visit.parts.store.entries(
        key=query.key or None, team=team, before=query.cursor, limit=query.limit + 1
    )
    page = [entry_view(entry) for entry in entries[: query.limit]]
    return EntryPage(page, page[-1].id if len(entries) > query.limit else None)


def get_entry(visit: Visit) -> EntryView:
    """Show one entry."""
    entry = visit.parts.store.entry(visit.path["id"])
    if entry is None or not sees(visit.caller, entry.team):
        raise RefusedError("There is no such entry.", status=404, code="entry_not_found")
    return entry_view(entry)


def get_spend(visit: Visit) -> SpendReport | Csv:
    """Add up what was spent."""
    query: SpendQuery = visit.query
    today = datetime.fromtimestamp(visit.now, UTC).date()
    since, until = read_days(query.since, query.until, today)
    by = read_by(query.by)
    may, team = _team(visit, query.team)
    rows = visit.parts.store.spend(since, until, by, team=team) if may else []
    made = report(rows, since, until, by)
    if query.format == "csv":
        return Csv(as_csv(made), f"spend-{since}-{until}.csv")
    return made


def _team(visit: Visit, asked: str) -> tuple[bool, str | None]:
    """Return whether anything can be seen, and the team to keep to, None for all."""
    if sees(visit.caller, None):
        return True, asked or None
    team = asked or visit.caller.team
    return sees(visit.caller, team), team

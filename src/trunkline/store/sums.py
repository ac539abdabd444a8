"""What entries add up to: spend, what budgets count, what leases have used up. Pure.

Most commits bring entries that are new or still open. `Corrected` is for those that bring what the
ledger has as ended already.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trunkline.store.records import Batch, Entry, Spend

SCOPES = ("key", "owner", "team")
"""Who has budgets."""
_COUNTED = ("calls", "unpriced", "failed", "input_tokens", "output_tokens", "cost", "charged")


def spend_of(entries: Iterable[Entry]) -> list[Spend]:
    """Add up the entries that have ended, by day, key, owner, team, model and provider."""
    sums: dict[tuple[str, ...], list[int]] = {}
    days: dict[int, str] = {}
    for entry in entries:
        if entry.state == "open":
            continue
        number = int(entry.started // 86400)
        day = days.get(number)
        if day is None:
            day = days[number] = day_of(entry.started)
        group = (
            day,
            entry.key,
            entry.owner or "",
            entry.team or "",
            entry.model,
            entry.provider or "",
        )
        row = sums.get(group)
        if row is None:
            row = sums[group] = [0] * 7
        row[0] += 1
        row[1] += entry.cost is None
        row[2] += entry.outcome != "ok"
        row[3] += entry.input_tokens or 0
        row[4] += entry.output_tokens or 0
        row[5] += entry.cost or 0
        row[6] += entry.charged
    return [Spend(*group, *row) for group, row in sums.items()]  # type: ignore[arg-type]  # texts, then numbers


def day_of(moment: float) -> str:
    """Return the day of a moment, UTC: `2026-11-29`."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def charges_of(spend: Iterable[Spend]) -> dict[tuple[str, str, str], int]:
    """Return what each key, owner and team was charged on each day."""
    sums: dict[tuple[str, str, str], int] = {}
    for row in spend:
        if not row.charged:
            continue
        for scope, whose in (("key", row.key), ("owner", row.owner), ("team", row.team)):
            if whose:
                place = (scope, whose, row.day)
                sums[place] = sums.get(place, 0) + row.charged
    return sums


class Change(msgspec.Struct, frozen=True):
    """What a commit does beside writing entries."""

    spend: Sequence[Spend]
    """Added to what is there, amounts that were wrong taken off."""
    settled: Mapping[tuple[str, str, str], int]
    """What each process was charged, by boot, scope and name."""
    corrected: Sequence[Spend] = ()
    """Rows of spend that something was taken off: one without calls is gone."""


def change_of(batch: Batch) -> Change:
    """Return what a batch does of which every entry is new to the ledger, or open in it."""
    boots = {entry.boot for entry in batch.entries}
    if len(boots) != 1:
        return Change(batch.spend, _settled((entry, 1) for entry in batch.entries))
    boot = boots.pop()
    settled: dict[tuple[str, str, str], int] = {}
    for (scope, whose, _), amount in charges_of(batch.spend).items():
        place = (boot, scope, whose)
        settled[place] = settled.get(place, 0) + amount
    return Change(batch.spend, settled)


class Corrected(msgspec.Struct, frozen=True):
    """A batch of which the ledger has some entries as ended already."""

    entries: list[Entry]
    """To be written, one a call, in place of those that have not ended or ended as unknown."""
    change: Change


def corrected(batch: Batch, known: Iterable[Entry]) -> Corrected:
    """Return what a batch does beside `known`, the entries of its calls as the ledger has them.

    What has ended stays, and what the batch adds for it is taken off again; but what becomes known
    of a call that was settled as unknown takes that settlement's place.
    """
    before = {entry.id: entry for entry in known}
    after = dict(before)
    void: list[Entry] = []
    for entry in batch.entries:
        old = after.get(entry.id)
        if old is None or old.state == "open":
            after[entry.id] = entry
        elif old.state == "unknown" and entry.state == "settled":
            void.append(old)
            after[entry.id] = entry
        elif entry.state != "open":
            void.append(entry)
    written = [entry for entry in after.values() if entry is not before.get(entry.id)]
    taken_off = [_negative(row) for row in spend_of(void)]
    signed = [(entry, 1) for entry in batch.entries] + [(entry, -1) for entry in void]
    return Corrected(written, Change([*batch.spend, *taken_off], _settled(signed), taken_off))


def _settled(entries: Iterable[tuple[Entry, int]]) -> dict[tuple[str, str, str], int]:
    sums: dict[tuple[str, str, str], int] = {}
    for entry, sign in entries:
        if entry.state == "open" or not entry.charged:
            continue
        for scope, whose in (("key", entry.key), ("owner", entry.owner), ("team", entry.team)):
            if whose:
                place = (entry.boot, scope, whose)
                sums[place] = sums.get(place, 0) + sign * entry.charged
    return sums


def _negative(row: Spend) -> Spend:
    sums = {name: -getattr(row, name) for name in _COUNTED}
    return msgspec.structs.replace(row, **sums)

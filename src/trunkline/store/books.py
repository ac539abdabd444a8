"""A whole store to be looked through or moved: its tables as values that every kind of store has alike. Pure.

Amounts of money are whole picodollars, however a store keeps them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from trunkline.store.claims import Claim
from trunkline.store.records import Account, Content, Entry, Key, KeySecret, Replica, Spend
from trunkline.store.sums import charges_of
from trunkline.types.money import shown

Row = tuple[Any, ...]
Pieces = Iterable[tuple[str, list[Row]]]
"""Rows of one table after the other, some at a time."""
Totals = dict[str, int]
"""How many rows each table has, and the sums of money."""


class Table(msgspec.Struct, frozen=True):
    """What of a table is moved."""

    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    """What tells its rows apart; nothing for a table of one row, which is there from the start."""
    at_once: int = 5000
    """Rows that are held in memory."""


_SPEND = Spend.__struct_fields__
TABLES: dict[str, Table] = {
    "access": Table(("number",)),
    "reloads": Table(("number",)),
    "keys": Table(Key.__struct_fields__, ("id",)),
    "secrets": Table(KeySecret.__struct_fields__, ("digest",)),
    "accounts": Table(Account.__struct_fields__, ("kind", "name")),
    "ledger": Table(Entry.__struct_fields__, ("id",)),
    "spend": Table(_SPEND, _SPEND[:6]),
    "charges": Table(("scope", "whose", "day", "amount"), ("scope", "whose", "day")),
    "journals": Table(("name", "position"), ("name",)),
    "contents": Table(Content.__struct_fields__, ("id",), 200),
    "claims": Table((*Claim.__struct_fields__, "expires"), ("id",), 200),
    "seal": Table(("only_one", "bytes"), ("only_one",)),
    "replicas": Table(Replica.__struct_fields__, ("boot",)),
    "leases": Table(("boot", "scope", "whose", "granted", "settled"), ("boot", "scope", "whose")),
}
"""In an order in which what is leant on comes first."""
STAY = frozenset({"migrations", "rates", "slots", "told"})
"""Tables that are each store's own, or of the present minute."""
SUMS = (
    ("ledger", "cost"),
    ("ledger", "charged"),
    ("spend", "calls"),
    ("spend", "cost"),
    ("spend", "charged"),
    ("charges", "amount"),
)
"""What is added up to see whether all has come."""


class Books(Protocol):
    """All of a store, for one who looks through it or moves it. Every method raises StoreError."""

    def lacking(self) -> list[str]:
        """Return the names of steps of the schema that it lacks; refuses another's, and a newer one."""
        ...

    def damage(self) -> list[str]:
        """Say what is damaged, where the store can tell."""
        ...

    def serving(self, seconds: float) -> list[Replica]:
        """Return the processes that were seen within so long, by the store's clock."""
        ...

    def boots(self) -> set[str]:
        """Return the processes that have joined and not left."""
        ...

    def ledger_spend(self) -> list[Spend]:
        """Add up the ended entries of the ledger as spend is."""
        ...

    def charges(self) -> dict[tuple[str, str, str], int]:
        """Return what each scope and name was charged on each day."""
        ...

    def pieces(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield all of TABLES."""
        ...

    def totals(self) -> Totals:
        """Count rows, and add up SUMS."""
        ...

    def fill(self, pieces: Pieces, expected: Totals) -> None:
        """Take all that another store had, which came to `expected`, in one transaction.

        StoreConflictError where there is something already.
        """
        ...


def spend_findings(spend: Iterable[Spend], ledger: Iterable[Spend]) -> list[str]:
    """Say where spend is not what the ledger's rows add up to.

    Days before the ledger's first are not looked at, nor is that day where there was spend before it:
    an operator may have shortened the ledger.
    """
    rows, found = _by_names(spend), _by_names(ledger)
    days = {names[0] for names in rows.keys() | found.keys()}
    first = min((names[0] for names in found), default="9")
    if any(day < first for day in days):
        days = {day for day in days if day > first}
    wrong: list[str] = []
    for names in sorted(names for names in rows.keys() | found.keys() if names[0] in days):
        has, is_right = rows.get(names), found.get(names)
        if has != is_right:
            wrong.append(
                f"spend of {' / '.join(names)} is {_told(has)}, and the ledger's rows add up to "
                f"{_told(is_right)}"
            )
    return wrong


def charge_findings(
    charges: Mapping[tuple[str, str, str], int], spend: Iterable[Spend]
) -> list[str]:
    """Say where what budgets count is not what spend adds up to."""
    right = charges_of(spend)
    return [
        f"{scope} {whose} was charged {shown(charges.get(place, 0))} on {day}, and spend adds up to "
        f"{shown(right.get(place, 0))}"
        for place in sorted(charges.keys() | right.keys())
        for scope, whose, day in [place]
        if charges.get(place, 0) != right.get(place, 0)
    ]


def open_findings(entries: Iterable[Entry], known: Collection[str]) -> list[str]:
    """Say which processes nobody knows whose calls are open: nothing will ever end them."""
    counts: dict[str, int] = {}
    for entry in entries:
        if entry.boot not in known:
            counts[entry.boot] = counts.get(entry.boot, 0) + 1
    return [
        f"{count} open {'call' if count == 1 else 'calls'} of process {boot}, which has left and "
        "whose journal is not here"
        for boot, count in sorted(counts.items())
    ]


def differences(expected: Totals, found: Totals) -> list[str]:
    """Say in which counts and sums two stores differ."""
    return [
        f"{name}: {expected.get(name, 0)} and {found.get(name, 0)}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name, 0) != found.get(name, 0)
    ]


def taken(totals: Totals) -> list[str]:
    """Return which tables have rows that a new store has not."""
    return [name for name, table in TABLES.items() if table.key and totals.get(name, 0)]


def _by_names(rows: Iterable[Spend]) -> dict[tuple[str, ...], Spend]:
    return {(row.day, row.key, row.owner, row.team, row.model, row.provider): row for row in rows}


def _told(row: Spend | None) -> str:
    if row is None:
        return "nothing"
    return f"{row.calls} calls, cost {shown(row.cost)}, charged {shown(row.charged)}"

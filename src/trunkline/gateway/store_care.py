"""Looking through a store and moving it to another: what a gateway's journal has to say of both."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import msgspec

from trunkline.errors import ConfigurationError
from trunkline.gateway.journal_files import boot_of
from trunkline.gateway.journal_folders import take_whole
from trunkline.gateway.stores import StorePlace
from trunkline.store.books import Totals, charge_findings, open_findings, spend_findings
from trunkline.store.seam import SharedStore

SEEN_SECONDS = 10.0
"""A process that was seen within so long serves."""


class Checked(msgspec.Struct, frozen=True):
    """What a look through a store has found."""

    findings: list[str]
    serving: int
    """Processes that served meanwhile: what they were writing may look wrong."""


def check(store: SharedStore, place: StorePlace) -> Checked:
    """Look through a whole store; raises StoreError where it cannot be read."""
    books = store.books()
    lacking = books.lacking()
    if lacking:
        return Checked([f"the schema lacks: {', '.join(lacking)}; `trunkline db migrate`"], 0)
    spend = store.charged("")
    boots = books.boots() | {boot_of(path) for path in _segments(place.journal)}
    return Checked(
        [
            *books.damage(),
            *spend_findings(spend, books.ledger_spend()),
            *charge_findings(books.charges(), spend),
            *open_findings(store.open_entries(), boots),
        ],
        len(books.serving(SEEN_SECONDS)),
    )


def move(source: SharedStore, at: StorePlace, target: SharedStore) -> Totals:
    """Bring all of a store into an empty one, in one transaction; returns what that was.

    Raises StoreError, and ConfigurationError while a gateway serves from either.
    """
    with ExitStack() as held:
        if at.path is not None and at.journal.is_dir():
            lock = take_whole(at.journal)  # nobody begins to serve from it meanwhile
            held.callback(lock.release)
        _idle(source)
        left = _segments(at.journal)
        if left:
            raise ConfigurationError(
                f"The journal in {at.journal} tells of calls that are not in the store yet "
                f"({left[0].name}). Start the gateway once more and stop it in order, then move."
            )
        source.migrate()
        target.migrate()
        _idle(target)
        books = source.books()
        totals = books.totals()
        target.books().fill(books.pieces(), totals)
        return totals


def _idle(store: SharedStore) -> None:
    books = store.books()
    if books.lacking():
        return  # then nobody of this version serves from it
    serving = books.serving(SEEN_SECONDS)
    if serving:
        hosts = ", ".join(sorted(one.host for one in serving))
        raise ConfigurationError(
            f"A gateway serves from the store ({hosts}). Stop it first; one that was killed is seen "
            f"for {SEEN_SECONDS:.0f} seconds more."
        )


def _segments(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.journal"), *folder.glob("*/*.journal")])

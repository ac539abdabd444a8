"""What is done for processes that died: their journals into the store, their open calls settled.

Whoever brings a folder in holds its lock: then every journal in it is a dead one's. It may be killed
at any instant and be run again, and by several at once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import msgspec

from trunkline.gateway.booking import AT_ONCE, book, drop_segment, grouped
from trunkline.gateway.journal_files import DAMAGED, Segment, boot_of, segments, set_aside
from trunkline.store.records import Batch, Entry
from trunkline.store.seam import SharedStore, Store, StoreError
from trunkline.store.sums import spend_of

_JOURNAL = "recovered"
"""The name under which the store counts what was settled here; of one boot, with its name behind."""
_log = logging.getLogger(__name__)


class Recovered(msgspec.Struct, frozen=True):
    """What was found of processes that died."""

    replayed: int = 0
    """Entries that were in a journal and not in the store."""
    unknown: int = 0
    """Calls that nobody knows the end of: settled at what was reserved for them."""

    def __add__(self, other: Recovered) -> Recovered:
        """Return both."""
        return Recovered(self.replayed + other.replayed, self.unknown + other.unknown)


def recover(store: SharedStore, folder: Path, now: float) -> Recovered:
    """Bring a folder's journals in and settle all that is open; raises StoreError.

    Nobody else may be using the store.
    """
    dead = segments(folder)
    replayed = _replay_all(store, dead)
    unknown = _settle(store, None, _JOURNAL, now)
    _let_go(store, folder, dead)
    return Recovered(replayed, unknown)


def bring_in(store: SharedStore, folder: Path, now: float) -> Recovered:
    """Bring a folder's journals in, and end what was of the processes that wrote them.

    Others may be using the store: what is theirs is not touched. Raises StoreError.
    """
    dead = segments(folder)
    replayed = _replay_all(store, dead)
    unknown = sum(end(store, boot, now) for boot in dict.fromkeys(map(boot_of, dead)))
    _let_go(store, folder, dead)
    return Recovered(replayed, unknown)


def end(store: SharedStore, boot: str, now: float) -> int:
    """Settle what a process left open, and forget the process; returns how many calls there were.

    Raises StoreError. What two do at once is done once.
    """
    journal = f"{_JOURNAL}-{boot}"
    unknown = _settle(store, (boot,), journal, now)
    store.leave(boot)
    store.forget_journal(journal)
    return unknown


def _let_go(store: SharedStore, folder: Path, dead: list[Path]) -> None:
    """Let go of journals that are in the store, and of names that were claimed for calls never sent.

    Not of names where a part of a journal could not be read: it may have told of their calls.
    """
    boots = set(map(boot_of, dead)) - set(map(boot_of, folder.glob(f"*{DAMAGED}")))
    store.release_unsent(boots)
    for path in dead:
        drop_segment(store, path)


def _replay_all(store: Store, dead: list[Path]) -> int:
    replayed = 0
    for path in dead:
        try:
            replayed += _replay(store, path)
        except OSError as error:
            raise StoreError(
                f"The journal {path} cannot be read ({error.strerror}). It tells of calls that are not "
                "in the store yet: let this user read it, or move it away to start without it."
            ) from error
    return replayed


def _replay(store: Store, path: Path) -> int:
    segment = Segment(path)
    frames = segment.frames(store.position(path.stem))
    replayed = sum(book(store, path.stem, group) for group in grouped(frames))
    if segment.damaged:
        _log.error(
            "a part of a journal cannot be read: calls that it told of are settled as unknown, or lost",
            extra={"bytes": segment.damaged, "kept": str(set_aside(path))},
        )
    return replayed


def _settle(store: Store, boots: Collection[str] | None, journal: str, now: float) -> int:
    left = store.open_entries(boots)
    for start in range(0, len(left), AT_ONCE):
        ended = [_given_up(entry, now) for entry in left[start : start + AT_ONCE]]
        store.commit(Batch(ended, spend_of(ended), journal, store.position(journal) + 1))
    return len(left)


def _given_up(entry: Entry, now: float) -> Entry:
    return msgspec.structs.replace(
        entry,
        state="unknown",
        outcome="unknown",
        ended=now,
        cost=None,
        charged=entry.reserved,
        note="its process died before it ended",
    )

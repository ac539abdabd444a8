"""What a start does for processes that died: their journals into the store, their open calls settled.

Whoever calls it holds the folder's lock: then every journal in it is a dead one's, and so is every
call that the store has as open. It may be killed at any instant and be run again.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from trunkline.gateway.booking import AT_ONCE, book, drop_segment, grouped
from trunkline.gateway.journal_files import Segment, segments, set_aside
from trunkline.store.records import Batch, Entry
from trunkline.store.seam import Store, StoreError
from trunkline.store.sums import spend_of

_JOURNAL = "recovered"
"""The name under which the store counts what was settled here."""
_log = logging.getLogger(__name__)


class Recovered(msgspec.Struct, frozen=True):
    """What a start found of processes that died."""

    replayed: int
    """Entries that were in a journal and not in the store."""
    unknown: int
    """Calls that nobody knows the end of: settled at what was reserved for them."""


def recover(store: Store, folder: Path, now: float) -> Recovered:
    """Bring what dead processes left into the store; raises StoreError."""
    dead = segments(folder)
    replayed = 0
    for path in dead:
        try:
            replayed += _replay(store, path)
        except OSError as error:
            raise StoreError(
                f"The journal {path} cannot be read ({error.strerror}). It tells of calls that are not "
                "in the store yet: let this user read it, or move it away to start without it."
            ) from error
    unknown = _settle_open(store, now)
    for path in dead:
        drop_segment(store, path)
    return Recovered(replayed, unknown)


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


def _settle_open(store: Store, now: float) -> int:
    left = store.open_entries()
    for start in range(0, len(left), AT_ONCE):
        ended = [_given_up(entry, now) for entry in left[start : start + AT_ONCE]]
        store.commit(Batch(ended, spend_of(ended), _JOURNAL, store.position(_JOURNAL) + 1))
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

"""From the journal into the store, exactly once: groups of entries, their sums, and where they end.

A batch carries the position that it reaches in its journal, so that what is read again is known to be
there. A value that the store cannot keep costs that value alone, never the entries beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from trunkline.gateway.journal_files import Frame, boot_of, segments
from trunkline.gateway.keepable import keepable
from trunkline.store.records import Batch, Entry
from trunkline.store.seam import Store, StoreValueError
from trunkline.store.sums import spend_of

AT_ONCE = 5_000
"""Entries of one commit, about."""
_log = logging.getLogger(__name__)


def book(store: Store, segment: str, frames: Sequence[Frame]) -> int:
    """Commit frames that follow each other, and return how many calls they tell of.

    Raises StoreError; then none of them is in the store, or some of the first are, as its position
    tells.
    """
    entries = list({entry.id: entry for frame in frames for entry in frame.entries}.values())
    batch = Batch(entries, spend_of(entries), segment, frames[-1].position)
    try:
        store.commit(batch)
    except StoreValueError:
        book_apart(store, segment, frames)
    return len(entries)


def book_apart(store: Store, segment: str, frames: Sequence[Frame]) -> None:
    """Commit frames of which some value cannot be kept, so that all else is; raises StoreError."""
    if len(frames) > 1:
        middle = len(frames) // 2
        book(store, segment, frames[:middle])
        book(store, segment, frames[middle:])
        return
    for position, entry in frames[0].single():
        _book_one(store, segment, position, entry)


def _book_one(store: Store, segment: str, position: int, entry: Entry) -> None:
    for kept in (entry, keepable(entry)):
        try:
            store.commit(Batch([kept], spend_of([kept]), segment, position))
        except StoreValueError as error:
            reason = str(error)
        else:
            return
    told = {name: repr(getattr(entry, name)) for name in entry.__struct_fields__}
    _log.error("an entry cannot be kept in the ledger", extra={"reason": reason, "entry": told})
    store.commit(Batch([], [], segment, position))


def grouped(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Join frames to groups for one commit each."""
    group: list[Frame] = []
    count = 0
    for frame in frames:
        group.append(frame)
        count += len(frame.entries)
        if count >= AT_ONCE:
            yield group
            group, count = [], 0
    if group:
        yield group


def as_sent(entry: Entry) -> Entry:
    """Return an entry as it was when its call was sent: it may have gone on since."""
    return msgspec.structs.replace(
        entry, state="open", ended=None, status=None, outcome="", cost=None, charged=0
    )


def drop_segments_of(store: Store, folder: Path, boot: str) -> None:
    """Delete all of a process's journal, which is in the store; raises StoreError."""
    for path in segments(folder):
        if boot_of(path) == boot:
            drop_segment(store, path)


def drop_segment(store: Store, path: Path) -> None:
    """Delete a segment that is in the store whole; its position goes last, lest it be read again."""
    path.unlink(missing_ok=True)
    store.forget_journal(path.stem)

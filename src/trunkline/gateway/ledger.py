"""The ledger: a thread that moves what the journal holds into the store, in groups, exactly once.

What the store does not take now waits in memory, or, where that becomes much, in the journal's files.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from trunkline.gateway.booking import (
    AT_ONCE,
    as_sent,
    book,
    book_apart,
    drop_segment,
    grouped,
)
from trunkline.gateway.journal import Written
from trunkline.gateway.journal_files import Frame, Segment, boot_of, segments
from trunkline.store.records import Batch, Entry
from trunkline.store.seam import Store, StoreError, StoreValueError
from trunkline.store.sums import spend_of

GROUP_SECONDS = 0.1
"""How long entries are gathered for one commit."""
PAUSE = 0.5
"""Seconds before a store that failed is asked again."""
IN_MEMORY = 50_000
"""Entries that may wait in memory; beyond, they are read from the journal again."""
BACKLOG_BYTES = 64 * 1024 * 1024
"""Of journal that may wait for a store that takes it, but slowly."""
_log = logging.getLogger(__name__)


class Ledger:
    """Takes what the journal wrote, on the event loop's thread, and commits it on one of its own."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        spool_bytes: int = 0,
        in_memory: int = IN_MEMORY,
        committed: Callable[[float, int], None] = lambda _seconds, _entries: None,
    ) -> None:
        """Start nothing yet.

        While the store is down, calls go on until `spool_bytes` of journal wait for it; with 0 they do
        not. Of entries that wait, `in_memory` are kept at hand. `committed` is told how long each
        commit took and what it held.
        """
        self._store = store
        self._folder = folder
        self._spool_bytes = spool_bytes
        self._backlog_bytes = max(spool_bytes, BACKLOG_BYTES)
        self._in_memory = in_memory
        self._committed = committed
        self._queue: deque[Written] = deque()
        self._waiting = 0
        """Entries in the queue."""
        self._lost = False
        """Whether the queue was dropped: the journal's file has what was in it."""
        self._unsure = False
        """Whether a commit failed: some of it may be in the store."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._segment = ""
        self._whole: list[Path] = []
        """Segments of which all is in the store."""
        self._end = ("", 0)
        """Segment and position behind what was written last."""
        self._thread: threading.Thread | None = None
        self.behind = 0
        """Bytes of journal that are not in the store yet."""
        self.trouble: StoreError | None = None
        """Why the store does not take what it is given."""

    @property
    def accepting(self) -> bool:
        """Whether further calls can be accounted for."""
        most = self._backlog_bytes if self.trouble is None else self._spool_bytes
        return self.behind < most

    @property
    def complaint(self) -> str:
        """What stands in the way of further calls, in words; empty where nothing does."""
        if self.accepting:
            return ""
        return str(self.trouble or "the store is too slow for as many calls as came")

    @property
    def waiting(self) -> int:
        """Entries that wait to be committed."""
        return self._waiting

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="trunkline-ledger", daemon=True)
        self._thread.start()

    def take(self, written: Written) -> None:
        """Take what the journal wrote; called on the event loop's thread, and costs next to nothing."""
        with self._lock:
            self.behind += written.size
            self._waiting += len(written.sent) + len(written.ended)
            self._end = (written.segment, written.position)
            if not self._lost:
                self._queue.append(written)
                if self._waiting > self._in_memory:
                    self._lost = True
                    self._queue.clear()
        if not self._wake.is_set():
            self._wake.set()

    def close(self, patience: float = 10.0) -> bool:
        """Commit the rest for `patience` seconds; tells whether all of it is in the store."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience)
        return self.behind == 0

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._closing.wait(GROUP_SECONDS)
            self._wake.clear()
            self._note(self._commit_waiting())
            if self._closing.is_set() and (self.trouble or not (self._queue or self._lost)):
                return  # what is left the journal keeps for the next start
            if self.trouble is not None:
                self._closing.wait(PAUSE)
                self._wake.set()

    def _note(self, trouble: StoreError | None) -> None:
        before, self.trouble = self.trouble, trouble
        if trouble is not None and before is None:
            _log.error("the store does not take the ledger", extra={"reason": str(trouble)})
        elif trouble is None and before is not None:
            _log.warning("the store takes the ledger again")

    def _commit_waiting(self) -> StoreError | None:
        """Commit all that waits now; returns what went wrong.

        What comes meanwhile is gathered for the next time: few large commits cost less than many.
        """
        left = len(self._queue)
        try:
            while self._lost or (left > 0 and self._queue):
                if self._lost:
                    self._catch_up()
                else:
                    left -= self._commit_group()
            while self._whole:
                drop_segment(self._store, self._whole[-1])
                self._whole.pop()
        except StoreError as error:
            return error
        except Exception as error:  # the thread has to live, and tell
            return StoreError(f"The ledger cannot go on: {type(error).__name__}: {error}")
        return None

    def _commit_group(self) -> int:
        """Commit what waits of one segment; returns how many writes of the journal that were."""
        taken = self._take_group()
        try:
            self._commit(taken)
        except BaseException:
            self._unsure = True
            with self._lock:
                if not self._lost:
                    self._queue.extendleft(reversed(taken))
            raise
        with self._lock:
            self._waiting -= sum(len(w.sent) + len(w.ended) for w in taken)
            self.behind -= sum(w.size for w in taken)
        return len(taken)

    def _take_group(self) -> list[Written]:
        """Take what waits of one segment, not too much at once."""
        taken: list[Written] = []
        count = 0
        with self._lock:
            queue = self._queue
            while queue and count < AT_ONCE and queue[0].segment == (taken or queue)[0].segment:
                taken.append(queue.popleft())
                count += len(taken[-1].sent) + len(taken[-1].ended)
        return taken

    def _commit(self, taken: list[Written]) -> None:
        if not taken:
            return  # the queue was given up meanwhile
        segment = taken[0].segment
        began = time.monotonic()
        if self._unsure:
            self._commit_rest(segment, taken)
        else:
            entries = _merged(taken)
            batch = Batch(entries, spend_of(entries), segment, taken[-1].position)
            try:
                self._store.commit(batch)
            except StoreValueError:
                book_apart(self._store, segment, _frames(taken))
        self._unsure = False
        self._done(began, segment, sum(len(w.sent) + len(w.ended) for w in taken))

    def _commit_rest(self, segment: str, taken: list[Written]) -> None:
        """Commit what of a group is not there yet: a commit that failed may have been done."""
        reached = self._store.position(segment)
        frames = [f.after(reached) for f in _frames(taken) if f.position > reached]
        if frames:
            book(self._store, segment, frames)

    def _done(self, began: float, segment: str, entries: int) -> None:
        if segment != self._segment:
            if self._segment:
                self._whole.append(self._folder / f"{self._segment}.journal")
            self._segment = segment
        self._committed(time.monotonic() - began, entries)

    def _catch_up(self) -> None:
        """Read from the journal's files what is no longer in memory, up to what was written last."""
        with self._lock:
            end, waiting, behind = self._end, self._waiting, self.behind
        boot = boot_of(Path(end[0]))
        for path in segments(self._folder):
            if boot_of(path) == boot and path.stem <= end[0] and path not in self._whole:
                self._catch_up_with(path, end[1] if path.stem == end[0] else None)
        with self._lock:
            self._waiting -= waiting
            self.behind -= behind
            self._lost = self._end != end

    def _catch_up_with(self, path: Path, end: int | None) -> None:
        segment = Segment(path)
        # No further than to `end`: what is behind it will be in the queue.
        for frames in grouped(segment.frames(self._store.position(path.stem), end)):
            began = time.monotonic()
            count = book(self._store, path.stem, frames)
            self._done(began, path.stem, count)
        if segment.damaged:
            _log.error(
                "a part of the journal cannot be read: calls that it told of are lost",
                extra={"file": str(path), "bytes": segment.damaged},
            )


def _frames(taken: list[Written]) -> list[Frame]:
    """Return what was written as it can be read again."""
    return [
        Frame(w.position - w.size, w.position, [*map(as_sent, w.sent), *w.ended]) for w in taken
    ]


def _merged(taken: list[Written]) -> list[Entry]:
    """Return one entry a call: as it ended, or open where it has not."""
    ended = {entry.id: entry for written in taken for entry in written.ended}
    still = [as_sent(e) for written in taken for e in written.sent if e.id not in ended]
    return still + list(ended.values())

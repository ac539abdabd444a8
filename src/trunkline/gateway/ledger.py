"""The ledger: a thread that moves what the journal holds into the store, in groups, exactly once.

Each commit carries the journal's position with it, so that whatever is read again after a crash is
known to be there already. Entries are added up for spending in the same transaction.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from trunkline.gateway.journal import Written, boot_of, is_alive, read_frames, segments
from trunkline.store.records import Batch, Entry, Spend
from trunkline.store.seam import Store, StoreError

GROUP_SECONDS = 0.1
"""How long entries are gathered for one commit."""
_PAUSE = 0.5
"""Seconds before a store that failed is asked again."""
_IN_MEMORY = 50_000
"""Entries that may wait in memory; beyond, they are read from the journal again."""
_AT_ONCE = 5_000
"""Entries of one commit while catching up."""


class Ledger:
    """Takes what the journal wrote, on the event loop's thread, and commits it on one of its own."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        spool_bytes: int = 0,
        committed: Callable[[float, int], None] = lambda seconds, entries: None,
    ) -> None:
        """Start nothing yet.

        While the store is down, calls go on until `spool_bytes` of journal wait for it; with 0 they do
        not. `committed` is told how long each commit took and what it held.
        """
        self._store = store
        self._folder = folder
        self._spool_bytes = spool_bytes
        self._committed = committed
        self._queue: deque[Written] = deque()
        self._waiting = 0
        """Entries in the queue."""
        self._lost = False
        """Whether the queue was dropped: the journal's file has what was in it."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._segment = ""
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
        return self.trouble is None or self.behind < self._spool_bytes

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
                if self._waiting > _IN_MEMORY and self.trouble is not None:
                    self._lost = True
                    self._queue.clear()
        if not self._wake.is_set():
            self._wake.set()

    def close(self, patience: float = 10.0) -> bool:
        """Commit the rest for `patience` seconds; tells whether all of it is in the store."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience)
        return self.behind == 0

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if not self._closing:
                time.sleep(GROUP_SECONDS)
            self._wake.clear()
            try:
                self._commit_waiting()
                self.trouble = None
            except StoreError as error:
                self.trouble = error
            except Exception as error:  # noqa: BLE001 - the thread has to live, and tell
                self.trouble = StoreError(
                    f"The ledger cannot go on: {type(error).__name__}: {error}"
                )
            if self._closing and (self.trouble is not None or not self._queue):
                return  # what is left the journal keeps for the next start
            if self.trouble is not None:
                time.sleep(_PAUSE)
                self._wake.set()

    def _commit_waiting(self) -> None:
        while self._lost:
            self._catch_up()
        while self._queue:
            taken = self._take_group()
            count = sum(len(w.sent) + len(w.ended) for w in taken)
            try:
                self._commit(taken[0].segment, taken[-1].position, _merged(taken))
            except BaseException:
                with self._lock:
                    if not self._lost:
                        self._queue.extendleft(reversed(taken))
                raise
            with self._lock:
                self._waiting -= count
                self.behind -= sum(w.size for w in taken)

    def _take_group(self) -> list[Written]:
        """Take what waits of one segment."""
        taken: list[Written] = []
        with self._lock:
            segment = self._queue[0].segment
            while self._queue and self._queue[0].segment == segment:
                taken.append(self._queue.popleft())
        return taken

    def _commit(self, segment: str, position: int, entries: list[Entry]) -> None:
        began = time.monotonic()
        self._store.commit(Batch(entries, spend_of(entries), segment, position))
        self._committed(time.monotonic() - began, len(entries))
        if segment != self._segment:
            before, self._segment = self._segment, segment
            if before:
                drop_segment(self._store, self._folder / f"{before}.journal")

    def _catch_up(self) -> None:
        """Read from the journal's files what is no longer in memory, up to what was written last."""
        with self._lock:
            end, waiting, behind = self._end, self._waiting, self.behind
        boot = boot_of(Path(end[0]))
        for path in segments(self._folder):
            if boot_of(path) == boot and path.stem <= end[0]:
                start = self._store.position(path.stem)
                for position, entries in grouped(read_frames(path, start)):
                    self._commit(path.stem, position, entries)
        with self._lock:
            self._waiting -= waiting
            self.behind -= behind
            self._lost = self._end != end


def _merged(taken: list[Written]) -> list[Entry]:
    """Return one entry a call: as it ended, or open where it has not."""
    ended = {entry.id: entry for written in taken for entry in written.ended}
    still = [as_sent(e) for written in taken for e in written.sent if e.id not in ended]
    return still + list(ended.values())


def as_sent(entry: Entry) -> Entry:
    """Return an entry as it was when its call was sent: it may have gone on since."""
    return msgspec.structs.replace(
        entry, state="open", ended=None, status=None, outcome="", cost=None, charged=0
    )


def grouped(
    frames: Iterable[tuple[int, list[Entry]]],
) -> Iterable[tuple[int, list[Entry]]]:
    """Join frames to groups for one commit each; of entries with one id the last counts."""
    latest: dict[str, Entry] = {}
    position = 0
    for position, entries in frames:
        latest.update((entry.id, entry) for entry in entries)
        if len(latest) >= _AT_ONCE:
            yield position, list(latest.values())
            latest = {}
    if latest:
        yield position, list(latest.values())


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
            day = days[number] = time.strftime("%Y-%m-%d", time.gmtime(entry.started))
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
    return [Spend(*group, *row) for group, row in sums.items()]


def drop_segment(store: Store, path: Path) -> None:
    """Delete a segment that is in the store whole; its position goes last, lest it be read again."""
    path.unlink(missing_ok=True)
    store.forget_journal(path.stem)


class Recovered(msgspec.Struct, frozen=True):
    """What a start found of processes that died."""

    replayed: int
    """Entries that were in a journal and not in the store."""
    unknown: int
    """Calls that nobody knows the end of: settled at what was reserved for them."""


def recover(store: Store, folder: Path, now: float) -> Recovered:
    """Bring what dead processes left into the store; raises StoreError.

    May be killed at any instant and be run again.
    """
    replayed = 0
    dead = [path for path in segments(folder) if not is_alive(folder, boot_of(path))]
    for path in dead:
        start = store.position(path.stem)
        for position, entries in grouped(read_frames(path, start)):
            store.commit(Batch(entries, spend_of(entries), path.stem, position))
            replayed += len(entries)
    left = [e for e in store.open_entries() if not is_alive(folder, e.boot)]
    for boot in sorted({entry.boot for entry in left}):
        ended = [_given_up(entry, now) for entry in left if entry.boot == boot]
        name = f"{boot}-recovered"
        store.commit(Batch(ended, spend_of(ended), name, store.position(name) + 1))
    for path in dead:
        drop_segment(store, path)
        (folder / f"{boot_of(path)}.alive").unlink(missing_ok=True)
    return Recovered(replayed, len(left))


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

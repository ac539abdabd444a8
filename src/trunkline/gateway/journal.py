"""The journal: an append-only file that holds each call's entry before it is sent and after it ended.

Everything that a turn of the event loop has to note is one write. What it has taken survives the
process; with `durability = "power"` it is synced to the disk first.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from trunkline.gateway.journal_files import MAGIC, frame
from trunkline.store.records import Entry

_PAUSE = 0.5
"""Seconds before a write that failed is tried again."""
SEGMENT_BYTES = 64 * 1024 * 1024
"""When a segment has grown beyond this, the next one is begun."""
_log = logging.getLogger(__name__)


class Waiting(Protocol):
    """A call that may be sent once its entry is in the journal."""

    def noted(self) -> None:
        """Go on: the entry is written."""
        ...

    def not_noted(self, error: OSError) -> None:
        """Give up: the entry cannot be written."""
        ...


class Written(msgspec.Struct, frozen=True, gc=False):
    """What one write held."""

    segment: str
    position: int
    """Behind it, in the segment."""
    size: int
    sent: list[Entry]
    """Entries of calls that are now sent. They go on changing; as written they were open."""
    ended: list[Entry]
    """Entries of calls that have ended, some of them in `sent` too."""


Take = Callable[[Written], None]


class Journal:
    """Writes one process's segments: `<boot>-<number>.journal` in its folder."""

    def __init__(  # noqa: PLR0913 - keywords, each a setting of its own
        self,
        folder: Path,
        boot: str,
        take: Take,
        *,
        durable: bool = False,
        segment: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
        released: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin the first segment; raises OSError. `take` is told of everything that was written.

        `released` is called behind the calls of one write, when all of them may have sent.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.boot = boot
        self.size = 0
        """Bytes in the present segment."""
        self.trouble: OSError | None = None
        """Why the last write did not succeed."""
        self._folder = folder
        self._take = take
        self._durable = durable
        self._segment = segment
        self._sync = sync
        self._released = released
        self._number = 0
        self._file = -1
        self._sent: list[Entry] = []
        self._waiting: list[Waiting] = []
        """Behind each entry that is about to be sent, its call."""
        self._ended: list[Entry] = []
        self._due = False
        self._syncing: tuple[Written, list[Waiting]] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._begin()

    @property
    def name(self) -> str:
        """The present segment's name."""
        return f"{self.boot}-{self._number:06d}"

    def intend(self, entry: Entry, waiting: Waiting) -> None:
        """Note a call that is about to be sent; `waiting` is told when it may be."""
        self._sent.append(entry)
        self._waiting.append(waiting)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def ended(self, entry: Entry) -> None:
        """Note how a call ended."""
        self._ended.append(entry)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what there is to write, and let the calls go that waited for it."""
        self._due = False
        if self._syncing is None and self._file >= 0 and (self._sent or self._ended):
            self._write_down()

    def close(self) -> None:
        """Write the rest and close; raises nothing: what cannot be written is in `trouble`."""
        if self._file < 0:
            return
        if self._retry is not None:
            self._retry.cancel()
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            self._take(syncing[0])
        sent, ended = self._sent, self._ended
        self._sent, self._ended, self._waiting = [], [], []
        self._write_last(sent, ended)
        os.close(self._file)
        self._file = -1

    def _write_down(self) -> None:
        sent, self._sent = self._sent, []
        ended, self._ended = self._ended, []
        waiting, self._waiting = self._waiting, []
        before = self.size
        try:
            self._append(frame(sent + ended))
        except OSError as error:
            self._give_up(error, ended, waiting)
            return
        written = Written(self.name, self.size, self.size - before, sent, ended)
        if self._durable:
            self._syncing = (written, waiting)
            task = asyncio.get_running_loop().run_in_executor(None, self._sync, self._file)
            task.add_done_callback(self._synced)
        else:
            self._release(written, waiting)

    def _write_last(self, sent: list[Entry], ended: list[Entry]) -> None:
        before = self.size
        try:
            if sent or ended:
                self._append(frame(sent + ended))
                self._take(Written(self.name, self.size, self.size - before, sent, ended))
            if self._durable:
                self._sync(self._file)
        except OSError as error:
            self.trouble = error
            if ended and self.size == before:
                # The store alone can have them now, as if a frame stood behind the last one.
                size = len(ended) + 1
                self._take(Written(self.name, before + size, size, [], ended))

    def _release(self, written: Written, waiting: list[Waiting]) -> None:
        self.trouble = None
        self._take(written)
        for call in waiting:
            try:
                call.noted()
            except Exception:  # a fault of one call must not strand the others
                _log.exception("a call could not be sent")
        self._released()
        if self.size > self._segment:
            self._go_on_in_another()

    def _synced(self, done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        syncing, self._syncing = self._syncing, None
        if syncing is None:
            return  # closed meanwhile
        written, waiting = syncing
        if not isinstance(error, OSError):
            self._release(written, waiting)
            self.flush()
            return
        self.size -= written.size
        self._cut()
        self._give_up(error, written.ended, waiting)
        if self._sent and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _give_up(self, error: OSError, ended: list[Entry], waiting: list[Waiting]) -> None:
        """Keep what has ended for the next try; what has not been sent never will be."""
        if self.trouble is None:
            _log.error("the journal cannot be written", extra={"reason": str(error)})
        self.trouble = error
        self._ended = ended + self._ended
        for call in waiting:
            call.not_noted(error)
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_PAUSE, self._try_again)

    def _try_again(self) -> None:
        """Write what has ended meanwhile, or an empty frame: whether it can be done is to be known."""
        self._retry = None
        if self.trouble is not None and self._syncing is None and self._file >= 0:
            self._write_down()

    def _append(self, data: bytes) -> None:
        """Append all of `data` or none of it; raises OSError."""
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._file, data[done:] if done else data, self.size + done)
        except OSError:
            if done:
                self._cut()
            raise
        self.size += len(data)

    def _cut(self) -> None:
        """Cut off what is behind the last frame that counts."""
        try:
            os.ftruncate(self._file, self.size)
        except OSError:
            pass  # the next frame is written over it, and a part of one is never read

    def _go_on_in_another(self) -> None:
        try:
            self._begin()
        except OSError as error:
            # The present segment serves longer, then.
            _log.warning("the journal's next file cannot be made", extra={"reason": str(error)})

    def _begin(self) -> None:
        """Begin the next segment; raises OSError, and then the present one stays as it is."""
        path = self._folder / f"{self.boot}-{self._number + 1:06d}.journal"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if os.pwrite(file, MAGIC, 0) < len(MAGIC):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._durable:
                _sync_both(file, self._folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self._number += 1
        self.size = len(MAGIC)


def _sync_both(file: int, folder: Path) -> None:
    """See to it that a new file and its name are on the disk."""
    os.fsync(file)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

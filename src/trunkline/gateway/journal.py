"""The journal: an append-only file that holds each call's entry before it is sent and after it ended.

Everything that a turn of the event loop has to note is one write. What `write` has taken survives the
process; with `durability = "power"` it is synced to the disk first. Frames are `length, CRC-32,
MessagePack`: a torn one at the end is no frame.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from trunkline.store.records import Entry

MAGIC = b"TLJ1"
_FRAME = struct.Struct("<II")
_MOST_FRAME = 256 * 1024 * 1024
_PAUSE = 0.5
"""Seconds before a write that failed is tried again."""
SEGMENT_BYTES = 64 * 1024 * 1024
"""When a segment has grown beyond this, the next one is begun."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


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


def frame(entries: list[Entry]) -> bytes:
    """Return entries as one frame."""
    data = _encoder.encode(entries)
    return _FRAME.pack(len(data), zlib.crc32(data)) + data


def read_frames(path: Path, start: int) -> Iterator[tuple[int, list[Entry]]]:
    """Yield `(position behind it, entries)` of each whole frame from `start`; stops at a torn one."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        file.seek(max(start, len(MAGIC)))
        while True:
            head = file.read(_FRAME.size)
            if len(head) < _FRAME.size:
                return
            length, checksum = _FRAME.unpack(head)
            if length > _MOST_FRAME:
                return
            data = file.read(length)
            if len(data) < length or zlib.crc32(data) != checksum:
                return
            yield file.tell(), _decoder.decode(data)


class Journal:
    """Writes one process's segments: `<boot>-<number>.journal` in its folder."""

    def __init__(
        self,
        folder: Path,
        boot: str,
        take: Take,
        *,
        durable: bool = False,
        segment: int = SEGMENT_BYTES,
    ) -> None:
        """Begin the first segment; raises OSError. `take` is told of everything that was written."""
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
        self._number = 0
        self._file = -1
        self._sent: list[Entry] = []
        self._waiting: list[Waiting] = []
        """Behind each entry that is about to be sent, its call."""
        self._ended: list[Entry] = []
        self._due = False
        self._syncing = False
        self._lock = _locked(folder / f"{boot}.alive")
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
        if self._syncing or not (self._sent or self._ended):
            return
        sent, self._sent = self._sent, []
        ended, self._ended = self._ended, []
        waiting, self._waiting = self._waiting, []
        before = self.size
        try:
            self._write(frame(sent + ended))
        except OSError as error:
            self._give_up(error, ended, waiting)
            return
        self.trouble = None
        written = Written(self.name, self.size, self.size - before, sent, ended)
        if self._durable:
            self._syncing = True
            loop = asyncio.get_running_loop()
            task = loop.run_in_executor(None, os.fdatasync, self._file)
            task.add_done_callback(lambda done: self._synced(done, written, waiting))
        else:
            self._release(written, waiting)

    def close(self) -> None:
        """Write the rest and close; raises nothing: what cannot be written is in `trouble`."""
        if self._file >= 0:
            self._syncing = False
            self._durable = False
            self.flush()
            os.close(self._file)
            self._file = -1
            os.close(self._lock)
            (self._folder / f"{self.boot}.alive").unlink(missing_ok=True)

    def _release(self, written: Written, waiting: list[Waiting]) -> None:
        self._take(written)
        for call in waiting:
            call.noted()
        if self.size > self._segment:
            self._begin()

    def _synced(self, done: asyncio.Future[None], written: Written, waiting: list[Waiting]) -> None:
        self._syncing = False
        error = done.exception()
        if isinstance(error, OSError):
            # the frame may stand, and be read again: its calls are ended as never sent
            self._take(written)
            self._give_up(error, [], waiting)
        else:
            self._release(written, waiting)
        self.flush()

    def _give_up(self, error: OSError, ended: list[Entry], waiting: list[Waiting]) -> None:
        """Keep what has ended for the next try; what has not been sent never will be."""
        self.trouble = error
        self._ended = ended + self._ended
        for call in waiting:
            call.not_noted(error)
        if self._ended and not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(_PAUSE, self.flush)

    def _write(self, data: bytes) -> None:
        """Append all of `data` or none of it."""
        try:
            written = os.write(self._file, data)
            if written < len(data):
                raise OSError(28, "No space left on device")
        except OSError:
            os.ftruncate(self._file, self.size)
            os.lseek(self._file, self.size, os.SEEK_SET)
            raise
        self.size += len(data)

    def _begin(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._number += 1
        path = self._folder / f"{self.name}.journal"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.size = 0
        self._write(MAGIC)


def is_alive(folder: Path, boot: str) -> bool:
    """Tell whether the process that writes a journal lives: it holds a lock as long as it does."""
    path = folder / f"{boot}.alive"
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def segments(folder: Path) -> list[Path]:
    """Return every segment in a folder, each process's in their order."""
    return sorted(folder.glob("*.journal"))


def boot_of(segment: Path) -> str:
    """Return which process wrote a segment."""
    return segment.stem.rpartition("-")[0]


def _locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file

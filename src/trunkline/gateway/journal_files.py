"""The journal's files: frames as bytes, the segments in a folder, and who may write there.

A segment is a mark and frames: `length, CRC-32, MessagePack`. A torn frame at the end is none; one that
is damaged between whole ones is passed over, and said so. Knows no store.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from trunkline.gateway.keepable import keepable
from trunkline.store.records import Entry

MAGIC = b"TLJ1"
HEAD = struct.Struct("<II")
_ARRAYS = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
"""How MessagePack begins a list."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What one write held, and where it stands.

    A position within a frame counts entries: `began + n` is behind the first n of them.
    """

    began: int
    position: int
    """Behind it."""
    entries: list[Entry]

    def after(self, reached: int) -> Frame:
        """Return what lies behind a position within this frame."""
        if reached <= self.began:
            return self
        return Frame(reached, self.position, self.entries[reached - self.began :])

    def single(self) -> Iterator[tuple[int, Entry]]:
        """Yield each entry that no later one replaces, and the position behind it."""
        last = {entry.id: place for place, entry in enumerate(self.entries)}
        for place, entry in enumerate(self.entries):
            if place == len(self.entries) - 1:
                yield self.position, entry
            elif last[entry.id] == place:
                yield self.began + place + 1, entry


def frame(entries: list[Entry]) -> bytes:
    """Return entries as one frame."""
    try:
        data = _encoder.encode(entries)
    except (OverflowError, UnicodeError):
        data = _encoder.encode([keepable(entry) for entry in entries])
    return HEAD.pack(len(data), zlib.crc32(data)) + data


class Segment:
    """One file of a journal, to be read."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self.path = path
        self.damaged = 0
        """Bytes that were passed over and are no torn end."""

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """Yield the whole frames between two positions; raises OSError."""
        with self.path.open("rb") as file:
            data = file.read() if end is None else file.read(end)
        if data[: len(MAGIC)] == MAGIC:
            yield from self._frames(data, start)
        elif len(data) >= len(MAGIC):
            self.damaged = len(data)

    def _frames(self, data: bytes, start: int) -> Iterator[Frame]:
        at = max(len(MAGIC), start)
        if at < len(data) and _whole(data, at) is None:
            at = len(MAGIC)  # perhaps a position within a frame: go through them from the first
        while at < len(data):
            found = _whole(data, at)
            if found is None:
                at = self._pass_over(data, at, counting=at >= start)
                continue
            at = found.position
            if at > start:
                yield found.after(start)

    def _pass_over(self, data: bytes, at: int, *, counting: bool) -> int:
        """Return where the next whole frame begins; the end, where only a torn one is left."""
        following = next((n for n in _likely(data, at + 1) if _whole(data, n)), None)
        torn = following is None and _told(data, at) > len(data)
        if following is None:
            following = len(data)
        if counting and not torn and any(data[at:following]):
            self.damaged += following - at
        return following


def _told(data: bytes, at: int) -> int:
    """Return where a frame ends, by what its head says."""
    if at + HEAD.size > len(data):
        return len(data) + 1
    return int(at + HEAD.size + HEAD.unpack_from(data, at)[0])


def _whole(data: bytes, at: int) -> Frame | None:
    """Return the frame that begins at a place, if it is whole."""
    behind = _told(data, at)
    if behind > len(data) or behind == at + HEAD.size:
        return None
    checksum = HEAD.unpack_from(data, at)[1]
    body = data[at + HEAD.size : behind]
    if zlib.crc32(body) != checksum:
        return None
    try:
        return Frame(at, behind, _decoder.decode(body))
    except msgspec.MsgspecError:
        return None


def _likely(data: bytes, at: int) -> Iterator[int]:
    """Yield places where a frame of less than 16 MiB may begin."""
    high = data.find(b"\0", at + 3)
    while high >= 0:
        if high + 5 < len(data) and data[high + 5] in _ARRAYS:
            yield high - 3
        high = data.find(b"\0", high + 1)


def segments(folder: Path) -> list[Path]:
    """Return every segment in a folder, each process's in their order."""
    return sorted(folder.glob("*.journal"))


DAMAGED = ".damaged"
"""How the name of a segment ends of which not all could be read."""


def boot_of(segment: Path) -> str:
    """Return which process wrote a segment."""
    return segment.stem.rpartition("-")[0]


def set_aside(path: Path) -> Path:
    """Keep a segment of which not all could be read, under a name that nobody reads again."""
    return path.rename(path.with_suffix(DAMAGED))


class FolderLock:
    """The right to write to a folder's journal and its store; it ends with the process."""

    def __init__(self, folder: Path) -> None:
        """Take it; raises BlockingIOError where another process has it, and other OSErrors."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise

    def fileno(self) -> int:
        """Return the descriptor: a process to which it is passed on holds the lock too."""
        return self._file

    def release(self) -> None:
        """Give it back; harmless when that was done."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

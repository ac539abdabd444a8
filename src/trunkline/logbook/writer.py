"""Writes rows to the log on a thread of its own, a few at a time, and never raises.

Whoever ends a call only puts it on a list. A file that cannot be written is said once; what waits
for it is bounded, and the oldest goes first. After a fork the child begins with nothing of its own.
"""

from __future__ import annotations

import _thread
import atexit
import logging
import os
import queue
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from trunkline.log_settings import Keep
from trunkline.store.call_log import BUSY_SECONDS, CallLog
from trunkline.store.logged import Logged
from trunkline.store.seam import StoreError, StoreValueError

T = TypeVar("T")

WAITING = 10_000
"""Calls that wait for a file that cannot be written."""
WITH_CONTENT = 200
"""Of those, the ones that keep their content."""
WINDOW = 0.05
"""Seconds in which calls are gathered for one transaction."""
LINGER = 2.0
"""Seconds without calls after which the thread ends and the file is closed."""
PRUNED = 3600.0
"""Seconds between two looks at what is kept too long."""

_log = logging.getLogger("trunkline.logbook")


class LogWriter(Generic[T]):
    """A log's writer. Usable from any number of threads, and after a fork."""

    def __init__(
        self,
        path: Path,
        make: Callable[[T], Logged],
        keep: Keep,
        *,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        """Open nothing yet; `make` makes a row, on the writing thread."""
        self.path = path
        self._busy_seconds = busy_seconds
        self._make = make
        self._keep = keep
        self._here = self._begin(())

    def put(self, ended: T) -> None:
        """Have a call written soon. Safe from anywhere, also from a finalizer."""
        here = self._here
        if here.pid != os.getpid():
            # What the parent had not written it writes itself; its file must not be touched here.
            here = self._here = self._begin((here,))
        here.put(ended)

    def flush(self) -> None:
        """Write what waits, now and here, and close the file until more comes."""
        self._here.finish()

    def _begin(self, inherited: tuple[_Process[T], ...]) -> _Process[T]:
        file = CallLog(self.path, busy_seconds=self._busy_seconds)
        here = _Process(file, self._make, self._keep, inherited)
        atexit.register(here.finish)
        weakref.finalize(self, _forget, here).atexit = False
        process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
        if process and util and process.parent_process() is not None:
            # A process of multiprocessing ends without telling anybody else.
            util.Finalize(None, here.finish, exitpriority=10)
        return here


class _Process(Generic[T]):
    """What a writer has in one process."""

    def __init__(
        self,
        file: CallLog,
        make: Callable[[T], Logged],
        keep: Keep,
        inherited: tuple[_Process[T], ...],
    ) -> None:
        self.pid = os.getpid()
        self._file = file
        self._make = make
        self._keep = keep
        self._inherited = inherited  # kept, so that nobody closes the parent's file here
        # A list and a queue whose operations take no lock that a finalizer could find taken.
        self._waiting: deque[T] = deque(maxlen=WAITING)
        self._ready: deque[Logged] = deque(maxlen=WAITING)
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._leading = threading.Lock()
        self._writing = threading.Lock()
        self._told = False
        self._prune_at = 0.0

    def put(self, ended: T) -> None:
        self._waiting.append(ended)
        self._bell.put(None)
        if self._leading.acquire(blocking=False):
            try:
                # Waits for nothing and takes no lock, as a finalizer must not; and keeps no program up.
                _thread.start_new_thread(self._lead, ())
            except RuntimeError:  # no thread is left, or the program is about to end
                self._leading.release()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting and not self._ready

    def finish(self) -> None:
        """Write what waits, and close the file."""
        if self.pid == os.getpid():
            self._write()
            with self._writing:
                self._file.close()

    def _lead(self) -> None:
        """Write whatever comes, until nothing does for a while."""
        while True:
            well = True
            try:
                while True:
                    self._bell.get(timeout=LINGER)
                    time.sleep(WINDOW)
                    self._silence()
                    well = self._write()
            except queue.Empty:
                pass
            with self._writing:
                self._file.close()
            self._leading.release()
            # What came in the very last moment saw a leader, and started none.
            if not (well and self._waiting and self._leading.acquire(blocking=False)):
                return

    def _silence(self) -> None:
        try:
            while True:
                self._bell.get_nowait()
        except queue.Empty:
            return

    def _write(self) -> bool:
        """Write what waits; tells whether it could."""
        with self._writing:
            while self._waiting:
                ended = self._waiting.popleft()
                try:
                    self._ready.append(self._make(ended))
                except (
                    Exception
                ) as error:  # a row that cannot be made is no reason for anything else
                    self._tell(f"a call is not in it: {type(error).__name__}: {error}")
            if not self._ready:
                return True
            try:
                self._add()
                self._prune()
            except StoreError as error:
                self._tell(str(error))
                self._lighten()
                return False
            return True

    def _lighten(self) -> None:
        """Leave out the content of all but the last calls that wait: it may be as large as it likes."""
        for at in range(len(self._ready) - WITH_CONTENT):
            if self._ready[at].content is not None:
                self._ready[at] = msgspec.structs.replace(self._ready[at], content=None)

    def _add(self) -> None:
        try:
            self._file.add(tuple(self._ready))
        except StoreValueError:  # of one of them: it alone is left out
            while self._ready:
                try:
                    self._file.add((self._ready[0],))
                except StoreValueError as error:
                    self._tell(str(error))
                self._ready.popleft()
        self._ready.clear()

    def _prune(self) -> None:
        now = time.monotonic()
        if now >= self._prune_at and self._keep != Keep():
            self._prune_at = now + PRUNED
            self._file.prune(before=oldest_kept(self._keep, time.time()), keep=self._keep.calls)

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            _log.warning("The log of calls %s is not complete: %s", self._file.path, what)


def _forget(here: _Process[Any]) -> None:
    """Drop what nobody puts calls into any more; its thread, or the program's end, writes the rest."""
    if here.is_idle:
        atexit.unregister(here.finish)


def oldest_kept(keep: Keep, now: float) -> str | None:
    """Return the time before which calls are not kept any more."""
    return None if keep.days is None else utc_text(now - keep.days * 86400)


def utc_text(at: float) -> str:
    """Return seconds since 1970 as the log has times."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

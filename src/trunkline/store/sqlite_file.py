"""A SQLite file as borrowed connections and transactions; knows nothing of what is in it.

Every operation borrows a connection of its own, so that readers never wait for the writer, and
threads that come and go leave none behind.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from trunkline.store.seam import StoreError
from trunkline.store.sqlite_errors import TROUBLE, explained

WAL_BYTES = 64 * 1024 * 1024
"""What the write-ahead log may keep on disk between two bursts."""
_TURNS = 5
"""How often a file that others are opening too is asked for its write-ahead log."""
_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""Errors that say nothing against the connection."""


class SqliteFile:
    """The connections to one file, opened as they are needed. Usable from any number of threads."""

    def __init__(self, path: Path, *, busy_seconds: float, durable: bool) -> None:
        """Open nothing yet. `durable` syncs each commit to the disk."""
        self.path = path.absolute()
        self._busy_seconds = busy_seconds
        self._synchronous = "PRAGMA synchronous = " + ("FULL" if durable else "NORMAL")
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """Lend a connection; what goes wrong with it becomes a StoreError."""
        connection = self._take()
        try:
            yield connection
        except TROUBLE as error:
            if _goes_on(connection, error):
                self._give_back(connection)
            else:
                connection.close()
            raise explained(error, self.path) from error
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """Lend a connection within a transaction: all that is done with it happens, or nothing."""
        with self.reading() as connection:
            # From the start the only writer: a reader that becomes one may find itself outdated.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise

    def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"The store {self.path} was closed; open a new one.")
            if self._idle:
                # The last one used has its statements compiled and its pages in memory.
                return self._idle.pop()
        try:
            return self._open()
        except (*TROUBLE, ValueError) as error:
            raise explained(error, self.path) from error

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self) -> sqlite3.Connection:
        self._create()
        connection = sqlite3.connect(
            self.path,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self) -> None:
        """Make the file for this user alone; SQLite's other files take their mode from it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            try:
                # Only ever a new file: closing one that is in use would drop SQLite's locks on it.
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                self._check_access()

    def _check_access(self) -> None:
        """Refuse what SQLite would open for reading alone, and leave more such files beside."""
        effective = os.access in os.supports_effective_ids
        if not os.access(self.path, os.R_OK | os.W_OK, effective_ids=effective):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if not _write_ahead(connection):
            raise StoreError(
                f"The store {self.path} is on a file system without shared memory, where SQLite "
                "cannot keep a write-ahead log; put it on a local disk."
            )
        connection.execute(self._synchronous)
        connection.execute("PRAGMA foreign_keys = ON")
        # Prompts whose time is over are overwritten, not only forgotten.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")


def _goes_on(connection: sqlite3.Connection, error: Exception) -> bool:
    """Tell whether a connection is as good as before. While a disk is full no new one could be opened."""
    if not isinstance(error, sqlite3.OperationalError):
        return False
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in _PASSING and not connection.in_transaction


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        # After some errors SQLite has done so itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        # The error that brought us here tells more; closing the connection rolls back too.
        pass


def _write_ahead(connection: sqlite3.Connection) -> bool:
    """Have the file use a write-ahead log. SQLite does not always wait for others that ask it."""
    for _ in range(_TURNS):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            # Here it does wait: for whoever reads or writes the file now.
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        else:
            return bool(mode == "wal")
    raise sqlite3.OperationalError("database is locked")

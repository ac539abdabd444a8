"""What went wrong with a SQLite file, told as StoreErrors: what happened, which file, what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from trunkline.store.seam import (
    StoreConflictError,
    StoreError,
    StoreMissingError,
    StoreValueError,
)

TROUBLE = (
    sqlite3.Error,
    OSError,
    OverflowError,
    UnicodeError,
    msgspec.MsgspecError,
)
"""What SQLite and the reading of its rows raise."""

_BY_CODE: dict[int, str] = {
    sqlite3.SQLITE_BUSY: "another process holds it; end that one, or try again when it is done",
    sqlite3.SQLITE_LOCKED: "another process holds it; end that one, or try again when it is done",
    sqlite3.SQLITE_FULL: "its disk is full; free some space, then it goes on by itself",
    sqlite3.SQLITE_READONLY: "it cannot be written; let this user write the file, those beside it "
    "that end in -wal and -shm, and their folder",
    sqlite3.SQLITE_PERM: "it cannot be opened; let this user read and write the file",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that it is a file in a folder that this "
    "user can write",
    sqlite3.SQLITE_IOERR: "its disk failed to read or write; check the disk, its quota and limits",
    sqlite3.SQLITE_CORRUPT: "it is damaged; stop, and put a backup in its place",
    sqlite3.SQLITE_NOTADB: "it is damaged, or no SQLite database; put a backup in its place, or "
    "name another file",
    sqlite3.SQLITE_NOMEM: "memory ran out",
}
_VALUES: dict[int, str] = {
    sqlite3.SQLITE_TOOBIG: "a value is too long",
    sqlite3.SQLITE_MISMATCH: "a value is of the wrong type",
    sqlite3.SQLITE_CONSTRAINT: "a value is not allowed",
}
_CONFLICTS = {
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
}


def explained(error: Exception, path: Path) -> StoreError:
    """Return the StoreError that tells what one of TROUBLE means; chain it with `from`."""
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, path)
    if isinstance(error, (OverflowError, UnicodeError)):
        return StoreValueError(f"The store {path} cannot keep a value: {error}.")
    if isinstance(error, msgspec.MsgspecError):
        return StoreError(
            f"The store {path} holds a record that cannot be read ({error}); something else than "
            "Trunkline wrote to it: put a backup in its place."
        )
    return StoreError(
        f"The store {path} cannot be opened ({error}); check that it is a file that this "
        "user can read and write, in a folder that this user can write."
    )


def _of_sqlite(error: sqlite3.Error, path: Path) -> StoreError:
    # Errors of the module itself, not of the library, have no code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & 0xFF
    if code in _CONFLICTS:
        return StoreConflictError(f"The store {path} has that already: {error}.")
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return StoreMissingError(f"The store {path} has no key of that id: {error}.")
    if primary in _VALUES:
        return StoreValueError(f"The store {path}: {_VALUES[primary]} ({error}).")
    if "no such table" in str(error):
        return StoreError(f"The store {path} is empty or not up to date ({error}); migrate it.")
    meaning = _BY_CODE.get(primary, "SQLite refused")
    return StoreError(f"The store {path}: {meaning} ({error}).")

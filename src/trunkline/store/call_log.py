"""The log of calls: a SQLite file that several processes write to at the same time.

It opens nothing before it is asked, and every method raises StoreError.
"""

# ruff: noqa: S608 - the parts that texts are built from are constants of this module

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from trunkline.store.logged import LogFilter, Logged, LoggedAttempt, LoggedCall, LoggedContent
from trunkline.store.migrations import Migration
from trunkline.store.sqlite_file import SqliteFile
from trunkline.store.sqlite_schema import migrate

T = TypeVar("T", bound=msgspec.Struct)

_FIRST = Migration(
    "calls, attempts, contents",
    (
        """CREATE TABLE calls (
            id TEXT PRIMARY KEY NOT NULL, started TEXT NOT NULL, task TEXT NOT NULL,
            model TEXT NOT NULL, outcome TEXT NOT NULL, seconds REAL NOT NULL,
            stream INTEGER NOT NULL, request_id TEXT, job TEXT, provider TEXT,
            answered_model TEXT, first_token REAL, input_tokens INTEGER, output_tokens INTEGER,
            cached_tokens INTEGER, token_source TEXT NOT NULL, cost TEXT,
            cost_source TEXT NOT NULL, cost_detail TEXT NOT NULL, prices_as_of TEXT,
            error TEXT, status INTEGER, message TEXT, attempts INTEGER NOT NULL, bill_to TEXT,
            credential TEXT, route TEXT, version TEXT NOT NULL)""",
        "CREATE INDEX calls_by_time ON calls (started)",
        "CREATE INDEX calls_by_request ON calls (request_id) WHERE request_id IS NOT NULL",
        """CREATE TABLE attempts (
            call TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE, number INTEGER NOT NULL,
            provider TEXT, model TEXT NOT NULL, url TEXT NOT NULL, status INTEGER, error TEXT,
            request_id TEXT, started REAL NOT NULL, seconds REAL NOT NULL, role TEXT NOT NULL,
            moved TEXT, input_tokens INTEGER, output_tokens INTEGER, cost TEXT,
            PRIMARY KEY (call, number)) WITHOUT ROWID""",
        """CREATE TABLE contents (
            call TEXT PRIMARY KEY NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
            asked TEXT NOT NULL, answered TEXT)""",
    ),
)
STEPS: tuple[Migration, ...] = (_FIRST,)

BUSY_SECONDS = 2.0
"""How long a file that another process writes to is waited for."""
_AT_ONCE = 500
"""Ids in one statement: old versions of SQLite take no more than 999."""
_SLICE = 2000
"""Calls that are deleted in one transaction: others write in between."""


def _insert(table: str, kind: type[msgspec.Struct]) -> str:
    names = kind.__struct_fields__
    return (
        f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    )


_CALL, _ATTEMPT, _CONTENT = (
    _insert(table, kind)
    for table, kind in (
        ("calls", LoggedCall),
        ("attempts", LoggedAttempt),
        ("contents", LoggedContent),
    )
)
_COLUMNS = ", ".join(LoggedCall.__struct_fields__)
_FIND = (
    "id = ?",
    "request_id = ?",
    "id IN (SELECT call FROM attempts WHERE request_id = ?)",
    "job = ?",
    "id >= ?1 AND id < ?1 || '{'",  # `{` is behind every character of an id
)
"""How a call is looked for by what a user has of it; the last is the beginning of its id."""
_SHORTEST = 8
"""Characters of an id's beginning that are taken for one: `call_` and three more."""


class CallLog:
    """The file. Usable from any number of threads; a child process opens its own."""

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        """Open nothing yet."""
        self.path = path.absolute()
        self._busy_seconds = busy_seconds
        self._file = self._closed_file()
        self._migrated = False

    def add(self, logged: Sequence[Logged]) -> None:
        """Keep calls, all or none of them; one that is there already stays as it is."""
        self.migrate()
        with self._file.writing() as connection:
            connection.executemany(_CALL, [_row(one.call) for one in logged])
            connection.executemany(_ATTEMPT, [_row(a) for one in logged for a in one.attempts])
            contents = [_row(one.content) for one in logged if one.content is not None]
            connection.executemany(_CONTENT, contents)

    def migrate(self) -> None:
        """Make the tables if the file is new; refuses another program's, or a newer one's."""
        if not self._migrated:
            migrate(self._file, STEPS)
            self._migrated = True

    def calls(self, wanted: LogFilter, limit: int) -> list[LoggedCall]:
        """Return the newest calls, the last one first."""
        self.migrate()
        conditions, values = _conditions(wanted)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        text = f"SELECT {_COLUMNS} FROM calls{where} ORDER BY started DESC, id DESC LIMIT ?"
        with self._file.reading() as connection:
            rows = connection.execute(text, (*values, limit)).fetchall()
        return [_read(LoggedCall, row) for row in rows]

    def with_attempts(self, wanted: LogFilter, limit: int) -> list[Logged]:
        """Return the newest calls with their attempts and without content, the last one first."""
        calls = self.calls(wanted, limit)
        found: dict[str, list[LoggedAttempt]] = {call.id: [] for call in calls}
        ids = list(found)
        with self._file.reading() as connection:
            for start in range(0, len(ids), _AT_ONCE):
                part = ids[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(part))
                rows = connection.execute(
                    f"SELECT * FROM attempts WHERE call IN ({marks}) ORDER BY call, number", part
                )
                for row in rows:
                    found[row[0]].append(_read(LoggedAttempt, row))
        return [Logged(call, tuple(found[call.id])) for call in calls]

    def find(self, wanted: str) -> Logged | None:
        """Return the newest call of an id, a provider's request id, a job or an id's beginning."""
        self.migrate()
        with self._file.reading() as connection:
            row = _looked_for(connection, wanted)
            if row is None:
                return None
            call = _read(LoggedCall, row)
            attempts = connection.execute(
                "SELECT * FROM attempts WHERE call = ? ORDER BY number", (call.id,)
            ).fetchall()
            content = connection.execute(
                "SELECT * FROM contents WHERE call = ?", (call.id,)
            ).fetchone()
        return Logged(
            call,
            tuple(_read(LoggedAttempt, one) for one in attempts),
            None if content is None else _read(LoggedContent, content),
        )

    def prune(self, *, before: str | None = None, keep: int | None = None) -> int:
        """Delete calls that started before a time, or all but the newest; return how many."""
        self.migrate()
        deleted = 0
        if before is not None:
            deleted += self._delete("SELECT id FROM calls WHERE started < ? LIMIT ?", before)
        if keep is not None:
            # The oldest of those that are too many, slice by slice, in the order of the index.
            with self._file.reading() as connection:
                row = connection.execute(
                    "SELECT started FROM calls ORDER BY started DESC LIMIT 1 OFFSET ?", (keep,)
                ).fetchone()
            if row is not None:
                text = "SELECT id FROM calls WHERE started <= ? LIMIT ?"
                deleted += self._delete(text, row[0])
        return deleted

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        self._file.close()
        self._file = self._closed_file()

    def _closed_file(self) -> SqliteFile:
        return SqliteFile(self.path, busy_seconds=self._busy_seconds, durable=False)

    def _delete(self, chosen: str, value: str) -> int:
        deleted = 0
        while True:
            with self._file.writing() as connection:
                found = connection.execute(
                    f"DELETE FROM calls WHERE id IN ({chosen})", (value, _SLICE)
                ).rowcount
            deleted += found
            if found < _SLICE:
                return deleted


def _looked_for(connection: sqlite3.Connection, wanted: str) -> Any:
    conditions = _FIND if len(wanted) >= _SHORTEST else _FIND[:-1]
    for condition in conditions:
        text = f"SELECT {_COLUMNS} FROM calls WHERE {condition} ORDER BY started DESC LIMIT 1"
        row = connection.execute(text, (wanted,)).fetchone()
        if row is not None:
            return row
    return None


def _conditions(wanted: LogFilter) -> tuple[list[str], list[Any]]:
    rows: tuple[tuple[str, Any], ...] = (
        (
            "(instr(lower(model), lower(?1)) OR instr(lower(answered_model), lower(?1)))",
            wanted.model,
        ),
        ("provider = ?", wanted.provider),
        ("task = ?", wanted.task),
        ("started >= ?", wanted.since),
        ("outcome <> 'ok'", None if not wanted.failed else ()),
    )
    given = [(text, value) for text, value in rows if value is not None]
    return [text for text, _ in given], [value for _, value in given if value != ()]


def _row(record: msgspec.Struct) -> tuple[Any, ...]:
    return msgspec.structs.astuple(record)


def _read(kind: type[T], row: Sequence[Any]) -> T:
    named = dict(zip(kind.__struct_fields__, row, strict=True))
    return msgspec.convert(named, kind, strict=False)

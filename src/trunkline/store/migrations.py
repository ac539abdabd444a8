"""The schema of the SQLite store as numbered steps, and how a file is brought up to date.

A step that was released is never edited: every database has its checksum. Add another one.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from trunkline.store.seam import StoreError, StoreTooNewError
from trunkline.store.sqlite_file import SqliteFile


class Migration(msgspec.Struct, frozen=True):
    """One step; its number is its place in the list, from 1."""

    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """SHA-256 of its text."""
        text = "\n;\n".join((self.name, *self.statements))
        return hashlib.sha256(text.encode()).hexdigest()


_FIRST = Migration(
    "keys, accounts, ledger, spend, journals, contents",
    (
        "CREATE TABLE access (number INTEGER NOT NULL)",
        "INSERT INTO access VALUES (1)",
        """CREATE TABLE keys (
            id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
            owner TEXT, team TEXT,
            scope TEXT NOT NULL, limits TEXT NOT NULL, budgets TEXT NOT NULL,
            created REAL NOT NULL, expires REAL, revoked REAL)""",
        """CREATE TABLE secrets (
            digest BLOB PRIMARY KEY NOT NULL, key TEXT NOT NULL REFERENCES keys (id),
            hint TEXT NOT NULL, created REAL NOT NULL, expires REAL)""",
        "CREATE INDEX secrets_of_key ON secrets (key)",
        """CREATE TABLE accounts (
            kind TEXT NOT NULL, name TEXT NOT NULL, limits TEXT NOT NULL, budgets TEXT NOT NULL,
            PRIMARY KEY (kind, name)) WITHOUT ROWID""",
        # With rowids: appending to it costs less than appending to a table without.
        """CREATE TABLE ledger (
            id TEXT PRIMARY KEY NOT NULL, boot TEXT NOT NULL, key TEXT NOT NULL,
            owner TEXT, team TEXT, endpoint TEXT NOT NULL, model TEXT NOT NULL,
            stream INTEGER NOT NULL, started REAL NOT NULL, reserved INTEGER NOT NULL,
            state TEXT NOT NULL, ended REAL, status INTEGER, outcome TEXT NOT NULL, error TEXT,
            upstream TEXT NOT NULL, provider TEXT, target_model TEXT NOT NULL,
            attempts INTEGER NOT NULL, input_tokens INTEGER, output_tokens INTEGER,
            cached_tokens INTEGER, token_source TEXT NOT NULL, cost INTEGER,
            charged INTEGER NOT NULL, input_price INTEGER, output_price INTEGER,
            price_source TEXT NOT NULL, first_byte REAL, upstream_id TEXT, note TEXT)""",
        "CREATE INDEX ledger_open ON ledger (id) WHERE state = 'open'",
        # Sums of money outgrow 64 bits: whole thousandths of a dollar, and picodollars below one.
        """CREATE TABLE spend (
            day TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, team TEXT NOT NULL,
            model TEXT NOT NULL, provider TEXT NOT NULL,
            calls INTEGER NOT NULL, unpriced INTEGER NOT NULL, failed INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL CHECK (typeof(input_tokens) = 'integer'),
            output_tokens INTEGER NOT NULL CHECK (typeof(output_tokens) = 'integer'),
            cost_mills INTEGER NOT NULL, cost_picos INTEGER NOT NULL,
            charged_mills INTEGER NOT NULL, charged_picos INTEGER NOT NULL,
            PRIMARY KEY (day, key, owner, team, model, provider)) WITHOUT ROWID""",
        "CREATE TABLE journals (name TEXT PRIMARY KEY NOT NULL, position INTEGER NOT NULL)",
        """CREATE TABLE contents (
            id TEXT PRIMARY KEY NOT NULL, prompt TEXT NOT NULL, answer TEXT NOT NULL,
            kept REAL NOT NULL, expires REAL NOT NULL)""",
        "CREATE INDEX contents_by_end ON contents (expires)",
    ),
)
MIGRATIONS: tuple[Migration, ...] = (_FIRST,)

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_CREATE = """CREATE TABLE migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
    applied TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"""
_APPLIED = "SELECT number, name, checksum FROM migrations ORDER BY number"
_NOTE = "INSERT INTO migrations (number, name, checksum) VALUES (?, ?, ?)"


def migrate(file: SqliteFile, steps: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Apply the steps that a file lacks, each in a transaction, and return their names.

    Others that start at the same time wait, and find it done.
    """
    applied: list[str] = []
    while True:
        with file.writing() as connection:
            known = _known(connection, file.path)
            _check(known, steps, file.path)
            if len(known) == len(steps):
                return applied
            step = steps[len(known)]
            for statement in step.statements:
                connection.execute(statement)
            connection.execute(_NOTE, (len(known) + 1, step.name, step.checksum))
        applied.append(step.name)


def _known(connection: sqlite3.Connection, path: Path) -> list[tuple[int, str, str]]:
    """Return the steps that were applied, and begin their table where the file is empty."""
    tables = {name for (name,) in connection.execute(_TABLES)}
    if not tables:
        connection.execute(_CREATE)
    elif "migrations" not in tables:
        raise StoreError(f"The file {path} is another program's database; name another file.")
    return connection.execute(_APPLIED).fetchall()


def _check(known: list[tuple[int, str, str]], steps: Sequence[Migration], path: Path) -> None:
    if len(known) > len(steps):
        raise StoreTooNewError(
            f"The store {path} was changed by a newer Trunkline: its schema has step {len(known)} "
            f"({known[-1][1]}), this program knows {len(steps)}. Use the newer program, or a "
            "backup from before."
        )
    for place, (number, name, checksum) in enumerate(known):
        step = steps[place]
        if (number, checksum) != (place + 1, step.checksum):
            raise StoreError(
                f"The store {path} was made with another step {number} of the schema ({name}) "
                f"than this program's ({step.name}); use the program that made it."
            )

"""How a SQLite file gets its schema: once, whole, by one of many, and never from a newer program."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from store_samples import a_batch, a_key, a_secret, an_entry, ended, unmeasured

from trunkline.store.migrations import Migration
from trunkline.store.records import Entry
from trunkline.store.seam import StoreError, StoreTooNewError
from trunkline.store.sqlite import SqliteStore
from trunkline.store.sqlite_file import SqliteFile
from trunkline.store.sqlite_schema import MIGRATIONS, migrate

SECOND = Migration("second", ("CREATE TABLE more (x)", "INSERT INTO more VALUES (1)"))
MORTAL = """
import os, signal, sys
from pathlib import Path
from trunkline.store.migrations import Migration
from trunkline.store.sqlite_schema import MIGRATIONS, migrate
from trunkline.store.sqlite_file import SqliteFile

class Mortal(SqliteFile):
    def _open(self):
        connection = super()._open()
        connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
        return connection

step, place = int(sys.argv[2]), int(sys.argv[3])
steps = [*MIGRATIONS, Migration("second", ("CREATE TABLE more (x)", "INSERT INTO more VALUES (1)"))]
statements = list(steps[step].statements)
statements.insert(place, "SELECT die()")
steps[step] = Migration(steps[step].name, tuple(statements))
migrate(Mortal(Path(sys.argv[1]), busy_seconds=5, durable=True), steps)
"""
STARTER = """
import sys
from trunkline.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(len(store.migrate()), store.version(), flush=True)
store.close()
"""


def a_file(path: Path) -> SqliteFile:
    return SqliteFile(path, busy_seconds=5.0, durable=True)


def schema(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_a_new_file_gets_every_step_once(tmp_path: Path):
    store = SqliteStore(tmp_path / "gateway.db")
    assert store.migrate() == [step.name for step in MIGRATIONS]
    assert store.migrate() == []
    store.close()


def test_the_ledger_has_an_entrys_fields_in_their_order(tmp_path: Path):
    with closing(SqliteStore(tmp_path / "gateway.db")) as store:
        store.migrate()
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as connection:
        columns = connection.execute("SELECT name FROM pragma_table_info('ledger')").fetchall()
    assert [name for (name,) in columns] == list(Entry.__struct_fields__)


def test_a_later_step_keeps_what_is_there(tmp_path: Path):
    store = SqliteStore(tmp_path / "gateway.db")
    store.migrate()
    store.add_key(a_key(), a_secret())
    store.commit(a_batch(1, ended(1), an_entry(2)))
    file = a_file(tmp_path / "gateway.db")
    assert migrate(file, [*MIGRATIONS, SECOND]) == ["second"]
    file.close()
    assert store.keys() == [a_key()]
    assert store.open_entries() == [an_entry(2)]
    store.close()


@pytest.mark.parametrize("place", range(len(MIGRATIONS[0].statements) + 1))
def test_killed_in_the_middle_of_the_first_step_nothing_is_there(tmp_path: Path, place: int):
    path = tmp_path / "gateway.db"
    child = subprocess.run(
        [sys.executable, "-c", MORTAL, str(path), "0", str(place)], env=unmeasured()
    )
    assert child.returncode == -9
    assert schema(path) == []
    store = SqliteStore(path)
    assert store.migrate() == [step.name for step in MIGRATIONS]
    assert store.version() == 1
    store.close()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_killed_in_the_middle_of_a_later_step_the_earlier_ones_are_there(
    tmp_path: Path, place: int
):
    path = tmp_path / "gateway.db"
    step = str(len(MIGRATIONS))
    child = subprocess.run(
        [sys.executable, "-c", MORTAL, str(path), step, str(place)], env=unmeasured()
    )
    assert child.returncode == -9
    assert "more" not in dict(schema(path))
    file = a_file(path)
    assert migrate(file, [*MIGRATIONS, SECOND]) == ["second"]
    with file.reading() as connection:
        assert connection.execute("SELECT * FROM more").fetchall() == [(1,)]
    file.close()


@pytest.mark.parametrize("turn", range(3))
def test_of_many_that_start_at_once_one_migrates_and_the_others_wait(tmp_path: Path, turn: int):
    path = tmp_path / "new" / "gateway.db"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    told = [child.communicate(timeout=60) for child in children]
    assert [error for _, error in told] == [""] * 4
    # Of several steps each may be another's.
    assert sum(int(out.split()[0]) for out, _ in told) == len(MIGRATIONS)
    assert {out.split()[1] for out, _ in told} == {"1"}


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "gateway.db"
    file = a_file(path)
    migrate(file, [*MIGRATIONS, SECOND])
    file.close()
    before = schema(path)
    store = SqliteStore(path)
    with pytest.raises(StoreTooNewError, match=r"gateway\.db .* newer Trunkline.*second"):
        store.migrate()
    store.close()
    assert schema(path) == before


def test_a_step_that_was_changed_since_is_refused(tmp_path: Path):
    path = tmp_path / "gateway.db"
    first = a_file(path)
    migrate(first, [*MIGRATIONS, SECOND])
    changed = Migration("second", (*SECOND.statements, "CREATE TABLE third (x)"))
    with pytest.raises(StoreError, match=r"another step \d+ of the schema \(second\)"):
        migrate(first, [*MIGRATIONS, changed])
    first.close()
    assert "third" not in dict(schema(path))


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path):
    path = tmp_path / "gateway.db"
    file = a_file(path)
    wrong = Migration("wrong", ("CREATE TABLE half (x)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(StoreError, match="nowhere"):
        migrate(file, [*MIGRATIONS, wrong])
    assert "half" not in dict(schema(path))
    assert migrate(file, [*MIGRATIONS, SECOND]) == ["second"]
    file.close()


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    before = schema(path)
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="another program's"):
        store.migrate()
    store.close()
    assert schema(path) == before

"""What a SQLite store does on a full disk, a locked, damaged or read-only file: it says so, loses
nothing, and goes on when the trouble is over."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from store_samples import a_batch, a_content, a_key, a_secret, a_spend, an_entry, ended

from trunkline.store import sqlite_statements as own
from trunkline.store import statements as sql
from trunkline.store.seam import StoreConflictError, StoreError, StoreValueError
from trunkline.store.sqlite import SqliteStore
from trunkline.store.sqlite_file import SqliteFile, _write_ahead


@contextmanager
def opened(path: Path, **options: object) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path, **options)) as store:
        store.migrate()
        yield store


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A folder and a user for whom permissions hold; to root they say nothing."""
    before = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        if before == 0:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(before)


def test_the_files_are_this_users_alone_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        with opened(tmp_path / "new" / "gateway.db") as store:
            store.add_key(a_key(), a_secret())
            files = sorted((tmp_path / "new").iterdir())
            assert [file.name for file in files] == [
                "gateway.db",
                "gateway.db-shm",
                "gateway.db-wal",
            ]
            assert [mode(file) for file in files] == [0o600] * 3
            assert mode(tmp_path / "new") == 0o700
    finally:
        os.umask(before)


def test_a_folder_and_a_file_that_are_there_keep_their_modes(tmp_path: Path):
    tmp_path.chmod(0o750)
    path = tmp_path / "gateway.db"
    path.touch()
    path.chmod(0o640)
    with opened(path):
        assert (mode(tmp_path), mode(path)) == (0o750, 0o640)


def test_opening_makes_no_file_before_something_is_asked(tmp_path: Path):
    SqliteStore(tmp_path / "gateway.db").close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("durable", [True, False])
def test_durable_decides_how_commits_are_synced(tmp_path: Path, durable: bool):
    file = SqliteFile(tmp_path / "gateway.db", busy_seconds=1.0, durable=durable)
    with file.reading() as connection:
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        assert (level, journal) == (2 if durable else 1, "wal")
    file.close()


def test_a_locked_store_is_an_error_after_the_busy_time_and_can_be_read(tmp_path: Path):
    path = tmp_path / "gateway.db"
    with opened(path, busy_seconds=0.05) as store, closing(sqlite3.connect(path)) as other:
        store.commit(a_batch(1, ended(1)))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreError, match=r"gateway\.db: another process holds it; .* try again"
        ):
            store.commit(a_batch(2, ended(2)))
        assert store.entries() == [ended(1)]
        other.rollback()
        store.commit(a_batch(2, ended(2)))
        assert store.position("one") == 2


@pytest.mark.parametrize("held", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN"])
def test_a_new_file_that_another_process_holds_is_an_error_until_it_lets_go(
    tmp_path: Path, held: str
):
    path = tmp_path / "gateway.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 1")
        other.execute(held)
        other.execute("SELECT * FROM sqlite_master").fetchall()
        with closing(SqliteStore(path, busy_seconds=0.05)) as store:
            with pytest.raises(StoreError, match="another process holds it"):
                store.migrate()
            other.execute("ROLLBACK")
            assert store.migrate() != []


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_new_file_is_used_when_others_let_it_go_and_given_up_when_they_never_do(
    tmp_path: Path, comes_back: bool
):
    path = tmp_path / "gateway.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 1")

        def read() -> None:
            other.execute("BEGIN")
            other.execute("SELECT * FROM sqlite_master").fetchall()

        class Waiting(sqlite3.Connection):
            def execute(self, statement: str) -> sqlite3.Cursor:
                if statement == "BEGIN EXCLUSIVE":
                    other.execute("ROLLBACK")
                done = super().execute(statement)
                if statement == "ROLLBACK" and comes_back:
                    read()
                return done

        read()
        with closing(
            sqlite3.connect(path, timeout=0.01, isolation_level=None, factory=Waiting)
        ) as connection:
            if comes_back:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    _write_ahead(connection)
            else:
                assert _write_ahead(connection)


def test_a_place_without_a_write_ahead_log_is_refused(tmp_path: Path):
    file = SqliteFile(tmp_path / "gateway.db", busy_seconds=1.0, durable=True)
    with closing(sqlite3.connect(":memory:")) as memory, pytest.raises(StoreError, match="local"):
        file._prepare(memory)


def test_a_connection_that_breaks_within_a_transaction_is_an_error_once(tmp_path: Path):
    file = SqliteFile(tmp_path / "gateway.db", busy_seconds=1.0, durable=True)
    with pytest.raises(StoreError, match="closed"), file.writing() as connection:
        connection.execute("CREATE TABLE half (x)")
        connection.close()
    with file.writing() as connection:
        assert connection.execute("SELECT * FROM sqlite_master").fetchall() == []
    file.close()


def test_a_reader_that_stays_does_not_hold_up_commits(tmp_path: Path):
    path = tmp_path / "gateway.db"
    with opened(path, busy_seconds=0.05) as store, closing(sqlite3.connect(path)) as other:
        store.commit(a_batch(1, ended(1)))
        other.execute("BEGIN")
        assert other.execute("SELECT COUNT(*) FROM ledger").fetchone() == (1,)
        store.commit(a_batch(2, ended(2)))
        assert other.execute("SELECT COUNT(*) FROM ledger").fetchone() == (1,)
        assert len(store.entries()) == 2


def test_opening_more_connections_gives_up_no_lock(tmp_path: Path):
    # POSIX drops all locks of a process on a file when it closes any descriptor of that file; then
    # the next process to leave would take itself for the last one, and remove the log.
    path = tmp_path / "gateway.db"
    file = SqliteFile(path, busy_seconds=1.0, durable=True)
    with opened(path) as store, file.reading(), file.reading():
        store.commit(a_batch(1, ended(1)))
        visit = (
            f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('PRAGMA user_version')"
        )
        subprocess.run([sys.executable, "-c", f"{visit}.fetchall(); c.close()"], check=True)
        assert (tmp_path / "gateway.db-wal").exists()
        store.commit(a_batch(2, ended(2)))
    file.close()
    with opened(path) as store:
        assert store.entries() == [ended(2), ended(1)]


@pytest.mark.parametrize("wrong", [0o400, 0o200, 0])
def test_a_file_that_cannot_be_read_and_written_is_an_error(tmp_path: Path, wrong: int):
    with unprivileged() as folder:
        path = folder / "gateway.db"
        with opened(path) as store:
            store.add_key(a_key(), a_secret())
        path.chmod(wrong)
        with closing(SqliteStore(path)) as store:
            with pytest.raises(StoreError, match=r"Permission denied.*that this user can read and"):
                store.add_key(a_key("key_b"), a_secret("key_b"))
            path.chmod(0o600)
            store.add_key(a_key("key_b"), a_secret("key_b"))
            assert store.keys() == [a_key(), a_key("key_b")]


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path):
    with unprivileged() as folder, opened(folder / "gateway.db") as store:
        store.add_key(a_key(), a_secret())
        with closing(SqliteStore(folder / "gateway.db")) as other:
            for name in ("gateway.db-wal", "gateway.db-shm"):
                (folder / name).chmod(0o400)
            with pytest.raises(StoreError, match="write the file, those beside it"):
                other.add_key(a_key("key_b"), a_secret("key_b"))
        assert store.keys() == [a_key()]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path):
    with unprivileged() as folder:
        folder.joinpath("closed").mkdir(mode=0o500)
        store = SqliteStore(folder / "closed" / "gateway.db")
        with pytest.raises(StoreError, match="in a folder that this user can write"):
            store.migrate()


@pytest.mark.parametrize("name", [".", "file/gateway.db", "nul\0"])
def test_a_path_that_can_be_no_file_is_an_error(tmp_path: Path, name: str):
    (tmp_path / "file").touch()
    with closing(SqliteStore(tmp_path / name)) as store, pytest.raises(StoreError, match="opened"):
        store.migrate()


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file may grow beyond a size, as on a full disk, or within a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def large_batch(position: int):
    entries = (ended(position * 1000 + i, note="x" * 2000) for i in range(1000))
    return a_batch(position, *entries, spend=(a_spend(calls=1000),))


def test_files_that_may_not_grow_are_an_error_and_nothing_is_half_written(tmp_path: Path):
    path = tmp_path / "gateway.db"
    with opened(path) as store:
        store.commit(a_batch(1, an_entry(1)))
        with small_files(500_000):
            for _ in range(2):
                with pytest.raises(StoreError, match=r"gateway\.db: its disk"):
                    store.commit(large_batch(2))
            assert store.open_entries() == store.entries() == [an_entry(1)]
            assert store.charged("") == []
            assert store.position("one") == 1
        store.commit(large_batch(2))
        assert len(store.entries(limit=10_000)) == 1001
        assert store.charged("") == [a_spend(calls=1000)]


def test_a_full_disk_can_be_read_after_a_commit_has_failed(tmp_path: Path):
    with opened(tmp_path / "gateway.db") as store:
        store.commit(a_batch(1, an_entry(1)))
        with small_files(16_000):  # too little for the files that another connection would make
            with pytest.raises(StoreError, match="its disk"):
                store.commit(large_batch(2))
            assert store.entries() == [an_entry(1)]
        store.commit(large_batch(2))


def test_a_store_that_finds_no_room_is_made_when_there_is_some(tmp_path: Path):
    with closing(SqliteStore(tmp_path / "gateway.db")) as store:
        with small_files(0), pytest.raises(StoreError, match="its disk"):
            store.migrate()
        assert store.migrate() != []
        assert store.version() == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only a user who may mount can fill a disk of his own")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_an_error_and_nothing_is_half_written(small_disk: Path):
    ballast = small_disk / "ballast"
    with opened(small_disk / "gateway.db") as store:
        store.commit(a_batch(1, an_entry(1), spend=(a_spend(),)))
        ballast.write_bytes(b"b" * 7_000_000)
        for _ in range(2):
            with pytest.raises(StoreError, match="free some space"):
                store.commit(large_batch(2))
        assert store.open_entries() == [an_entry(1)]
        assert store.charged("") == [a_spend()]
        assert store.position("one") == 1
        ballast.unlink()
        store.commit(large_batch(2))
        assert store.charged("") == [a_spend(calls=1001)]
    with opened(small_disk / "gateway.db") as store:
        assert len(store.entries(limit=10_000)) == 1001


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ada, " * 1000)
    before = path.read_bytes()
    with closing(SqliteStore(path)) as store, pytest.raises(StoreError, match="no SQLite database"):
        store.migrate()
    assert path.read_bytes() == before


def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path):
    path = tmp_path / "gateway.db"
    with opened(path) as store:
        store.commit(large_batch(1))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(16 * 4096)
        file.write(b"\xff" * (size - 16 * 4096))
    with closing(SqliteStore(path)) as store:
        for _ in range(2):
            with pytest.raises(StoreError, match=r"gateway\.db: it is damaged; .* backup"):
                store.entries(limit=10_000)
        with pytest.raises(StoreError, match="damaged"):
            store.commit(a_batch(2, *(ended(i) for i in range(100))))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE keys SET scope = '{'",
        "UPDATE keys SET role = 'emperor'",
        "UPDATE keys SET budgets = '[{\"amount\": 1}]'",
    ],
)
def test_a_record_that_something_else_wrote_is_an_error(tmp_path: Path, change: str):
    path = tmp_path / "gateway.db"
    with opened(path) as store:
        store.add_key(a_key(), a_secret())
        with closing(sqlite3.connect(path)) as other:
            other.execute(change)
            other.commit()
        with pytest.raises(StoreError, match="cannot be read .* put a backup"):
            store.keys()


def test_counts_beyond_64_bits_are_refused_and_not_rounded(tmp_path: Path):
    with opened(tmp_path / "gateway.db") as store:
        most = a_spend(input_tokens=2**63 - 1)
        store.commit(a_batch(1, spend=(most,)))
        with pytest.raises(StoreValueError):
            store.commit(a_batch(2, ended(1), spend=(a_spend(input_tokens=1),)))
        assert store.charged("") == [most]
        assert store.entries() == []


def test_no_digest_and_no_prompt_is_in_an_error(tmp_path: Path):
    secret = a_secret()
    with opened(tmp_path / "gateway.db") as store:
        store.add_key(a_key(), secret)
        with pytest.raises(StoreConflictError) as known:
            store.add_key(a_key("key_b"), type(secret)(secret.digest, "key_b", "abcd", 1.0))
        with pytest.raises(StoreValueError) as wrong:
            store.keep([a_content(prompt="my canary \ud83d")])
    assert secret.digest.hex() not in str(known.value)
    assert "canary" not in str(wrong.value)


def test_deleted_prompts_are_overwritten(tmp_path: Path):
    path = tmp_path / "gateway.db"
    with opened(path) as store:
        store.keep([a_content(prompt="canary" * 3000)])
    assert b"canary" in path.read_bytes()
    with opened(path) as store:
        store.purge(1e9)
    assert b"canary" not in path.read_bytes()


def test_a_connection_that_is_lent_when_the_file_is_closed_is_closed_on_its_return(tmp_path: Path):
    file = SqliteFile(tmp_path / "gateway.db", busy_seconds=1.0, durable=True)
    with file.reading() as connection:
        file.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


@pytest.mark.parametrize(
    "query",
    [
        sql.OPEN_ENTRIES,
        sql.ENTRY,
        sql.entries(key=True, team=True, before=True),
        own.CHARGED,
        sql.CONTENT,
        sql.PURGE,
    ],
)
def test_what_is_asked_often_is_found_by_an_index(tmp_path: Path, query: str):
    with (
        opened(tmp_path / "gateway.db"),
        closing(sqlite3.connect(tmp_path / "gateway.db")) as other,
    ):
        plan = other.execute(f"EXPLAIN QUERY PLAN {query}", [""] * query.count("?")).fetchall()
    steps = [row[3] for row in plan]
    assert all("INDEX" in step or "PRIMARY KEY" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps

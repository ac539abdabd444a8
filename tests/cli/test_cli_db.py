"""`trunkline db`: a store brought up to date, looked through, and moved to another and back."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from servers import PASSWORD, PASSWORD_IN_URL, PostgresServer
from trunkline.cli import main
from trunkline.gateway.journal_files import FolderLock
from trunkline.store.postgres import PostgresStore
from trunkline.store.records import Batch, Entry, Key, KeySecret, Replica
from trunkline.store.seam import SharedStore
from trunkline.store.sqlite import SqliteStore
from trunkline.store.sums import spend_of

Db = Callable[..., CompletedProcess[str]]


@pytest.fixture
def db(capsys: pytest.CaptureFixture[str]) -> Db:
    """Run `trunkline db`, in this process; no password is ever said."""

    def db(*arguments: str, code: int = 0) -> CompletedProcess[str]:
        capsys.readouterr()
        ended = main(["db", *arguments])
        out, err = capsys.readouterr()
        assert ended == code, (out, err)
        assert PASSWORD not in out + err
        assert PASSWORD_IN_URL not in out + err
        return CompletedProcess(arguments, ended, out, err)

    return db


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "gateway.db")


def an_entry(number: int, **fields: object) -> Entry:
    given: dict[str, object] = {
        "id": f"req_{number:04}", "boot": "boot_1", "key": "key_a", "owner": None, "team": "red",
        "endpoint": "chat", "model": "m", "stream": False, "started": 1_796_000_000.0 + number,
        "reserved": 10, "state": "settled", "outcome": "ok", "cost": 7, "charged": 7,
    }  # fmt: skip
    return Entry(**(given | fields))


def filled(store: SharedStore) -> None:
    store.migrate()
    store.add_key(Key("key_a"), KeySecret(b"digest", "key_a", "abcd", 1.0))
    entries = [an_entry(i) for i in range(500)]
    store.commit(Batch(entries, spend_of(entries), "boot_1-000001", 9))


@pytest.fixture
def full(file: str) -> str:
    with closing(SqliteStore(file)) as store:
        filled(store)
    return file


def test_migrate_prints_the_steps_that_it_took(db: Db, file: str, postgres_url: str):
    for store in (file, postgres_url):
        first = db("migrate", "--store", store)
        assert first.stdout.count("applied: ") >= 3
        assert "is up to date" in first.stderr
        assert db("migrate", "--store", store).stdout == ""


def test_the_configured_store_is_the_one(
    db: Db, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUNKLINE_STORE", postgres_url)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert "applied" in db("migrate").stdout
    assert "nothing is wrong" in db("check").stdout


def test_check_finds_nothing_in_a_store_that_is_well(db: Db, full: str, postgres_url: str):
    with closing(PostgresStore(postgres_url)) as store:
        filled(store)
    for store in (full, postgres_url):
        assert "nothing is wrong" in db("check", "--store", store).stdout
        told = json.loads(db("check", "--store", store, "--json").stdout)
        assert told == {"ok": True, "findings": [], "serving": 0}


def test_check_says_what_is_wrong_and_exits_with_1(
    db: Db, full: str, postgres_server: PostgresServer, postgres_url: str
):
    with closing(PostgresStore(postgres_url)) as store:
        filled(store)
        store.commit(Batch([an_entry(900, state="open", boot="gone")], [], "x", 1))
    postgres_server.execute("UPDATE charges SET amount = amount + 1", url=postgres_url)
    found = db("check", "--store", postgres_url, code=1).stdout
    assert "key key_a was charged" in found
    assert "1 open call of process gone, which has left" in found
    with closing(sqlite3.connect(full)) as file:
        file.execute("UPDATE spend SET calls = calls + 1")
        file.commit()
    found = db("check", "--store", full, code=1).stdout
    assert "501 calls" in found
    told = json.loads(db("check", "--store", full, "--json", code=1).stdout)
    assert told["ok"] is False
    assert len(told["findings"]) == 1


def test_check_knows_the_processes_whose_journals_are_there(db: Db, full: str):
    with closing(SqliteStore(full)) as store:
        store.commit(Batch([an_entry(900, state="open", boot="dead")], [], "x", 1))
    assert "process dead" in db("check", "--store", full, code=1).stdout
    folder = Path(f"{full}.journal") / "0"
    folder.mkdir(parents=True)
    (folder / "dead-000001.journal").touch()
    db("check", "--store", full)


def test_check_of_a_schema_that_is_not_up_to_date_says_so(db: Db, file: str, postgres_url: str):
    with closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA user_version")
    Path(file).touch(0o600)
    for store in (file, postgres_url):
        assert "the schema lacks: keys," in db("check", "--store", store, code=1).stdout


def test_a_store_that_is_not_there_is_an_error(db: Db, file: str):
    assert "There is no store at" in db("check", "--store", file, code=1).stderr
    assert not Path(file).exists()


def test_without_the_driver_it_is_said_what_to_install():
    program = (
        "import sys; sys.modules['asyncpg'] = None\n"
        "from trunkline.cli import main\n"
        "sys.exit(main(['db', 'check', '--store', 'postgresql://ada:sesame@db/x']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'trunkline[postgres]'" in done.stderr
    assert "ada:****@db" in done.stderr
    assert "sesame" not in done.stderr


def same(one: SharedStore, other: SharedStore) -> bool:
    return (
        one.keys() == other.keys()
        and one.secrets() == other.secrets()
        and one.entries(limit=1000) == other.entries(limit=1000)
        and one.charged("") == other.charged("")
    )


def test_a_store_goes_to_a_database_and_back_whole(
    db: Db, full: str, tmp_path: Path, postgres_url: str
):
    before = Path(full).read_bytes()
    told = db("export", "--store", full, "--to", postgres_url)
    assert "ledger: 500" in told.stdout
    assert "charged in all: $0.0000000035" in told.stdout
    assert Path(full).read_bytes() == before
    back = str(tmp_path / "back.db")
    db("export", "--store", postgres_url, "--to", back)
    with (
        closing(SqliteStore(full)) as first,
        closing(PostgresStore(postgres_url)) as second,
        closing(SqliteStore(back)) as third,
    ):
        assert same(first, second)
        assert same(first, third)
    for store in (postgres_url, back):
        db("check", "--store", store)


def test_a_target_that_is_not_empty_is_refused(
    db: Db, full: str, tmp_path: Path, postgres_url: str
):
    db("export", "--store", full, "--to", postgres_url)
    assert "is not empty" in db("export", "--store", full, "--to", postgres_url, code=1).stderr
    assert "into itself" in db("export", "--store", full, "--to", full, code=1).stderr


def test_while_a_gateway_serves_nothing_is_moved(db: Db, full: str, postgres_url: str):
    with closing(SqliteStore(full)) as store:
        store.join(Replica("boot_2", "host 7", 1.0, ""))
        refused = db("export", "--store", full, "--to", postgres_url, code=1).stderr
        assert "A gateway serves from the store (host 7)" in refused
        store.leave("boot_2")
    folder = Path(f"{full}.journal")
    lock = FolderLock(folder)
    assert "Another gateway" in db("export", "--store", full, "--to", postgres_url, code=1).stderr
    lock.release()
    (folder / "boot_2-000001.journal").touch()
    assert (
        "not in the store yet" in db("export", "--store", full, "--to", postgres_url, code=1).stderr
    )
    (folder / "boot_2-000001.journal").unlink()
    db("export", "--store", full, "--to", postgres_url)


@pytest.mark.parametrize("after", [1, 5, 6])
def test_a_move_that_is_killed_has_done_nothing_and_is_done_again(
    db: Db, full: str, postgres_url: str, tmp_path: Path, after: int
):
    killed = (
        "import os, signal, sys\n"
        "from trunkline.store import sqlite_books\n"
        "whole = sqlite_books.SqliteBooks.pieces\n"
        "def pieces(self, *names):\n"
        "    for number, piece in enumerate(whole(self, *names)):\n"
        f"        if number == {after} and not names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        yield piece\n"
        "sqlite_books.SqliteBooks.pieces = pieces\n"
        "from trunkline.cli import main\n"
        "main(['db', 'export', '--store', sys.argv[1], '--to', sys.argv[2]])\n"
    )
    for target in (postgres_url, str(tmp_path / "new.db")):
        done = subprocess.run([sys.executable, "-c", killed, full, target], capture_output=True)
        assert done.returncode == -9, done.stderr
        db("export", "--store", full, "--to", target)
        db("check", "--store", target)

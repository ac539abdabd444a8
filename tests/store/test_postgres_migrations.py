"""How a database gets its schema: once, whole, by one of many, and never from a newer program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from store_samples import a_batch, a_key, a_secret, an_entry, ended, unmeasured

from servers import PostgresServer
from trunkline.store.migrations import Migration
from trunkline.store.postgres import PostgresStore
from trunkline.store.postgres_schema import MIGRATIONS, migrate
from trunkline.store.records import Entry
from trunkline.store.seam import StoreError, StoreTooNewError

SECOND = Migration("second", ("CREATE TABLE more (x int)", "INSERT INTO more VALUES (1)"))
MORTAL = """
import os, signal, sys
import asyncpg
from trunkline.store.migrations import Migration
from trunkline.store.postgres import PostgresStore
from trunkline.store.postgres_schema import MIGRATIONS, migrate

left = int(sys.argv[2])
whole = asyncpg.Connection.execute

async def execute(self, *arguments, **more):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return await whole(self, *arguments, **more)

asyncpg.Connection.execute = execute
store = PostgresStore(sys.argv[1])
print(len(migrate(store._pool)), flush=True)
store.close()
"""
STARTER = """
import sys
from trunkline.store.postgres import PostgresStore
store = PostgresStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(len(store.migrate()), store.version(), flush=True)
store.close()
"""
TABLES = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"


@contextmanager
def opened(url: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore(url)) as store:
        yield store


def tables(server: PostgresServer, url: str) -> list[object]:
    return [row[0] for row in server.execute(TABLES, url=url)]


def test_a_new_database_gets_every_step_once(postgres_url: str):
    with opened(postgres_url) as store:
        assert store.migrate() == [step.name for step in MIGRATIONS]
        assert store.migrate() == []


def test_the_ledger_has_an_entrys_fields_in_their_order(
    postgres_server: PostgresServer, postgres_url: str
):
    with opened(postgres_url) as store:
        store.migrate()
    columns = postgres_server.execute(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'ledger'::regclass AND attnum > 0 ORDER BY attnum",
        url=postgres_url,
    )
    assert [name for (name,) in columns] == list(Entry.__struct_fields__)


def test_a_later_step_keeps_what_is_there(postgres_url: str):
    with opened(postgres_url) as store:
        store.migrate()
        store.add_key(a_key(), a_secret())
        store.commit(a_batch(1, ended(1), an_entry(2)))
        assert migrate(store._pool, [*MIGRATIONS, SECOND]) == ["second"]
        assert store.keys() == [a_key()]
        assert store.open_entries() == [an_entry(2)]


@pytest.mark.slow
def test_killed_before_any_statement_the_next_start_goes_on(postgres_server: PostgresServer):
    seen: set[int] = set()
    for number in range(0, 200, 4):  # it ends by itself, once all is done
        url = postgres_server.new_database()
        command = [sys.executable, "-c", MORTAL, url, str(number)]
        done = subprocess.run(command, env=unmeasured(), capture_output=True, text=True)
        assert done.returncode in (0, -9), done.stderr
        found = tables(postgres_server, url)
        if found:
            # Whole steps are there, or nothing is.
            assert {"migrations", "keys", "reloads"} <= set(found)
            seen.add(len(postgres_server.execute("SELECT * FROM migrations", url=url)))
        else:
            seen.add(0)
        with opened(url) as store:
            store.migrate()
            assert store.version() == 1
            assert store.migrate() == []
        if done.returncode == 0:
            break
    assert 0 in seen
    assert len(MIGRATIONS) in seen
    assert len(seen) > 2


@pytest.mark.parametrize("turn", range(2))
def test_of_many_that_start_at_once_one_migrates_and_the_others_wait(postgres_url: str, turn: int):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, postgres_url],
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
    assert sum(int(out.split()[0]) for out, _ in told) == len(MIGRATIONS)
    assert {out.split()[1] for out, _ in told} == {"1"}


def test_a_newer_schema_is_refused_and_left_alone(
    postgres_server: PostgresServer, postgres_url: str
):
    with opened(postgres_url) as store:
        migrate(store._pool, [*MIGRATIONS, SECOND])
        before = tables(postgres_server, postgres_url)
        with pytest.raises(StoreTooNewError, match=r"test_\d+ .* newer Trunkline.*second"):
            store.migrate()
        with pytest.raises(StoreTooNewError):
            store.books().lacking()
    assert tables(postgres_server, postgres_url) == before


def test_a_step_that_was_changed_since_is_refused(
    postgres_server: PostgresServer, postgres_url: str
):
    changed = Migration("second", (*SECOND.statements, "CREATE TABLE third (x int)"))
    with opened(postgres_url) as store:
        migrate(store._pool, [*MIGRATIONS, SECOND])
        with pytest.raises(StoreError, match=r"another step \d+ of the schema \(second\)"):
            migrate(store._pool, [*MIGRATIONS, changed])
    assert "third" not in tables(postgres_server, postgres_url)


def test_a_step_that_fails_leaves_nothing_behind(
    postgres_server: PostgresServer, postgres_url: str
):
    wrong = Migration("wrong", ("CREATE TABLE half (x int)", "INSERT INTO nowhere VALUES (1)"))
    with opened(postgres_url) as store:
        with pytest.raises(StoreError, match="nowhere"):
            migrate(store._pool, [*MIGRATIONS, wrong])
        assert "half" not in tables(postgres_server, postgres_url)
        assert migrate(store._pool, [*MIGRATIONS, SECOND]) == ["second"]


@pytest.mark.parametrize("theirs", ["bookmarks (url text)", "migrations (id int, batch int)"])
def test_another_programs_database_is_refused_and_left_alone(
    postgres_server: PostgresServer, postgres_url: str, theirs: str
):
    postgres_server.execute(f"CREATE TABLE {theirs}", url=postgres_url)
    before = tables(postgres_server, postgres_url)
    with opened(postgres_url) as store:
        with pytest.raises(StoreError, match="is another program's; make one for Trunkline alone"):
            store.migrate()
        with pytest.raises(StoreError, match="another program's"):
            store.books().lacking()
    assert tables(postgres_server, postgres_url) == before


def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server: PostgresServer):
    postgres_server.execute("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII'")
    with (
        opened(postgres_server.url("bytes")) as store,
        pytest.raises(StoreError, match="keeps text as SQL_ASCII.*with the encoding UTF8"),
    ):
        store.migrate()


def test_a_schema_that_the_url_names_is_used_and_no_other(
    postgres_server: PostgresServer, postgres_url: str
):
    postgres_server.execute("CREATE TABLE theirs (x int)", url=postgres_url)
    postgres_server.execute("CREATE SCHEMA ours", url=postgres_url)
    with opened(f"{postgres_url}?search_path=ours") as store:
        assert store.migrate() != []
        store.commit(a_batch(1, ended(1)))
        assert store.entries() == [ended(1)]
    assert tables(postgres_server, postgres_url) == ["theirs"]

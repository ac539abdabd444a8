"""What can go wrong with a PostgreSQL server: each is an error in time that says what to do, and passes."""

from __future__ import annotations

import itertools
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from store_samples import DAY, a_batch, a_key, a_secret, a_spend, an_entry, ended

from servers import PASSWORD, PASSWORD_IN_URL, PostgresServer
from trunkline.store.postgres import PostgresStore
from trunkline.store.postgres_pool import PoolOptions
from trunkline.store.seam import StoreError, StoreValueError
from trunkline.store.sums import spend_of

pytestmark = pytest.mark.slow

HERE = str(Path(__file__).parent)
QUICK = PoolOptions(connections=3, connect_seconds=1.0, statement_seconds=1.0)
PATIENT = PoolOptions(connections=3, connect_seconds=20.0, statement_seconds=20.0)


@contextmanager
def opened(url: str, options: PoolOptions = PATIENT, **more: object) -> Iterator[PostgresStore]:
    with closing(PostgresStore(url, options=options, **more)) as store:
        yield store


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with opened(postgres_url) as store:
        store.migrate()
        yield store


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server; whatever a test did to it, it serves the next one."""
    yield postgres_server
    postgres_server.thaw()
    if not postgres_server.processes():
        postgres_server.start()


def refused(store: PostgresStore) -> str:
    """Ask for something and return what the error says, which is never the password."""
    with pytest.raises(StoreError) as caught:
        store.version()
    told = [str(caught.value), repr(caught.value.__cause__)]
    assert PASSWORD not in "".join(told)
    assert PASSWORD_IN_URL not in "".join(told)
    return told[0]


def until(done: Callable[[], bool]) -> None:
    """Wait until something is so, while the store may fail."""
    end = time.monotonic() + 30
    while True:
        try:
            if done():
                return
        except StoreError:
            pass
        assert time.monotonic() < end
        time.sleep(0.01)


def works(store: PostgresStore) -> None:
    """Wait until the store does what it is asked, by itself."""
    until(lambda: store.version() > 0)


def test_a_wrong_password_is_an_error_and_a_right_one_may_come_beside_the_url(
    server: PostgresServer, postgres_url: str
):
    name = postgres_url.rpartition("/")[2]
    with opened(server.url(name, password="wrong")) as store:
        said = refused(store)
        assert "password was refused" in said
        assert "store.password_env" in said
    with opened(server.url(name, password="wrong"), password=PASSWORD) as store:
        assert store.migrate() != []


def test_a_password_that_is_missing_is_an_error(server: PostgresServer):
    with opened(f"postgresql://trunkline@127.0.0.1:{server.port}/postgres") as store:
        assert re.search("password was refused|store.password_env", refused(store))


def test_a_database_that_is_not_there_is_an_error(server: PostgresServer):
    with opened(server.url("nowhere")) as store:
        assert "no such database; create it" in refused(store)


def test_an_address_where_nobody_listens_is_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://me:{PASSWORD_IN_URL}@127.0.0.1:{taken.getsockname()[1]}/x"
        with opened(url, QUICK) as store:
            assert re.search(
                r"127\.0\.0\.1:\d+/x does not answer .*check that PostgreSQL runs", refused(store)
            )


def test_an_address_that_never_answers_is_an_error_in_time():
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"postgresql://me:{PASSWORD_IN_URL}@127.0.0.1:{mute.getsockname()[1]}/x"
        with opened(url, QUICK) as store:
            assert "does not answer in time" in refused(store)


def test_a_name_that_nobody_has_is_an_error():
    with opened(f"postgresql://me:{PASSWORD_IN_URL}@nowhere.invalid/x", QUICK) as store:
        assert re.search(r"nowhere\.invalid/x does not answer", refused(store))


@pytest.mark.parametrize("url", ["mysql://db/x", "postgresql://", "postgresql://db:port/x", "x.db"])
def test_what_is_no_databases_url_is_refused_at_once(url: str):
    with pytest.raises(StoreValueError, match="URL cannot be used"):
        PostgresStore(url)


def test_an_option_of_the_url_that_is_wrong_is_an_error_without_its_password():
    url = f"postgresql://me:{PASSWORD_IN_URL}@127.0.0.1/x?sslmode=maybe"
    with opened(url, QUICK) as store:
        assert "store.url" in refused(store)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_ended_is_an_error_and_the_next_call_after_its_start_works(
    store: PostgresStore, server: PostgresServer, end: str
):
    store.add_key(a_key(), a_secret())
    getattr(server, end)()
    for _ in range(2):
        assert re.search("lost|does not answer|shut down|starting", refused(store))
    with pytest.raises(StoreError):
        store.commit(a_batch(1, ended(1)))
    server.start()
    store.commit(a_batch(1, ended(1)))
    assert store.entries() == [ended(1)]
    assert store.keys() == [a_key()]


def test_a_restart_between_two_calls_is_not_noticed_for_long(
    store: PostgresStore, server: PostgresServer
):
    store.version()
    server.restart()
    works(store)
    store.commit(a_batch(1, ended(1)))
    assert store.entries() == [ended(1)]


def test_a_server_that_stands_still_is_an_error_in_time_and_passes(
    server: PostgresServer, postgres_url: str
):
    with opened(postgres_url, QUICK) as store:
        store.migrate()
        server.freeze()
        try:
            assert "does not answer in time" in refused(store)  # on a connection that was open
            assert "does not answer in time" in refused(store)  # on a new one
            with pytest.raises(StoreError, match="in time"):
                store.commit(a_batch(1, ended(1)))
        finally:
            server.thaw()
        works(store)
        store.commit(a_batch(1, ended(1)))
        assert store.entries() == [ended(1)]


def test_many_threads_are_told_in_time_that_a_server_stands_still(
    server: PostgresServer, postgres_url: str
):
    told: list[str] = []

    def ask(store: PostgresStore) -> None:
        try:
            store.keys()
        except StoreError as error:
            told.append(str(error))

    with opened(postgres_url, QUICK) as store:
        store.migrate()
        server.freeze()
        try:
            threads = [threading.Thread(target=ask, args=(store,)) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
                assert not thread.is_alive()
        finally:
            server.thaw()
        assert len(told) == 12
        assert any("connections are busy" in text for text in told)
        works(store)


def test_a_server_that_may_only_be_read_is_an_error_and_passes(
    store: PostgresStore, server: PostgresServer, postgres_url: str
):
    name = postgres_url.rpartition("/")[2]
    server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
    )
    works(store)
    with pytest.raises(StoreError, match="can only be read: the server is a standby"):
        store.commit(a_batch(1, ended(1)))
    with pytest.raises(StoreError, match="can only be read"):
        store.add_key(a_key(), a_secret())
    assert store.entries() == []
    server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    # A connection that is refused is given up, and all that lead to the same server: the next one
    # may reach the primary.
    with pytest.raises(StoreError, match="can only be read"):
        store.commit(a_batch(1, ended(1)))
    store.commit(a_batch(1, ended(1)))
    assert store.entries() == [ended(1)]


@contextmanager
def locked(server: PostgresServer, url: str, table: str) -> Iterator[None]:
    """Hold a table as another program's transaction does."""
    command = [
        *(str(server.programs / "psql"), "-qAt", "-v", "ON_ERROR_STOP=1", url),
        *("-c", f"BEGIN; LOCK TABLE {table}; SELECT 'held'; SELECT pg_sleep(60)"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    count = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = $1::text::regclass"
    until(lambda: server.execute(count, table, url=url) == [(1,)])
    try:
        yield
    finally:
        process.kill()
        process.wait()
        ended_well = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
        server.execute(ended_well, url=url)


def test_what_others_hold_for_long_is_an_error_in_time_and_passes(
    server: PostgresServer, postgres_url: str
):
    with opened(postgres_url, QUICK) as store:
        store.migrate()
        with locked(server, postgres_url, "spend"):
            with pytest.raises(StoreError, match="took too long|in time"):
                store.commit(a_batch(1, ended(1), spend=(a_spend(),)))
            assert store.version() == 1
        until(lambda: store.commit(a_batch(1, ended(1), spend=(a_spend(),))) is None)
        assert store.charged(DAY) == [a_spend()]


def test_calls_beyond_the_pool_wait_and_are_told_at_last(server: PostgresServer, postgres_url: str):
    one = PoolOptions(connections=1, connect_seconds=20.0, statement_seconds=2.0)
    with opened(postgres_url, one) as store:
        store.migrate()
        with locked(server, postgres_url, "keys"):
            told: list[str] = []

            def ask() -> None:
                with pytest.raises(StoreError) as caught:
                    store.keys()
                told.append(str(caught.value))

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        assert len(told) == 4
        assert any("all 1 connections are busy; look what holds the database" in t for t in told)
        until(lambda: store.keys() == [])


def test_a_server_without_a_connection_left_is_an_error(
    store: PostgresStore, server: PostgresServer, postgres_url: str
):
    name = postgres_url.rpartition("/")[2]
    server.execute("CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT 0")
    url = f"postgresql://narrow:narrow@127.0.0.1:{server.port}/{name}"
    with opened(url) as other:
        assert "no connection left; raise its max_connections" in refused(other)


def test_a_user_who_may_not_is_an_error(
    store: PostgresStore, server: PostgresServer, postgres_url: str
):
    name = postgres_url.rpartition("/")[2]
    server.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    url = f"postgresql://stranger:stranger@127.0.0.1:{server.port}/{name}"
    with opened(url) as other:
        assert "may not do that; let it own the database" in refused(other)


def test_connections_that_are_cut_in_the_middle_of_commits_lose_and_double_nothing(
    store: PostgresStore, server: PostgresServer, postgres_url: str
):
    name = postgres_url.rpartition("/")[2]
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
    done = threading.Event()

    def cutting() -> None:
        while not done.wait(0.02):
            server.execute(cut, name)

    cutter = threading.Thread(target=cutting)
    cutter.start()
    failed = 0
    try:
        number = 0
        while number < 40 or failed < 5:
            entries = [ended(number * 10 + i) for i in range(10)]
            batch = a_batch(number + 1, *entries, spend=(a_spend(calls=10, cost=number),))
            try:
                if store.position("one") <= number:
                    store.commit(batch)
            except StoreError:
                failed += 1
                continue
            number += 1
    finally:
        done.set()
        cutter.join()
    works(store)
    assert [entry.id for entry in store.entries(limit=100_000)] == [
        ended(i).id for i in reversed(range(number * 10))
    ]
    (spend,) = store.charged("")
    assert (spend.calls, spend.cost) == (number * 10, sum(range(number)))


STANDS_STILL = """
import asyncio, sys
from trunkline.store.postgres import PostgresStore
from trunkline.store.postgres_pool import PoolOptions

async def work(connection):
    await connection.execute("UPDATE access SET number = number")
    print("holds", flush=True)
    await asyncio.sleep(600)

PostgresStore(sys.argv[1], options=PoolOptions(statement_seconds=1.0))._pool.run(work, writing=True, seconds=600)
"""


def test_a_process_that_stands_still_in_a_transaction_does_not_hold_up_the_others(
    store: PostgresStore, postgres_url: str
):
    child = subprocess.Popen(
        [sys.executable, "-c", STANDS_STILL, postgres_url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "holds\n"
        child.send_signal(signal.SIGSTOP)
        store.add_key(a_key(), a_secret())
        assert store.keys() == [a_key()]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_many_processes_that_add_to_the_same_rows_in_any_order_wait_for_each_other(
    store: PostgresStore, postgres_url: str
):
    def add(number: int) -> None:
        with opened(postgres_url) as mine:
            for turn in range(1, 16):
                names = list(itertools.permutations(("a", "b", "c")))[(number + turn) % 6]
                spend = tuple(a_spend(key=k, team=k, owner="all", charged=1) for k in names)
                entries = [ended(number * 1000 + turn * 10 + i, key=k) for i, k in enumerate(names)]
                mine.commit(a_batch(turn, *entries, spend=spend, journal=f"{number}"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.key: (row.calls, row.charged) for row in store.charged("")} == dict.fromkeys(
        "abc", (75, 75)
    )
    assert len(store.entries(limit=1000)) == 225


def test_processes_that_settle_the_same_dead_ones_calls_do_so_once(
    store: PostgresStore, postgres_url: str
):
    calls = [an_entry(i, boot="dead", reserved=10) for i in range(200)]
    store.commit(a_batch(1, *calls))
    begin = threading.Barrier(4)

    def settle(number: int) -> None:
        lost = [
            ended(i, boot="dead", state="unknown", outcome="unknown", cost=None, charged=10)
            for i in sorted(range(200), key=lambda i: (i * (number + 7)) % 211)
        ]
        batch = a_batch(1, *lost, spend=tuple(spend_of(lost)), journal=f"{number}")
        begin.wait()
        with opened(postgres_url) as mine:
            until(lambda: mine.commit(batch) is None)

    threads = [threading.Thread(target=settle, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = store.charged("")
    assert (row.calls, row.charged) == (200, 2000)
    assert store.open_entries() == []


def test_a_driver_that_a_value_does_not_suit_keeps_it_to_itself(store: PostgresStore):
    for wrong in ("my canary \ud83d", "my canary \0"):
        with pytest.raises(StoreValueError) as caught:
            store.commit(a_batch(1, ended(1, model=wrong)))
        assert "canary" not in str(caught.value)
    with pytest.raises(StoreValueError, match="too large"):
        store.commit(a_batch(1, ended(1, cost=2**63)))
    with pytest.raises(StoreValueError, match="wrong type"):
        store.commit(a_batch(1, ended(1, cost="my canary")))
    with pytest.raises(StoreValueError):
        store.commit(a_batch(1, spend=(a_spend(input_tokens=2**63 - 1),) * 2))
    assert store.entries() == store.charged("") == []
    store.commit(a_batch(1, ended(1)))


def test_a_closed_store_ends_its_thread_and_what_waits_is_told(
    server: PostgresServer, postgres_url: str
):
    told: list[BaseException] = []
    with opened(postgres_url) as store:
        store.migrate()
        with locked(server, postgres_url, "keys"):

            def ask() -> None:
                try:
                    store.keys()
                except BaseException as error:
                    told.append(error)

            thread = threading.Thread(target=ask)
            thread.start()
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            until(lambda: server.execute(waits, url=postgres_url) == [(1,)])
            store.close()
            thread.join(20)
            assert not thread.is_alive()
    assert isinstance(told[0], StoreError)
    assert "trunkline-postgres" not in {thread.name for thread in threading.enumerate()}

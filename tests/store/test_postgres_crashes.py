"""A process or a server that is killed while it commits: what it did counts once, what it did not, not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest
from store_samples import a_batch, a_replica, a_spend, an_entry, ended, unmeasured

from servers import PostgresServer
from trunkline.store.postgres import PostgresStore
from trunkline.store.records import MoneyWish
from trunkline.store.seam import StoreError

HERE = str(Path(__file__).parent)
TESTS = str(Path(__file__).parents[1])
DIES_AT = """
import os, signal, sys
sys.path[:0] = sys.argv[3:5]
import asyncpg
from store_samples import a_batch, a_spend, an_entry, ended
from trunkline.store.postgres import PostgresStore

left = None

def mortal(name):
    whole = getattr(asyncpg.Connection, name)

    async def call(self, *arguments, **more):
        global left
        if left is not None:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return await whole(self, *arguments, **more)

    setattr(asyncpg.Connection, name, call)

for name in ("execute", "fetch", "fetchrow", "copy_records_to_table"):
    mortal(name)
store = PostgresStore(sys.argv[1])
store.version()
left = int(sys.argv[2])
store.commit(a_batch(2, ended(1), *(ended(i) for i in range(10, 60)), an_entry(60), spend=(a_spend(cost=5, charged=5),)))
store.close()
"""
COMMITS_ON = """
import sys
sys.path[:0] = sys.argv[2:4]
from store_samples import a_batch, a_spend, ended
from trunkline.store.postgres import PostgresStore

store = PostgresStore(sys.argv[1])
position = store.position("one")
while True:
    begin, position = position, position + 1 + position % 7
    entries = [ended(i, charged=i) for i in range(begin, position)]
    spend = tuple(a_spend(cost=i, charged=i) for i in range(begin, position))
    store.commit(a_batch(position, *entries, spend=spend))
    print(position, flush=True)
"""


@contextmanager
def opened(url: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore(url)) as store:
        store.migrate()
        yield store


@pytest.mark.slow
def test_killed_before_any_statement_of_a_commit_all_or_nothing_is_there(
    postgres_server: PostgresServer,
):
    fates: set[int] = set()
    for statement in count():
        url = postgres_server.new_database()
        with opened(url) as store:
            store.join(a_replica("boot_1"))
            store.commit(a_batch(1, an_entry(1)))
            command = [sys.executable, "-c", DIES_AT, url, str(statement), HERE, TESTS]
            died = subprocess.run(command, env=unmeasured()).returncode == -9
            fates.add(store.position("one"))
            lease = store.lease_money("boot_1", [MoneyWish("key", "key_a", 0, ())])[0]
            if store.position("one") == 1:
                assert store.entries(limit=1000) == store.open_entries() == [an_entry(1)]
                assert store.charged("") == []
                assert lease.granted == 0
            else:
                assert lease.granted == 5
            store.commit(
                a_batch(
                    2,
                    ended(1),
                    *(ended(i) for i in range(10, 60)),
                    an_entry(60),
                    spend=(a_spend(cost=5, charged=5),),
                )
            )
            assert store.charged("") == [a_spend(cost=5, charged=5)]
            assert len(store.entries(limit=1000)) == 52
        if not died:
            break
    assert statement > 3
    assert fates == {1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["process", "server"])
def test_killed_at_any_moment_again_and_again_every_record_counts_once(
    postgres_server: PostgresServer, postgres_url: str, whom: str
):
    with opened(postgres_url) as store:
        acknowledged = 0
        for turn in range(5):
            child = subprocess.Popen(
                [sys.executable, "-c", COMMITS_ON, postgres_url, HERE, TESTS],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=unmeasured(),
            )
            for _ in range(5 + 13 * turn):
                acknowledged = int(child.stdout.readline())
            if whom == "process":
                child.kill()
            else:
                postgres_server.kill()
                postgres_server.start()
            # What it still told before it died was committed too.
            told = [line for line in child.stdout.read().splitlines() if line.isdigit()]
            acknowledged = max([acknowledged, *map(int, told[:-1])])
            child.wait()
            child.stdout.close()
            position = _position(store)
            assert position >= acknowledged
        assert [entry.id for entry in store.entries(limit=10**6)] == [
            ended(i).id for i in reversed(range(position))
        ]
        (spend,) = store.charged("")
        assert spend.calls == position
        assert spend.cost == spend.charged == sum(range(position))
        assert store.books().charges() == {
            ("key", "key_a", spend.day): spend.charged,
        }


def _position(store: PostgresStore) -> int:
    for _ in range(3):
        try:
            return store.position("one")
        except StoreError:
            continue
    return store.position("one")

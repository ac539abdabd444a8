"""A process that is killed while it commits: what it did counts once, what it did not, not at all."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

from store_samples import DAY, a_batch, a_spend, an_entry, ended, unmeasured

from trunkline.store.records import Account
from trunkline.store.sqlite import SqliteStore

DIES_AT = """
import functools, os, signal, sqlite3, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from store_samples import a_batch, a_spend, an_entry, ended
from trunkline.store.sqlite import SqliteStore

left = None

class Mortal(sqlite3.Connection):
    def execute(self, *arguments):
        global left
        if left is not None:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)

sqlite3.connect = functools.partial(sqlite3.connect, factory=Mortal)
store = SqliteStore(sys.argv[1])
store.version()
left = int(sys.argv[2])
store.commit(a_batch(2, ended(1), *(ended(i) for i in range(10, 60)), an_entry(60), spend=(a_spend(cost=5),) * 20))
"""
COMMITS_ON = """
import sys
sys.path.insert(0, sys.argv[2])
from store_samples import a_batch, a_spend, an_entry, ended
from trunkline.store.sqlite import SqliteStore

store = SqliteStore(sys.argv[1])
position = store.position("one")
while True:
    begin, position = position, position + 1 + position % 7
    entries = [ended(i) for i in range(begin, position)]
    spend = tuple(a_spend(key=f"key_{i % 3}", cost=i) for i in range(begin, position))
    store.commit(a_batch(position, *entries, spend=spend))
    print(position, flush=True)
"""
HERE = str(Path(__file__).parent)


def whole_batch():
    return a_batch(
        2,
        ended(1),
        *(ended(i) for i in range(10, 60)),
        an_entry(60),
        spend=(a_spend(cost=5),) * 20,
    )


def test_killed_before_any_statement_of_a_commit_all_or_nothing_is_there(tmp_path: Path):
    fates = set()
    for statement in count():
        path = tmp_path / f"{statement}.db"
        store = SqliteStore(path)
        store.migrate()
        store.commit(a_batch(1, an_entry(1)))
        arguments = [sys.executable, "-c", DIES_AT, str(path), str(statement), HERE]
        ended_well = subprocess.run(arguments, env=unmeasured()).returncode == 0
        fates.add(store.position("one"))
        if store.position("one") == 1:
            assert store.entries(limit=1000) == store.open_entries() == [an_entry(1)]
            assert store.charged("") == []
        store.commit(whole_batch())
        assert store.charged(DAY) == [a_spend(calls=20, cost=100)]
        assert store.entries(limit=1000) == [
            an_entry(60),
            *(ended(i) for i in range(59, 9, -1)),
            ended(1),
        ]
        store.close()
        if ended_well:
            break
    assert statement > 10
    assert fates == {1, 2}


def test_killed_at_any_moment_again_and_again_every_record_counts_once(tmp_path: Path):
    path = tmp_path / "gateway.db"
    store = SqliteStore(path)
    store.migrate()
    acknowledged = 0
    for turn in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", COMMITS_ON, str(path), HERE],
            stdout=subprocess.PIPE,
            text=True,
            env=unmeasured(),
        )
        for _ in range(5 + 13 * turn):
            acknowledged = int(child.stdout.readline())
        child.kill()
        # What it still told before it died was committed too.
        acknowledged = max([acknowledged, *map(int, child.stdout.read().splitlines()[:-1])])
        child.wait()
        child.stdout.close()
        assert store.position("one") >= acknowledged
    total = store.position("one")
    assert [entry.id for entry in store.entries(limit=10**6)] == [
        ended(i).id for i in reversed(range(total))
    ]
    spend = store.charged("")
    assert sum(row.calls for row in spend) == total
    assert sum(row.cost for row in spend) == sum(range(total))
    store.close()


def test_the_command_line_may_change_keys_while_another_process_commits(tmp_path: Path):
    path = tmp_path / "gateway.db"
    store = SqliteStore(path)
    store.migrate()
    child = subprocess.Popen(
        [sys.executable, "-c", COMMITS_ON, str(path), HERE],
        stdout=subprocess.PIPE,
        text=True,
        env=unmeasured(),
    )
    child.stdout.readline()
    for number in range(20):
        before = store.version()
        store.put_account(Account("team", f"team {number}"))
        assert store.version() > before
    child.stdout.readline()
    assert child.poll() is None
    child.kill()
    child.wait()
    child.stdout.close()
    assert len(store.accounts()) == 20
    store.close()


def test_the_shared_index_of_a_dead_process_is_made_anew(tmp_path: Path):
    path = tmp_path / "gateway.db"
    with closing(SqliteStore(path)) as store:
        store.migrate()
    child = subprocess.Popen(
        [sys.executable, "-c", COMMITS_ON, str(path), HERE],
        stdout=subprocess.PIPE,
        text=True,
        env=unmeasured(),
    )
    told = int(child.stdout.readline())
    child.kill()
    child.wait()
    child.stdout.close()
    (tmp_path / "gateway.db-shm").unlink()
    store = SqliteStore(path)
    assert store.position("one") >= told
    store.close()

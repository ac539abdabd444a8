"""The ledger's thread, with stores that fail, refuse values, or are slow: nothing missing, nothing twice."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_side import BadStore, Caller, check_books, ended, new_store, run, sent, settle, until

from trials import often
from trunkline.gateway.booking import as_sent, book, grouped
from trunkline.gateway.journal import Journal, Written
from trunkline.gateway.journal_files import Frame, Segment, segments
from trunkline.gateway.ledger import BACKLOG_BYTES, Ledger
from trunkline.store.records import Batch
from trunkline.store.seam import StoreError, StoreValueError
from trunkline.store.sqlite import SqliteStore
from trunkline.store.sums import spend_of

SURROGATE = "org/\ud83d"
"""Text that no store keeps."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(new_store(tmp_path)) as store:
        yield store


class Rounds:
    """Calls that begin and end over several turns, through a journal of small segments."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.expected: dict[str, tuple[str, int]] = {}
        self._folder = folder
        self._ledger = ledger

    async def play(self, rounds: int = 6) -> None:
        journal = Journal(self._folder, "boot", self._ledger.take, segment=700)
        before = sent(0)
        for number in range(1, rounds + 1):
            entry, at_once = sent(2 * number), sent(2 * number + 1)
            for one in (entry, at_once):
                journal.intend(one, Caller())
            journal.ended(settle(at_once))
            self.expected[at_once.id] = ("settled", 7)
            self.expected[entry.id] = ("open", 0)
            if number > 1:
                journal.ended(settle(before))
                self.expected[before.id] = ("settled", 7)
            before = entry
            await asyncio.sleep(0)
            self._ledger._commit_waiting()
        journal.close()


def test_a_store_that_fails_at_any_call_gets_every_entry_once(tmp_path: Path):
    number = 0
    while True:
        number += 1
        for when in ("before", "after"):
            folder = tmp_path / f"{when}-{number}"
            folder.mkdir()
            with closing(new_store(folder)) as store:
                bad = BadStore(store)
                bad.fails = lambda _, call, n=number, w=when: w if call == n else None
                ledger = Ledger(bad, folder)
                rounds = Rounds(folder, ledger)
                asyncio.run(rounds.play())
                while (error := ledger._commit_waiting()) is not None:
                    assert "down" in str(error)
                check_books(store, rounds.expected)
                assert ledger.waiting == ledger.behind == 0
                assert len(segments(folder)) <= 2, "whole segments are deleted"
        if bad.calls["all"] < number:
            break
    assert number > 5


def test_a_store_that_is_down_for_long_gets_what_memory_did_not_hold_from_the_files(
    tmp_path: Path, store: SqliteStore
):
    bad = BadStore(store)
    down = True
    bad.fails = lambda _name, _: "before" if down else None
    ledger = Ledger(bad, tmp_path, in_memory=5)
    rounds = Rounds(tmp_path, ledger)
    run(rounds.play)
    assert ledger._queue == type(ledger._queue)()
    assert ledger.behind > 0
    down = False
    assert ledger._commit_waiting() is None
    check_books(store, rounds.expected)
    assert ledger.waiting == ledger.behind == 0


def test_catching_up_stops_where_the_ledger_was_told_that_it_is(tmp_path: Path, store: SqliteStore):
    # What the journal has written and not told yet will be told, and must not count twice then.
    told: list[Written] = []
    ledger = Ledger(store, tmp_path, in_memory=1)

    async def work() -> None:
        journal = Journal(tmp_path, "boot", told.append)
        for number in range(4):
            journal.ended(ended(number))
            await asyncio.sleep(0)
        journal.close()

    run(work)
    for written in told[:2]:
        ledger.take(written)
    assert ledger._commit_waiting() is None
    assert len(store.entries()) == 2
    for written in told[2:]:
        ledger.take(written)
    assert ledger._commit_waiting() is None
    check_books(store, {f"req_{n:06}": ("settled", 7) for n in range(4)})


def test_a_damaged_part_of_the_journal_is_told_and_does_not_stop_the_rest(
    tmp_path: Path, store: SqliteStore, caplog: pytest.LogCaptureFixture
):
    ledger = Ledger(store, tmp_path, in_memory=1)

    async def work() -> None:
        journal = Journal(tmp_path, "boot", ledger.take)
        for number in range(3):
            journal.ended(ended(number))
            await asyncio.sleep(0)
        journal.close()

    run(work)
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    assert ledger._commit_waiting() is None
    assert [row.id for row in store.entries()] == ["req_000002", "req_000001"]
    assert "cannot be read" in caplog.text
    assert ledger.behind == 0


def poisoned(tmp_path: Path, numbers: set[int], count: int = 9) -> list[Written]:
    """Return what a journal told of calls of which some bear a name that no store keeps."""
    told: list[Written] = []

    async def work() -> None:
        journal = Journal(tmp_path, "boot", told.append)
        for number in range(count):
            entry = sent(number, model=SURROGATE if number in numbers else "org/model")
            journal.intend(entry, Caller())
            if number % 2:
                await asyncio.sleep(0)
            journal.ended(settle(entry))
            if number % 3 == 0:
                await asyncio.sleep(0)
        journal.close()

    run(work)
    return told


@settings(deadline=None, max_examples=often(30))
@given(
    st.sets(st.integers(0, 8)),
    st.booleans(),
    st.integers(0, 30),
    st.sampled_from(["before", "after"]),
)
def test_values_that_no_store_keeps_cost_only_themselves(
    tmp_path_factory: pytest.TempPathFactory,
    numbers: set[int],
    again_from_file: bool,
    fails_at: int,
    when: str,
):
    folder = tmp_path_factory.mktemp("poison")
    told = poisoned(folder, numbers)
    with closing(new_store(folder)) as store:
        bad = BadStore(store)
        bad.fails = lambda _, call: when if call == fails_at else None
        ledger = Ledger(bad, folder, in_memory=2 if again_from_file else 1000)
        for written in told:
            ledger.take(written)
        while ledger._commit_waiting() is not None:
            pass
        check_books(store, {f"req_{n:06}": ("settled", 7) for n in range(9)})
        rows = {row.id: row for row in store.entries()}
        for number in numbers:
            row = rows[f"req_{number:06}"]
            assert (row.model, row.note) == ("org/?", "values that cannot be kept were cut")
        assert ledger.behind == ledger.waiting == 0


class Picky(BadStore):
    """A store that refuses one call's entry however it is written."""

    def __getattr__(self, name: str):
        call = super().__getattr__(name)
        if name != "commit":
            return call

        def commit(batch):
            if any(entry.id == "req_000001" for entry in batch.entries):
                raise StoreValueError("The store cannot keep a value.")
            return call(batch)

        return commit


def test_an_entry_that_is_refused_in_any_form_is_written_to_the_log(
    tmp_path: Path, store: SqliteStore, caplog: pytest.LogCaptureFixture
):
    picky = Picky(store)
    frames = [Frame(4, 100, [ended(0), ended(1), ended(2)]), Frame(100, 200, [ended(3)])]
    assert book(picky, "boot-000001", frames) == 4
    assert [row.id for row in store.entries()] == ["req_000003", "req_000002", "req_000000"]
    assert store.position("boot-000001") == 200
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.entry["id"] == "'req_000001'"
    assert record.entry["charged"] == "7"


def test_with_refuse_calls_are_not_accepted_while_the_store_is_down(
    tmp_path: Path, store: SqliteStore
):
    bad = BadStore(store)
    bad.fails = lambda name, _: "before" if name == "commit" and down else None
    ledger = Ledger(bad, tmp_path)
    down = True
    ledger.take(Written("boot-000001", 100, 96, [], [ended(1)]))
    assert ledger.accepting
    ledger._note(ledger._commit_waiting())
    assert not ledger.accepting
    assert "down" in ledger.complaint
    down = False
    ledger._note(ledger._commit_waiting())
    assert ledger.accepting
    assert ledger.complaint == ""


def test_with_spool_calls_are_accepted_up_to_its_cap(tmp_path: Path, store: SqliteStore):
    bad = BadStore(store)
    bad.fails = lambda name, _: "before" if name == "commit" else None
    ledger = Ledger(bad, tmp_path, spool_bytes=1000)
    position = 4
    for number in range(1, 11):
        ledger.take(Written("boot-000001", position + 100, 100, [], [ended(number)]))
        position += 100
        ledger._note(ledger._commit_waiting())
        assert ledger.accepting == (number < 10)
    assert ledger.behind == 1000


def test_a_store_that_is_slow_is_not_fallen_behind_for_ever(tmp_path: Path, store: SqliteStore):
    ledger = Ledger(store, tmp_path)
    ledger.take(Written("boot-000001", BACKLOG_BYTES, BACKLOG_BYTES, [], [ended(1)]))
    assert not ledger.accepting
    assert "too slow" in ledger.complaint
    assert ledger._commit_waiting() is None
    assert ledger.accepting


def test_the_thread_commits_what_it_is_given_and_ends_when_it_is_closed(
    tmp_path: Path, store: SqliteStore
):
    commits: list[tuple[float, int]] = []
    ledger = Ledger(store, tmp_path, committed=lambda *told: commits.append(told))

    async def work() -> None:
        journal = Journal(tmp_path, "boot", ledger.take)
        ledger.start()
        for number in range(20):
            journal.ended(ended(number))
            await asyncio.sleep(0)
        await until(lambda: ledger.behind == 0)
        journal.ended(ended(20))
        journal.close()

    run(work)
    assert ledger.close()
    assert "trunkline-ledger" not in [thread.name for thread in threading.enumerate()]
    check_books(store, {f"req_{n:06}": ("settled", 7) for n in range(21)})
    assert 1 < len(commits) < 20, "entries are committed in groups"
    assert sum(count for _, count in commits) == 21


def test_closing_tells_when_the_store_did_not_take_all_and_leaves_the_journal(
    tmp_path: Path, store: SqliteStore
):
    bad = BadStore(store)
    bad.fails = lambda _name, _: "before"
    ledger = Ledger(bad, tmp_path)
    run(Rounds(tmp_path, ledger).play)
    ledger.start()
    assert not ledger.close()
    assert segments(tmp_path)


def test_the_thread_asks_a_store_that_failed_again_without_being_given_more(
    tmp_path: Path, store: SqliteStore
):
    bad = BadStore(store)
    bad.fails = lambda _name, number: "before" if number == 1 else None
    ledger = Ledger(bad, tmp_path)
    ledger.start()

    async def work() -> None:
        ledger.take(Written("boot-000001", 100, 96, [], [ended(1)]))
        await until(lambda: ledger.trouble is not None)
        await until(lambda: ledger.behind == 0)

    run(work)
    assert ledger.close()
    check_books(store, {"req_000001": ("settled", 7)})


def test_what_waits_is_committed_in_groups_of_a_few_thousand(tmp_path: Path, store: SqliteStore):
    frames = [
        Frame(100 * n, 100 * n + 100, [ended(1000 * n + i) for i in range(1000)]) for n in range(12)
    ]
    assert [len(group) for group in grouped(frames)] == [5, 5, 2]
    commits: list[int] = []
    ledger = Ledger(store, tmp_path, committed=lambda _, entries: commits.append(entries))
    for one in frames:
        ledger.take(Written("boot-000001", one.position + 4, 100, [], one.entries))
    assert ledger._commit_waiting() is None
    assert commits == [5000, 5000, 2000]
    assert len(store.entries(limit=20_000)) == 12_000


def test_a_fault_of_another_kind_is_trouble_and_does_not_end_the_thread(
    tmp_path: Path, store: SqliteStore, caplog: pytest.LogCaptureFixture
):
    broken = True

    def committed(seconds: float, entries: int) -> None:
        if broken:
            raise TypeError("a fault of its own")

    ledger = Ledger(store, tmp_path, committed=committed)
    ledger.take(Written("boot-000001", 100, 96, [], [ended(1)]))
    ledger._note(ledger._commit_waiting())
    assert isinstance(ledger.trouble, StoreError)
    assert "TypeError" in ledger.complaint
    broken = False
    ledger._note(ledger._commit_waiting())
    assert ledger.trouble is None
    check_books(store, {"req_000001": ("settled", 7)})
    assert "does not take" in caplog.text
    assert "takes the ledger again" in caplog.text


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["ok", "failed"]),
            st.none() | st.integers(0, 9),
            st.booleans(),
        )
    )
)
def test_spend_adds_up_what_has_ended(calls):
    entries = []
    for number, (key, outcome, cost, over) in enumerate(calls):
        entry = ended(number, cost, key=f"key_{key}") if over else sent(number, key=f"key_{key}")
        entry.outcome = outcome
        entries.append(entry)
    rows = {row.key: row for row in spend_of(entries)}
    over = [entry for entry in entries if entry.state != "open"]
    assert set(rows) == {entry.key for entry in over}
    for key, row in rows.items():
        mine = [entry for entry in over if entry.key == key]
        assert row.calls == len(mine)
        assert row.unpriced == sum(entry.cost is None for entry in mine)
        assert row.failed == sum(entry.outcome != "ok" for entry in mine)
        assert row.cost == sum(entry.cost or 0 for entry in mine)
        assert row.charged == sum(entry.charged for entry in mine)


def test_spend_belongs_to_the_day_on_which_the_call_began_utc():
    before, after = ended(1, started=86399.999), ended(2, started=86400.0)
    assert [row.day for row in spend_of([before, after])] == ["1970-01-01", "1970-01-02"]


def test_an_entry_as_sent_is_open_whatever_became_of_it():
    assert as_sent(ended(1)) == sent(1)


def test_a_frames_file_and_memory_tell_the_same(tmp_path: Path):
    told = poisoned(tmp_path, set())
    read = list(Segment(segments(tmp_path)[0]).frames())
    assert [frame.position for frame in read] == [written.position for written in told]
    assert [[e.id for e in frame.entries] for frame in read] == [
        [e.id for e in (*written.sent, *written.ended)] for written in told
    ]


def test_what_comes_while_a_group_is_committed_waits_for_the_next(
    tmp_path: Path, store: SqliteStore
):
    def note(number: int) -> Written:
        return Written("boot-000001", 100 * number, 100, [], [settle(sent(number))])

    class Busy(BadStore):
        """A store in front of which calls go on ending."""

        def commit(self, batch: Batch) -> None:
            self.calls["commit"] += 1
            self.store.commit(batch)
            ledger.take(note(self.calls["commit"] + 3))

    busy = Busy(store)
    ledger = Ledger(busy, tmp_path)  # type: ignore[arg-type]
    for number in (1, 2, 3):
        ledger.take(note(number))
    assert ledger._commit_waiting() is None
    assert (busy.calls["commit"], ledger.waiting) == (1, 1)
    assert ledger._commit_waiting() is None
    assert (busy.calls["commit"], ledger.waiting) == (2, 1)
    assert len(store.entries()) == 4

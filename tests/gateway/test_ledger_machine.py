"""Journal, ledger and recovery in any order of calls, failures and deaths, against a dictionary."""

from __future__ import annotations

import asyncio
import os
import shutil

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ledger_side import BadStore, Caller, check_books, new_store, sent, settle, small_files

from trials import new_folder, often
from trunkline.gateway.journal import Journal, Written
from trunkline.gateway.journal_files import segments
from trunkline.gateway.ledger import Ledger
from trunkline.gateway.recovery import recover
from trunkline.store.records import Entry
from trunkline.store.seam import StoreError

COUNTS = st.integers(0, 4)
WHEN = st.sampled_from(["before", "after"])
STEP = st.sampled_from([1, 1, 2, 3, 5])


class LedgerMachine(RuleBasedStateMachine):
    """Processes that follow one another on one store, and what must be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = new_folder()
        self.runner = asyncio.Runner()
        self.bad = BadStore(new_store(self.folder))
        self.boots = self.calls = 0
        self.expected: dict[str, tuple[str, int]] = {}
        """What the journal or the store has taken."""
        self.open: dict[str, Entry] = {}
        self.callers: dict[str, Caller] = {}

    @initialize()
    def begin(self) -> None:
        self.boots += 1
        self.ledger = Ledger(self.bad, self.folder, in_memory=60 if self.boots % 2 else 6)
        self.journal = Journal(self.folder, f"boot{self.boots}", self.take, segment=900)

    def take(self, written: Written) -> None:
        for entry in written.sent:
            self.expected.setdefault(entry.id, ("open", 0))
        for entry in written.ended:
            self.expected[entry.id] = ("settled", entry.charged)
        self.ledger.take(written)

    def teardown(self) -> None:
        try:
            self.die_and_rise(b"", 0, "before")
        finally:
            self.journal.close()
            self.runner.close()
            self.bad.store.close()
            shutil.rmtree(self.folder)

    def turn(self, begin: int, end: int) -> None:
        """Be one turn of the loop: some calls begin, some end."""

        async def work() -> None:
            for _ in range(begin):
                self.calls += 1
                entry = sent(self.calls, boot=self.journal.boot)
                self.open[entry.id] = entry
                self.callers[entry.id] = Caller()
                self.journal.intend(entry, self.callers[entry.id])
            for request_id in sorted(self.open)[:end]:
                self.journal.ended(settle(self.open.pop(request_id), None if end == 4 else 7))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        self.runner.run(work())
        for request_id, caller in self.callers.items():
            if caller.told and not caller.sent:
                self.open.pop(request_id, None)

    @rule(begin=COUNTS, end=COUNTS)
    def calls_come_and_go(self, begin: int, end: int) -> None:
        self.turn(begin, end)

    @rule(begin=COUNTS, end=COUNTS, room=st.integers(0, 300))
    def the_disk_is_full(self, begin: int, end: int, room: int) -> None:
        with small_files(self.journal.size + room):
            self.turn(begin, end)

    @rule()
    def commit(self) -> None:
        assert self.ledger._commit_waiting() is None

    @rule(step=STEP, when=WHEN)
    def commit_fails(self, step: int, when: str) -> None:
        self.fail_at(step, when)
        self.ledger._commit_waiting()
        self.bad.fails = lambda _name, _number: None

    @rule(torn=st.binary(max_size=30), step=STEP, when=WHEN)
    def die_and_rise(self, torn: bytes, step: int, when: str) -> None:
        """Leave everything as it stands, with a write that did not end; start, perhaps in vain at first."""
        os.pwrite(self.journal._file, torn, self.journal.size)
        os.close(self.journal._file)
        self.rise(step, when)

    def rise(self, step: int, when: str) -> None:
        if self.journal._retry is not None:
            self.journal._retry.cancel()
        self.open.clear()
        self.callers.clear()
        self.fail_at(step, when)
        try:
            recover(self.bad, self.folder, 1.0)
        except StoreError:
            self.bad.fails = lambda _name, _number: None
            recover(self.bad, self.folder, 2.0)
        self.bad.fails = lambda _name, _number: None
        for request_id, (state, _) in self.expected.items():
            if state == "open":
                self.expected[request_id] = ("unknown", 10)
        assert segments(self.folder) == []
        self.check()
        self.begin()

    @rule()
    def stop(self) -> None:
        """End as told: all that has ended is in the store."""
        self.journal.close()
        assert self.ledger._commit_waiting() is None
        assert self.ledger.behind == self.ledger.waiting == 0
        self.check()
        self.rise(0, "before")

    def fail_at(self, step: int, when: str) -> None:
        target = self.bad.calls["all"] + step
        self.bad.fails = lambda _, number: when if number == target else None

    def check(self) -> None:
        check_books(self.bad.store, self.expected)

    @invariant()
    def what_is_in_the_store_is_true(self) -> None:
        for row in self.bad.store.entries(limit=10_000):
            state, charged = self.expected[row.id]
            assert (row.state, row.charged) in ((state, charged), ("open", 0))

    @invariant()
    def calls_are_told_once(self) -> None:
        assert all(len(caller.told) <= 1 for caller in self.callers.values())


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(deadline=None, max_examples=often(60), stateful_step_count=40)

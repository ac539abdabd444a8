"""Several processes that share budgets: they ask, carry calls, commit, die, are given up and come back late.

Whatever the order, no budget is passed, every sum is exact, and when all is quiet the whole budget can be spent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from store_samples import ANEW, NOON, Clock, a_replica, an_entry

from trials import often
from trunkline.store.records import Batch, Budget, Entry, MoneyWish
from trunkline.store.seam import SharedStore, StoreLostError
from trunkline.store.sums import day_of, spend_of

pytestmark = pytest.mark.slow

DAY_LIMIT, MONTH_LIMIT = 100, 150
BUDGETS = (Budget(DAY_LIMIT, "day"), Budget(MONTH_LIMIT, "month"))
LOST_SECONDS = 60.0
WHICH = st.integers(0, 2)
MORE = st.sampled_from([0, 7, 60, 100, 200])
PARTS = st.sampled_from([1, 2, 4, 4])


@dataclass
class Process:
    """What one process remembers, and what its journal does."""

    boot: str
    granted: int = 0
    charged: int = 0
    open: list[Entry] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)
    """What is not in the store yet."""
    position: int = 0
    alive: bool = True
    left: bool = False

    @property
    def held(self) -> int:
        return sum(entry.reserved for entry in self.open)


class LeaseMachine(RuleBasedStateMachine):
    """Three processes at a time on one store; their calls all count against one team."""

    def __init__(self, start: Callable[[], SharedStore], clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.clock.now = NOON - 3 * 86400
        self.store = start()
        self.store.migrate()
        self.number = 0
        self.processes: list[Process] = []
        self.gone: list[Process] = []
        """Given up by others; their journals may come to light."""
        self.late = 0
        """What came to light only after its process was left: no store could have known of it."""
        self.truth: dict[str, Entry] = {}
        """The ledger as it has to be."""
        for _ in range(3):
            self.processes.append(self.begin())

    def teardown(self) -> None:
        self.quiet()
        self.store.close()

    def begin(self) -> Process:
        self.number += 1
        process = Process(f"boot_{self.number}")
        self.store.join(a_replica(process.boot))
        return process

    # Hypothesis leaves rules out of a run at random: what belongs together is one rule.

    @rule(which=WHICH, more=MORE, heard=st.sampled_from([True, True, True, False]), part=PARTS)
    def ask_and_call(self, which: int, more: int, heard: bool, part: int) -> None:
        self.ask(which, more, heard)
        self.call(which, part)

    @rule(which=WHICH, more=MORE)
    def give_back(self, which: int, more: int) -> None:
        self.ask(which, more // 20, heard=True)

    def ask(self, which: int, more: int, heard: bool) -> None:
        process = self.processes[which]
        if not process.alive:
            return
        wish = MoneyWish("team", "red", process.charged + process.held + more, BUDGETS)
        (lease,) = self.store.lease_money(process.boot, [wish])
        assert lease.granted <= max(wish.granted, process.granted)
        # An answer that is lost on its way is asked for again some time; less is only done when heard.
        if heard or lease.granted < process.granted:
            process.granted = lease.granted

    @rule(which=WHICH, part=PARTS)
    def call(self, which: int, part: int) -> None:
        """Hold a part of what the process may still spend."""
        process = self.processes[which]
        amount = (process.granted - process.charged - process.held) * part // 4
        if not process.alive or amount < 1:
            return
        self.number += 1
        entry = an_entry(
            self.number,
            boot=process.boot,
            key=f"key_{which}",
            team="red",
            started=self.clock.now,
            reserved=amount,
        )
        process.open.append(entry)
        process.journal.append(msgspec.structs.replace(entry))

    @rule(
        which=WHICH,
        at=st.integers(0, 5),
        part=st.sampled_from([0, 1, 4, 4]),
        committed=st.booleans(),
    )
    def end(self, which: int, at: int, part: int, committed: bool) -> None:
        process = self.processes[which]
        if not process.alive or not process.open:
            return
        entry = process.open.pop(at % len(process.open))
        cost = entry.reserved * part // 4
        ended = {"state": "settled", "outcome": "ok", "cost": cost, "charged": cost}
        process.journal.append(msgspec.structs.replace(entry, **ended))
        process.charged += cost
        if committed:
            self.bring_in(process)

    @rule(
        which=WHICH, how=st.sampled_from(["at once", "others", "the next"]), committed=st.booleans()
    )
    def die(self, which: int, how: str, committed: bool) -> None:
        process = self.processes[which]
        if committed:
            self.bring_in(process)
        process.alive = False
        if how == "others":
            self.give_up(which)
        elif how == "the next":
            self.start_again(which)

    def give_up(self, which: int) -> None:
        """Another process settles what is open of one that is silent, and a new one begins."""
        process = self.processes[which]
        self.clock.now += LOST_SECONDS
        assert self.store.lose(process.boot, LOST_SECONDS)
        for boot in (process.boot, "nobody"):
            with pytest.raises(StoreLostError):
                self.store.lease_money(boot, [])
        self.settle_open(process)
        self.store.leave(process.boot)
        process.left = True
        self.gone.append(process)
        self.processes[which] = self.begin()

    def start_again(self, which: int) -> None:
        """The next process on the same machine brings in what a dead one left there."""
        process = self.processes[which]
        self.bring_in(process)
        self.settle_open(process)
        self.store.leave(process.boot)
        self.processes[which] = self.begin()

    @rule(at=st.integers(0, 3))
    def come_to_light(self, at: int) -> None:
        if at < len(self.gone):
            self.bring_in(self.gone.pop(at))

    @rule(seconds=st.sampled_from([1.0, 3600.0, 43200.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def bring_in(self, process: Process) -> None:
        if not process.journal:
            return
        process.position += 1
        entries = list({entry.id: entry for entry in process.journal}.values())
        self.write(entries, process.boot, process.position)
        if process.left:
            self.late += sum(entry.charged for entry in entries)
        process.journal.clear()

    def settle_open(self, process: Process) -> None:
        unknown = {"state": "unknown", "outcome": "unknown", "cost": None}
        ended = [
            msgspec.structs.replace(entry, **unknown, charged=entry.reserved)
            for entry in self.store.open_entries([process.boot])
        ]
        for turn in (1, 2):  # two others may do it at once
            self.write(ended, f"lost {process.boot} {turn}", 1)

    def write(self, entries: list[Entry], journal: str, position: int) -> None:
        self.store.commit(Batch(entries, spend_of(entries), journal, position))
        for entry in entries:
            known = self.truth.get(entry.id)
            if known is None or known.state == "open" or (known.state, entry.state) == BETTER:
                self.truth[entry.id] = entry

    def spent(self, since: str = "", until: str = "9") -> int:
        """What was really charged, in the store or not."""
        rows = self.truth | {
            entry.id: entry
            for process in self.processes
            for entry in process.journal
            if entry.state == "settled"
        }
        return sum(row.charged for row in rows.values() if since <= day_of(row.started) <= until)

    @invariant()
    def no_budget_is_passed(self) -> None:
        days = {day_of(entry.started) for entry in self.truth.values()} | {day_of(self.clock.now)}
        for day in days:
            month = day[:7]
            assert self.spent(day, day) + self.held(day, day) <= DAY_LIMIT + self.late
            first, last = f"{month}-01", f"{month}-31"
            assert self.spent(first, last) + self.held(first, last) <= MONTH_LIMIT + self.late

    def held(self, since: str, until: str) -> int:
        """What calls in flight, or of a dead process, may still be charged."""
        return sum(
            entry.reserved
            for process in self.processes
            for entry in process.open
            if since <= day_of(entry.started) <= until
        )

    @invariant()
    def every_sum_is_exact(self) -> None:
        right = sorted(spend_of(self.truth.values()), key=repr)
        assert sorted(self.store.charged(""), key=repr) == right
        assert {entry.id for entry in self.store.open_entries()} == {
            entry.id for entry in self.truth.values() if entry.state == "open"
        }

    def quiet(self) -> None:
        """End everything in order: then all that is left of the budget can be had, and no more."""
        for process in self.processes:
            self.bring_in(process)
            self.settle_open(process)
            self.store.leave(process.boot)
        for process in self.gone:
            self.bring_in(process)
        last = self.begin()
        today, month = day_of(self.clock.now), day_of(self.clock.now)[:7]
        of_today = self.sum_of(lambda entry: day_of(entry.started) >= today)
        of_month = self.sum_of(lambda entry: day_of(entry.started) >= f"{month}-01")
        left = max(min(DAY_LIMIT - of_today, MONTH_LIMIT - of_month), 0)
        (lease,) = self.store.lease_money(last.boot, [MoneyWish("team", "red", 10**9, BUDGETS)])
        assert (lease.granted, lease.elsewhere) == (left, 0)
        assert lease.spent == (of_today, of_month)

    def sum_of(self, counts: Callable[[Entry], bool]) -> int:
        return sum(entry.charged for entry in self.truth.values() if counts(entry))


BETTER = ("unknown", "settled")


@pytest.mark.parametrize("kind", ANEW)
def test_leases_never_let_a_budget_be_passed_and_sums_stay_exact(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
):
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    clock = Clock(url=url)
    place = ANEW[kind](request, tmp_path, clock)
    run_state_machine_as_test(
        lambda: LeaseMachine(next(place), clock),
        settings=settings(
            deadline=None,
            max_examples=often(150 if kind == "sqlite" else 20),
            stateful_step_count=50,
            suppress_health_check=list(HealthCheck),
        ),
    )

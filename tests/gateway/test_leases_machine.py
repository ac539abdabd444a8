"""Several processes on one store in any order of calls, ends, crashes, partitions and new days.

No budget is ever passed by what is spent and held, as costs keep within their holds; and once all is
quiet, whoever asks can spend all that is left.
"""

from __future__ import annotations

import shutil

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from lease_side import NOON, Process, SimCall, World

from trials import new_folder, often
from trunkline.gateway.guard import PERIODS, period_of
from trunkline.store.records import Batch, Budget, Entry, Key
from trunkline.store.sums import spend_of

KEYS = ("key_a", "key_b", "key_c")
AMOUNTS = st.integers(0, 12)
BUDGETS = st.lists(
    st.builds(Budget, st.integers(0, 40), st.sampled_from(PERIODS)),
    max_size=2,
    unique_by=lambda budget: budget.period,
).map(tuple)
UNLIMITED = 10**9
EXAMPLES = often(100)


class LeaseMachine(RuleBasedStateMachine):
    """Processes that come and go, beside what each budget allows in each period."""

    flying = Bundle("flying")

    @initialize(limit=st.integers(0, 60), budgets=st.tuples(BUDGETS, BUDGETS, BUDGETS))
    def begin(self, limit, budgets) -> None:
        self.folder = new_folder()
        self.world = World(self.folder, wall=NOON - 86400)
        self.started = 0
        self.allowed: dict[tuple[str, str, str, float], int] = {}
        self.uncovered: dict[tuple[str, str], list[Entry]] = {}
        for name, rows in zip(KEYS, budgets, strict=True):
            self.world.key(*rows, name=name, team="red")
        self.world.account("team", "red", Budget(limit, "month"))
        for _ in range(3):
            self.start()
        self.note()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.store.close()
            shutil.rmtree(self.folder)

    def start(self) -> None:
        self.started += 1
        Process(self.world, f"boot{self.started}").read()

    def process(self, number: int) -> Process:
        return self.world.processes[number % len(self.world.processes)]

    def budgets(self) -> dict[tuple[str, str, str], int]:
        """Return the budgets in force, by field, name and period."""
        rows = [("key", key.id, key.budgets) for key in self.world.keys.values()]
        rows += [("team", "red", self.world.accounts["team", "red"].budgets)]
        return {(field, name, one.period): one.amount for field, name, of in rows for one in of}

    def note(self, *, changed: bool = True) -> None:
        """Note what is allowed from now on: the budget, or, if that is more already, what is used.

        What was in flight while there was no budget is not covered by any grant: it comes on top.
        Where nothing has changed it holds on, though less may be used by now; new periods are noted.
        """
        budgets = self.budgets()
        for field, name in (*(("key", key) for key in KEYS), ("team", "red")):
            if not any(place[:2] == (field, name) for place in budgets):
                flying = [e for p in self.world.processes for e in self.held(p)]
                self.uncovered[field, name] = [e for e in flying if getattr(e, field) == name]
        for field, name in (*(("key", key) for key in KEYS), ("team", "red")):
            for period in PERIODS:
                began = period_of(period, self.world.clock.wall())[0]
                used = self.used(field, name, period, began)
                amount = budgets.get((field, name, period), UNLIMITED)
                amount += sum(entry.reserved for entry in self.uncovered.get((field, name), ()))
                place = (field, name, period, began)
                if changed or place not in self.allowed:
                    self.allowed[place] = max(amount, used)

    def used(self, field: str, name: str, period, began: float) -> int:
        """Return what was charged and is held of calls that began in a period."""
        ends = period_of(period, began)[1]
        return sum(
            entry.reserved if entry.state == "open" else entry.charged
            for entry in self.entries()
            if getattr(entry, field) == name and began <= entry.started < ends
        )

    def entries(self) -> list[Entry]:
        entries = list(self.world.ledger)
        for process in self.world.processes:
            entries += [*process.uncommitted, *self.held(process)]
        return entries

    # what happens

    @rule(target=flying, number=st.integers(0, 9), name=st.sampled_from(KEYS), amount=AMOUNTS)
    def call(self, number, name, amount):
        call = self.process(number).ask(name, amount)
        self.world.pass_(0.01)
        return call

    @rule(number=st.integers(0, 9), name=st.sampled_from(KEYS), amount=AMOUNTS)
    def many_calls_at_once(self, number, name, amount) -> None:
        for process in (self.process(number), self.process(number + 1)):
            for _ in range(4):
                process.ask(name, amount)
        self.world.pass_(0.3)

    @rule(call=consumes(flying), share=st.floats(0, 1))
    def a_call_ends(self, call, share) -> None:
        if call.process in self.world.processes:
            self.end(call, share)

    @rule(number=st.integers(0, 9), share=st.floats(0, 1))
    def all_calls_of_a_process_end(self, number, share) -> None:
        for call in self.process(number).calls:
            self.end(call, share)

    def end(self, call: SimCall, share: float = 1.0) -> None:
        if call.ended or call.refusal is not None:
            return
        if call.entry is None:
            call.leave()
        else:
            call.end(round(call.amount * share))

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 3.0, 43_000.0, 20 * 86400.0]))
    def time_passes(self, seconds) -> None:
        self.world.clock.offset += max(seconds - 3.0, 0.0)
        self.note(changed=False)
        self.world.pass_(min(seconds, 3.0))

    @rule(name=st.sampled_from(KEYS), budgets=BUDGETS)
    def a_key_is_changed(self, name, budgets) -> None:
        self.note()
        self.world.key(*budgets, name=name, team="red")
        self.take_over()

    @rule(budgets=BUDGETS)
    def the_team_is_changed(self, budgets) -> None:
        self.note()
        self.world.account("team", "red", *budgets)
        self.take_over()

    def take_over(self) -> None:
        for process in self.world.processes:
            process.read()
        self.note()

    @rule(number=st.integers(0, 9), trouble=st.sampled_from(["", "down", "lost", "hung"]))
    def a_line_breaks(self, number, trouble) -> None:
        line = self.process(number).money
        if line.trouble != "hung":  # its thread waits for ever
            line.trouble = trouble

    @rule(number=st.integers(0, 9), latency=st.sampled_from([0.002, 0.3, 1.5]))
    def a_line_is_slow(self, number, latency) -> None:
        self.process(number).money.latency = latency

    @rule(number=st.integers(0, 9))
    def a_process_ends(self, number) -> None:
        process = self.process(number)
        for call in process.calls:
            self.end(call)
        process.leave()
        self.start()

    @rule(number=st.integers(0, 9))
    def a_process_dies(self, number) -> None:
        """Another one brings in its journal, and settles what it had in flight as unknown."""
        process = self.process(number)
        process.leases.close()
        left = [
            msgspec.structs.replace(entry, state="unknown", charged=entry.reserved)
            for entry in self.held(process)
        ]
        process.commit()
        self.world.store.commit(Batch(left, spend_of(left), process.boot, process.position + 1))
        self.world.ledger += left
        self.world.store.leave(process.boot)
        self.world.processes.remove(process)
        self.start()

    def held(self, process: Process) -> list[Entry]:
        return [call.entry for call in process.calls if call.entry is not None and not call.ended]

    # what holds

    @invariant()
    def no_budget_is_passed(self) -> None:
        if not hasattr(self, "world"):
            return
        for (field, name, period, began), most in self.allowed.items():
            assert self.used(field, name, period, began) <= most, (field, name, period)

    @rule(number=st.integers(0, 9), name=st.sampled_from(KEYS))
    def once_all_is_quiet_whoever_asks_can_spend_what_is_left(self, number, name) -> None:
        for process in list(self.world.processes):
            for call in process.calls:
                self.end(call)
            if process.money.trouble == "hung":
                process.leave()
                self.start()
            else:
                process.money.trouble, process.money.latency = "", 0.002
        self.world.pass_(4)
        left = self.left(self.world.keys[name])
        process = self.process(number)
        if left is None:
            return
        refused = process.ask(name, left + 1)
        self.world.pass_(2.5)
        assert refused.code == "budget_exceeded"
        call = process.ask(name, left)
        self.world.pass_(0.5)
        assert call.code == "sent", (left, call.refusal)
        call.end(0)

    def left(self, key: Key) -> int | None:
        """Return how much a call of a key may cost; None where it has no budget."""
        rows = [
            amount - self.spent(field, name, period)
            for (field, name, period), amount in self.budgets().items()
            if name in (key.id, key.team)
        ]
        return max(min(rows), 0) if rows else None

    def spent(self, field: str, name: str, period) -> int:
        began, ends = period_of(period, self.world.clock.wall())
        return sum(
            entry.charged
            for entry in self.world.ledger
            if getattr(entry, field) == name and began <= entry.started < ends
        )


TestLeaseMachine = pytest.mark.timeout(120 + EXAMPLES)(LeaseMachine.TestCase)
TestLeaseMachine.settings = settings(deadline=None, max_examples=EXAMPLES, stateful_step_count=40)

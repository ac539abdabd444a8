"""Holds, settlements, new days and keys read again in any order, against lists and sums."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from ledger_side import sent, settle

from trials import often
from trunkline.gateway.guard import Guard, Holder, period_of
from trunkline.store.records import Account, Budget, Entry, Key, Limits
from trunkline.store.sums import spend_of

KEYS = st.sampled_from(["key_a", "key_b", "key_c"])
TEAMS = st.sampled_from([None, "red", "blue"])
PERIODS = st.sampled_from(["day", "month"])
AMOUNTS = st.integers(0, 12)
BUDGETS = st.lists(
    st.builds(Budget, st.integers(0, 40), PERIODS), max_size=2, unique_by=lambda b: b.period
).map(tuple)
FIRST = 1_796_000_000.0


class GuardMachine(RuleBasedStateMachine):
    """A guard beside a list of all entries, in flight and over."""

    flying = Bundle("flying")

    @initialize()
    def begin(self) -> None:
        self.guard = Guard()
        self.keys = {name: Key(name, owner="ada") for name in ("key_a", "key_b", "key_c")}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.entries: list[Entry] = []
        self.wall = FIRST
        self.metered: set[str] = set()
        """Calls that began while their key had a limit."""
        self.read()

    def read(self) -> None:
        self.holders = {
            name: self.guard.holder(key, self.accounts, self.wall)
            for name, key in self.keys.items()
        }

    @rule(name=KEYS, team=TEAMS, budgets=BUDGETS, most=st.none() | st.integers(1, 3))
    def change_key(self, name, team, budgets, most) -> None:
        limits = Limits(concurrency=most)
        self.keys[name] = Key(name, owner="ada", team=team, budgets=budgets, limits=limits)
        self.read()

    @rule(
        kind=st.sampled_from([("team", "red"), ("team", "blue"), ("owner", "ada")]), budgets=BUDGETS
    )
    def change_account(self, kind, budgets) -> None:
        self.accounts[kind] = Account(*kind, budgets=budgets)
        self.read()

    @rule()
    def reload(self) -> None:
        self.read()

    @rule(seconds=st.sampled_from([0.25, 3600.0, 86400.0, -3600.0, 20 * 86400.0]))
    def time_passes(self, seconds) -> None:
        self.wall += seconds

    @rule(target=flying, name=KEYS, amount=AMOUNTS)
    def call(self, name, amount):
        holder = self.holders[name]
        key = self.keys[name]
        refusal = holder.hold(amount, 1, self.wall - FIRST, self.wall)
        assert (refusal is None) == self.may(key, amount)
        if refusal is not None:
            return None
        number = len(self.entries) + 1
        entry = sent(
            number, key=name, owner=key.owner, team=key.team, started=self.wall, reserved=amount
        )
        self.entries.append(entry)
        if key.limits != Limits():
            self.metered.add(entry.id)
        return holder, entry

    @rule(one=consumes(flying), share=st.floats(0, 1))
    def call_ends(self, one: tuple[Holder, Entry] | None, share) -> None:
        if one is not None and one[1].state == "open":
            holder, entry = one
            holder.settle(settle(entry, round(entry.reserved * share)), 1, None)

    @rule()
    def process_is_replaced(self) -> None:
        """Start anew with what the ledger tells; calls in flight are unknown at their reserves."""
        for entry in self.entries:
            if entry.state == "open":
                settle(entry, None)
        self.guard = Guard()
        self.guard.load(spend_of(self.entries))
        self.metered.clear()
        self.read()

    def may(self, key: Key, amount: int) -> bool:
        """Tell by the list whether a call of so much may be sent."""
        most = key.limits.concurrency
        if most is not None and self.running(key.id) >= most:
            return False
        return all(
            self.used(field, name, budget) + amount <= budget.amount
            for field, name, budget in self.budgets(key)
        )

    def budgets(self, key: Key):
        rows = [("key", key.id, budget) for budget in key.budgets]
        for field, name in (("owner", key.owner), ("team", key.team)):
            account = self.accounts.get((field, name))
            rows += [(field, name, budget) for budget in (account.budgets if account else ())]
        return rows

    def used(self, field: str, name: str, budget: Budget) -> int:
        began, ends = period_of(budget.period, self.wall)
        mine = [entry for entry in self.entries if getattr(entry, field) == name]
        held = sum(entry.reserved for entry in mine if entry.state == "open")
        return held + sum(entry.charged for entry in mine if began <= entry.started < ends)

    def running(self, name: str) -> int:
        return sum(
            e.key == name and e.state == "open" and e.id in self.metered for e in self.entries
        )

    @invariant()
    def no_more_is_held_than_runs(self) -> None:
        for (scope, name), charges in self.guard._charges.items():
            mine = [e for e in self.entries if getattr(e, scope) == name and e.state == "open"]
            assert charges.held == sum(entry.reserved for entry in mine)


TestGuardMachine = GuardMachine.TestCase
TestGuardMachine.settings = settings(deadline=None, max_examples=often(100), stateful_step_count=40)

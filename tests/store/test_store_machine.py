"""Any order of changes, replays and reopenings, against a model that is a few dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)
from store_samples import ANEW, a_key, a_secret, an_entry

from trials import often
from trunkline.store.records import Account, Batch, Budget, Entry, Key, KeySecret
from trunkline.store.seam import SharedStore, StoreConflictError, StoreMissingError
from trunkline.store.sums import spend_of
from trunkline.types.money import LARGEST

NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(0, 30)
TIMES = st.integers(1, 50).map(float)
AMOUNTS = st.integers(0, LARGEST)
STATES = st.sampled_from(["open", "settled", "unknown"])
BETTER = ("unknown", "settled")


class StoreMachine(RuleBasedStateMachine):
    """A store beside its model."""

    batches = Bundle("batches")

    def __init__(self, start: Callable[[], SharedStore]) -> None:
        super().__init__()
        self.start = start
        self.store = start()
        self.store.migrate()
        self.keys: dict[str, Key] = {}
        self.secrets: dict[bytes, KeySecret] = {}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.entries: dict[str, Entry] = {}
        self.positions: dict[str, int] = {}
        self.least_version = self.store.version()

    def teardown(self) -> None:
        self.store.close()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.start()
        assert self.store.migrate() == []

    @rule(name=NAMES, text=NAMES, team=st.none() | NAMES)
    def add_key(self, name: str, text: str, team: str | None) -> None:
        key, secret = a_key(name, team=team), a_secret(name, text)
        if name in self.keys or secret.digest in self.secrets:
            with pytest.raises(StoreConflictError):
                self.store.add_key(key, secret)
            return
        self.store.add_key(key, secret)
        self.keys[name] = key
        self.secrets[secret.digest] = secret
        self.changed()

    @rule(name=NAMES, revoked=st.none() | TIMES)
    def change_key(self, name: str, revoked: float | None) -> None:
        key = a_key(name, revoked=revoked)
        if name not in self.keys:
            with pytest.raises(StoreMissingError):
                self.store.change_key(key)
            return
        self.store.change_key(key)
        self.keys[name] = key
        self.changed()

    @rule(name=NAMES, text=NAMES, until=TIMES, expires=st.none() | TIMES)
    def rotate(self, name: str, text: str, until: float, expires: float | None) -> None:
        secret = a_secret(name, text, expires=expires)
        if name not in self.keys or secret.digest in self.secrets:
            with pytest.raises((StoreMissingError, StoreConflictError)):
                self.store.rotate(secret, until)
            return
        self.store.rotate(secret, until)
        for old in [old for old in self.secrets.values() if old.key == name]:
            ends = until if old.expires is None else min(until, old.expires)
            self.secrets[old.digest] = msgspec.structs.replace(old, expires=ends)
        self.secrets[secret.digest] = secret
        self.changed()

    @rule(name=NAMES, kind=st.sampled_from(["owner", "team"]), amount=AMOUNTS)
    def put_account(self, name: str, kind: str, amount: int) -> None:
        account = Account(kind, name, budgets=(Budget(amount, "day"),))
        self.store.put_account(account)
        self.accounts[kind, name] = account
        self.changed()

    @rule(name=NAMES, kind=st.sampled_from(["owner", "team"]))
    def drop_account(self, name: str, kind: str) -> None:
        there = self.accounts.pop((kind, name), None) is not None
        assert self.store.drop_account(kind, name) == there
        if there:
            self.changed()

    @rule(
        target=batches,
        journal=NAMES,
        step=st.integers(-3, 5),
        calls=st.lists(st.tuples(NUMBERS, NAMES, STATES, AMOUNTS), max_size=20),
    )
    def commit(
        self, journal: str, step: int, calls: list[tuple[int, str, str, int]]
    ) -> tuple[str, int, list[tuple[int, str, str, int]]]:
        position = self.positions.get(journal, 0) + step
        self.play(journal, position, calls)
        return journal, position, calls

    @rule(batch=consumes(batches))
    def commit_again(self, batch: tuple[str, int, list[tuple[int, str, str, int]]]) -> None:
        self.play(*batch)

    @rule(journal=NAMES)
    def forget_journal(self, journal: str) -> None:
        self.store.forget_journal(journal)
        self.positions.pop(journal, None)

    def play(self, journal: str, position: int, calls: list[tuple[int, str, str, int]]) -> None:
        entries = [
            an_entry(number, key=name, team=name, state=state, cost=amount, charged=amount)
            for number, name, state, amount in calls
        ]
        self.store.commit(Batch(entries, spend_of(entries), journal, position))
        if position <= self.positions.get(journal, 0):
            return
        self.positions[journal] = position
        for entry in entries:
            known = self.entries.get(entry.id)
            if known is None or known.state == "open" or (known.state, entry.state) == BETTER:
                self.entries[entry.id] = entry

    def changed(self) -> None:
        version = self.store.version()
        assert version > self.least_version
        self.least_version = version

    @invariant()
    def access_is_as_in_the_model(self) -> None:
        found = self.store.keys()
        assert {key.id: key for key in found} == self.keys
        assert {secret.digest: secret for secret in self.store.secrets()} == self.secrets
        assert {(one.kind, one.name): one for one in self.store.accounts()} == self.accounts
        assert self.store.version() == self.least_version

    @invariant()
    def the_ledger_is_as_in_the_model(self) -> None:
        newest = sorted(self.entries.values(), key=lambda entry: entry.id, reverse=True)
        assert self.store.entries(limit=1000) == newest
        assert self.store.entries(key="a", limit=2) == [e for e in newest if e.key == "a"][:2]
        still_open = [entry for entry in newest[::-1] if entry.state == "open"]
        assert self.store.open_entries() == still_open
        assert all(self.store.position(name) == self.positions.get(name, 0) for name in "abc")

    @invariant()
    def spend_is_as_in_the_model(self) -> None:
        right = spend_of(self.entries.values())
        assert sorted(self.store.charged(""), key=repr) == sorted(right, key=repr)
        total = sum(row.cost for row in right)
        assert sum(row.cost for row in self.store.spend("", "9", ["model"])) == total


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow) if kind == "postgres" else kind for kind in ANEW],
)
def test_any_order_of_changes_replays_and_reopenings_is_as_in_the_model(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
):
    place = ANEW[kind](request, tmp_path)
    run_state_machine_as_test(
        lambda: StoreMachine(next(place)),
        settings=settings(
            deadline=None,
            max_examples=often(40 if kind == "sqlite" else 12),
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )

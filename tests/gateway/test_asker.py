"""A thread that asks for leases: one question at a time, and its end told on the event loop's thread."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from ledger_side import BadStore, new_store, run, until

from trunkline.gateway.asker import Asker, Times
from trunkline.gateway.guard import LATER, Refusal
from trunkline.gateway.lease_rounds import Waiting
from trunkline.gateway.leased import LeasedGuard, LeasedHolder
from trunkline.gateway.leases import Leases
from trunkline.store.records import Budget, Key, Limits, Replica
from trunkline.store.seam import StoreError
from trunkline.store.sqlite import SqliteStore


def test_an_answer_is_told_on_the_loops_thread():
    async def work() -> None:
        told: list[tuple[object, int]] = []
        asker: Asker[int, int] = Times().asker("test", lambda number: number * 2)
        asker.ask(21, lambda answer: told.append((answer, threading.get_ident())))
        assert asker.busy
        await until(lambda: bool(told))
        assert told == [(42, threading.get_ident())]
        assert not asker.busy
        asker.close()

    run(work)


@pytest.mark.parametrize(
    ("error", "says"), [(StoreError("It is down."), "It is down."), (KeyError("x"), "KeyError")]
)
def test_an_error_is_an_answer_and_the_thread_goes_on(error: Exception, says: str):
    async def work() -> None:
        told: list[object] = []

        def ask(fail: bool) -> str:
            if fail:
                raise error
            return "fine"

        asker: Asker[bool, str] = Asker("test", ask)
        asker.ask(True, told.append)
        await until(lambda: len(told) == 1)
        asker.ask(False, told.append)
        await until(lambda: len(told) == 2)
        assert isinstance(told[0], StoreError)
        assert says in str(told[0])
        assert told[1] == "fine"
        asker.close()

    run(work)


def test_an_answer_that_comes_after_the_loop_is_told_nobody():
    gate = threading.Event()
    threads: list[threading.Thread] = []

    def ask(_: int) -> int:
        threads.append(threading.current_thread())
        gate.wait(10)
        return 1

    async def work() -> None:
        Asker("test", ask).ask(1, lambda _: None)
        await until(lambda: bool(threads))

    asyncio.run(work())
    gate.set()
    threads[0].join(10)
    assert not threads[0].is_alive()


class Calls:
    """Calls of one holder, on a real loop."""

    def __init__(self, leases: Leases, holder: LeasedHolder) -> None:
        self.leases = leases
        self.holder = holder
        self.sent = 0
        self.refused: list[Refusal] = []

    def ask(self, amount: int) -> None:
        times = self.leases.times
        refusal = self.holder.hold(amount, 1, times.now(), times.wall())
        if refusal is LATER:
            again = lambda: self.ask(amount)  # noqa: E731
            self.leases.park(Waiting(self.holder, amount, 1, again, self.refused.append))
        elif refusal is not None:
            self.refused.append(refusal)
        else:
            self.sent += 1


def leased(store: object, key: Key) -> Calls:
    leases = Leases(store, "boot", lambda: 1)  # type: ignore[arg-type]
    guard = LeasedGuard(leases.money.want, leases.rates.want)
    return Calls(leases, guard.holder(key, {}, 0.0))


def joined(folder: Path) -> SqliteStore:
    store = new_store(folder)
    store.join(Replica("boot", "here", 0.0, ""))
    return store


def test_leases_are_asked_for_by_threads_and_given_back_once_all_is_quiet(tmp_path: Path):
    async def work() -> None:
        store = joined(tmp_path)
        key = Key("key_a", budgets=(Budget(100, "day"),), limits=Limits(requests_per_minute=1000))
        calls = leased(store, key)
        for _ in range(30):
            calls.ask(5)
        await until(lambda: calls.sent + len(calls.refused) == 30)
        assert calls.sent == 20
        assert {refusal.code for refusal in calls.refused} == {"budget_exceeded"}
        for charges in calls.holder.money:
            charges.held = 0
        await until(lambda: calls.holder.money[0].granted == 0)
        calls.leases.close()
        store.close()

    run(work)


def test_a_store_that_is_down_refuses_and_then_grants_again(tmp_path: Path):
    async def work() -> None:
        bad = BadStore(joined(tmp_path))
        bad.fails = lambda name, _: "before" if name == "lease_money" else None
        calls = leased(bad, Key("key_a", budgets=(Budget(100, "day"),)))
        calls.ask(5)
        await until(lambda: bool(calls.refused))
        assert calls.refused[0].code == "budget_unavailable"
        bad.fails = lambda _name, _number: None
        calls.ask(5)
        await until(lambda: calls.sent == 1)
        calls.leases.close()
        bad.store.close()

    run(work)

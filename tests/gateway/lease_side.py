"""Several gateways' guards on one store, in a time of the test's own: no threads, nothing sleeps."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from ledger_side import sent, settle

from trunkline.gateway.asker import Asker, Times
from trunkline.gateway.guard import LATER, Refusal
from trunkline.gateway.lease_rounds import Waiting
from trunkline.gateway.leased import LeasedGuard, LeasedHolder
from trunkline.gateway.leases import Leases
from trunkline.store.records import Account, Batch, Budget, Entry, Key, Limits, Replica
from trunkline.store.seam import StoreError
from trunkline.store.sqlite import SqliteStore
from trunkline.store.sums import spend_of

NOON = 1_796_040_000.0
"""Of the last day of November 2026, UTC."""
CENT = 10**10


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock(Times):
    """A monotonic clock, a wall clock and timers, moved by hand."""

    def __init__(self, wall: float = NOON) -> None:
        self.passed = 1000.0
        self.offset = wall - self.passed
        self._due: list[tuple[float, int, Timer, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return self.passed

    def wall(self) -> float:
        return self.passed + self.offset

    def later(self, seconds: float, do: Callable[..., Any], *given: Any) -> Timer:
        timer = Timer()
        at = self.passed + seconds
        heapq.heappush(self._due, (at, next(self._numbers), timer, lambda: do(*given)))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due meanwhile."""
        until = self.passed + seconds
        while self._due and self._due[0][0] <= until:
            at, _, timer, do = heapq.heappop(self._due)
            self.passed = max(self.passed, at)
            if not timer.cancelled:
                do()
        self.passed = until

    @property
    def idle(self) -> bool:
        """Whether nothing is going to happen."""
        return all(timer.cancelled for _, _, timer, _ in self._due)


class Line:
    """The way from one process to the store, or to whoever shares limits out."""

    def __init__(self) -> None:
        self.trouble = ""
        """Empty, `down`, `lost` (done, and the answer is lost) or `hung`."""
        self.latency = 0.002
        self.asked = 0


class LineAsker(Asker[Any, Any]):
    """Asks at once, and answers a little later."""

    def __init__(self, clock: Clock, line: Line, name: str, ask: Callable[[Any], Any]) -> None:
        super().__init__(name, ask)
        self._clock = clock
        self._line = line

    def ask(self, asked: Any, told: Callable[[Any], None]) -> None:
        line = self._line
        line.asked += 1
        self.busy = True
        answer: Any = StoreError("The store is down.")
        if line.trouble in ("", "lost"):
            try:
                answer = self._ask(asked)
            except StoreError as error:
                answer = error
            if line.trouble == "lost":
                answer = StoreError("The answer is lost.")
        if line.trouble != "hung":
            self._clock.later(line.latency, self._done, told, answer)

    def close(self) -> None:
        pass


class SimTimes(Times):
    """One process's clock: the test's, and its own lines to others."""

    def __init__(self, clock: Clock, money: Line, rates: Line) -> None:
        self._clock = clock
        self._lines = {"trunkline-money": money, "trunkline-rates": rates}
        self.skew = 0.0
        """Seconds by which its wall clock is ahead."""

    def now(self) -> float:
        return self._clock.now()

    def wall(self) -> float:
        return self._clock.wall() + self.skew

    def later(self, seconds: float, do: Callable[..., Any], *given: Any) -> Timer:
        return self._clock.later(seconds, do, *given)

    def asker(self, name: str, ask: Callable[[Any], Any]) -> Any:
        return LineAsker(self._clock, self._lines[name], name, ask)


class SimCall(msgspec.Struct, eq=False):
    """A call from its hold to its end."""

    process: Process
    holder: LeasedHolder
    key: Key
    amount: int
    tokens: int
    entry: Entry | None = None
    refusal: Refusal | None = None
    waiting: Waiting | None = None
    ended: bool = False

    def begin(self) -> None:
        """Hold for it, or wait."""
        times = self.process.times
        refusal = self.holder.hold(self.amount, self.tokens, times.now(), times.wall())
        if refusal is LATER:
            self.waiting = Waiting(self.holder, self.amount, self.tokens, self.begin, self.refuse)
            self.process.leases.park(self.waiting)
        elif refusal is not None:
            self.refuse(refusal)
        else:
            self.entry = self.process.sent(self)

    def refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal

    @property
    def open(self) -> bool:
        """Whether neither sent nor refused."""
        return self.entry is None and self.refusal is None

    @property
    def code(self) -> str:
        """What has become of it: `sent`, `waits`, or why it was refused."""
        if self.refusal is not None:
            return self.refusal.code
        return "waits" if self.entry is None else "sent"

    def leave(self) -> None:
        """Have the client leave while it waits."""
        assert self.waiting is not None
        self.process.leases.drop(self.waiting)
        self.refusal = Refusal(499, "left", "")

    def end(self, cost: int | None = None, used: int | None = None) -> None:
        """End it; the entry waits to be committed."""
        assert self.entry is not None
        assert not self.ended
        self.ended = True
        entry = settle(self.entry, self.entry.reserved if cost is None else cost)
        self.holder.settle(entry, self.tokens, used)
        self.process.uncommitted.append(entry)


class Process:
    """One gateway: its guard, its leases, and what its ledger has not committed."""

    def __init__(self, world: World, boot: str) -> None:
        self.world = world
        self.boot = boot
        self.money, self.rates = Line(), Line()
        self.times = SimTimes(world.clock, self.money, self.rates)
        self.leases = Leases(
            world.store, boot, lambda: len(world.processes), rates=world.rates, times=self.times
        )
        self.guard = LeasedGuard(self.leases.money.want, self.leases.rates.want)
        self.uncommitted: list[Entry] = []
        self.calls: list[SimCall] = []
        """All that were asked and have neither ended nor been refused, when it was last looked."""
        self.position = 0
        world.store.join(Replica(boot, "here", world.clock.wall(), ""))
        world.processes.append(self)

    def ask(self, key: Key | str = "key_a", amount: int = 0, tokens: int = 1) -> SimCall:
        """Ask as one would who just came."""
        found = self.world.keys[key] if isinstance(key, str) else key
        holder = self.guard.holder(found, self.world.accounts, self.times.wall())
        call = SimCall(self, holder, found, amount, tokens)
        call.begin()
        self.calls = [one for one in self.calls if one.refusal is None and not one.ended]
        self.calls.append(call)
        return call

    def read(self) -> None:
        """Take over keys and accounts as they are now."""
        for key in self.world.keys.values():
            self.guard.holder(key, self.world.accounts, self.times.wall())

    def sent(self, call: SimCall) -> Entry:
        number = next(self.world.numbers)
        key = call.key
        return sent(
            number,
            self.boot,
            key=key.id,
            owner=key.owner,
            team=key.team,
            started=self.times.wall(),
            reserved=call.amount,
        )

    def commit(self) -> None:
        """Have the ledger commit what waits."""
        entries, self.uncommitted = self.uncommitted, []
        if entries:
            self.position += 1
            self.world.store.commit(Batch(entries, spend_of(entries), self.boot, self.position))
            self.world.ledger += entries

    def leave(self) -> None:
        """End in order."""
        self.leases.close()
        self.commit()
        self.world.store.leave(self.boot)
        self.world.processes.remove(self)


class World:
    """A store, a clock, and the processes that serve."""

    def __init__(self, folder: Path, *boots: str, wall: float = NOON) -> None:
        self.clock = Clock(wall)
        self.store = SqliteStore(folder / "gateway.db", durable=False, clock=self.clock.wall)
        self.store.migrate()
        self.rates: Any = None
        self.numbers = itertools.count(1)
        self.keys: dict[str, Key] = {"key_a": Key("key_a")}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.processes: list[Process] = []
        self.ledger: list[Entry] = []
        for boot in boots:
            Process(self, boot)

    def key(self, *budgets: Budget, name: str = "key_a", **fields: Any) -> None:
        """Make or change a key."""
        self.keys[name] = Key(name, budgets=budgets, **fields)

    def account(self, kind: Any, name: str, *budgets: Budget, limits: Limits | None = None) -> None:
        self.accounts[kind, name] = Account(kind, name, limits or Limits(), budgets)

    def pass_(self, seconds: float) -> None:
        """Let time pass, in steps in which each ledger commits."""
        while seconds > 0:
            step = min(seconds, 0.1)
            self.clock.advance(step)
            seconds -= step
            for process in self.processes:
                process.commit()

    def charged(self) -> int:
        """What the ledger has been charged in all."""
        return sum(entry.charged for entry in self.ledger)

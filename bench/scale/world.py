"""Many replicas on one store, asked by many keys of which few ask most: one simulated run and what it found."""

from __future__ import annotations

import itertools
import random
import zlib
from collections import Counter
from dataclasses import dataclass

from events import Clock
from replica import Call, Replica
from shared_store import SharedStore

from trunkline.store.records import Budget, Key, Limits

NOON = 1_796_040_000
"""A full minute, and the middle of a day."""
MINUTE = 60
RESERVED = 10**9
"""Picodollars that each call could cost at most, a tenth of a cent; it costs a fifth of that to all of it."""
TOKENS = 500
CALL_SECONDS = 1.5
"""Of a call, on average."""
ROUND_TRIPS = {"trunkline-money": 0.002, "trunkline-rates": 0.0005}
"""Seconds to the store and back, and to whoever shares limits out."""
AMPLE = 100
BUSIEST = 100
_BUSIEST = f"key_{BUSIEST:05}"
"""The first key that is not one of them."""


@dataclass(frozen=True)
class Plan:
    """What is simulated."""

    rate: int
    """Requests a minute, of all keys at all replicas."""
    replicas: int = 100
    spread: int = 100
    """How many of them a key's requests may reach: all, or those that a balancer keeps to."""
    keys: int = 10_000
    minutes: int = 1
    """That are measured; a half before them is not."""
    exponent: float = 1.0
    """Zipf's: the key of rank n asks as often as 1 / n ** exponent says."""
    seed: int = 1


@dataclass
class Asker:
    """A key, how much it asks, and what became of it."""

    key: Key
    demand: float
    """Requests a minute."""
    limit: int
    budget: int
    tight: bool
    """Whether its limit allows half of what it asks for."""
    sent: Counter[int]
    """By the minute."""


def askers(plan: Plan) -> list[Asker]:
    """Return the keys: one in ten has half the limit that it would need, one in ten half the budget."""
    weights = [1 / rank**plan.exponent for rank in range(1, plan.keys + 1)]
    whole = sum(weights)
    found = []
    for rank, weight in enumerate(weights):
        demand = plan.rate * weight / whole
        tight = rank % 10 == 3
        limit = max(int(demand / 2), 1) if tight else int(demand * 3) + 20
        needed = int(demand * plan.minutes * RESERVED * 0.6)
        budget = needed // 2 + RESERVED if rank % 10 == 7 else (needed + RESERVED) * AMPLE
        key = Key(
            f"key_{rank:05}",
            limits=Limits(requests_per_minute=limit),
            budgets=(Budget(budget, "day"),),
        )
        found.append(Asker(key, demand, limit, budget, tight, Counter()))
    return found


class World:
    """A run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = Clock(NOON - MINUTE / 2)
        self.store = SharedStore(self.clock)
        self.askers = askers(plan)
        self.replicas = [
            Replica(f"boot_{n:03}", self.clock, self.store, plan.replicas, ROUND_TRIPS, self._ended)
            for n in range(plan.replicas)
        ]
        self.asked = 0
        self.outcomes: Counter[str] = Counter()
        self.waits: list[float] = []
        """Seconds that calls waited which did."""
        self.busy: Counter[bool] = Counter()
        """Calls of the busiest keys, those that waited and those that did not."""
        self._by_id = {asker.key.id: asker for asker in self.askers}
        self._chance = random.Random(plan.seed)  # noqa: S311 - not a secret
        self._cumulated = list(itertools.accumulate(asker.demand for asker in self.askers))

    def run(self) -> Counter[str]:
        """Simulate, and return what the store was asked in the minutes that count."""
        self._arrive()
        self.clock.run(MINUTE / 2)
        before, waited = self.store.asked.copy(), self._waited()
        self.asked = 0
        self.outcomes.clear()
        self.waits.clear()
        self.busy.clear()
        self.clock.run(MINUTE / 2 + MINUTE * self.plan.minutes)
        found = self.store.asked.copy()
        found.subtract(before)
        found["requests"] = self.asked
        found["waited"] = self._waited() - waited
        found["events"] = self.clock.happened
        return found

    def _waited(self) -> int:
        return sum(replica.leases.waited for replica in self.replicas)

    def _arrive(self) -> None:
        """Have a request come, and the next one after it."""
        chance = self._chance
        (asker,) = chance.choices(self.askers, cum_weights=self._cumulated)
        charged = chance.randrange(RESERVED // 5, RESERVED)
        used = chance.randrange(TOKENS // 5, TOKENS)
        seconds = chance.expovariate(1 / CALL_SECONDS)
        call = Call(asker.key, RESERVED, charged, TOKENS, used, seconds, self.clock.now)
        self.asked += 1
        self._replica(asker).take(call)
        self.clock.later(chance.expovariate(self.plan.rate / MINUTE), self._arrive)

    def _replica(self, asker: Asker) -> Replica:
        """Return where a balancer sends a key's request."""
        first = zlib.crc32(asker.key.id.encode())
        return self.replicas[
            (first + self._chance.randrange(self.plan.spread)) % len(self.replicas)
        ]

    def _ended(self, call: Call) -> None:
        self.outcomes[call.refusal or "ok"] += 1
        if call.key.id < _BUSIEST:
            self.busy[call.waited] += 1
        if call.sent is not None:
            minute = int((self.clock.wall() - self.clock.now + call.sent) // MINUTE)
            self._by_id[call.key.id].sent[minute] += 1
            if call.sent > call.arrived:
                self.waits.append(call.sent - call.arrived)

    def overshoot(self) -> int:
        """Return by how many picodollars budgets were passed in all."""
        spent = self.store.money
        return sum(max(spent["key", a.key.id].spent - a.budget, 0) for a in self.askers)

    def beyond_limits(self) -> int:
        """Return how many calls were sent in a minute beyond their keys' limits."""
        counts = ((asker.limit, sent) for asker in self.askers for sent in asker.sent.values())
        return sum(max(sent - limit, 0) for limit, sent in counts)

    def allowed_share(self) -> float:
        """Return how much of their limits was sent of those keys that asked for twice as much."""
        first = NOON // MINUTE
        minutes = range(first, first + self.plan.minutes)
        tight = [asker for asker in self.askers if asker.tight and asker.limit >= 5]
        sent = sum(asker.sent[minute] for asker in tight for minute in minutes)
        return sent / max(sum(asker.limit for asker in tight) * len(minutes), 1)

"""How many statements PostgreSQL is sent for one round trip: counted on the store's own code, no database."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any

from trunkline.store import postgres_statements as own
from trunkline.store.postgres_commit import Committing
from trunkline.store.postgres_sharing import lease_money, lease_rates
from trunkline.store.records import Batch, Budget, Entry, Limits, MoneyWish, RateWish
from trunkline.store.sums import spend_of

BEATS = 2
"""Of a process that says that it lives, and reads who else does."""
LOOKS = 1
"""Whether keys have changed."""
_BEGIN_AND_COMMIT = 2
_ROWS = {own.PURSES: (0, 0, 0, 0, 0), own.METERS: (0, 0, 0)}


class Counting:
    """A connection that counts what it is asked, and has what an empty database has."""

    def __init__(self) -> None:
        self.statements = _BEGIN_AND_COMMIT

    async def execute(self, _text: str, *_values: Any) -> str:
        self.statements += 1
        return "UPDATE 1"

    async def fetchval(self, _text: str, *_values: Any) -> float:
        self.statements += 1
        return time.time()

    async def fetchrow(self, _text: str, *_values: Any) -> tuple[int, float]:
        """Return what says that it was done, for one entry or at this time."""
        self.statements += 1
        return 1, time.time()

    async def fetch(self, text: str, *_values: Any) -> list[Any]:
        self.statements += 1
        return [_ROWS[text]] if text in _ROWS else []

    async def copy_records_to_table(self, _name: str, *, records: Any, **_more: Any) -> str:
        self.statements += 1
        return f"COPY {len(list(records))}"


def counted() -> dict[str, int]:
    """Return the statements of a round for money, one for rates and a commit, whatever is in it."""
    budget = Budget(1, "day")
    money = [MoneyWish("key", "k", 1, (budget,))]
    rates = [RateWish("key", "k", Limits(requests_per_minute=1), 1)]
    entry = Entry("r", "b", "k", None, None, "chat", "m", False, 0.0, 1)
    entry.state, entry.ended, entry.cost, entry.charged = "settled", 1.0, 1, 1
    batch = Batch([entry], spend_of([entry]), "b", 1)
    return {
        "money": _count(lambda c: lease_money(c, "b", money, 1, own.CLOCK)),
        "rates": _count(lambda c: lease_rates(c, "b", rates, 30.0, own.CLOCK)),
        "commit": _count(Committing(batch)),
    }


def _count(work: Any) -> int:
    connection = Counting()
    done = work(connection)
    if inspect.isawaitable(done):
        asyncio.run(_wait(done))
    return connection.statements


async def _wait(done: Any) -> None:
    await done

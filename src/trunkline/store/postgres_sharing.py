"""What processes that serve from one PostgreSQL tell each other: who was granted what.

Each function is work for a connection within a transaction. Grants of one scope wait for each other;
commits do not wait for them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from trunkline.store import postgres_statements as own
from trunkline.store.leasing import MINUTE, Meter, Purse, first_day, grant_money, grant_rates
from trunkline.store.records import MoneyLease, MoneyWish, RateLease, RateWish
from trunkline.store.seam import StoreError
from trunkline.store.sharing import given_up

_LOCK_OF_MONEY, _LOCK_OF_RATES = 0x54524B4D, 0x54524B52
"""The first half of what is locked; the other is made of the scope. Two alike only wait in vain."""


async def lease_money(
    connection: Any, boot: str, wishes: Sequence[MoneyWish], number: int, clock: str
) -> list[MoneyLease]:
    """Grant what budgets allow; `number` grows with each round of a process."""
    places = _distinct(wishes)
    began = await connection.fetchrow(
        own.begin_round(clock), boot, number, _LOCK_OF_MONEY, _hashes(places)
    )
    if began is None:
        raise await _refused(connection, boot)
    now: float = began[1]
    days = first_day("day", now), first_day("month", now)
    rows = await connection.fetch(own.PURSES, boot, *_columns(places), *days)
    spent: dict[tuple[str, str], dict[str, int]] = {}
    purses: dict[tuple[str, str], Purse] = {}
    for place, (today, month, granted, settled, elsewhere) in zip(places, rows, strict=True):
        spent[place] = {"day": int(today), "month": int(month)}
        purses[place] = Purse(int(granted or 0), int(settled or 0), int(elsewhere))
    leases: list[MoneyLease] = []
    for wish in wishes:
        place = (wish.scope, wish.whose)
        gone = [spent[place][budget.period] for budget in wish.budgets]
        lease = grant_money(wish, purses[place], gone)
        purses[place].granted = lease.granted
        leases.append(lease)
    granted_now = [purses[place].granted for place in places]
    await connection.execute(own.GRANT, boot, *_columns(places), granted_now)
    return leases


async def _refused(connection: Any, boot: str) -> StoreError:
    if await connection.fetchval(own.REPLICA_ROUND, boot) is None:
        return given_up(boot)
    return StoreError(f"A later round of leases of this process ({boot}) has overtaken this one.")


async def lease_rates(
    connection: Any, boot: str, wishes: Sequence[RateWish], slot_seconds: float, clock: str
) -> list[RateLease]:
    """Grant what limits allow, of the minute that it is now."""
    places = _distinct(wishes)
    await connection.fetch(own.LOCK, _LOCK_OF_RATES, _hashes(places))
    now: float = await connection.fetchval(f"SELECT {clock}")
    minute, ended = int(now // MINUTE), now - slot_seconds
    await connection.execute(own.DROP_OLD_SLOTS, boot, ended)
    await connection.execute(own.KEEP_SLOTS, boot, now)
    rows = await connection.fetch(own.METERS, boot, *_columns(places), minute, ended)
    meters = {place: Meter(*row) for place, row in zip(places, rows, strict=True)}
    leases = [grant_rates(wish, meters[wish.scope, wish.whose], now) for wish in wishes]
    calls = [meters[place].calls for place in places]
    tokens = [meters[place].tokens for place in places]
    await connection.execute(own.COUNT, minute, *_columns(places), calls, tokens)
    slots = {(lease.scope, lease.whose): lease.slots for lease in leases}
    await connection.execute(own.TAKE_SLOTS, boot, now, *_columns(places), [*slots.values()])
    return leases


def _hashes(places: Sequence[tuple[str, str]]) -> list[int]:
    """Return what is locked of scopes; all lock it in the same order."""
    return sorted({zlib.crc32("\0".join(place).encode()) - 2**31 for place in places})


def _distinct(wishes: Iterable[MoneyWish | RateWish]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((wish.scope, wish.whose) for wish in wishes))


def _columns(places: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [scope for scope, _ in places], [whose for _, whose in places]

"""What processes that serve from one SQLite file tell each other: who lives, who was granted what.

Each function works on a connection within a transaction, which has the file's only writer's place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trunkline.store import sqlite_statements as own
from trunkline.store import statements as sql
from trunkline.store.leasing import MINUTE, Meter, Purse, first_day, grant_money, grant_rates
from trunkline.store.records import MoneyLease, MoneyWish, RateLease, RateWish, Replica, Told
from trunkline.store.sharing import given_up, joined_already


def join(connection: sqlite3.Connection, replica: Replica, now: float) -> None:
    """Note that a process begins to serve."""
    row = msgspec.structs.astuple(msgspec.structs.replace(replica, lost=False, seen=now))
    try:
        connection.execute(sql.JOIN, [int(v) if isinstance(v, bool) else v for v in row])
    except sqlite3.IntegrityError as error:
        raise joined_already(replica.boot) from error


def beat(
    connection: sqlite3.Connection, boot: str, now: float, config: str | None, trouble: str
) -> list[Replica]:
    """Note that a process still serves, and return all that have not left, itself first."""
    if connection.execute(own.BEAT, (now, boot)).rowcount == 0:
        raise given_up(boot)
    if config is not None:
        connection.execute(sql.SAY, (config, trouble, boot))
    rows = connection.execute(sql.REPLICAS, (boot,)).fetchall()
    told = [dict(zip(Replica.__struct_fields__, row, strict=True)) for row in rows]
    return [msgspec.convert(each | {"lost": bool(each["lost"])}, Replica) for each in told]


def tell(
    connection: sqlite3.Connection, boot: str, said: bytes, now: float, seconds: float
) -> list[Told]:
    """Keep what a process says, and return what the others said."""
    connection.execute(sql.FORGET_TOLD, (now - seconds,))
    connection.execute(sql.TELL, (boot, said, now))
    rows = connection.execute(sql.TOLD, (boot,)).fetchall()
    return [Told(other, bytes(words), max(now - seen, 0.0)) for other, words, seen in rows]


def leave(connection: sqlite3.Connection, boot: str) -> None:
    """Forget a process, its leases and slots."""
    for text in sql.LEAVE:
        connection.execute(text, (boot,))


def lease_money(
    connection: sqlite3.Connection, boot: str, wishes: Sequence[MoneyWish], now: float
) -> list[MoneyLease]:
    """Grant what budgets allow."""
    if connection.execute(sql.LIVES, (boot,)).fetchone() is None:
        raise given_up(boot)
    leases: list[MoneyLease] = []
    for wish in wishes:
        spent: list[int] = []
        for budget in wish.budgets:
            since = first_day(budget.period, now)
            mills, picos = connection.execute(
                own.CHARGED_SINCE, (wish.scope, wish.whose, since)
            ).fetchone()
            spent.append(mills * own.MILL + picos)
        lease = grant_money(wish, _purse(connection, boot, wish), spent)
        # What was granted is read with what was settled: nobody else can write meanwhile.
        connection.execute(own.GRANT, (boot, wish.scope, wish.whose, str(lease.granted)))
        leases.append(lease)
    return leases


def _purse(connection: sqlite3.Connection, boot: str, wish: MoneyWish) -> Purse:
    purse = Purse()
    rows = connection.execute(own.LEASES, (wish.scope, wish.whose))
    for other, granted, settled in rows.fetchall():
        if other == boot:
            purse.granted, purse.settled = int(granted), int(settled)
        else:
            purse.elsewhere += max(int(granted) - int(settled), 0)
    return purse


def settle(connection: sqlite3.Connection, settled: Mapping[tuple[str, str, str], int]) -> None:
    """Note what processes were charged since they joined; what was charged was granted too."""
    boots = {boot for boot, _, _ in settled}
    joined = {boot for boot in boots if connection.execute(own.JOINED, (boot,)).fetchone()}
    for place, amount in settled.items():
        if place[0] in joined:
            row = connection.execute(own.LEASE, place).fetchone() or (0, 0)
            granted, gone = int(row[0]), int(row[1]) + amount
            connection.execute(own.SETTLE, (*place, str(max(granted, gone)), str(gone)))


def lease_rates(
    connection: sqlite3.Connection,
    boot: str,
    wishes: Iterable[RateWish],
    now: float,
    slot_seconds: float,
) -> list[RateLease]:
    """Grant what limits allow, of the minute that it is now."""
    minute = int(now // MINUTE)
    connection.execute(own.FORGET_MINUTES, (minute,))
    connection.execute(own.FREE_SLOTS, (now - slot_seconds,))
    connection.execute(own.KEEP_SLOTS, (now, boot))
    leases: list[RateLease] = []
    for wish in wishes:
        place = (wish.scope, wish.whose)
        calls, tokens = connection.execute(own.RATE, (minute, *place)).fetchone() or (0, 0)
        (elsewhere,) = connection.execute(own.SLOTS_ELSEWHERE, (*place, boot)).fetchone()
        meter = Meter(calls, tokens, elsewhere)
        lease = grant_rates(wish, meter, now)
        connection.execute(own.COUNT, (minute, *place, meter.calls, meter.tokens))
        if lease.slots:
            connection.execute(own.TAKE_SLOTS, (*place, boot, lease.slots, now))
        else:
            connection.execute(own.DROP_SLOTS, (*place, boot))
        leases.append(lease)
    return leases

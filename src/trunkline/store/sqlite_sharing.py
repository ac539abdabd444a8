"""What processes that serve from one SQLite file tell each other: who lives, who was granted what.

Each function works on a connection within a transaction, which has the file's only writer's place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trunkline.store import sqlite_statements as sql
from trunkline.store.leasing import MINUTE, Meter, Purse, first_day, grant_money, grant_rates
from trunkline.store.records import MoneyLease, MoneyWish, RateLease, RateWish, Replica
from trunkline.store.seam import StoreConflictError, StoreLostError


def join(connection: sqlite3.Connection, replica: Replica, now: float) -> None:
    """Note that a process begins to serve."""
    row = msgspec.structs.astuple(msgspec.structs.replace(replica, lost=False, seen=now))
    try:
        connection.execute(sql.JOIN, [int(v) if isinstance(v, bool) else v for v in row])
    except sqlite3.IntegrityError as error:
        raise StoreConflictError(
            f"A process {replica.boot} serves already, or was given up; begin with a new name."
        ) from error


def beat(
    connection: sqlite3.Connection, boot: str, now: float, config: str | None, trouble: str
) -> list[Replica]:
    """Note that a process still serves, and return all that have not left, itself first."""
    if connection.execute(sql.BEAT, (now, boot)).rowcount == 0:
        raise given_up(boot)
    if config is not None:
        connection.execute(sql.SAY, (config, trouble, boot))
    rows = connection.execute(sql.REPLICAS, (boot,)).fetchall()
    told = [dict(zip(Replica.__struct_fields__, row, strict=True)) for row in rows]
    return [Replica(**{**each, "lost": bool(each["lost"])}) for each in told]


def given_up(boot: str) -> StoreLostError:
    """Return what a process is told that was given up."""
    return StoreLostError(
        f"This process ({boot}) was given up by others, or has left: its calls are settled. End it "
        "and start it anew."
    )


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
                sql.CHARGED_SINCE, (wish.scope, wish.whose, since)
            ).fetchone()
            spent.append(mills * sql.MILL + picos)
        lease = grant_money(wish, _purse(connection, boot, wish), spent)
        # What was granted is read with what was settled: nobody else can write meanwhile.
        connection.execute(sql.GRANT, (boot, wish.scope, wish.whose, str(lease.granted)))
        leases.append(lease)
    return leases


def _purse(connection: sqlite3.Connection, boot: str, wish: MoneyWish) -> Purse:
    purse = Purse()
    rows = connection.execute(sql.LEASES, (wish.scope, wish.whose))
    for other, granted, settled in rows.fetchall():
        if other == boot:
            purse.granted, purse.settled = int(granted), int(settled)
        else:
            purse.elsewhere += max(int(granted) - int(settled), 0)
    return purse


def settle(connection: sqlite3.Connection, settled: Mapping[tuple[str, str, str], int]) -> None:
    """Take from grants what processes were charged; one that charged more was granted it."""
    for boot in {boot for boot, _, _ in settled}:
        if connection.execute(sql.LEASES_ANY, (boot,)).fetchone() is None:
            continue
        for place, amount in settled.items():
            if place[0] != boot:
                continue
            row = connection.execute(sql.LEASE, place).fetchone()
            if row is not None:
                granted, gone = int(row[0]), int(row[1]) + amount
                connection.execute(sql.SETTLE, (str(max(granted, gone)), str(gone), *place))


def lease_rates(
    connection: sqlite3.Connection,
    boot: str,
    wishes: Iterable[RateWish],
    now: float,
    slot_seconds: float,
) -> list[RateLease]:
    """Grant what limits allow, of the minute that it is now."""
    minute = int(now // MINUTE)
    connection.execute(sql.FORGET_MINUTES, (minute,))
    connection.execute(sql.FREE_SLOTS, (now - slot_seconds,))
    connection.execute(sql.KEEP_SLOTS, (now, boot))
    leases: list[RateLease] = []
    for wish in wishes:
        place = (wish.scope, wish.whose)
        calls, tokens = connection.execute(sql.RATE, (minute, *place)).fetchone() or (0, 0)
        (elsewhere,) = connection.execute(sql.SLOTS_ELSEWHERE, (*place, boot)).fetchone()
        meter = Meter(calls, tokens, elsewhere)
        lease = grant_rates(wish, meter, now)
        connection.execute(sql.COUNT, (minute, *place, meter.calls, meter.tokens))
        if lease.slots:
            connection.execute(sql.TAKE_SLOTS, (*place, boot, lease.slots, now))
        else:
            connection.execute(sql.DROP_SLOTS, (*place, boot))
        leases.append(lease)
    return leases

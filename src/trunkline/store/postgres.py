"""The store in a PostgreSQL database: the seam's methods, each a statement or two.

Usable from any number of threads and processes. The driver is asynchronous: `postgres_pool` runs it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from trunkline.store import postgres_claims as claims
from trunkline.store import postgres_sharing as sharing
from trunkline.store import postgres_statements as own
from trunkline.store import statements as sql
from trunkline.store.books import Books
from trunkline.store.claims import Claim
from trunkline.store.postgres_commit import (
    Committing,
    DoneBefore,
    HasEnded,
    changed,
    prepare,
    refused,
)
from trunkline.store.postgres_pool import PoolOptions, PostgresPool
from trunkline.store.postgres_schema import migrate
from trunkline.store.records import (
    Account,
    AccountKind,
    Batch,
    Content,
    Entry,
    Key,
    KeySecret,
    MoneyLease,
    MoneyWish,
    RateLease,
    RateWish,
    Replica,
    Spend,
    Told,
)
from trunkline.store.rows import read, written
from trunkline.store.seam import SpendBy, StoreConflictError, StoreMissingError, StoreValueError
from trunkline.store.sharing import cannot_add_up, given_up, joined_already
from trunkline.store.statements import numbered
from trunkline.store.urls import place_of, wrong_with

T = TypeVar("T")
_R = TypeVar("_R", bound=msgspec.Struct)


class PostgresStore:
    """A `SharedStore` in the database at `url`, which is there and is Trunkline's alone."""

    def __init__(
        self,
        url: str,
        *,
        password: str | None = None,
        options: PoolOptions = PoolOptions(),  # noqa: B008 - frozen
        clock: str = own.CLOCK,
    ) -> None:
        """Open nothing yet; raises StoreValueError for what is no database's URL.

        `password` comes before the one in the URL. `clock` is SQL for what time it is.
        """
        wrong = wrong_with(url)
        if wrong is not None:
            raise StoreValueError(f"The store's URL cannot be used: {wrong}.")
        self._clock = clock
        self._pool = PostgresPool(url, password, place_of(url), options)
        self._rounds = itertools.count(time.time_ns())
        """Grow from process to process too."""
        self._minute = 0

    def migrate(self) -> list[str]:
        """Bring the schema up to date and return what was applied; refuses a newer one."""
        return migrate(self._pool)

    def version(self) -> int:
        """Return a number that grows whenever a key, a secret or an account changes."""
        return int(self._value(sql.VERSION))

    def keys(self) -> list[Key]:
        """Return every key, the revoked and expired ones too."""
        return self._records(Key, sql.KEYS)

    def secrets(self) -> list[KeySecret]:
        """Return every secret's digest."""
        return self._records(KeySecret, sql.SECRETS)

    def add_key(self, key: Key, secret: KeySecret) -> None:
        """Keep a new key with its first secret."""

        async def work(connection: Any) -> None:
            await connection.execute(numbered(sql.ADD_KEY), *written(key))
            await connection.execute(numbered(sql.ADD_SECRET), *written(secret))
            await connection.execute(sql.NEW_VERSION)

        self._pool.run(work, writing=True)

    def change_key(self, key: Key) -> None:
        """Replace the key of the same id."""

        async def work(connection: Any) -> None:
            key_id, *fields = written(key)
            if not changed(await connection.execute(numbered(sql.CHANGE_KEY), *fields, key_id)):
                raise StoreMissingError(f"There is no key {key.id!r}; list the keys for their ids.")
            await connection.execute(sql.NEW_VERSION)

        self._pool.run(work, writing=True)

    def rotate(self, secret: KeySecret, old_until: float) -> None:
        """Add a secret to its key and let all its older ones expire at `old_until` at the latest."""

        async def work(connection: Any) -> None:
            await connection.execute(own.EXPIRE_SECRETS, old_until, secret.key)
            await connection.execute(numbered(sql.ADD_SECRET), *written(secret))
            await connection.execute(sql.NEW_VERSION)

        self._pool.run(work, writing=True)

    def accounts(self) -> list[Account]:
        """Return every owner and team that has budgets or limits of its own."""
        return self._records(Account, sql.ACCOUNTS)

    def put_account(self, account: Account) -> None:
        """Keep an account in place of the one of its kind and name."""

        async def work(connection: Any) -> None:
            await connection.execute(numbered(sql.PUT_ACCOUNT), *written(account))
            await connection.execute(sql.NEW_VERSION)

        self._pool.run(work, writing=True)

    def drop_account(self, kind: AccountKind, name: str) -> bool:
        """Forget an account's budgets and limits; tells whether there was one."""

        async def work(connection: Any) -> bool:
            found = changed(await connection.execute(numbered(sql.DROP_ACCOUNT), kind, name)) > 0
            if found:
                await connection.execute(sql.NEW_VERSION)
            return found

        return self._pool.run(work, writing=True)

    def commit(self, batch: Batch) -> None:
        """Do all of a batch in one transaction. An entry that has ended is never changed again.

        A batch up to a position that its journal has reached was done before and is not done again.
        So one that is replayed counts once, if batches begin at `position()`.
        """
        work = Committing(batch)
        while True:
            try:
                return self._pool.run(work, writing=True, before=prepare)
            except DoneBefore:
                return None
            except HasEnded as error:
                if not work.again():
                    raise refused(self._pool.place) from error

    def position(self, journal: str) -> int:
        """Return how far a journal is in the store, 0 for one that is not known."""
        return int(self._value(numbered(sql.POSITION), journal) or 0)

    def forget_journal(self, journal: str) -> None:
        """Drop the position of a journal that is gone."""
        self._execute(numbered(sql.FORGET_JOURNAL), journal)

    def open_entries(self, boots: Collection[str] | None = None) -> list[Entry]:
        """Return the entries that have not ended, of these processes or of all."""
        if boots is None:
            return self._entries(sql.OPEN_ENTRIES)
        return self._entries(own.OPEN_ENTRIES_OF, list(boots))

    def charged(self, since: str) -> list[Spend]:
        """Return spend of `since` (a day) and later, whole rows."""
        return self._spend(own.CHARGED, since)

    def spend(
        self, since: str, until: str, by: Sequence[SpendBy], *, team: str | None = None
    ) -> list[Spend]:
        """Return spend of the days from `since` to `until`, both included, added up by `by`.

        Fields that were not asked for are empty. `team` keeps to one team's.
        """
        unknown = set(by).difference(sql.BY)
        if unknown:
            raise StoreValueError(cannot_add_up(set(unknown), sql.BY))
        text = own.spend(by, team=team is not None)
        return self._spend(text, *((since, until) if team is None else (since, until, team)))

    def entry(self, request_id: str) -> Entry | None:
        """Return one entry of the ledger."""
        return next(iter(self._entries(numbered(sql.ENTRY), request_id)), None)

    def entries(
        self, *, key: str | None = None, team: str | None = None, before: str = "", limit: int = 100
    ) -> list[Entry]:
        """Return entries, the newest first, below the request id `before` where one is given."""
        text = sql.entries(key=key is not None, team=team is not None, before=bool(before))
        values = [value for value in (key, team, before or None) if value is not None]
        return self._entries(numbered(text), *values, max(limit, 0))

    def keep(self, contents: Iterable[Content]) -> None:
        """Keep prompts and answers."""
        rows = [written(content) for content in contents]

        async def work(connection: Any) -> None:
            await connection.executemany(numbered(sql.KEEP), rows)

        self._pool.run(work, writing=True)

    def content(self, request_id: str) -> Content | None:
        """Return what was kept of one call."""
        return next(iter(self._records(Content, numbered(sql.CONTENT), request_id)), None)

    def purge(self, now: float) -> int:
        """Delete contents whose time is over and return how many there were."""
        return self._execute(numbered(sql.PURGE), now)

    def seal(self, fresh: bytes) -> bytes:
        """Return the bytes that all who use this store sign with: `fresh` where there are none yet."""
        self._execute(numbered(sql.FIRST_SEAL), fresh)
        return bytes(self._value(sql.SEAL))

    def claim(self, claim: Claim, *, seconds: float) -> Claim | None:
        """Take a name for so long, or return the claim that has it already."""

        async def work(connection: Any) -> Claim | None:
            return await claims.claim(connection, claim, seconds, self._clock)

        return self._pool.run(work)

    def fulfil(self, claim: Claim) -> bool:
        """Write down how a call ended that has its name; tells whether it still had it."""
        return self._pool.run(lambda connection: claims.fulfil(connection, claim))

    def release(self, claim: Claim) -> None:
        """Give a name back that this call has."""
        self._pool.run(lambda connection: claims.release(connection, claim))

    def release_unsent(self, boots: Collection[str]) -> int:
        """Give back running claims of dead processes whose calls the ledger does not know."""
        return self._pool.run(lambda connection: claims.release_unsent(connection, boots))

    def purge_claims(self) -> int:
        """Delete claims whose time is over and return how many there were."""
        return self._pool.run(lambda connection: claims.purge(connection, self._clock))

    def join(self, replica: Replica) -> None:
        """Note that a process begins to serve; StoreConflictError where one of that boot is known."""
        told = [getattr(replica, name) for name in own.REPLICA_SAYS]
        try:
            self._execute(own.join(self._clock), *told)
        except StoreConflictError as error:
            raise joined_already(replica.boot) from error

    def beat(self, boot: str, *, config: str | None = None, trouble: str = "") -> list[Replica]:
        """Note that a process still serves, and return all that have not left, itself first."""
        if not self._execute(own.beat(self._clock), boot):
            raise given_up(boot)
        if config is not None:
            self._execute(numbered(sql.SAY), config, trouble, boot)
        return self._records(Replica, numbered(sql.REPLICAS), boot)

    def lose(self, boot: str, unseen_seconds: float) -> bool:
        """Give a process up that no beat came from for so long; tells whether it is given up."""
        return self._execute(own.lose(self._clock), boot, unseen_seconds) > 0

    def leave(self, boot: str) -> None:
        """Forget a process, its leases and slots."""

        async def work(connection: Any) -> None:
            for text in sql.LEAVE:
                await connection.execute(numbered(text), boot)

        self._pool.run(work, writing=True)

    def tell(self, boot: str, said: bytes, *, seconds: float) -> list[Told]:
        """Keep what a process says, and return what all others said within so long."""

        async def work(connection: Any) -> list[Told]:
            now: float = await connection.fetchval(f"SELECT {self._clock}")
            await connection.execute(numbered(sql.FORGET_TOLD), now - seconds)
            await connection.execute(numbered(sql.TELL), boot, said, now)
            rows = await connection.fetch(numbered(sql.TOLD), boot)
            return [Told(row[0], bytes(row[1]), max(now - row[2], 0.0)) for row in rows]

        return self._pool.run(work, writing=True)

    def reloads(self) -> int:
        """Return how often all processes were asked to read their configuration again."""
        return int(self._value(sql.RELOADS))

    def ask_reload(self) -> int:
        """Ask all processes to read their configuration again; returns the number of `reloads`."""
        return int(self._value(f"{sql.ASK_RELOAD} RETURNING number"))

    def lease_money(self, boot: str, wishes: Sequence[MoneyWish]) -> list[MoneyLease]:
        """Grant what budgets allow, an answer to each wish in their order."""
        number = next(self._rounds)

        async def work(connection: Any) -> list[MoneyLease]:
            return await sharing.lease_money(connection, boot, wishes, number, self._clock)

        return self._pool.run(work, writing=True)

    def lease_rates(
        self, boot: str, wishes: Sequence[RateWish], *, slot_seconds: float
    ) -> list[RateLease]:
        """Grant what limits allow, an answer to each wish in their order."""

        async def work(connection: Any) -> list[RateLease]:
            return await sharing.lease_rates(connection, boot, wishes, slot_seconds, self._clock)

        leases = self._pool.run(work, writing=True)
        if leases and leases[0].minute != self._minute:
            self._minute = leases[0].minute
            self._execute(own.FORGET_MINUTES, self._minute)
        return leases

    def release_rates(self, boot: str) -> None:
        """Give back all slots of a process."""
        self._execute(numbered(sql.FREE_ALL_SLOTS), boot)

    def books(self) -> Books:
        """Return all of it, to be looked through or moved."""
        from trunkline.store.postgres_books import PostgresBooks  # rarely needed

        return PostgresBooks(self._pool, self._clock)

    def close(self) -> None:
        """Close the connections; harmless when closed."""
        self._pool.close()

    def _value(self, text: str, *values: Any) -> Any:
        return self._pool.run(lambda connection: connection.fetchval(text, *values))

    def _execute(self, text: str, *values: Any) -> int:
        return changed(self._pool.run(lambda connection: connection.execute(text, *values)))

    def _read(self, text: str, values: Sequence[Any], of_row: Callable[[Any], T]) -> list[T]:
        async def work(connection: Any) -> list[T]:
            return [of_row(row) for row in await connection.fetch(text, *values)]

        return self._pool.run(work)

    def _records(self, kind: type[_R], text: str, *values: Any) -> list[_R]:
        return self._read(text, values, lambda row: read(kind, tuple(row)))

    def _entries(self, text: str, *values: Any) -> list[Entry]:
        return self._read(text, values, lambda row: msgspec.convert(tuple(row), Entry))

    def _spend(self, text: str, *values: Any) -> list[Spend]:
        names = len(sql.BY)
        return self._read(text, values, lambda row: Spend(*row[:names], *map(int, row[names:])))

"""The store in one SQLite file: the seam's methods, each a statement or two.

Usable from any number of threads; other processes may read and write the file meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from trunkline.store import sqlite_claims as claims
from trunkline.store import sqlite_sharing as sharing
from trunkline.store import sqlite_statements as own
from trunkline.store import statements as sql
from trunkline.store.books import Books
from trunkline.store.claims import Claim
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
from trunkline.store.seam import SpendBy, StoreMissingError, StoreValueError
from trunkline.store.sharing import cannot_add_up
from trunkline.store.sqlite_commit import add_entries, add_spend
from trunkline.store.sqlite_file import SqliteFile
from trunkline.store.sqlite_rows import read_entry, read_spend
from trunkline.store.sqlite_schema import migrate


class SqliteStore:
    """A `SharedStore` in the file at `path`, which is made where it is missing, for this user alone."""

    def __init__(
        self,
        path: str | Path,
        *,
        busy_seconds: float = 5.0,
        durable: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open nothing yet.

        `busy_seconds` is how long to wait for another process that writes. Not `durable`, commits
        survive the death of the process, but the last of them may not survive a loss of power.
        `clock` is the store's: the machine's, which all that share a file have.
        """
        self._clock = clock
        self._file = SqliteFile(Path(path), busy_seconds=busy_seconds, durable=durable)

    def migrate(self) -> list[str]:
        """Bring the schema up to date and return what was applied; refuses a newer one."""
        return migrate(self._file)

    def version(self) -> int:
        """Return a number that grows whenever a key, a secret or an account changes."""
        with self._file.reading() as connection:
            (number,) = connection.execute(sql.VERSION).fetchone()
        return int(number)

    def keys(self) -> list[Key]:
        """Return every key, the revoked and expired ones too."""
        with self._file.reading() as connection:
            return [read(Key, row) for row in connection.execute(sql.KEYS).fetchall()]

    def secrets(self) -> list[KeySecret]:
        """Return every secret's digest."""
        with self._file.reading() as connection:
            return [read(KeySecret, row) for row in connection.execute(sql.SECRETS).fetchall()]

    def add_key(self, key: Key, secret: KeySecret) -> None:
        """Keep a new key with its first secret."""
        with self._file.writing() as connection:
            connection.execute(sql.ADD_KEY, written(key))
            connection.execute(sql.ADD_SECRET, written(secret))
            connection.execute(sql.NEW_VERSION)

    def change_key(self, key: Key) -> None:
        """Replace the key of the same id."""
        with self._file.writing() as connection:
            key_id, *fields = written(key)
            if connection.execute(sql.CHANGE_KEY, (*fields, key_id)).rowcount == 0:
                raise StoreMissingError(f"There is no key {key.id!r}; list the keys for their ids.")
            connection.execute(sql.NEW_VERSION)

    def rotate(self, secret: KeySecret, old_until: float) -> None:
        """Add a secret to its key and let all its older ones expire at `old_until` at the latest."""
        with self._file.writing() as connection:
            connection.execute(own.EXPIRE_SECRETS, (old_until, secret.key))
            connection.execute(sql.ADD_SECRET, written(secret))
            connection.execute(sql.NEW_VERSION)

    def accounts(self) -> list[Account]:
        """Return every owner and team that has budgets or limits of its own."""
        with self._file.reading() as connection:
            return [read(Account, row) for row in connection.execute(sql.ACCOUNTS).fetchall()]

    def put_account(self, account: Account) -> None:
        """Keep an account in place of the one of its kind and name."""
        with self._file.writing() as connection:
            connection.execute(sql.PUT_ACCOUNT, written(account))
            connection.execute(sql.NEW_VERSION)

    def drop_account(self, kind: AccountKind, name: str) -> bool:
        """Forget an account's budgets and limits; tells whether there was one."""
        with self._file.writing() as connection:
            found = connection.execute(sql.DROP_ACCOUNT, (kind, name)).rowcount > 0
            if found:
                connection.execute(sql.NEW_VERSION)
        return found

    def commit(self, batch: Batch) -> None:
        """Do all of a batch in one transaction. An entry that has ended is never changed again.

        A batch up to a position that its journal has reached was done before and is not done again.
        So one that is replayed counts once, if batches begin at `position()`.
        """
        with self._file.writing() as connection:
            known = connection.execute(sql.POSITION, (batch.journal,)).fetchone()
            if batch.position <= (known[0] if known else 0):
                return
            change = add_entries(connection, batch)
            add_spend(connection, change)
            sharing.settle(connection, change.settled)
            connection.execute(own.ADVANCE, (batch.journal, batch.position))

    def position(self, journal: str) -> int:
        """Return how far a journal is in the store, 0 for one that is not known."""
        with self._file.reading() as connection:
            known = connection.execute(sql.POSITION, (journal,)).fetchone()
        return known[0] if known else 0

    def forget_journal(self, journal: str) -> None:
        """Drop the position of a journal that is gone."""
        with self._file.writing() as connection:
            connection.execute(sql.FORGET_JOURNAL, (journal,))

    def open_entries(self, boots: Collection[str] | None = None) -> list[Entry]:
        """Return the entries that have not ended, of these processes or of all."""
        with self._file.reading() as connection:
            found = [read_entry(row) for row in connection.execute(sql.OPEN_ENTRIES).fetchall()]
        return found if boots is None else [entry for entry in found if entry.boot in boots]

    def charged(self, since: str) -> list[Spend]:
        """Return spend of `since` (a day) and later, whole rows."""
        with self._file.reading() as connection:
            return [read_spend(row) for row in connection.execute(own.CHARGED, (since,)).fetchall()]

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
        values = (since, until) if team is None else (since, until, team)
        with self._file.reading() as connection:
            return [read_spend(row) for row in connection.execute(text, values).fetchall()]

    def entry(self, request_id: str) -> Entry | None:
        """Return one entry of the ledger."""
        with self._file.reading() as connection:
            row = connection.execute(sql.ENTRY, (request_id,)).fetchone()
            return read_entry(row) if row else None

    def entries(
        self, *, key: str | None = None, team: str | None = None, before: str = "", limit: int = 100
    ) -> list[Entry]:
        """Return entries, the newest first, below the request id `before` where one is given."""
        text = sql.entries(key=key is not None, team=team is not None, before=bool(before))
        values = [value for value in (key, team, before or None) if value is not None]
        with self._file.reading() as connection:
            # SQLite takes a negative limit for none.
            rows = connection.execute(text, (*values, max(limit, 0))).fetchall()
            return [read_entry(row) for row in rows]

    def keep(self, contents: Iterable[Content]) -> None:
        """Keep prompts and answers."""
        rows = [written(content) for content in contents]
        with self._file.writing() as connection:
            connection.executemany(sql.KEEP, rows)

    def content(self, request_id: str) -> Content | None:
        """Return what was kept of one call."""
        with self._file.reading() as connection:
            row = connection.execute(sql.CONTENT, (request_id,)).fetchone()
            return read(Content, row) if row else None

    def purge(self, now: float) -> int:
        """Delete contents whose time is over and return how many there were."""
        with self._file.writing() as connection:
            return connection.execute(sql.PURGE, (now,)).rowcount

    def seal(self, fresh: bytes) -> bytes:
        """Return the bytes that all who use this store sign with: `fresh` where there are none yet."""
        with self._file.writing() as connection:
            connection.execute(sql.FIRST_SEAL, (fresh,))
            return bytes(connection.execute(sql.SEAL).fetchone()[0])

    def claim(self, claim: Claim, *, seconds: float) -> Claim | None:
        """Take a name for so long, or return the claim that has it already."""
        with self._file.writing() as connection:
            return claims.claim(connection, claim, self._clock(), seconds)

    def fulfil(self, claim: Claim) -> bool:
        """Write down how a call ended that has its name; tells whether it still had it."""
        with self._file.writing() as connection:
            return claims.fulfil(connection, claim)

    def release(self, claim: Claim) -> None:
        """Give a name back that this call has."""
        with self._file.writing() as connection:
            claims.release(connection, claim)

    def release_unsent(self, boots: Collection[str]) -> int:
        """Give back running claims of dead processes whose calls the ledger does not know."""
        with self._file.writing() as connection:
            return claims.release_unsent(connection, boots)

    def purge_claims(self) -> int:
        """Delete claims whose time is over and return how many there were."""
        with self._file.writing() as connection:
            return claims.purge(connection, self._clock())

    def join(self, replica: Replica) -> None:
        """Note that a process begins to serve; StoreConflictError where one of that boot is known."""
        with self._file.writing() as connection:
            sharing.join(connection, replica, self._clock())

    def beat(self, boot: str, *, config: str | None = None, trouble: str = "") -> list[Replica]:
        """Note that a process still serves, and return all that have not left, itself first."""
        with self._file.writing() as connection:
            return sharing.beat(connection, boot, self._clock(), config, trouble)

    def lose(self, boot: str, unseen_seconds: float) -> bool:
        """Give a process up that no beat came from for so long; tells whether it is given up."""
        with self._file.writing() as connection:
            until = self._clock() - unseen_seconds
            return connection.execute(own.LOSE, (boot, until)).rowcount > 0

    def leave(self, boot: str) -> None:
        """Forget a process, its leases and slots."""
        with self._file.writing() as connection:
            sharing.leave(connection, boot)

    def tell(self, boot: str, said: bytes, *, seconds: float) -> list[Told]:
        """Keep what a process says, and return what all others said within so long."""
        with self._file.writing() as connection:
            return sharing.tell(connection, boot, said, self._clock(), seconds)

    def reloads(self) -> int:
        """Return how often all processes were asked to read their configuration again."""
        with self._file.reading() as connection:
            (number,) = connection.execute(sql.RELOADS).fetchone()
        return int(number)

    def ask_reload(self) -> int:
        """Ask all processes to read their configuration again; returns the number of `reloads`."""
        with self._file.writing() as connection:
            connection.execute(sql.ASK_RELOAD)
            (number,) = connection.execute(sql.RELOADS).fetchone()
        return int(number)

    def lease_money(self, boot: str, wishes: Sequence[MoneyWish]) -> list[MoneyLease]:
        """Grant what budgets allow, an answer to each wish in their order."""
        with self._file.writing() as connection:
            return sharing.lease_money(connection, boot, wishes, self._clock())

    def lease_rates(
        self, boot: str, wishes: Sequence[RateWish], *, slot_seconds: float
    ) -> list[RateLease]:
        """Grant what limits allow, an answer to each wish in their order."""
        with self._file.writing() as connection:
            return sharing.lease_rates(connection, boot, wishes, self._clock(), slot_seconds)

    def release_rates(self, boot: str) -> None:
        """Give back all slots of a process."""
        with self._file.writing() as connection:
            connection.execute(sql.FREE_ALL_SLOTS, (boot,))

    def books(self) -> Books:
        """Return all of it, to be looked through or moved."""
        from trunkline.store.sqlite_books import SqliteBooks  # rarely needed

        return SqliteBooks(self._file, self._clock)

    def close(self) -> None:
        """Close the connections; harmless when closed."""
        self._file.close()

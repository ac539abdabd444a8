"""The one interface between the gateway and whatever keeps its records. Blocking, on any thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, Protocol

from trunkline.store.books import Books
from trunkline.store.claims import Claims
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

SpendBy = Literal["day", "key", "owner", "team", "model", "provider"]


class StoreError(Exception):
    """The store did not do what it was asked: down, locked, full, damaged, or of a newer program."""


class StoreTooNewError(StoreError):
    """A newer program has changed the schema; this one would not know what it means."""


class StoreValueError(StoreError):
    """A value that cannot be kept: the same request will fail again, however often it is tried."""


class StoreConflictError(StoreError):
    """What was to be added is there already."""


class StoreLostError(StoreError):
    """The process was given up by others, who have settled its calls: it has to end and begin anew."""


class StoreMissingError(StoreError):
    """What was to be changed is not there."""


class Rates(Protocol):
    """Shares limits between the processes that serve. Every method raises StoreError.

    Minutes are those of the clock behind it, so that it does not matter how clocks of replicas go.
    """

    def lease_rates(
        self, boot: str, wishes: Sequence[RateWish], *, slot_seconds: float
    ) -> list[RateLease]:
        """Grant what limits allow, in one round trip, an answer to each wish in their order.

        Slots of a process that has not asked for `slot_seconds` are nobody's again.
        """
        ...

    def release_rates(self, boot: str) -> None:
        """Give back all slots of a process."""
        ...


class Store(Protocol):
    """Keeps keys, accounts, the ledger and stored contents. Every method raises StoreError."""

    def migrate(self) -> list[str]:
        """Bring the schema up to date and return what was applied; refuses a newer one."""
        ...

    def version(self) -> int:
        """Return a number that grows whenever a key, a secret or an account changes."""
        ...

    def keys(self) -> list[Key]:
        """Return every key, the revoked and expired ones too."""
        ...

    def secrets(self) -> list[KeySecret]:
        """Return every secret's digest."""
        ...

    def add_key(self, key: Key, secret: KeySecret) -> None:
        """Keep a new key with its first secret; StoreConflictError where either is there."""
        ...

    def change_key(self, key: Key) -> None:
        """Replace the key of the same id; StoreMissingError where there is none."""
        ...

    def rotate(self, secret: KeySecret, old_until: float) -> None:
        """Add a secret to its key and let all its older ones expire at `old_until` at the latest.

        StoreMissingError where there is no such key, StoreConflictError where the secret is there.
        """
        ...

    def accounts(self) -> list[Account]:
        """Return every owner and team that has budgets or limits of its own."""
        ...

    def put_account(self, account: Account) -> None:
        """Keep an account in place of the one of its kind and name."""
        ...

    def drop_account(self, kind: AccountKind, name: str) -> bool:
        """Forget an account's budgets and limits; tells whether there was one."""
        ...

    def commit(self, batch: Batch) -> None:
        """Do all of a batch in one transaction. An entry that has ended is never changed again.

        A batch up to a position that its journal has reached was done before and is not done again.
        So one that is replayed counts once, if batches begin at `position()`. What becomes known of a
        call that was settled as unknown takes that settlement's place, and its spend's too. `spend`
        is what the entries that have ended add up to; of what is known already it is taken off again.
        """
        ...

    def position(self, journal: str) -> int:
        """Return how far a journal is in the store, 0 for one that is not known."""
        ...

    def forget_journal(self, journal: str) -> None:
        """Drop the position of a journal that is gone."""
        ...

    def open_entries(self, boots: Collection[str] | None = None) -> list[Entry]:
        """Return the entries that have not ended, of these processes or of all."""
        ...

    def charged(self, since: str) -> list[Spend]:
        """Return spend of `since` (a day) and later, whole rows."""
        ...

    def spend(
        self, since: str, until: str, by: Sequence[SpendBy], *, team: str | None = None
    ) -> list[Spend]:
        """Return spend of the days from `since` to `until`, both included, added up by `by`.

        Fields that were not asked for are empty. `team` keeps to one team's.
        """
        ...

    def entry(self, request_id: str) -> Entry | None:
        """Return one entry of the ledger."""
        ...

    def entries(
        self, *, key: str | None = None, team: str | None = None, before: str = "", limit: int = 100
    ) -> list[Entry]:
        """Return entries, the newest first, below the request id `before` where one is given."""
        ...

    def keep(self, contents: Iterable[Content]) -> None:
        """Keep prompts and answers."""
        ...

    def content(self, request_id: str) -> Content | None:
        """Return what was kept of one call."""
        ...

    def purge(self, now: float) -> int:
        """Delete contents whose time is over and return how many there were."""
        ...

    def seal(self, fresh: bytes) -> bytes:
        """Return the bytes that all who use this store sign with: `fresh` where there are none yet."""
        ...

    def close(self) -> None:
        """Close the connections; harmless when closed."""
        ...


class SharedStore(Store, Rates, Claims, Protocol):
    """A store that several processes serve from at the same time."""

    def books(self) -> Books:
        """Return all of it, to be looked through or moved."""
        ...

    def join(self, replica: Replica) -> None:
        """Note that a process begins to serve; StoreConflictError where one of that boot is known."""
        ...

    def beat(self, boot: str, *, config: str | None = None, trouble: str = "") -> list[Replica]:
        """Note that a process still serves, and return all that have not left, itself first.

        `config` and `trouble` are kept in place of what it said before; without `config` both stay.
        `seen` of all is by the store's clock. StoreLostError where it was given up, or is not known.
        """
        ...

    def lose(self, boot: str, unseen_seconds: float) -> bool:
        """Give a process up that no beat came from for so long; tells whether it is given up.

        Its leases stay until `leave`, so that what is booked for it is taken from them.
        """
        ...

    def leave(self, boot: str) -> None:
        """Forget a process, its leases and slots: nothing of it is in flight, and all is committed."""
        ...

    def tell(self, boot: str, said: bytes, *, seconds: float) -> list[Told]:
        """Keep what a process says in place of what it said before; return what all others said.

        What was said longer ago than `seconds` is forgotten. It outlives the process that said it.
        """
        ...

    def reloads(self) -> int:
        """Return how often all processes were asked to read their configuration again."""
        ...

    def ask_reload(self) -> int:
        """Ask all processes to read their configuration again; returns the number of `reloads`."""
        ...

    def lease_money(self, boot: str, wishes: Sequence[MoneyWish]) -> list[MoneyLease]:
        """Grant what budgets allow, in one round trip, an answer to each wish in their order.

        Of each scope what was charged in a budget's present period (by the store's clock), what was
        granted to all processes and not charged yet, and the new grant together never pass it; a wish
        for more gets as much as there is. `commit` moves what an entry of a process was charged from
        its grant to what is spent, in the same transaction. A wish asked twice is granted once.
        What was granted is only ever given back by a wish for less: a process may have spent it.

        Charges count on the day of their call's start, as the process that carried it had it; those of
        days to come count today too. StoreLostError for a process that has not joined, was given up
        or has left.
        """
        ...

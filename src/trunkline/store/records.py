"""What a store holds, as values: keys and their secrets, accounts, ledger entries, spend.

Times are seconds since 1970 (UTC); money is whole picodollars (`types.money`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["caller", "viewer", "team-admin", "admin"]
"""`caller` only makes calls; `viewer` reads all that admins see; `team-admin` manages the keys of
its own team; `admin` may do everything. A role is no licence to call: every role may."""
Priority = Literal["interactive", "batch"]
"""`batch` calls wait behind interactive ones, and give way to them."""
Period = Literal["day", "month"]
"""Of the calendar, in UTC."""
Endpoint = Literal[
    "audio",
    "chat",
    "completions",
    "embeddings",
    "hf",
    "images",
    "messages",
    "rerank",
    "responses",
    "videos",
]
"""Where calls are taken, as entries have it."""
Reach = Literal[Endpoint, "models"]
"""What a key's scope may be for."""
AccountKind = Literal["owner", "team"]
State = Literal["open", "settled", "unknown"]
"""`open`: sent, not ended. `unknown`: its process died before it could tell how it ended."""
TokenSource = Literal["provider", "estimated", "unknown"]


class Budget(msgspec.Struct, frozen=True):
    """The most that may be spent within each period."""

    amount: int
    period: Period


class Limits(msgspec.Struct, frozen=True):
    """How much at a time; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


class Scope(msgspec.Struct, frozen=True):
    """What a key may be used for; an empty list is no restriction.

    `models` are patterns (`org/*`, `*` is any run of characters) over the names that clients ask for.
    """

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Names of `Reach`."""


class Key(msgspec.Struct, frozen=True):
    """Who calls. Its secrets are kept apart, as digests."""

    id: str
    """`key_` and random characters; it is shown, and is no secret."""
    name: str = ""
    role: Role = "caller"
    owner: str | None = None
    team: str | None = None
    scope: Scope = Scope()
    limits: Limits = Limits()
    budgets: tuple[Budget, ...] = ()
    created: float = 0.0
    expires: float | None = None
    revoked: float | None = None
    priority: Priority = "interactive"
    deadline_seconds: float | None = None
    """That a call may take in all, from its request's head on."""


class KeySecret(msgspec.Struct, frozen=True):
    """One secret of a key; while a rotation overlaps, a key has two."""

    digest: bytes
    """SHA-256 of the whole secret."""
    key: str
    hint: str
    """The secret's last four characters."""
    created: float
    expires: float | None = None


class Account(msgspec.Struct, frozen=True):
    """An owner or a team: budgets and limits that all its keys share."""

    kind: AccountKind
    name: str
    limits: Limits = Limits()
    budgets: tuple[Budget, ...] = ()


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One dispatched call in the ledger.

    Mutable: it is journalled as it stands when the call is sent, and again when it has ended; `state`
    is set last, so that a snapshot that says `settled` is whole.
    """

    id: str
    """The request id. Ids of one process grow with time."""
    boot: str
    """The process that carried the call."""
    key: str
    owner: str | None
    team: str | None
    endpoint: str
    """What a key's scope calls it: `chat`, `completions`, `images`, ..."""
    model: str
    """As the client asked for it."""
    stream: bool
    started: float
    reserved: int
    """The most that the call could cost, held while it was open; 0 where no most was known."""
    state: State = "open"
    ended: float | None = None
    status: int | None = None
    """What the client was answered; 499 for a client that left."""
    outcome: str = ""
    """`ok`, `truncated`, `cancelled`, `refused` (by the upstream), `failed`, `unknown`."""
    error: str | None = None
    """The code of the error that the client was given."""
    upstream: str = ""
    """The configured upstream that answered last."""
    provider: str | None = None
    """The provider that served it, where that is known."""
    target_model: str = ""
    """The model's name as it was sent to the upstream."""
    attempts: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    token_source: TokenSource = "unknown"  # noqa: S105 - tokens of text
    cost: int | None = None
    """None is unknown, and never zero."""
    charged: int = 0
    """What counts against budgets: the cost, or what the operator chose where it is unknown."""
    input_price: int | None = None
    """For a million tokens, as it was at the time."""
    output_price: int | None = None
    price_source: str = ""
    """Where the price was from and as of when."""
    first_byte: float | None = None
    """Seconds from the call's start to the first byte of the answer."""
    upstream_id: str | None = None
    """The request id that the upstream gave."""
    note: str | None = None
    """What is odd: `usage above the reserve`, `usage clamped`, ..."""
    client_request_id: str | None = None
    """The client's own id for the request."""
    queued: float | None = None
    """Seconds that the call waited, before it started, for an upstream to let it in; None where it did
    not."""
    tries: str | None = None
    """Of a call with a route: each try at a target (`tries.Try`), as JSON."""
    route: str | None = None
    """How its targets were chosen (`RouteReport`), as JSON."""


class Spend(msgspec.Struct, frozen=True):
    """Ended calls of one day added up, for one key, owner, team, model and provider."""

    day: str
    """Of the call's start, UTC: `2026-11-29`."""
    key: str
    owner: str
    """Empty for none, as are `team` and `provider`."""
    team: str
    model: str
    provider: str
    calls: int = 0
    unpriced: int = 0
    """Calls whose cost is unknown."""
    failed: int = 0
    """Calls whose outcome was not `ok`."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    """Sum of the costs that are known."""
    charged: int = 0


class Batch(msgspec.Struct, frozen=True):
    """What is committed in one transaction: it all happens, or none of it."""

    entries: list[Entry]
    """New entries, and ended ones in place of open ones with the same id."""
    spend: list[Spend]
    """Added to what is there."""
    journal: str
    """The journal that this was read from, and the position up to which it now is in the store."""
    position: int


class Content(msgspec.Struct, frozen=True):
    """A call's prompt and answer, kept only where the operator asked for it, already redacted."""

    id: str
    prompt: str
    answer: str
    kept: float
    expires: float


class Replica(msgspec.Struct, frozen=True):
    """One process that serves from a store, as it says of itself in each beat."""

    boot: str
    """Its name in the ledger: `Entry.boot`."""
    host: str
    """Where it runs, for people: host name and process id."""
    started: float
    config: str
    """A digest of its configuration."""
    version: str = ""
    """Of the program."""
    trouble: str = ""
    """Why it did not take the configuration that it was asked to read; empty where it did."""
    lost: bool = False
    """Whether it was given up."""
    seen: float = 0.0
    """When its last beat came, by the store's own clock; the store sets it."""


class Told(msgspec.Struct, frozen=True):
    """What a process has said to the others on its store."""

    boot: str
    said: bytes
    age: float
    """Seconds since then, by the store's clock."""


class MoneyWish(msgspec.Struct, frozen=True):
    """What a process wants of a budget that it shares with others."""

    scope: str
    """`key`, `owner` or `team`."""
    whose: str
    granted: int
    """Picodollars that it wants to have been granted in all since it began: what it has charged and
    holds, and what it means to spend next. Less than before gives the difference back."""
    budgets: tuple[Budget, ...]
    """The budgets in force; none of them may be passed."""


class MoneyLease(msgspec.Struct, frozen=True):
    """What a process may spend of a budget that it shares with others."""

    scope: str
    whose: str
    granted: int
    """Picodollars that it has been granted in all since it began; never less than the store knows it
    has been charged."""
    spent: tuple[int, ...]
    """What all processes were charged in the present period of each budget asked for."""
    elsewhere: int
    """What other processes have been granted and not been charged yet."""


class RateWish(msgspec.Struct, frozen=True):
    """What a process wants of limits that it shares with others."""

    scope: str
    """`key`, `owner`, `team` or `upstream`."""
    whose: str
    limits: Limits
    calls: int = 0
    """Further requests in the store's present minute."""
    tokens: int = 0
    """Further tokens in that minute; less than 0 gives back what was not used."""
    slots: int = 0
    """Calls at the same time that it wants to be allowed, in all; less than before gives back."""


class RateLease(msgspec.Struct, frozen=True):
    """What a process may do of what it asked for, all or a part."""

    scope: str
    whose: str
    minute: int
    """The minute that calls and tokens are for: seconds since 1970 by the store's clock, over 60."""
    minute_left: float
    """Seconds until that minute ends."""
    calls: int
    tokens: int
    slots: int
    """In all."""
    calls_left: int | None = None
    """What is left of the minute for anybody; None where there is no limit."""
    tokens_left: int | None = None

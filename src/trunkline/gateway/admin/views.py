"""What the admin API shows: structs of its own, so that nothing is shown that was not put here.

Money is US dollars as text, exactly; times are seconds since 1970. A secret's digest has no place here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trunkline.gateway.keyring import is_live
from trunkline.store.records import (
    Account,
    AccountKind,
    Budget,
    Entry,
    Key,
    KeySecret,
    Limits,
    Period,
    Priority,
    Role,
    Scope,
    State,
    TokenSource,
)
from trunkline.store.tries import Try, read_report, read_tries
from trunkline.types import money
from trunkline.types.route import RouteReport

Dollars = Annotated[str, Meta(description="US dollars, exactly.", pattern=r"^[0-9]+(\.[0-9]+)?$")]


class BudgetView(msgspec.Struct, frozen=True):
    """The most that may be spent within each day or month of the calendar, UTC."""

    amount: Dollars
    period: Period


class LimitsView(msgspec.Struct, frozen=True):
    """How much at a time; null is no limit."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None


class ScopeView(msgspec.Struct, frozen=True):
    """What a key may be used for; an empty list is no restriction."""

    models: tuple[str, ...]
    providers: tuple[str, ...]
    endpoints: tuple[str, ...]


class SecretView(msgspec.Struct, frozen=True):
    """One secret of a key, by its last four characters."""

    hint: str
    created: float
    expires: float | None


class KeyView(msgspec.Struct, frozen=True):
    """A key."""

    id: str
    name: str
    role: Role
    owner: str | None
    team: str | None
    scope: ScopeView
    limits: LimitsView
    budgets: tuple[BudgetView, ...]
    created: float
    expires: float | None
    revoked: float | None
    priority: Priority
    deadline_seconds: float | None
    state: Literal["live", "expired", "revoked"]
    secrets: tuple[SecretView, ...]


class KeyMade(msgspec.Struct, frozen=True):
    """A key with its new secret, which is shown this once."""

    key: KeyView
    secret: str


class KeyPage(msgspec.Struct, frozen=True):
    """Keys, the newest first."""

    data: list[KeyView]
    next: str | None
    """The `cursor` of the next page."""


class AccountView(msgspec.Struct, frozen=True):
    """What all keys of an owner or a team share."""

    kind: AccountKind
    name: str
    limits: LimitsView
    budgets: tuple[BudgetView, ...]


class AccountList(msgspec.Struct, frozen=True):
    """Accounts by kind and name."""

    data: list[AccountView]


class TryView(msgspec.Struct, frozen=True):
    """One try of a call at a target of its route; null is unknown."""

    target: str
    upstream: str
    model: str
    provider: str | None
    role: str
    status: int | None
    error: str | None
    started: float
    seconds: float
    first_token: float | None
    moved: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: Dollars | None


class EntryView(msgspec.Struct, frozen=True):
    """One call in the ledger; null is unknown."""

    id: str
    key: str
    owner: str | None
    team: str | None
    endpoint: str
    model: str
    stream: bool
    started: float
    ended: float | None
    state: State
    status: int | None
    outcome: str
    error: str | None
    upstream: str
    provider: str | None
    target_model: str
    attempts: int
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    token_source: TokenSource
    reserved: Dollars
    cost: Dollars | None
    charged: Dollars
    input_price: Dollars | None
    output_price: Dollars | None
    price_source: str
    first_byte: float | None
    upstream_id: str | None
    note: str | None
    client_request_id: str | None
    queued: float | None
    tries: tuple[TryView, ...]
    route: RouteReport | None


class EntryPage(msgspec.Struct, frozen=True):
    """Entries, the newest first."""

    data: list[EntryView]
    next: str | None
    """The `cursor` of the next page."""


def key_views(keys: Iterable[Key], secrets: Iterable[KeySecret], now: float) -> list[KeyView]:
    """Show keys; `secrets` are those of all keys there are."""
    by_key: dict[str, list[KeySecret]] = {}
    for secret in secrets:
        by_key.setdefault(secret.key, []).append(secret)
    return [_key_view(key, by_key.get(key.id, []), now) for key in keys]


def key_view(key: Key, secrets: Iterable[KeySecret], now: float) -> KeyView:
    """Show one key; `secrets` are those of all keys there are."""
    return key_views([key], secrets, now)[0]


def _key_view(key: Key, own: list[KeySecret], now: float) -> KeyView:
    own = sorted(own, key=lambda secret: secret.created)
    return KeyView(
        id=key.id,
        name=key.name,
        role=key.role,
        owner=key.owner,
        team=key.team,
        scope=scope_view(key.scope),
        limits=limits_view(key.limits),
        budgets=budget_views(key.budgets),
        created=key.created,
        expires=key.expires,
        revoked=key.revoked,
        priority=key.priority,
        deadline_seconds=key.deadline_seconds,
        state="revoked" if key.revoked is not None else "live" if is_live(key, now) else "expired",
        secrets=tuple(SecretView(s.hint, s.created, s.expires) for s in own),
    )


def account_view(account: Account) -> AccountView:
    """Show an account."""
    limits, budgets = limits_view(account.limits), budget_views(account.budgets)
    return AccountView(account.kind, account.name, limits, budgets)


def entry_view(entry: Entry) -> EntryView:
    """Show an entry of the ledger."""
    same = {name: getattr(entry, name) for name in EntryView.__struct_fields__}
    same["tries"], same["route"] = tuple(map(_try_view, read_tries(entry))), read_report(entry)
    for name in ("reserved", "cost", "charged", "input_price", "output_price"):
        same[name] = dollars(same[name])
    return EntryView(**same)


def _try_view(one: Try) -> TryView:
    same: dict[str, Any] = {name: getattr(one, name) for name in TryView.__struct_fields__}
    same["cost"] = dollars(one.cost)
    return TryView(**same)


def dollars(amount: int | None) -> str | None:
    """Return picodollars as text, None for unknown."""
    return None if amount is None else f"{money.dollars(amount):f}"


def scope_view(scope: Scope) -> ScopeView:
    """Show a scope."""
    return ScopeView(scope.models, scope.providers, scope.endpoints)


def limits_view(limits: Limits) -> LimitsView:
    """Show limits."""
    return LimitsView(limits.requests_per_minute, limits.tokens_per_minute, limits.concurrency)


def budget_views(budgets: Iterable[Budget]) -> tuple[BudgetView, ...]:
    """Show budgets."""
    return tuple(BudgetView(f"{money.dollars(b.amount):f}", b.period) for b in budgets)

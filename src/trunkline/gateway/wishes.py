"""What may be asked for: a new key, a change, an account. Unknown fields are refused.

Money comes as US dollars, times as seconds since 1970 or as RFC 3339 text; `grants` decides whether
a wish is granted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.errors import TrunklineError
from trunkline.store.records import (
    Account,
    AccountKind,
    Budget,
    Limits,
    Period,
    Priority,
    Reach,
    Role,
    Scope,
)
from trunkline.types import money

LONGEST_OVERLAP = 30 * 86400
"""Seconds for which an old secret may go on working beside its successor."""
LONGEST_DEADLINE = 7 * 86400
_LARGEST_NUMBER = 10**15
_LARGEST_TIME = 10**11

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"^(?!\.{1,2}$)[^/\x00-\x1f\x7f]+$",
        description="Without slashes and control characters.",
    ),
]
Label = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pattern = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f?\[\]]+$")]
Count = Annotated[int, Meta(ge=1, le=_LARGEST_NUMBER)]
Seconds = Annotated[float, Meta(gt=0, le=LONGEST_DEADLINE)]
Moment = Annotated[float, Meta(ge=0, le=_LARGEST_TIME)] | Annotated[datetime, Meta(tz=True)]


class RefusedError(TrunklineError):
    """What was asked for is not done: it is wrong (400), not allowed (403), unknown (404), ..."""

    def __init__(
        self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None
    ) -> None:
        """Keep what the answer says; `param` names the field."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param


class BudgetWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that may be spent within each day or month of the calendar, UTC."""

    amount: Annotated[Decimal, Meta(description="US dollars, as a number or as text.")]
    period: Period


class LimitsWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much at a time; null is no limit."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrency: Count | None = None


class ScopeWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a key may be used for; an empty list is no restriction."""

    models: Annotated[tuple[Pattern, ...], Meta(max_length=1000)] = ()
    """Patterns: `*` is any run of characters."""
    providers: Annotated[tuple[Pattern, ...], Meta(max_length=1000)] = ()
    endpoints: tuple[Reach, ...] = ()


Budgets = Annotated[tuple[BudgetWish, ...], Meta(max_length=2)]


class KeyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to become of a key. A field that is left out stays as it is."""

    name: Label | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    owner: Name | UnsetType | None = UNSET
    team: Name | UnsetType | None = UNSET
    scope: ScopeWish | UnsetType = UNSET
    limits: LimitsWish | UnsetType = UNSET
    budgets: Budgets | UnsetType = UNSET
    expires: Moment | UnsetType | None = UNSET
    priority: Priority | UnsetType = UNSET
    deadline_seconds: Seconds | UnsetType | None = UNSET


class KeyWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new key. What a team-admin leaves out is as its own; others get no restriction."""

    name: Label = ""
    role: Role = "caller"
    owner: Name | None = None
    team: Name | UnsetType | None = UNSET
    scope: ScopeWish | UnsetType = UNSET
    limits: LimitsWish | UnsetType = UNSET
    budgets: Budgets | UnsetType = UNSET
    expires: Moment | UnsetType | None = UNSET
    priority: Priority | UnsetType = UNSET
    deadline_seconds: Seconds | UnsetType | None = UNSET


class RotationWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old secret goes on working, in seconds."""

    overlap_seconds: Annotated[float, Meta(ge=0, le=LONGEST_OVERLAP)] = 0.0


class AccountWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Budgets and limits that all keys of an owner or a team share."""

    limits: LimitsWish = LimitsWish()
    budgets: Budgets = ()


def amount_of(dollars: Decimal) -> int:
    """Return dollars as picodollars; raises RefusedError for what is no amount of money."""
    if not dollars.is_finite() or dollars < 0:
        raise RefusedError("An amount must be a number of US dollars, 0 or more.", param="amount")
    if dollars > money.dollars(money.LARGEST):
        most = money.shown(money.LARGEST, 0)
        raise RefusedError(f"An amount may be {most} at most.", param="amount")
    if dollars and dollars.adjusted() < -12:
        raise RefusedError("An amount is less than a picodollar (10^-12 dollars).", param="amount")
    return money.picos(dollars)


def read_budgets(wished: Iterable[BudgetWish]) -> tuple[Budget, ...]:
    """Return budgets as they are kept; raises RefusedError for two of one period."""
    budgets = tuple(Budget(amount_of(wish.amount), wish.period) for wish in wished)
    if len({budget.period for budget in budgets}) < len(budgets):
        raise RefusedError(
            "There can be one budget for each period, day and month.", param="budgets"
        )
    return budgets


def read_limits(wished: LimitsWish) -> Limits:
    """Return limits as they are kept."""
    return Limits(wished.requests_per_minute, wished.tokens_per_minute, wished.concurrency)


def read_scope(wished: ScopeWish) -> Scope:
    """Return a scope as it is kept."""
    return Scope(wished.models, wished.providers, wished.endpoints)


def read_moment(wished: float | datetime | None) -> float | None:
    """Return a time as seconds since 1970."""
    return wished.timestamp() if isinstance(wished, datetime) else wished


def read_account(kind: AccountKind, name: str, wished: AccountWish) -> Account:
    """Return an account as it is kept; raises RefusedError for a name or an amount that is none."""
    try:
        checked = msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise RefusedError(
            f"The name of a {kind} has 1 to 100 characters, no slash and no control characters.",
            param="name",
        ) from error
    return Account(kind, checked, read_limits(wished.limits), read_budgets(wished.budgets))

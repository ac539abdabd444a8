"""Keys given out, changed, rotated and taken back: rules on top of a store.

A secret exists in clear only in what these functions return; the store has its digest. Time is
given.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.gateway.grants import check_grant, check_rule, sees
from trunkline.gateway.wishes import (
    LONGEST_OVERLAP,
    BudgetWish,
    KeyChange,
    KeyWish,
    LimitsWish,
    RefusedError,
    ScopeWish,
    read_budgets,
    read_limits,
    read_moment,
    read_scope,
)
from trunkline.store.records import Budget, Key, KeySecret, Limits, Scope
from trunkline.store.seam import Store

T = TypeVar("T")
PREFIX = "tl-"
OPERATOR = Key("operator", "operator", role="admin")
"""Who sits at the machine and has the store's file: as good as an admin."""


def new_secret() -> str:
    """Return a secret of 256 random bits."""
    return PREFIX + urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def new_id() -> str:
    """Return the id of a new key."""
    return f"key_{secrets.token_hex(8)}"


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret; presenting it opens nothing, for it would be digested too."""
    return sha256(secret.encode()).digest()


def is_live(key: Key, now: float) -> bool:
    """Tell whether a key may be used, as far as the key itself goes."""
    return key.revoked is None and (key.expires is None or key.expires > now)


def find(store: Store, key_id: str, caller: Key) -> Key:
    """Return a key that `caller` may see; raises the same RefusedError for a hidden and an unknown one."""
    for key in store.keys():  # noqa: SIM118 - a store is no dict
        if key.id == key_id and sees(caller, key.team):
            return key
    raise RefusedError("There is no such key.", status=404, code="key_not_found")


def issue(store: Store, wish: KeyWish, grantor: Key, now: float) -> tuple[Key, str]:
    """Make a key and return it with its secret, which is not to be had again; raises RefusedError."""
    is_team_admin = grantor.role == "team-admin"
    given = grantor if is_team_admin else Key("")
    key = Key(
        id=new_id(),
        name=wish.name,
        role=wish.role,
        owner=wish.owner,
        team=_or(wish.team, given.team),
        scope=_scope(wish.scope, given.scope),
        limits=_limits(wish.limits, given.limits),
        budgets=_budgets(wish.budgets, given.budgets),
        created=now,
        expires=_expires(wish.expires, given.expires, now),
        priority=_or(wish.priority, given.priority),
        deadline_seconds=_or(wish.deadline_seconds, given.deadline_seconds),
    )
    _check_team(key)
    check_grant(grantor, key)
    secret = new_secret()
    store.add_key(key, _kept(secret, key.id, now))
    return key, secret


def change(store: Store, key_id: str, wish: KeyChange, grantor: Key, now: float) -> Key:
    """Change a key and return it as it now is; raises RefusedError."""
    key = _changeable(store, key_id, grantor)
    changed = msgspec.structs.replace(
        key,
        name=_or(wish.name, key.name),
        role=_or(wish.role, key.role),
        owner=_or(wish.owner, key.owner),
        team=_or(wish.team, key.team),
        scope=_scope(wish.scope, key.scope),
        limits=_limits(wish.limits, key.limits),
        budgets=_budgets(wish.budgets, key.budgets),
        expires=_expires(wish.expires, key.expires, now),
        priority=_or(wish.priority, key.priority),
        deadline_seconds=_or(wish.deadline_seconds, key.deadline_seconds),
    )
    _check_team(changed)
    check_grant(grantor, changed)
    store.change_key(changed)
    return changed


def rotate(
    store: Store, key_id: str, overlap_seconds: float, grantor: Key, now: float
) -> tuple[Key, str]:
    """Give a key a new secret; the old one works for `overlap_seconds` more. Raises RefusedError.

    Whoever gets the secret can use the key, so a team-admin may rotate its own key and those that
    it could have made.
    """
    if not 0 <= overlap_seconds <= LONGEST_OVERLAP:
        raise RefusedError("An overlap is 0 seconds to 30 days.", param="overlap_seconds")
    key = _unrevoked(find(store, key_id, grantor))
    if not is_live(key, now):
        raise RefusedError(
            "The key has expired; give it a later `expires` first.", status=409, code="key_expired"
        )
    if key.id != grantor.id or grantor.role != "team-admin":
        check_grant(grantor, key)
    secret = new_secret()
    store.rotate(_kept(secret, key.id, now), now + overlap_seconds)
    return key, secret


def expire(store: Store, key_id: str, at: float, grantor: Key) -> Key:
    """Let a key end at `at`, at once where that is past; it never ends later by this."""
    key = _changeable(store, key_id, grantor)
    ends = at if key.expires is None else min(at, key.expires)
    ended = msgspec.structs.replace(key, expires=ends)
    store.change_key(ended)
    return ended


def revoke(store: Store, key_id: str, grantor: Key, now: float) -> Key:
    """Take a key back for good; one that is revoked already stays as it is."""
    key = find(store, key_id, grantor)
    check_rule(grantor, key)
    if key.revoked is not None:
        return key
    revoked = msgspec.structs.replace(key, revoked=now)
    store.change_key(revoked)
    return revoked


def _changeable(store: Store, key_id: str, grantor: Key) -> Key:
    key = find(store, key_id, grantor)
    check_rule(grantor, key)
    return _unrevoked(key)


def _unrevoked(key: Key) -> Key:
    if key.revoked is not None:
        raise RefusedError(
            "The key is revoked, which is for good; make a new one.",
            status=409,
            code="key_revoked",
        )
    return key


def _check_team(key: Key) -> None:
    if key.role == "team-admin" and key.team is None:
        raise RefusedError("A team-admin needs a team.", param="team")


def _kept(secret: str, key_id: str, now: float) -> KeySecret:
    return KeySecret(digest_of(secret), key_id, secret[-4:], now)


def _or(wished: T | UnsetType, otherwise: T) -> T:
    return otherwise if isinstance(wished, UnsetType) else wished


def _scope(wished: ScopeWish | UnsetType, otherwise: Scope) -> Scope:
    return otherwise if isinstance(wished, UnsetType) else read_scope(wished)


def _limits(wished: LimitsWish | UnsetType, otherwise: Limits) -> Limits:
    return otherwise if isinstance(wished, UnsetType) else read_limits(wished)


def _budgets(
    wished: tuple[BudgetWish, ...] | UnsetType, otherwise: tuple[Budget, ...]
) -> tuple[Budget, ...]:
    return otherwise if isinstance(wished, UnsetType) else read_budgets(wished)


def _expires(wished: Any, otherwise: float | None, now: float) -> float | None:
    if wished is UNSET:
        return otherwise
    at = read_moment(wished)
    if at is not None and at <= now:
        raise RefusedError("A key's `expires` must be in the future.", param="expires")
    return at

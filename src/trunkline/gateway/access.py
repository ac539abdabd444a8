"""Who calls: every key in memory, found by the digest of the secret that a request brings.

A request is known by its `Authorization` header, or where there is none by `x-api-key`, on the pages whose
clients send that; nothing is read from its query or its cookies.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re

from trunkline.gateway.guard import Guard, Holder
from trunkline.store.records import Account, Key, KeySecret, Scope
from trunkline.store.seam import Store

_SCHEME = b"bearer "
_DISGUISED = b"hf_tl-"
"""How keys begin for Hugging Face's clients, which send to a router only what looks like its token."""
_NEW = re.compile(rb"(?:bearer +)?(?:hf_)?tl-[A-Za-z0-9_-]{43} *", re.IGNORECASE)
"""A header's value with a key as they are given out."""
_REMEMBERED = 4096
"""Names of models whose verdict a caller keeps."""


class Caller:
    """A key that may call now."""

    __slots__ = ("_verdicts", "expires", "holder", "key", "models", "providers", "urgent")

    def __init__(self, key: Key, holder: Holder, expires: float) -> None:
        """Count on `holder`; `expires` is the sooner of the key's and its secret's."""
        self.key = key
        self.holder = holder
        self.expires = expires
        self.providers = frozenset(key.scope.providers)
        self.models = _pattern(key.scope)
        """None for a key that may use every model."""
        self.urgent = key.deadline_seconds is not None or key.priority != "interactive"
        """Whether its calls have a deadline by the key, or may wait behind others."""
        self._verdicts: dict[str, bool] = {}

    def may_use(self, model: str) -> bool:
        """Tell whether the key's scope has a model."""
        if self.models is None:
            return True
        known = self._verdicts.get(model)
        if known is None:
            known = self.models.fullmatch(model) is not None
            if len(self._verdicts) < _REMEMBERED:
                self._verdicts[model] = known
        return known

    def may_reach(self, endpoint: str) -> bool:
        """Tell whether the key's scope has an endpoint."""
        endpoints = self.key.scope.endpoints
        return not endpoints or endpoint in endpoints


def _pattern(scope: Scope) -> re.Pattern[str] | None:
    if not scope.models:
        return None
    # fnmatch's expressions never try a star's other lengths again, so that no name takes long
    plain = (pattern.replace("[", "[[]").replace("?", "[?]") for pattern in scope.models)
    return re.compile("|".join(map(fnmatch.translate, plain)))


def may_be_new(headers: dict[bytes, bytes]) -> bool:
    """Tell whether a request brings what looks like a key: one that is unknown may just have been made."""
    sent = headers.get(b"authorization") or headers.get(b"x-api-key", b"")
    return _NEW.fullmatch(sent) is not None


class Directory:
    """The keys, as the store had them when it was last read."""

    def __init__(self, guard: Guard) -> None:
        """Know nobody yet."""
        self._guard = guard
        self._callers: dict[bytes, Caller] = {}
        self.generation = 0
        """Grows with each reading."""
        self.version = -1
        """The store's own number of that reading."""

    def find(self, authorization: bytes, wall: float) -> Caller | None:
        """Return who brings this header; None for a key that is unknown, expired or revoked."""
        if authorization[:7].lower() != _SCHEME:
            return None
        return self.find_secret(authorization[7:].strip(b" "), wall)

    def find_secret(self, secret: bytes, wall: float) -> Caller | None:
        """Return whose secret this is; None for a key that is unknown, expired or revoked."""
        caller = self._callers.get(hashlib.sha256(secret).digest())
        if caller is None and secret.startswith(_DISGUISED):
            caller = self._callers.get(hashlib.sha256(secret[3:]).digest())
        if caller is None or caller.expires <= wall:
            return None
        return caller

    def use(self, reading: Reading, wall: float) -> None:
        """Take what the store has from now on; calls in flight keep what they hold."""
        accounts = {(a.kind, a.name): a for a in reading.accounts}
        keys = {key.id: key for key in reading.keys if key.revoked is None}
        holders = {
            key.id: self._guard.holder(key, dict(accounts), wall)  # type: ignore[arg-type]  # kinds are strings
            for key in keys.values()
        }
        self._guard.forget(key.id for key in reading.keys if key.revoked is not None)
        callers: dict[bytes, Caller] = {}
        for secret in reading.secrets:
            key = keys.get(secret.key)
            ends = 0.0 if key is None else _ends(key, secret)
            if key is not None and ends > wall:  # the edge's clock may be a little behind
                callers[secret.digest] = Caller(key, holders[key.id], ends)
        self._callers = callers
        self.version = reading.version
        self.generation += 1


class Reading:
    """Keys, secrets and accounts as the store has them at one time."""

    __slots__ = ("accounts", "keys", "secrets", "version")

    def __init__(self, store: Store) -> None:
        """Read them; raises StoreError. Blocking."""
        self.version = store.version()  # first: what changes meanwhile is read again
        self.keys: list[Key] = store.keys()
        self.secrets: list[KeySecret] = store.secrets()
        self.accounts: list[Account] = store.accounts()


def _ends(key: Key, secret: KeySecret) -> float:
    ends = [end for end in (key.expires, secret.expires) if end is not None]
    return min(ends, default=float("inf"))

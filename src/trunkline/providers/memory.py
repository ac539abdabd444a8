"""Answers remembered for a while, and who may ask for a new one. Time is an argument.

Safe from several threads, and after a fork, without a lock: each step is one operation of a dict.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from trunkline.types import Secret

LIFETIME = 3600.0
"""Seconds for which an answer is taken as true."""
GRACE = 24 * 3600.0
"""Seconds after that in which it is still used, while a new one is fetched."""
PATIENCE = 60.0
"""Seconds for which a failure, or an answer that is one, is remembered."""
MOST = 1024
"""Answers kept; the oldest go first."""

T = TypeVar("T")


class Key(msgspec.Struct, frozen=True):
    """What an answer is remembered under: what was asked about, and with whose token."""

    name: str
    who: str = ""
    """A digest that tells tokens apart; empty for a question that is asked without one."""


def key_for(name: str, secret: Secret | None) -> Key:
    """Return the key for a question about `name`; two tokens may be told different things."""
    if secret is None:
        return Key(name)
    import hashlib  # slow to load, and many programs never need it

    return Key(name, hashlib.blake2b(secret.value.encode(), digest_size=16).hexdigest())


class Found(msgspec.Struct, Generic[T], frozen=True):
    """What is remembered."""

    value: T | None
    """None where asking has failed a moment ago."""
    stale: bool = False
    """Whether it is time to ask again, although the value still serves."""


class _Kept(msgspec.Struct, Generic[T], frozen=True):
    value: T | None
    fresh_until: float
    usable_until: float
    next_try: float


class Claim:
    """The right to ask for an answer, until a moment after which anybody may take it over."""

    __slots__ = ("_open", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self._open = {"open": True}

    def end(self) -> bool:
        """End it; True for the one thread that did."""
        return self._open.pop("open", False)


class Memory(Generic[T]):
    """Answers by key."""

    def __init__(self) -> None:
        self._kept: dict[Key, _Kept[T]] = {}
        self._claims: dict[Key, Claim] = {}

    def look(self, key: Key, now: float) -> Found[T] | None:
        """Return what is remembered; None where somebody has to ask."""
        kept = self._kept.get(key)
        if kept is None or now >= kept.usable_until:
            return None
        return Found(kept.value, now >= kept.fresh_until and now >= kept.next_try)

    def keep(self, key: Key, value: T, now: float, *, lasting: bool = True) -> None:
        """Remember an answer; one that is not `lasting` for as long as a failure."""
        fresh_until = now + (LIFETIME if lasting else PATIENCE)
        usable_until = fresh_until + (GRACE if lasting else 0.0)
        self._put(key, _Kept(value, fresh_until, usable_until, fresh_until))

    def miss(self, key: Key, now: float) -> None:
        """Remember that nobody answered; what was known before still serves while it may."""
        kept = self._kept.get(key)
        if kept is not None and kept.value is not None and now < kept.usable_until:
            self._put(key, msgspec.structs.replace(kept, next_try=now + PATIENCE))
        else:
            self._put(key, _Kept(None, now + PATIENCE, now + PATIENCE, now + PATIENCE))

    def forget(self, key: Key) -> None:
        """Have the next call ask."""
        self._kept.pop(key, None)

    def claim(self, key: Key, now: float, until: float) -> Claim | None:
        """Return the right to ask until `until`; None while another has it."""
        mine = Claim(until)
        held = self._claims.setdefault(key, mine)
        if held is mine:
            return mine
        if held.until > now or not held.end():
            return None
        self._claims[key] = mine  # nobody else touches it: only who ended `held` may
        return mine

    def release(self, key: Key, claim: Claim) -> None:
        """Give the right back; harmless when it has been taken over."""
        if claim.end():
            del self._claims[key]

    def _put(self, key: Key, kept: _Kept[T]) -> None:
        self._kept.pop(key, None)  # so that it becomes the newest
        self._kept[key] = kept
        if len(self._kept) > MOST:
            for oldest in list(self._kept)[:-MOST]:
                self._kept.pop(oldest, None)

"""The first admin key: made when a store has none, or given by the operator and then held to be strong.

It reads no environment; who starts the gateway does.
"""

from __future__ import annotations

import msgspec

from trunkline.errors import ConfigurationError
from trunkline.gateway.keyring import OPERATOR, digest_of, is_live, issue, new_id
from trunkline.gateway.wishes import KeyWish
from trunkline.store.records import Key, KeySecret
from trunkline.store.seam import Store

VARIABLE = "TRUNKLINE_ADMIN_KEY"
SHORTEST = 32
FEWEST_DIFFERENT = 10
DEFAULTS = (
    "administrator",
    "changeme",
    "change-me",
    "change_me",
    "default",
    "dummy",
    "example",
    "hf_",
    "insecure",
    "letmein",
    "litellm",
    "master",
    "passwd",
    "password",
    "qwerty",
    "replace",
    "secret",
    "sk-1234",
    "test",
    "token",
    "trunkline",
    "admin",
    "root",
    "1234",
    "key",
    "sk-",
    "tl-",
)
"""Words of documentation, examples and habit; they add nothing to a secret's strength."""
_ADVICE = (
    "Make one with: python -c \"import secrets; print('tl-' + secrets.token_urlsafe(32))\", or leave "
    "the variable unset, and the first start prints one."
)


def first_admin(store: Store, now: float, given: str | None) -> str | None:
    """See to it that there is an admin key; return its secret where a new one was made.

    It is to be shown once. A given secret is never returned: its key is made, or, where the given
    secret has been replaced by another, its old one ends. Raises ConfigurationError for one that is
    weak, or that belongs to a key that is no admin's or is over.
    """
    if given is not None:
        _take(store, now, given)
        return None
    with_secrets = {
        secret.key for secret in store.secrets() if secret.expires is None or secret.expires > now
    }
    for key in store.keys():  # noqa: SIM118 - a store is no dict
        if key.role == "admin" and key.id in with_secrets and is_live(key, now):
            return None
    _, secret = issue(store, KeyWish(name="first admin", role="admin"), OPERATOR, now)
    return secret


def weakness(secret: str) -> str | None:
    """Return what is weak about a secret that somebody chose, None if nothing is."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        return "has spaces, control characters or characters beyond ASCII"
    if len(secret) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    if len(set(secret)) < FEWEST_DIFFERENT:
        return f"has fewer than {FEWEST_DIFFERENT} different characters"
    if secret in (secret + secret)[1:-1]:
        return "repeats itself"
    rest = secret.lower()
    for word in DEFAULTS:
        rest = rest.replace(word, "")
    if sum(character.isalnum() for character in rest) < SHORTEST // 2:
        return "is made of words that everybody tries"
    return None


def _take(store: Store, now: float, given: str) -> None:
    weak = weakness(given)
    if weak is not None:
        raise ConfigurationError(f"{VARIABLE} {weak}. {_ADVICE}")
    keys = {key.id: key for key in store.keys()}  # noqa: SIM118 - a store is no dict
    digest = digest_of(given)
    for secret in store.secrets():
        if secret.digest == digest:
            _check_known(keys.get(secret.key), secret, now)
            return
    kept = KeySecret(digest, "", given[-4:], now)
    for key in keys.values():
        if key.name == VARIABLE and key.role == "admin" and is_live(key, now):
            store.rotate(msgspec.structs.replace(kept, key=key.id), now)
            return
    key = Key(new_id(), VARIABLE, role="admin", created=now)
    store.add_key(key, msgspec.structs.replace(kept, key=key.id))


def _check_known(key: Key | None, secret: KeySecret, now: float) -> None:
    over = key is None or not is_live(key, now)
    if over or (secret.expires is not None and secret.expires <= now):
        raise ConfigurationError(f"The key in {VARIABLE} was revoked or has expired. {_ADVICE}")
    if key is not None and key.role != "admin":
        raise ConfigurationError(
            f"The key in {VARIABLE} has the role {key.role!r}. Give an admin's, or another secret."
        )

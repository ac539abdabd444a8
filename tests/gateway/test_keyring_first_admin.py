"""The first admin key: made once, or given, and then never a weak one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trunkline.errors import ConfigurationError
from trunkline.gateway import keyring
from trunkline.gateway.first_admin import VARIABLE, first_admin, weakness
from trunkline.gateway.keyring import OPERATOR, digest_of
from trunkline.gateway.wishes import KeyWish
from trunkline.store.sqlite import SqliteStore

NOW = 1_790_000_000.0
GIVEN = "Vb3kQ9-zTm2xWc7Lr5Pd8Ha1Ny6Js4Gf0Ue"
OTHER = "Xq8nR2-wYs6cKb1Mt7Fj3Zp9Dv4Lh5Ga0Oi"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty store."""
    store = SqliteStore(tmp_path / "gateway.db")
    store.migrate()
    yield store
    store.close()


def test_an_empty_store_gets_an_admin_whose_secret_is_shown_once(store: SqliteStore) -> None:
    secret = first_admin(store, NOW, None)
    assert secret is not None
    (key,), (kept,) = store.keys(), store.secrets()
    assert (key.role, kept.digest) == ("admin", digest_of(secret))
    assert first_admin(store, NOW, None) is None
    assert len(store.keys()) == 1


@pytest.mark.parametrize("end", ["revoke", "expire", "secret"])
def test_an_admin_that_is_over_is_none(store: SqliteStore, end: str) -> None:
    first_admin(store, NOW, None)
    (key,) = store.keys()
    if end == "revoke":
        keyring.revoke(store, key.id, OPERATOR, NOW)
    elif end == "expire":
        keyring.expire(store, key.id, NOW, OPERATOR)
    else:
        (kept,) = store.secrets()
        new = keyring.KeySecret(digest_of("x"), key.id, "xxxx", NOW, NOW)
        store.rotate(new, NOW)
        assert kept.expires is None
    assert first_admin(store, NOW + 1, None) is not None


def test_other_roles_are_no_admin(store: SqliteStore) -> None:
    keyring.issue(store, KeyWish(role="viewer"), OPERATOR, NOW)
    assert first_admin(store, NOW, None) is not None


def test_a_given_secret_works_and_is_not_told_again(store: SqliteStore) -> None:
    assert first_admin(store, NOW, GIVEN) is None
    (key,), (kept,) = store.keys(), store.secrets()
    assert (key.role, key.name, kept.digest) == ("admin", VARIABLE, digest_of(GIVEN))
    version = store.version()
    assert first_admin(store, NOW + 1, GIVEN) is None
    assert store.version() == version
    assert GIVEN not in repr(key) + repr(kept)


def test_a_given_secret_works_beside_admins_and_takes_its_predecessors_place(
    store: SqliteStore,
) -> None:
    first_admin(store, NOW, None)
    first_admin(store, NOW, GIVEN)
    first_admin(store, NOW + 5, OTHER)
    ends = {secret.digest: secret.expires for secret in store.secrets()}
    assert len(store.keys()) == 2
    assert ends[digest_of(GIVEN)] == NOW + 5
    assert ends[digest_of(OTHER)] is None
    with pytest.raises(ConfigurationError, match="has expired"):
        first_admin(store, NOW + 6, GIVEN)


def test_a_given_secret_of_a_key_that_is_no_admins_is_refused(store: SqliteStore) -> None:
    _, secret = keyring.issue(store, KeyWish(), OPERATOR, NOW)
    with pytest.raises(ConfigurationError, match="role 'caller'") as caught:
        first_admin(store, NOW, secret)
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "sk-1234",
        "admin",
        "changeme",
        "a" * 64,
        "abcdefgh" * 8,
        "0123456789abcdef0123456789abcdef",
        "changemechangemechangemechangeme",
        "sk-1234-admin-password-secret-master-key",
        "TRUNKLINE-ADMIN-KEY-CHANGEME-PLEASE-1234",
        "Vb3kQ9-zTm2xWc7Lr5Pd8Ha1Ny6Js4Gf0Ue and more",
        "Vb3kQ9-zTm2xWc7Lr5Pd8Ha1Ny6Js4Gf0Ue\n",
        "Vb3kQ9-zTm2xWc7Lr5Pd8Ha1Ny6Js4Gf0Ué",
    ],
)
def test_a_weak_secret_is_refused_and_not_repeated(store: SqliteStore, secret: str) -> None:
    with pytest.raises(ConfigurationError, match=r"secrets\.token_urlsafe") as caught:
        first_admin(store, NOW, secret)
    assert len(secret) < 8 or secret not in str(caught.value)
    assert store.keys() == []


def test_what_the_error_says_to_do_makes_a_strong_one(store: SqliteStore) -> None:
    made = [keyring.new_secret() for _ in range(200)]
    assert all(re.fullmatch(r"tl-.{43}", secret) for secret in made)
    assert {weakness(secret) for secret in made} == {None}
    assert {weakness(secret.encode().hex()[:64]) for secret in made} == {None}

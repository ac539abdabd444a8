"""Keys: what is given out, kept, changed and taken back, and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.gateway import keyring
from trunkline.gateway.keyring import OPERATOR, digest_of
from trunkline.gateway.wishes import KeyChange, KeyWish, RefusedError
from trunkline.store.records import Budget, Key, Limits, Scope
from trunkline.store.sqlite import SqliteStore

NOW = 1_790_000_000.0
DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty store."""
    store = SqliteStore(tmp_path / "gateway.db")
    store.migrate()
    yield store
    store.close()


def wish(**fields: Any) -> KeyWish:
    """A wish as a client's JSON would be."""
    return msgspec.convert(fields, KeyWish)


def change(**fields: Any) -> KeyChange:
    """The same for a change."""
    return msgspec.convert(fields, KeyChange)


def made(store: SqliteStore, grantor: Key = OPERATOR, **fields: Any) -> Key:
    """Make a key."""
    return keyring.issue(store, wish(**fields), grantor, NOW)[0]


@pytest.fixture
def lead(store: SqliteStore) -> Key:
    """A team-admin with something of everything."""
    return made(
        store,
        role="team-admin",
        team="red",
        scope={"models": ["org/*"], "endpoints": ["chat", "models"]},
        limits={"requests_per_minute": 100, "concurrency": 5},
        budgets=[{"amount": 10, "period": "day"}],
        expires=NOW + 30 * DAY,
        priority="batch",
        deadline_seconds=60,
    )


def test_a_secret_is_256_random_bits_and_only_its_digest_is_kept(
    store: SqliteStore, tmp_path: Path
) -> None:
    key, secret = keyring.issue(store, wish(name="first"), OPERATOR, NOW)
    assert re.fullmatch(r"tl-[A-Za-z0-9_-]{43}", secret)
    (kept,) = store.secrets()
    assert kept.digest == digest_of(secret)
    assert (kept.key, kept.hint, kept.created) == (key.id, secret[-4:], NOW)
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(secret[3:].encode() in data for data in files)
    assert secret not in repr(store.keys()) + repr(store.secrets())


def test_no_two_secrets_or_ids_are_alike(store: SqliteStore) -> None:
    several = [keyring.issue(store, wish(), OPERATOR, NOW) for _ in range(20)]
    assert len({key.id for key, _ in several}) == len({secret for _, secret in several}) == 20


def test_a_stored_digest_opens_nothing_in_any_spelling(store: SqliteStore) -> None:
    keyring.issue(store, wish(), OPERATOR, NOW)
    (kept,) = store.secrets()
    spellings = [kept.digest.hex(), kept.digest.hex().upper(), f"tl-{kept.digest.hex()}"]
    digests = {secret.digest for secret in store.secrets()}
    assert not any(digest_of(spelling) in digests for spelling in spellings)


def test_a_key_keeps_what_was_wished_for(store: SqliteStore) -> None:
    key = made(
        store,
        name="batch",
        owner="ann@example.org",
        team="red",
        scope={"models": ["a/*"], "providers": ["groq"], "endpoints": ["chat"]},
        limits={"tokens_per_minute": 5},
        budgets=[{"amount": "0.1", "period": "day"}, {"amount": 2, "period": "month"}],
        expires="2027-01-01T00:00:00Z",
    )
    assert store.keys() == [key]
    assert key.scope == Scope(("a/*",), ("groq",), ("chat",))
    assert key.limits == Limits(tokens_per_minute=5)
    assert key.budgets == (Budget(10**11, "day"), Budget(2 * 10**12, "month"))
    assert key.expires == 1798761600.0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"budgets": [{"amount": "-1", "period": "day"}]}, "amount"),
        ({"budgets": [{"amount": "NaN", "period": "day"}]}, "amount"),
        ({"budgets": [{"amount": "Infinity", "period": "day"}]}, "amount"),
        ({"budgets": [{"amount": "1e999999", "period": "day"}]}, "amount"),
        ({"budgets": [{"amount": "1e-13", "period": "day"}]}, "amount"),
        ({"budgets": [{"amount": 1, "period": "day"}, {"amount": 2, "period": "day"}]}, "budgets"),
        ({"expires": NOW}, "expires"),
        ({"role": "team-admin"}, "team"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_its_field(
    store: SqliteStore, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        made(store, **fields)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert store.keys() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "key_mine"},
        {"revoked": None},
        {"created": 0},
        {"scope": {"allowed_routes": ["*"]}},
        {"limits": {"rpm": 5}},
        {"role": "root"},
        {"team": "a/b"},
        {"team": ".."},
        {"name": "a\nb"},
        {"limits": {"concurrency": 0}},
        {"scope": {"models": ["[a-z]*"]}},
    ],
)
def test_unknown_fields_and_odd_values_are_no_wish(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        wish(**fields)
    with pytest.raises(msgspec.ValidationError):
        change(**fields)


def test_money_is_exact_however_it_is_written(store: SqliteStore) -> None:
    for amount in (0.1, "0.1", Decimal("0.10")):
        assert (
            made(store, budgets=[{"amount": amount, "period": "day"}]).budgets[0].amount == 10**11
        )


def test_a_change_leaves_the_rest_as_it_was(store: SqliteStore) -> None:
    key = made(store, name="a", team="red", limits={"concurrency": 3}, expires=NOW + DAY)
    changed = keyring.change(store, key.id, change(name="b", expires=None), OPERATOR, NOW)
    assert changed == msgspec.structs.replace(key, name="b", expires=None)
    assert store.keys() == [changed]


def test_a_rotation_overlaps_as_long_as_was_asked(store: SqliteStore) -> None:
    key, old = keyring.issue(store, wish(), OPERATOR, NOW)
    _, new = keyring.rotate(store, key.id, 3600, OPERATOR, NOW + 10)
    ends = {secret.digest: secret.expires for secret in store.secrets()}
    assert ends == {digest_of(old): NOW + 3610, digest_of(new): None}
    keyring.rotate(store, key.id, 0, OPERATOR, NOW + 20)
    ends = {secret.digest: secret.expires for secret in store.secrets()}
    assert ends[digest_of(old)] == ends[digest_of(new)] == NOW + 20


def test_an_overlap_has_a_most(store: SqliteStore) -> None:
    key = made(store)
    for overlap in (-1, 31 * DAY, float("nan")):
        with pytest.raises(RefusedError, match="30 days"):
            keyring.rotate(store, key.id, overlap, OPERATOR, NOW)


def test_revoking_is_for_good(store: SqliteStore) -> None:
    key = made(store)
    revoked = keyring.revoke(store, key.id, OPERATOR, NOW + 1)
    assert revoked.revoked == NOW + 1
    assert keyring.revoke(store, key.id, OPERATOR, NOW + 9).revoked == NOW + 1
    for attempt in (
        lambda: keyring.change(store, key.id, change(name="x"), OPERATOR, NOW),
        lambda: keyring.rotate(store, key.id, 0, OPERATOR, NOW),
        lambda: keyring.expire(store, key.id, NOW + DAY, OPERATOR),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert (caught.value.status, caught.value.code) == (409, "key_revoked")


def test_an_expired_key_is_not_rotated_and_expiry_never_moves_out(store: SqliteStore) -> None:
    key = made(store)
    assert keyring.expire(store, key.id, NOW + 5, OPERATOR).expires == NOW + 5
    assert keyring.expire(store, key.id, NOW + 50, OPERATOR).expires == NOW + 5
    with pytest.raises(RefusedError) as caught:
        keyring.rotate(store, key.id, 0, OPERATOR, NOW + 6)
    assert caught.value.code == "key_expired"


def test_a_team_admin_gives_what_it_has_where_nothing_is_said(
    store: SqliteStore, lead: Key
) -> None:
    key = made(store, lead, name="new")
    assert (key.role, key.team) == ("caller", "red")
    assert (key.scope, key.limits, key.budgets) == (lead.scope, lead.limits, lead.budgets)
    assert key.expires == lead.expires
    assert (key.priority, key.deadline_seconds) == ("batch", 60)


@pytest.mark.parametrize(
    "fields",
    [
        {"team": "blue"},
        {"team": None},
        {"role": "viewer"},
        {"role": "team-admin"},
        {"role": "admin"},
        {"scope": {}},
        {"scope": {"models": ["*"], "endpoints": ["chat"]}},
        {"scope": {"models": ["org/a", "other/b"], "endpoints": ["chat"]}},
        {"scope": {"models": ["org/a"], "endpoints": ["embeddings"]}},
        {"limits": {}},
        {"limits": {"requests_per_minute": 101, "concurrency": 5}},
        {"limits": {"requests_per_minute": 100}},
        {"budgets": []},
        {"budgets": [{"amount": "10.000000000001", "period": "day"}]},
        {"budgets": [{"amount": 11, "period": "month"}]},
        {"expires": None},
        {"expires": NOW + 31 * DAY},
        {"priority": "interactive"},
        {"deadline_seconds": None},
        {"deadline_seconds": 61},
    ],
)
def test_nobody_gives_more_than_they_have(
    store: SqliteStore, lead: Key, fields: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError) as caught:
        made(store, lead, **fields)
    assert caught.value.status == 403
    key = made(store, lead)
    with pytest.raises(RefusedError) as caught:
        keyring.change(store, key.id, change(**fields), lead, NOW)
    assert caught.value.status == 403
    with pytest.raises(RefusedError) as caught:
        keyring.change(store, lead.id, change(**fields), lead, NOW)
    assert caught.value.status == 403
    assert lead in list(store.keys())


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": {"models": ["org/a*"], "endpoints": ["chat"]}},
        {"limits": {"requests_per_minute": 1, "tokens_per_minute": 9, "concurrency": 5}},
        {"budgets": [{"amount": 10, "period": "month"}]},
        {"budgets": [{"amount": 1, "period": "day"}, {"amount": 99, "period": "month"}]},
        {"expires": NOW + DAY},
        {"deadline_seconds": 59.5},
    ],
)
def test_a_team_admin_may_give_less(store: SqliteStore, lead: Key, fields: dict[str, Any]) -> None:
    assert made(store, lead, **fields).team == "red"


def test_a_team_admin_gets_no_secret_of_a_key_that_is_wider_than_its_own(
    store: SqliteStore, lead: Key
) -> None:
    wide, peer = made(store, team="red"), made(store, team="red", role="team-admin")
    for key in (wide, peer):
        with pytest.raises(RefusedError) as caught:
            keyring.rotate(store, key.id, 0, lead, NOW)
        assert caught.value.status == 403
    assert keyring.revoke(store, wide.id, lead, NOW).revoked == NOW
    assert keyring.rotate(store, lead.id, 0, lead, NOW)[0] == lead


def test_another_teams_key_is_as_unknown_as_one_that_is_not_there(
    store: SqliteStore, lead: Key
) -> None:
    other = made(store, team="blue")
    said = []
    for key_id in (other.id, "key_0123456789abcdef"):
        for attempt in (
            lambda i: keyring.find(store, i, lead),
            lambda i: keyring.change(store, i, change(name="x"), lead, NOW),
            lambda i: keyring.rotate(store, i, 0, lead, NOW),
            lambda i: keyring.revoke(store, i, lead, NOW),
        ):
            with pytest.raises(RefusedError) as caught:
                attempt(key_id)
            said.append((caught.value.status, caught.value.code, caught.value.message))
    assert set(said) == {(404, "key_not_found", "There is no such key.")}


@pytest.mark.parametrize("role", ["caller", "viewer"])
def test_callers_and_viewers_change_nothing(store: SqliteStore, role: str) -> None:
    reader = made(store, role=role, team="red")
    key = made(store, team="red")
    for attempt in (
        lambda: keyring.issue(store, wish(team="red"), reader, NOW),
        lambda: keyring.change(store, key.id, change(name="x"), reader, NOW),
        lambda: keyring.rotate(store, key.id, 0, reader, NOW),
        lambda: keyring.rotate(store, reader.id, 0, reader, NOW),
        lambda: keyring.revoke(store, key.id, reader, NOW),
        lambda: keyring.expire(store, key.id, NOW, reader),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.status in (403, 404)
    assert {kept.id: kept for kept in list(store.keys())} == {reader.id: reader, key.id: key}

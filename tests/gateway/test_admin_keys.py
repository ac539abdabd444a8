"""Keys and accounts over the admin API: made, shown, changed, rotated, revoked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from admin_side import NOW, Admin
from carried import Carried, carried

from trunkline.gateway.keyring import digest_of
from trunkline.store.seam import StoreError


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    """An admin API."""
    admin = Admin(tmp_path)
    yield admin
    admin.close()


def test_a_made_key_is_shown_whole_and_its_secret_once(admin: Admin) -> None:
    wish = {
        "name": "batch",
        "owner": "ann@example.org",
        "team": "red",
        "scope": {"models": ["org/*"]},
        "limits": {"requests_per_minute": 60},
        "budgets": [{"amount": 12.5, "period": "month"}],
        "expires": "2027-01-01T00:00:00Z",
    }
    made = admin.ask("POST", "/admin/keys", wish)
    assert made.status == 201
    secret = made.json["secret"]
    assert re.fullmatch(r"tl-[A-Za-z0-9_-]{43}", secret)
    key = made.json["key"]
    assert key == {
        "id": key["id"],
        "name": "batch",
        "role": "caller",
        "owner": "ann@example.org",
        "team": "red",
        "scope": {"models": ["org/*"], "providers": [], "endpoints": []},
        "limits": {"requests_per_minute": 60, "tokens_per_minute": None, "concurrency": None},
        "budgets": [{"amount": "12.5", "period": "month"}],
        "created": NOW,
        "expires": 1798761600.0,
        "revoked": None,
        "priority": "interactive",
        "deadline_seconds": None,
        "state": "live",
        "secrets": [{"hint": secret[-4:], "created": NOW, "expires": None}],
    }
    shown = admin.ask("GET", f"/admin/keys/{key['id']}")
    assert shown.json == key
    assert digest_of(secret) in {kept.digest for kept in admin.store.secrets()}
    assert made.told["cache-control"] == shown.told["cache-control"] == "no-store"


def test_changes_are_told_to_the_gateway_and_refusals_are_not(admin: Admin) -> None:
    key_id = admin.ask("POST", "/admin/keys", {}).json["key"]["id"]
    path = f"/admin/keys/{key_id}"
    for method, target, body in (
        ("PATCH", path, {"name": "b"}),
        ("POST", f"{path}/rotate", {"overlap_seconds": 60}),
        ("POST", f"{path}/revoke", None),
        ("PUT", "/admin/accounts/team/red", {"budgets": [{"amount": 1, "period": "day"}]}),
        ("DELETE", "/admin/accounts/team/red", None),
    ):
        before = admin.changes
        assert admin.ask(method, target, body).status == 200
        assert admin.changes == before + 1
        before = admin.changes
        assert admin.ask(method, target, {"x": 1}).status == 400
        assert admin.ask("GET", target).status in (200, 404, 405)
        assert admin.changes == before


def test_a_rotated_key_shows_both_secrets_by_their_hints(admin: Admin) -> None:
    made = admin.ask("POST", "/admin/keys", {}).json
    admin.now += 10
    path = f"/admin/keys/{made['key']['id']}/rotate"
    rotated = admin.ask("POST", path, {"overlap_seconds": 90}).json
    assert rotated["secret"] != made["secret"]
    assert rotated["key"]["secrets"] == [
        {"hint": made["secret"][-4:], "created": NOW, "expires": NOW + 100},
        {"hint": rotated["secret"][-4:], "created": NOW + 10, "expires": None},
    ]
    assert admin.ask("POST", path).status == 200  # without a body there is no overlap


def test_states_follow_the_clock(admin: Admin) -> None:
    made = admin.ask("POST", "/admin/keys", {"expires": NOW + 5}).json["key"]
    path = f"/admin/keys/{made['id']}"
    assert made["state"] == "live"
    admin.now = NOW + 5
    assert admin.ask("GET", path).json["state"] == "expired"
    assert admin.ask("POST", f"{path}/revoke").json["state"] == "revoked"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"id": "key_x"}, "id", "unknown_field"),
        ({"revoked": 0}, "revoked", "unknown_field"),
        ({"metadata": {}}, "metadata", "unknown_field"),
        ({"scope": {"allowed_routes": []}}, "scope.allowed_routes", "unknown_field"),
        ({"budgets": [{"amount": 1, "period": "year"}]}, "budgets[0].period", "invalid_field"),
        ({"budgets": [{"amount": "-1", "period": "day"}]}, "amount", None),
        ({"role": "root"}, "role", "invalid_field"),
        ({"expires": "tomorrow"}, "expires", "invalid_field"),
        ({"expires": 5}, "expires", None),
        ({"team": "a/b"}, "team", "invalid_field"),
        ([], None, "invalid_field"),
        (b"{", None, "invalid_json"),
        (b"\xff", None, "invalid_json"),
        (b'{"name": "a", "name": "b"}', None, "invalid_json"),
        (b'{"a":' * 200, None, "invalid_json"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_its_field(
    admin: Admin, body: Any, param: str | None, code: str | None
) -> None:
    before = admin.store.version()
    exchange = admin.ask("POST", "/admin/keys", body)
    assert exchange.status == 400
    assert exchange.error["type"] == "invalid_request_error"
    assert (exchange.error["param"], exchange.error["code"]) == (param, code)
    assert admin.store.version() == before


def test_a_body_has_a_most_and_routes_without_one_take_none(admin: Admin) -> None:
    large = b'{"name": "' + b"a" * 65536 + b'"}'
    assert admin.ask("POST", "/admin/keys", large).status == 413
    path = f"/admin/keys/{admin.keys['caller'].id}/revoke"
    assert admin.ask("POST", path, {"role": "admin"}).status == 400


def test_lists_come_in_pages_that_miss_and_repeat_nothing(admin: Admin) -> None:
    for number in range(7):
        admin.now += number % 2
        admin.issue(name=str(number))
    ids: list[str] = []
    cursor = ""
    while cursor is not None:
        page = admin.ask("GET", f"/admin/keys?limit=5&cursor={cursor}").json
        ids += [key["id"] for key in page["data"]]
        cursor = page["next"]
    newest = sorted(admin.store.keys(), key=lambda key: (-key.created, key.id))
    assert sorted(ids) == sorted(key.id for key in newest)
    assert len(ids) == 12
    created = {key.id: key.created for key in newest}
    assert [created[i] for i in ids] == sorted(created.values(), reverse=True)


def test_lists_can_be_narrowed(admin: Admin) -> None:
    key = admin.issue(owner="ann", team="red")
    for query in ("owner=ann", "owner=ann&team=red"):
        data = admin.ask("GET", f"/admin/keys?{query}").json["data"]
        assert [one["id"] for one in data] == [key.id]
    assert admin.ask("GET", "/admin/keys?owner=ann&team=blue").json["data"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("page=2", "page"),
        ("limit=1&limit=2", "query"),
        ("cursor=key_nobody", "cursor"),
        ("=", ""),
        ("team=%ff", "query"),
        ("nonsense", "query"),
    ],
)
def test_a_query_that_does_not_fit_is_refused(admin: Admin, query: str, param: str) -> None:
    exchange = admin.ask("GET", f"/admin/keys?{query}")
    assert (exchange.status, exchange.error["param"]) == (400, param)


def test_a_team_admin_sees_and_changes_its_team_alone(admin: Admin) -> None:
    own, other = admin.issue(team="red"), admin.issue(team="blue")
    listed = {key["id"] for key in admin.ask("GET", "/admin/keys", key="red").json["data"]}
    assert listed == {own.id, admin.keys["red"].id}
    assert admin.ask("GET", "/admin/keys?team=blue", key="red").json == {"data": [], "next": None}
    assert admin.ask("GET", f"/admin/keys?cursor={other.id}", key="red").status == 400
    assert admin.ask("PATCH", f"/admin/keys/{own.id}", {"name": "x"}, key="red").status == 200
    moved = admin.ask("PATCH", f"/admin/keys/{own.id}", {"team": "blue"}, key="red")
    assert (moved.status, moved.error["code"]) == (403, "not_allowed")


def test_another_teams_key_is_as_unknown_as_one_that_is_not_there(admin: Admin) -> None:
    other = admin.issue(team="blue").id
    neighbour = other[:-1] + ("0" if other[-1] != "0" else "1")
    answers = set()
    for key_id in (other, neighbour, "key_x", "..", "%00"[:2]):
        for method, rest, body in (
            ("GET", "", None),
            ("PATCH", "", {"name": "x"}),
            ("POST", "/rotate", None),
            ("POST", "/revoke", None),
        ):
            path = f"/admin/keys/{key_id}{rest}"
            exchange = admin.ask(method, path, body, key="red")
            answers.add((exchange.status, exchange.answered, str(exchange.told)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 404


@pytest.mark.parametrize(
    "change",
    [
        {"role": "admin"},
        {"role": "viewer"},
        {"budgets": []},
        {"limits": {}},
        {"scope": {}},
        {"team": None},
        {"team": "blue"},
        {"expires": None},
    ],
)
def test_nobody_raises_themselves(admin: Admin, change: dict[str, Any]) -> None:
    lead = admin.issue(
        role="team-admin",
        team="green",
        scope={"models": ["a"]},
        limits={"concurrency": 1},
        budgets=[{"amount": 1, "period": "day"}],
        expires=NOW + 60,
    )
    for key in (lead, admin.issue(team="green"), admin.keys["admin"]):
        exchange = admin.ask("PATCH", f"/admin/keys/{key.id}", change, key=lead)
        assert exchange.status in (403, 404)
    assert lead in list(admin.store.keys())


def test_accounts_are_set_shown_and_forgotten(admin: Admin) -> None:
    path = "/admin/accounts/owner/ann%40example.org%20%26%20co"
    wish = {"limits": {"concurrency": 2}, "budgets": [{"amount": "0.5", "period": "day"}]}
    shown = {
        "kind": "owner",
        "name": "ann@example.org & co",
        "limits": {"requests_per_minute": None, "tokens_per_minute": None, "concurrency": 2},
        "budgets": [{"amount": "0.5", "period": "day"}],
    }
    assert admin.ask("GET", path).error["code"] == "account_not_found"
    for method, body in (("PUT", wish), ("GET", None)):
        exchange = admin.ask(method, path, body)
        assert (exchange.status, exchange.json) == (200, shown)
    assert admin.ask("GET", "/admin/accounts?kind=owner").json["data"] == [shown]
    assert admin.ask("GET", "/admin/accounts?kind=team").json["data"] == []
    assert admin.ask("DELETE", path).json == shown
    assert admin.ask("DELETE", path).status == 404


@pytest.mark.parametrize("path", ["group/a", "owner/%0a", f"owner/{'a' * 101}", "team/.."])
def test_accounts_have_proper_names(admin: Admin, path: str) -> None:
    assert admin.ask("PUT", f"/admin/accounts/{path}", {}).status in (400, 404)
    assert admin.store.accounts() == []


def test_a_team_admin_sees_its_teams_account_alone(admin: Admin) -> None:
    for path in ("team/red", "team/blue", "owner/red"):
        admin.ask("PUT", f"/admin/accounts/{path}", {})
    data = admin.ask("GET", "/admin/accounts", key="red").json["data"]
    assert [(account["kind"], account["name"]) for account in data] == [("team", "red")]
    assert admin.ask("GET", "/admin/accounts/team/red", key="red").status == 200
    hidden = [
        admin.ask("GET", f"/admin/accounts/{path}", key="red")
        for path in ("team/blue", "owner/red", "team/nobody", "owner/nobody")
    ]
    assert {(e.status, e.answered) for e in hidden} == {(404, hidden[0].answered)}


def test_many_changes_at_once_are_all_done(admin: Admin) -> None:
    key = admin.issue()

    async def all_at_once() -> list[int]:
        path = f"/admin/keys/{key.id}"
        changes = [
            Carried("PATCH", path, body=msgspec.json.encode(body), key=admin.keys["admin"])
            for body in ({"name": "n"}, {"owner": "o"}, {"team": "t"}, {"role": "viewer"})
        ]
        revoked = Carried("POST", f"{path}/revoke", key=admin.keys["admin"])
        done = [carried(admin.bridge, exchange) for exchange in (*changes, revoked)]
        return [exchange.status for exchange in await asyncio.gather(*done)]

    assert set(admin.runner.run(all_at_once())) <= {200, 409}
    keys = admin.store.keys()
    (left,) = [one for one in keys if one.id == key.id]
    assert left.revoked is not None


def test_a_store_that_is_down_is_a_503_that_tells_no_path(
    admin: Admin, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    admin.store.close()
    with pytest.raises(StoreError):
        admin.store.keys()
    for method, path in (("GET", "/admin/keys"), ("POST", "/admin/keys"), ("GET", "/admin/spend")):
        exchange = admin.ask(method, path)
        assert (exchange.status, exchange.error["code"]) == (503, "store_unavailable")
        assert str(tmp_path).encode() not in exchange.answered
    assert "the store failed" in caplog.text
    assert admin.changes == 0

"""Who may do what at the admin API: the whole table, and every way around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from admin_side import ROLES, Admin

from trunkline.gateway.admin.routes import ROUTES
from trunkline.gateway.admin.table import Row, Visit
from trunkline.store.records import Key, Role

ALLOWED = {
    "GET /admin/keys": "viewer team-admin admin",
    "POST /admin/keys": "team-admin admin",
    "GET /admin/keys/{id}": "viewer team-admin admin",
    "PATCH /admin/keys/{id}": "team-admin admin",
    "POST /admin/keys/{id}/rotate": "team-admin admin",
    "POST /admin/keys/{id}/revoke": "team-admin admin",
    "GET /admin/accounts": "viewer team-admin admin",
    "GET /admin/accounts/{kind}/{name}": "viewer team-admin admin",
    "PUT /admin/accounts/{kind}/{name}": "admin",
    "DELETE /admin/accounts/{kind}/{name}": "admin",
    "GET /admin/spend": "viewer team-admin admin",
    "GET /admin/entries": "viewer team-admin admin",
    "GET /admin/entries/{id}": "viewer team-admin admin",
    "POST /admin/reload": "admin",
    "GET /admin/config": "viewer admin",
    "GET /admin/status": "viewer admin",
    "GET /admin/replicas": "viewer admin",
    "GET /admin/places": "viewer admin",
    "GET /admin/openapi.json": "viewer team-admin admin",
}
"""Written down apart from the table: whoever changes a right says so twice."""


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    """An admin API."""
    admin = Admin(tmp_path)
    yield admin
    admin.close()


def target(row: Row) -> str:
    """A row's path with its variables filled in."""
    return row.path.format(id="key_x", kind="team", name="red")


def test_the_table_says_what_was_agreed() -> None:
    assert {f"{r.method} {r.path}": frozenset(r.roles) for r in ROUTES} == {
        route: frozenset(roles.split()) for route, roles in ALLOWED.items()
    }


@pytest.mark.parametrize("role", ROLES)
def test_every_route_is_for_its_roles_only(admin: Admin, role: Role) -> None:
    key = admin.issue(role=role, team="red")
    for row in ROUTES:
        exchange = admin.ask(row.method, target(row), key=key)
        if role in row.roles:
            assert exchange.status in (200, 201, 404), (row, exchange.json)
        else:
            assert exchange.status == 403, row
            assert (exchange.error["type"], exchange.error["code"]) == (
                "permission_error",
                "not_allowed",
            )


def test_whoever_is_not_known_gets_nothing_and_learns_nothing(admin: Admin) -> None:
    answers = set()
    for row in ROUTES:
        exchange = admin.ask(row.method, target(row), key=None)
        assert exchange.status == 401, row
        assert exchange.told["www-authenticate"] == "Bearer"
        answers.add(exchange.answered)
    answers.add(admin.ask("GET", "/admin/nowhere", key=None).answered)
    answers.add(admin.ask("DELETE", "/admin/keys", key=None).answered)
    assert len(answers) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/",
        "//admin/keys",
        "/admin//keys",
        "/admin/keys/",
        "/admin/keys//rotate",
        "/admin/keys/key_x/",
        "/Admin/keys",
        "/admin/Keys",
        "/ADMIN/KEYS",
        "/admin/../admin/keys",
        "/admin/./keys",
        "/admin/%2e/keys",
        "/admin/%2e%2e/admin/keys",
        "/healthz/../admin/keys",
        "/admin%2fkeys%2f",
        "/admin%2f%2fkeys",
        "/admin/keys%0a",
        "/admin/keys%00",
        "/admin/keys%20",
        "/admin/keys;x",
        "/admin/keys.json",
        "/x/admin/keys",
        "/docs",
        "/admin/docs",
        "/admin/redoc",
    ],
)
def test_other_spellings_of_a_path_are_not_there(admin: Admin, path: str) -> None:
    for method in ("GET", "POST"):
        exchange = admin.ask(method, path)
        assert (exchange.status, exchange.error["code"]) == (404, "not_found")


def test_a_method_that_no_row_has_is_refused(admin: Admin) -> None:
    for method in ("HEAD", "OPTIONS", "DELETE", "TRACE", "get"):
        exchange = admin.ask(method, "/admin/keys")
        assert (exchange.status, exchange.error["code"]) == (405, "method_not_allowed")
        assert set(exchange.told["allow"].split(", ")) == {"GET", "POST"}


def test_headers_that_name_another_path_change_nothing(admin: Admin) -> None:
    exchange = admin.ask("GET", "/admin/nowhere?/admin/keys")
    assert exchange.status == 404
    assert admin.ask("GET", "/admin/nowhere#/../keys").status == 404


def _nothing(_: Visit) -> Any:
    return None


@pytest.mark.parametrize("roles", [(), ("caller",), ("admin", "caller")])
def test_a_row_without_roles_cannot_be_built(roles: tuple[Role, ...]) -> None:
    with pytest.raises(ValueError, match="does not say which roles"):
        Row("GET", "/admin/new", roles, _nothing, None, "New.")


@pytest.mark.parametrize(
    "path", ["/new", "/admin", "/admin/", "/admin/a/", "/admin//a", "/admin/A"]
)
def test_a_row_has_a_plain_path_below_admin(path: str) -> None:
    with pytest.raises(ValueError, match="no path of the admin API"):
        Row("GET", path, ("admin",), _nothing, None, "New.")


def test_no_two_rows_answer_the_same(admin: Admin) -> None:
    assert len({(row.method, row.path) for row in ROUTES}) == len(ROUTES)
    assert isinstance(admin.keys["admin"], Key)

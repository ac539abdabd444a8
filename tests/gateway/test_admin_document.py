"""The admin API's description of itself, what it shows of a key, and what it never shows."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from admin_side import CANARY, Admin, entry

from trunkline.gateway.admin.openapi import document
from trunkline.gateway.admin.routes import ROUTES
from trunkline.gateway.admin.views import EntryView, KeyView

SHOWN_OF_A_KEY = "id name role owner team scope limits budgets created expires revoked priority deadline_seconds state secrets"
SHOWN_OF_A_SECRET = "hint created expires"


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    """An admin API."""
    admin = Admin(tmp_path)
    yield admin
    admin.close()


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object within a document."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node:
        if isinstance(inner, (dict, list)):
            yield from nodes(inner)


def schema_for(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of the document, with what it refers to."""
    return {**schema, "components": described["components"]}


def test_the_document_has_every_route_and_nothing_else(admin: Admin) -> None:
    described = admin.ask("GET", "/admin/openapi.json", key="viewer").json
    assert described["openapi"] == "3.1.0"
    operations = {
        (method.upper(), path): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {(row.method, row.path) for row in ROUTES}
    for row in ROUTES:
        operation = operations[row.method, row.path]
        assert operation["x-roles"] == list(row.roles)
        assert operation["summary"] == row.summary
        assert str(row.status) in operation["responses"]
        named = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
        assert all(f"{{{name}}}" in row.path for name in named)
        assert row.path.count("{") == len(named)
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    described = document(ROUTES)
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for node in nodes(described):
        if "$ref" in node:
            kind, _, name = node["$ref"].rpartition("/")
            assert kind == "#/components/schemas"
            assert name in schemas


def test_answers_are_as_described(admin: Admin) -> None:
    key = admin.issue(team="red", budgets=[{"amount": "0.5", "period": "day"}], expires=2e9)
    admin.spend([entry(1, key), entry(2, key, cost=None)], [])
    described = document(ROUTES)
    filled = {"id": key.id, "kind": "team", "name": "red"}
    bodies = {"PATCH": {"name": "x"}, "PUT": {"budgets": [{"amount": 1, "period": "day"}]}}
    order = {"PUT": 0, "GET": 1, "PATCH": 2, "POST": 3, "DELETE": 4}
    for row in sorted(ROUTES, key=lambda row: order[row.method]):
        path = row.path.format(**{**filled, "id": "req_0001"} if "entries" in row.path else filled)
        exchange = admin.ask(row.method, path, bodies.get(row.method))
        assert exchange.status == row.status, (row, exchange.json)
        operation = described["paths"][row.path][row.method.lower()]
        schema = operation["responses"][str(row.status)]["content"]["application/json"]["schema"]
        jsonschema.validate(exchange.json, schema_for(described, schema))
    failed = admin.ask("GET", "/admin/keys/nobody").json
    error = described["paths"]["/admin/keys"]["get"]["responses"]["default"]
    jsonschema.validate(
        failed, schema_for(described, error["content"]["application/json"]["schema"])
    )


def test_requests_are_as_described(admin: Admin) -> None:
    described = document(ROUTES)
    body = described["paths"]["/admin/keys"]["post"]["requestBody"]
    schema = schema_for(described, body["content"]["application/json"]["schema"])
    for wish in (
        {},
        {"budgets": [{"amount": 0.5, "period": "day"}, {"amount": "2", "period": "month"}]},
    ):
        jsonschema.validate(wish, schema)
        assert admin.ask("POST", "/admin/keys", wish).status == 201
    for wish in (
        {"id": "key_x"},
        {"budgets": [{"amount": True, "period": "day"}]},
        {"role": "root"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wish, schema)
        assert admin.ask("POST", "/admin/keys", wish).status == 400


def test_a_key_shows_these_fields_and_a_new_one_is_decided_on(admin: Admin) -> None:
    (shown, *_) = admin.ask("GET", "/admin/keys").json["data"]
    assert list(shown) == list(KeyView.__struct_fields__) == SHOWN_OF_A_KEY.split()
    assert [list(secret) for secret in shown["secrets"]] == [SHOWN_OF_A_SECRET.split()]
    assert list(shown["limits"]) == ["requests_per_minute", "tokens_per_minute", "concurrency"]
    assert list(shown["scope"]) == ["models", "providers", "endpoints"]
    assert len(EntryView.__struct_fields__) == 34


def test_no_secret_or_digest_leaves_by_another_door(
    admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = admin.ask("POST", "/admin/keys", {"name": "n"}).json
    key = admin.issue()
    admin.spend([entry(1, key)], [])
    secrets = [*admin.secrets, made["secret"], CANARY]
    digests = [kept.digest for kept in admin.store.secrets()]
    said = []
    for row in ROUTES:
        for asking in ("admin", "viewer", "red", None):
            for body in (None, b"{", {"x": CANARY}):
                path = row.path.format(id=key.id, kind="team", name="red")
                exchange = admin.ask(row.method, path, body, key=asking)
                if "secret" in exchange.json:
                    secrets.append(exchange.json["secret"])
                    continue
                said.append(exchange.answered.decode() + str(exchange.told))
    said += [caplog.text, repr(admin.bridge), repr(admin.parts()), repr(admin.store.secrets())]
    text = "\n".join(said[:-1])
    for secret in secrets:
        assert not any(secret[at : at + 8] in text for at in range(len(secret) - 8))
    for digest in digests:
        assert digest.hex() not in text
        assert digest.hex()[:12] not in text


def test_a_gateway_that_nobody_administers_does_not_load_starlette() -> None:
    code = (
        "import sys, trunkline.gateway.admin.app, trunkline.gateway.admin.routes, "
        "trunkline.gateway.bridge; "
        "sys.exit(any(name.partition('.')[0] in ('starlette', 'anyio') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

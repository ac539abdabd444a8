"""The OpenAPI document, made from the rows that are served."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from trunkline._version import __version__
from trunkline.gateway.admin.table import Nothing, Row

_JSON = "application/json"


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    """The field that is wrong."""
    code: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """An error, in OpenAI's shape."""

    error: ErrorDetail


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the document."""
    types = [ErrorAnswer, *(kind for row in rows for kind in (row.body, row.query, row.gives))]
    found, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    _mend(components)
    queries = {row.query.__name__: components[row.query.__name__] for row in rows}
    paths: dict[str, Any] = {}
    for number, row in enumerate(rows):
        body, _, gives = found[1 + 3 * number : 4 + 3 * number]
        operation = _operation(row, body, gives, queries[row.query.__name__])
        paths.setdefault(row.path, {})[row.method.lower()] = operation
    shown = {name: schema for name, schema in components.items() if name not in queries}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trunkline gateway: admin API", "version": __version__},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": shown,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key's secret."}
            },
        },
    }


def _operation(
    row: Row, body: dict[str, Any], gives: dict[str, Any], query: dict[str, Any]
) -> dict[str, Any]:
    content: dict[str, Any] = {_JSON: {"schema": gives}}
    if row.csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    error = {"$ref": "#/components/schemas/ErrorAnswer"}
    operation: dict[str, Any] = {
        "operationId": getattr(row.answer, "__name__", row.path),
        "summary": row.summary,
        "description": f"For the roles {', '.join(row.roles)}.",
        "x-roles": list(row.roles),
        "parameters": _parameters(row, query),
        "responses": {
            str(row.status): {"description": HTTPStatus(row.status).phrase, "content": content},
            "default": {
                "description": "An error.",
                "content": {_JSON: {"schema": error}},
                "headers": {"x-request-id": {"schema": {"type": "string"}}},
            },
        },
    }
    if row.body is not Nothing:
        needed = any(field.required for field in msgspec.structs.fields(row.body))
        operation["requestBody"] = {"required": needed, "content": {_JSON: {"schema": body}}}
    return operation


def _parameters(row: Row, query: dict[str, Any]) -> list[dict[str, Any]]:
    variables = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in row.variables
    ]
    questions = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in query.get("properties", {}).items()
    ]
    return variables + questions


def _mend(node: Any) -> None:
    """Say of decimals that they may be numbers, too, as the decoder has it."""
    if isinstance(node, dict) and node.get("format") == "decimal":
        del node["format"]
        node["type"] = ["number", "string"]
    inner = node.values() if isinstance(node, dict) else node
    for one in inner if isinstance(node, (dict, list)) else ():
        _mend(one)

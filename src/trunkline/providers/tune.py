"""The small differences between OpenAI's chat body and what some providers take.

Each function takes a body and returns it changed; they apply to calls that go to the provider
itself, since Hugging Face's unified route takes OpenAI's form for every provider.
"""

from __future__ import annotations

from typing import Any


def _schema_format(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the body's `response_format.json_schema`, where it has one."""
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        named = wanted.get("json_schema")
        return named if isinstance(named, dict) else None
    return None


def _formatted(body: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    return {**body, "response_format": wanted}


def schema_in_json_object(body: dict[str, Any]) -> dict[str, Any]:
    """Write a JSON schema as Cohere and Fireworks take it."""
    named = _schema_format(body)
    return _formatted(body, type="json_object", schema=named.get("schema")) if named else body


def value_in_json_object(body: dict[str, Any]) -> dict[str, Any]:
    """Write a JSON schema as TGI, behind hf-inference, takes it."""
    named = _schema_format(body)
    return _formatted(body, type="json_object", value=named.get("schema")) if named else body


def flattened_json_schema(body: dict[str, Any]) -> dict[str, Any]:
    """Write a JSON schema as Together takes it."""
    named = _schema_format(body)
    return _formatted(body, type="json_schema", schema=named.get("schema")) if named else body


def lax_json_schema(body: dict[str, Any]) -> dict[str, Any]:
    """Write a JSON schema as SambaNova takes it: never strict."""
    named = _schema_format(body)
    if not named:
        return body
    return _formatted(body, type="json_schema", json_schema={**named, "strict": False})


def guided_json(body: dict[str, Any]) -> dict[str, Any]:
    """Write a JSON schema as Nebius takes it."""
    named = _schema_format(body)
    if not named:
        return body
    rest = {key: value for key, value in body.items() if key != "response_format"}
    return {**rest, "guided_json": named.get("schema")}

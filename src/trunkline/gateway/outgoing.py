"""What a target is sent: the client's own bytes with a few keys exchanged, as that target takes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.gateway.asked import Asked
from trunkline.gateway.plans import Target
from trunkline.wire import strict_json
from trunkline.wire.json_splice import splice

_LIMIT = "max_completion_tokens"


def body_for(target: Target, asked: Asked, sent: bytes) -> bytes:
    """Return the body for `target` of a request whose body came as `sent`."""
    changes = asked.changes
    if target.one_limit and _LIMIT in asked.body:
        changes = {**changes, **_with_one_limit(asked.body)}
    if target.tune is not None and "response_format" in asked.body:
        return strict_json.encode(target.tune(_changed(asked.body, target.model, changes)))
    if asked.model != target.model:
        changes = {"model": target.model_json, **changes}
    return splice(sent, changes) if changes else sent


def _with_one_limit(body: Mapping[str, Any]) -> dict[str, bytes | None]:
    """Say the limit in the older way, which is the only one that the target knows."""
    limit = body[_LIMIT]
    if limit is None or body.get("max_tokens") is not None:
        return {_LIMIT: None}
    return {_LIMIT: None, "max_tokens": strict_json.encode(limit)}


def _changed(
    body: Mapping[str, Any], model: str, changes: Mapping[str, bytes | None]
) -> dict[str, Any]:
    changed = {**body, "model": model}
    for name, value in changes.items():
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = strict_json.decode(value)
    return changed

"""What the bodies of task requests have in common: parameters that were given, a caller's additions."""

from __future__ import annotations

from typing import Any

from trunkline.types.media import Blob


def given(parameters: dict[str, Any], *ours: str) -> dict[str, Any]:
    """Return the parameters that have a value, without those that are `ours` and never sent."""
    return {k: v for k, v in parameters.items() if v is not None and k not in ours}


def renamed(parameters: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return the parameters under other names; one that has the other name already goes first."""
    taken = {k: v for k, v in parameters.items() if k not in names}
    return {**{names[k]: v for k, v in parameters.items() if k in names}, **taken}


def merged(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Return `body` with `extra` laid over it, objects within objects too."""
    result = dict(body)
    for key, value in extra.items():
        here: Any = result.get(key)
        if isinstance(here, dict) and isinstance(value, dict):
            result[key] = merged(here, value)
        else:
            result[key] = value
    return result


def as_json(inputs: Any) -> Any:
    """Return inputs with the content of each file as base64 text."""
    if isinstance(inputs, Blob):
        return inputs.base64
    if isinstance(inputs, dict):
        return {key: as_json(value) for key, value in inputs.items()}
    if isinstance(inputs, list | tuple):
        return [as_json(value) for value in inputs]
    return inputs

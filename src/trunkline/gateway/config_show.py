"""A configuration as text that can be read again: a line of TOML for each value. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from trunkline.gateway.config import Config
from trunkline.gateway.config_file import Loaded
from trunkline.gateway.config_problems import dotted
from trunkline.gateway.config_values import leaves
from trunkline.store.urls import masked

_JSON = msgspec.json.Encoder(decimal_format="number")


def shown_lines(loaded: Loaded, *, origin: bool = False) -> Iterator[str]:
    """Yield the effective configuration as lines of TOML, with `origin` each value's in a comment.

    A value that is not set is a comment.
    """
    for where, value in leaves(without_passwords(loaded.config)):
        name = dotted(where)
        if value is None:
            yield f"# {name} is not set"
            continue
        comment = f"  # {loaded.origins[name]}" if origin else ""
        yield f"{name} = {written(value)}{comment}"


def shown_json(loaded: Loaded) -> bytes:
    """Return path, effective configuration, origins and warnings as a JSON object."""
    whole = {
        "path": None if loaded.path is None else str(loaded.path),
        "config": without_passwords(loaded.config),
        "origins": loaded.origins,
        "warnings": loaded.warnings,
    }
    return msgspec.json.format(_JSON.encode(whole), indent=2)


def without_passwords(config: Config) -> Config:
    """Return a configuration as it may be shown: its URLs without their passwords."""
    store = config.store
    if store.url is None and store.redis_url is None:
        return config
    hidden = msgspec.structs.replace(
        store,
        url=store.url and masked(store.url),
        redis_url=store.redis_url and masked(store.redis_url),
    )
    return msgspec.structs.replace(config, store=hidden)


def written(value: Any) -> str:
    """Return a value as TOML writes it on one line."""
    if isinstance(value, msgspec.Struct):
        told = [(name, getattr(value, name)) for name in value.__struct_fields__]
        pairs = (f"{name} = {written(each)}" for name, each in told if each is not None)
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(written(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    return repr(value)

"""Entries that every file and store can keep: text that is Unicode, numbers within 64 bits. Pure.

What a call brings is checked long before; this is for what got through all the same, so that one
value can never keep the entries beside it out of the ledger.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.store.records import Entry
from trunkline.types.money import LARGEST

_LONGEST = 1000
_JSON = frozenset({"tries", "route"})
_LONGEST_JSON = 64 * 1024
NOTE = "values that cannot be kept were cut"


def keepable(entry: Entry) -> Entry:
    """Return an entry in which only what no store could keep is another."""
    changes: dict[str, Any] = {}
    for name in entry.__struct_fields__:
        value = getattr(entry, name)
        kept = _kept_json(value) if name in _JSON else _kept(value)
        if kept != value:
            changes[name] = kept
    if not changes:
        return entry
    return msgspec.structs.replace(entry, **(changes | {"note": NOTE}))


def _kept_json(value: str | None) -> str | None:
    """Keep all of a text that is JSON, which says nothing where a part of it is missing, or none."""
    if value is None or (len(value) <= _LONGEST_JSON and value.isascii() and "\0" not in value):
        return value
    kept = value.encode("utf-8", "replace").decode().replace("\0", "?")
    return kept if len(kept) <= _LONGEST_JSON else None


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()[:_LONGEST].replace("\0", "?")
    if isinstance(value, int) and not isinstance(value, bool):
        return max(min(value, LARGEST), -LARGEST)
    return value

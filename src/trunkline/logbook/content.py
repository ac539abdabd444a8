"""Prompts and answers as JSON for the log: texts as they are, of files only what they were."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from trunkline.types.chat import Chat
from trunkline.types.media import Blob, Media
from trunkline.types.record import Record

_DATA_URL = re.compile(r"data:([\w.+/-]*)(?:;[\w=.+-]+)*,")
_SHORT = 200
"""Characters up to which a `data:` URL is kept as it is."""


_VECTOR = 16
"""Numbers from which on a list of them is a vector: of use to no reader."""


def asked(call: Any) -> str:
    """Return what a call asks for."""
    if isinstance(call, Chat):
        return _written({"messages": call.messages, "parameters": call.parameters})
    return _written({"inputs": call.inputs, "parameters": call.parameters})


def answered(result: Any) -> str:
    """Return what came of it."""
    return _written(result)


def _written(value: Any) -> str:
    return msgspec.json.encode(_plain(value)).decode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """Return a value of plain parts, in which no file's bytes are."""
    kept: Any = value
    if isinstance(value, (Blob, Media)):
        size = len(value.content or b"")
        kept = {"file": value.media_type, "bytes": size, "url": _url(value.url)}
    elif isinstance(value, (bytes, bytearray, memoryview)):
        kept = {"bytes": len(value)}
    elif isinstance(value, str):
        kept = _text(value)
    elif isinstance(value, Record):
        kept = _plain({name: value.get(name) for name in value.keys()})  # noqa: SIM118 - a record
    elif isinstance(value, dict):
        kept = {str(name): _plain(part) for name, part in value.items()}
    elif isinstance(value, (list, tuple)):
        numbers = len(value) > _VECTOR and all(isinstance(part, float) for part in value)
        kept = {"numbers": len(value)} if numbers else [_plain(part) for part in value]
    elif not isinstance(value, (int, float, bool, type(None))):
        kept = str(value)
    return kept


def _text(text: str) -> str:
    found = _DATA_URL.match(text) if len(text) > _SHORT else None
    if found is not None:
        return f"data:{found[1]} ({len(text):,} characters)"
    return text.encode("utf-8", "replace").decode()


def _url(url: str | None) -> str | None:
    """Return a URL without its query, which may be signed."""
    return None if url is None else _text(url.partition("?")[0])

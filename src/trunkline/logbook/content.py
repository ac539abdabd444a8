"""Prompts and answers as JSON for the log: texts without secrets, of files only what they were."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.types.chat import Chat
from trunkline.types.media import Blob, Media
from trunkline.types.record import Record

Clean = Callable[[str], str]
"""Takes secrets out of a text. It sees texts before JSON writes any of their characters otherwise."""

_DATA_URL = re.compile(r"data:([\w.+/-]*)(?:;[\w=.+-]+)*,")
_SHORT = 200
"""Characters up to which a `data:` URL is kept as it is."""
_VECTOR = 16
"""Numbers from which on a list of them is a vector: of use to no reader."""


def asked(call: Any, clean: Clean) -> str:
    """Return what a call asks for."""
    what = {"messages": call.messages} if isinstance(call, Chat) else {"inputs": call.inputs}
    return written({**what, "parameters": call.parameters}, clean)


def written(value: Any, clean: Clean) -> str:
    """Return a value as JSON."""
    return msgspec.json.encode(_plain(value, clean)).decode()


def _plain(value: Any, clean: Clean) -> Any:
    """Return a value of plain parts, in which no file's bytes are."""
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        return _text(value, clean)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": len(value)}
    if isinstance(value, (Blob, Media)):
        url = None if value.url is None else _text(value.url.partition("?")[0], clean)
        return {"file": value.media_type, "bytes": len(value.content or b""), "url": url}
    return _whole(value, clean)


def _whole(value: Any, clean: Clean) -> Any:
    """Return a value that has parts of its own."""
    if isinstance(value, Record):
        return {name: _plain(value.get(name), clean) for name in value.keys()}  # noqa: SIM118 - a record
    if isinstance(value, msgspec.Struct):
        return _plain(msgspec.structs.asdict(value), clean)
    if isinstance(value, dict):
        return {_text(str(name), clean): _plain(part, clean) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        if len(value) > _VECTOR and all(isinstance(part, float) for part in value):
            return {"numbers": len(value)}
        return [_plain(part, clean) for part in value]
    return _text(str(value), clean)


def _text(text: str, clean: Clean) -> str:
    found = _DATA_URL.match(text) if len(text) > _SHORT else None
    if found is not None:
        return f"data:{found[1]} ({len(text):,} characters)"
    return clean(text.encode("utf-8", "replace").decode())

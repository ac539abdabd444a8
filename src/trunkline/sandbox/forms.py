"""Multipart forms as they reach the sandbox: read strictly, so that a client's mistakes show."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_FIELD = re.compile(r'\s*([a-z*]+)\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
BROKEN = "\0broken"
"""Name of the field that holds why a form could not be read."""


class Upload(msgspec.Struct, frozen=True):
    """A file in a form."""

    name: str
    media_type: str | None
    content: bytes


def read_fields(content_type: str, body: bytes) -> dict[str, Any]:
    """Return a form's fields: texts, and an Upload for each file; BROKEN where it is no form."""
    try:
        return dict(_parts(content_type, body))
    except ValueError as error:
        return {BROKEN: str(error)}


def _parts(content_type: str, body: bytes) -> list[tuple[str, Any]]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueError("the content type names no boundary")
    mark = b"--" + found[1].encode()
    if not body.startswith(mark + b"\r\n"):
        raise ValueError("the form does not begin with its boundary")
    whole, end, rest = body.partition(b"\r\n" + mark + b"--")
    if not end or rest not in (b"", b"\r\n"):
        raise ValueError("the form does not end with its boundary")
    return [_part(part) for part in (b"\r\n" + whole).split(b"\r\n" + mark + b"\r\n")[1:]]


def _part(part: bytes) -> tuple[str, Any]:
    head, gap, content = part.partition(b"\r\n\r\n")
    if not gap:
        raise ValueError("a part has no head")
    headers: dict[str, str] = {}
    for line in head.decode("utf-8").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    kind, _, options = headers.get("content-disposition", "").partition(";")
    told = {name.lower(): value for name, value in _FIELD.findall(options)}
    if kind.strip() != "form-data" or "name" not in told:
        raise ValueError("a part does not say what field it is")
    if "filename" in told:
        return told["name"], Upload(told["filename"], headers.get("content-type"), content)
    return told["name"], content.decode("utf-8")

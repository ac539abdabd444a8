"""Requests of the admin API read into the structs of their rows; what does not fit is refused."""

from __future__ import annotations

import re
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from trunkline.gateway.wishes import RefusedError
from trunkline.wire import strict_json

T = TypeVar("T", bound=msgspec.Struct)
MOST = 64 * 1024
"""Bytes of a body."""
_PLACE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`\Z")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")


def read_body(data: bytes, kind: type[T]) -> T:
    """Read a body; an empty one has no fields. Raises RefusedError, naming the field."""
    if len(data) > MOST:
        raise RefusedError(
            f"The body has {len(data)} bytes; {MOST} are allowed here.",
            status=413,
            code="body_too_large",
        )
    try:
        strict_json.decode_strict(data or b"{}")  # finds what msgspec lets pass: keys given twice
    except strict_json.JsonError as error:
        raise RefusedError(f"The body is not valid JSON: {error}.", code="invalid_json") from error
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise wrong(error) from error


def read_query(text: str, kind: type[T]) -> T:
    """Read what follows the question mark; raises RefusedError, naming the parameter."""
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=50,
        )
    except ValueError as error:
        raise RefusedError("The query is not a list of name=value.", param="query") from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedError("A parameter of the query is there twice.", param="query")
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise wrong(error) from error


def wrong(error: msgspec.ValidationError) -> RefusedError:
    """Return what does not fit as it is told to the client."""
    said = str(error)
    place = _PLACE.search(said)
    unknown = _UNKNOWN.search(said)
    param = place[1] if place else None
    if unknown:
        param = f"{param}.{unknown[1]}" if param else unknown[1]
    code = "unknown_field" if unknown else "invalid_field"
    return RefusedError(f"{_PLACE.sub('', said)}.", code=code, param=param)

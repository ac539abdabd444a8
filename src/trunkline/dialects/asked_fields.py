"""What a client asks of a task, as JSON or as a form, read into the same fields. For those who answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from trunkline.dialects.multipart import FormError, Part
from trunkline.dialects.openai_rules import RequestError, Rule, number, of
from trunkline.errors import InvalidInputError
from trunkline.media import Wanted, blob
from trunkline.types.media import Blob

_BRACKETS = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")
_NUMERAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_LARGEST = 2**31


class Field(msgspec.Struct, frozen=True):
    """A parameter that is known."""

    rule: Rule
    read: Callable[[str], Any] = str
    """Reads the text that a form has for it; returns text that is none as it is."""


def _whole(text: str) -> Any:
    return int(text) if _NUMERAL.fullmatch(text) and "." not in text else text


def _number(text: str) -> Any:
    return float(text) if _NUMERAL.fullmatch(text) else text


def _flag(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)


def whole(low: int, high: int = _LARGEST) -> Field:
    """Expect a whole number."""
    told = f"a whole number from {low}" + (f" to {high}" if high != _LARGEST else " up")
    return Field((lambda v: type(v) is int and low <= v <= high, told), _whole)


def decimal(low: float, high: float) -> Field:
    """Expect a number."""
    return Field(number(low, high), _number)


def words(*allowed: str) -> Field:
    """Expect one of a few words."""
    return Field((lambda v: v in allowed, f"one of {', '.join(map(repr, allowed))}"))


TEXT = Field(of(str, "text"))
FLAG = Field(of(bool, "true or false"), _flag)
TEXTS = Field(
    (
        lambda v: isinstance(v, list) and bool(v) and all(isinstance(item, str) for item in v),
        "a list of texts",
    )
)
OBJECT_OR_TEXT = Field(of((str, dict), "text or an object"))


def fields_of(parts: Iterable[Part]) -> dict[str, Any]:
    """Return a form's parts as the fields that JSON would have: texts, and Parts for files.

    `name[]` makes a list, `name[key]` an object. Raises RequestError where a name is there twice.
    """
    fields: dict[str, Any] = {}
    for part in parts:
        value = part if part.filename is not None else _text_of(part)
        brackets = _BRACKETS.fullmatch(part.name)
        if brackets is None:
            _put(fields, part.name, value)
        elif not brackets[2]:
            _held(fields, brackets[1], list).append(value)
        else:
            _put(_held(fields, brackets[1], dict), brackets[2], value)
    return fields


def _text_of(part: Part) -> str:
    try:
        text = part.text
    except FormError as error:
        raise RequestError(f"The form cannot be read: {error}.", param=part.name) from error
    if part.name == "_charset_" and text.lower() != "utf-8":
        raise RequestError("Forms are read as UTF-8 alone.", param=part.name)
    return text


def _put(fields: dict[str, Any], name: str, value: Any) -> None:
    if name in fields:
        raise RequestError(
            f"The form has '{name}' twice. Several values of one field are sent as '{name}[]'.",
            param=name,
        )
    fields[name] = value


def _held(fields: dict[str, Any], name: str, kind: type[Any]) -> Any:
    held = fields.setdefault(name, kind())
    if not isinstance(held, kind):
        raise RequestError(f"The form has '{name}' in two ways.", param=name)
    return held


def known_fields(
    fields: Mapping[str, Any], known: Mapping[str, Field], *, form: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters that are known, checked, and all others; nulls are left out.

    In a form every value is text, and is read as what it is meant to be. Raises RequestError.
    """
    taken: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in fields.items():
        field = known.get(name)
        if value is None:
            continue
        if field is None:
            others[name] = _plain(name, value)
            continue
        given = field.read(value) if form and isinstance(value, str) else value
        if not field.rule[0](given):
            raise RequestError(f"'{name}' must be {field.rule[1]}.", param=name)
        taken[name] = given
    return taken, others


def _plain(name: str, value: Any) -> Any:
    """Return a value that goes on as it is; a file under a name that nobody knows does not."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, Part) or any(isinstance(item, Part) for item in inner):
        raise RequestError(f"'{name}' is a file, and none is expected there.", param=name)
    return value


def take_text(fields: dict[str, Any], name: str, *, empty: bool = False) -> str:
    """Take a text that has to be there out of `fields`; raises RequestError."""
    value = fields.pop(name, None)
    if not isinstance(value, str) or not (value or empty):
        raise RequestError(f"'{name}' must be text that is not empty.", param=name)
    return value


def take_files(fields: dict[str, Any], name: str, wanted: Wanted, most: int) -> tuple[Blob, ...]:
    """Take files out of `fields`, one or a list: uploads, `data:` URLs or http(s) URLs.

    `most` is the bytes that one may have. Raises RequestError for what is no such file.
    """
    value = fields.pop(name, None)
    if value is None:
        return ()
    given = value if isinstance(value, list) else [value]
    several = len(given) > 1
    return tuple(
        _file(item, f"{name}[{place}]" if several else name, wanted, most)
        for place, item in enumerate(given)
    )


def _file(value: Any, name: str, wanted: Wanted, most: int) -> Blob:
    if isinstance(value, dict):
        value = _referred(value, name)
    source: Any = value
    if isinstance(value, Part):
        source = (value.filename or None, value.content, value.content_type)
    elif not isinstance(value, str):
        raise RequestError(f"'{name}' must be a file, or a URL of one.", param=name)
    elif not value.lower().startswith(("http://", "https://", "data:")):
        raise RequestError(f"'{name}' must be a file, a data: URL or an http(s) URL.", param=name)
    try:
        return blob(source, wanted, max_bytes=most, files=False)
    except InvalidInputError as error:
        raise RequestError(f"'{name}' cannot be used. {error.message}", param=name) from error


def _referred(value: dict[str, Any], name: str) -> Any:
    """Return the URL of `{"image_url": ...}`, as OpenAI refers to images in JSON."""
    url = value.get("image_url")
    url = url.get("url") if isinstance(url, dict) else url
    if url is None and "file_id" in value:
        raise RequestError(
            f"'{name}' names a file by its id, and no files are kept here: send the file.",
            param=name,
        )
    return url

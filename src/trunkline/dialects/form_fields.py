"""A request's parameters as the fields of a form, as OpenAI's servers read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trunkline.dialects.multipart import FormError, Part, write_form
from trunkline.dialects.shape import Body
from trunkline.errors import InvalidInputError
from trunkline.wire import strict_json

_BRACKETED = frozenset({"include", "timestamp_granularities"})
"""Lists that OpenAI's clients write as several fields `name[]`; any other becomes JSON."""


def form_body(fields: dict[str, Any], files: Iterable[Part]) -> Body:
    """Return a form with `fields` before `files`; raises InvalidInputError for what none can hold.

    Booleans become `true` and `false`, lists and objects JSON, and None is left out.
    """
    try:
        data, content_type = write_form(_texts(fields), files)
    except (FormError, strict_json.JsonError) as error:
        raise InvalidInputError(f"The request cannot be written as a form: {error}.") from error
    return Body(data, content_type)


def _texts(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if name in _BRACKETED and isinstance(value, (list, tuple)):
            yield from ((f"{name}[]", _text(item)) for item in value)
        elif value is not None:
            yield name, _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else strict_json.encode(value).decode()

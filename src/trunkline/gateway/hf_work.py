"""What a request for work says of itself: the model, and what bounds its tokens. Its bytes stay. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.openai_server import RequestError
from trunkline.gateway.asked import Asked, read_asked
from trunkline.gateway.hf_routes import HfRoute
from trunkline.wire import strict_json

UNKNOWN = "unknown"
"""The model of a request that does not tell it."""
_LONGEST_NAME = 500
_UNCHANGED: dict[str, bytes | None] = {}


class Work(msgspec.Struct, frozen=True):
    """A request for work, read."""

    own: str | None
    """The provider's name of the model; None where the request does not tell it."""
    asked: Asked


def read_work(route: HfRoute, content_type: str, body: bytes) -> Work:
    """Read a request; raises RequestError for a body that is not what its content-type says."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        own = route.model if route.field is None else _in_form(route.field, content_type, body)
        return Work(own, _unbounded({}))
    if route.counted is not None:
        try:
            return _counted(route, read_asked(body, route.counted))
        except RequestError:
            pass  # what is wrong with it, the provider says, if it can be read at all
    if route.field is None:
        return Work(route.model, _unbounded({}))  # nothing in it matters here, whatever it is
    told: Any = None
    if kind == "application/json" or kind.endswith("+json") or _looks_like_json(body):
        try:
            told = strict_json.decode_strict(body)
        except strict_json.JsonError as error:
            raise RequestError(
                f"The body is not valid JSON: {error}.", code="invalid_json"
            ) from error
    fields: dict[str, Any] = told if isinstance(told, dict) else {}
    return Work(_name(fields.get(route.field)), _unbounded(fields))


def _in_form(field: str, content_type: str, body: bytes) -> str | None:
    from trunkline.gateway.forms import read_form  # loads a parser that other calls do without

    parts = [p for p in read_form((body,), content_type.encode("latin-1")) if p.name == field]
    if len(parts) > 1:
        raise RequestError(f"The form has the field {field!r} twice.", code="invalid_form")
    return _name(parts[0].content.decode("utf-8", "replace")) if parts else None


def _looks_like_json(body: bytes) -> bool:
    """Tell whether a body that says it is something else could be taken for what names a model."""
    return body[:64].lstrip()[:1] == b"{"


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None


def _counted(route: HfRoute, asked: Asked) -> Work:
    """Return what bounds the tokens of a chat, a continuation or embeddings."""
    most = 0 if route.counted == "embeddings" else asked.most_output
    bounded = msgspec.structs.replace(asked, changes=_UNCHANGED, hide_usage=False, most_output=most)
    return Work(route.model if route.field is None else _name(asked.model), bounded)


def _unbounded(fields: dict[str, Any]) -> Asked:
    streamed = fields.get("stream") is True
    return Asked(UNKNOWN, streamed, fields, _UNCHANGED, hide_usage=False, more_than_text=True)

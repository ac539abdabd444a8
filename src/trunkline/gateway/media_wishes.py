"""Requests for pictures, sounds, videos and orders, read whole: JSON or forms in, what is asked out.

Loaded with the first of them; chats do without.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from trunkline.dialects.asked_fields import fields_of
from trunkline.dialects.multipart import Part
from trunkline.dialects.openai_audio_server import read_hearing, read_speech
from trunkline.dialects.openai_images_server import read_image_edit, read_images
from trunkline.dialects.openai_rules import RequestError, read_object
from trunkline.dialects.openai_videos_server import read_video
from trunkline.dialects.rerank_server import RankRequest, read_rerank
from trunkline.gateway.asked import Asked, check_fields
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.forms import FormLimits, FormReader, boundary_in
from trunkline.store.records import Endpoint
from trunkline.wire import strict_json

Read = Callable[[dict[str, Any], bool, int], Any]
"""Takes the fields, whether they are a form's, and the bytes that a file may have."""

_FORM = b"multipart/form-data"
_STEP = 512 * 1024
"""Bytes of a form that are read before others have their turn."""
_SHOWN = 64 * 1024
"""Characters of a field that stand for it once it is read."""


class Row(msgspec.Struct, frozen=True):
    """One kind of request."""

    endpoint: Endpoint
    read: Read
    forms: bool = False
    """Whether it may come as a form."""


ROWS: dict[str, Row] = {
    "audio/speech": Row("audio", lambda fields, form, _: read_speech(fields, form=form)),
    "audio/transcriptions": Row(
        "audio",
        lambda fields, form, most: read_hearing(fields, translate=False, form=form, most=most),
        forms=True,
    ),
    "audio/translations": Row(
        "audio",
        lambda fields, form, most: read_hearing(fields, translate=True, form=form, most=most),
        forms=True,
    ),
    "images/edits": Row(
        "images",
        lambda fields, form, most: read_image_edit(fields, form=form, most=most),
        forms=True,
    ),
    "images/generations": Row("images", lambda fields, form, _: read_images(fields, form=form)),
    "videos": Row(
        "videos", lambda fields, form, most: read_video(fields, form=form, most=most), forms=True
    ),
    "rerank": Row("rerank", lambda fields, *_: read_rerank(fields)),
}
"""By the path below `/v1`."""


def reading(
    path: str, exchange: Exchange, most: int
) -> Generator[None, None, tuple[Asked, Endpoint]]:
    """Read a request with files of `most` bytes, in steps; raises RequestError.

    The exchange is left with a short text in place of its body, which has files in it.
    """
    row = ROWS[path]
    form = exchange.headers.get(b"content-type", b"")[: len(_FORM)].lower() == _FORM
    if form and not row.forms:
        raise RequestError("The body must be JSON: this is no form.", status=415)
    fields = (yield from _form_fields(exchange)) if form else _json_fields(exchange)
    if exchange.size > _STEP:
        yield
    check_fields(fields)
    wish = row.read(fields, form, most)
    exchange.body = strict_json.encode(_shown(fields))
    exchange.size = len(exchange.body)
    asked = Asked(wish.model, False, {}, {}, False, wish=wish, most_input=_most_input(wish))
    return asked, row.endpoint


def _form_fields(exchange: Exchange) -> Generator[None, None, dict[str, Any]]:
    reader = FormReader(boundary_in(exchange.headers[b"content-type"]), FormLimits())
    read = 0
    try:
        for piece in exchange.pieces():
            reader.feed(piece)
            read += len(piece)
            if read > _STEP:
                read = 0
                yield
        parts = reader.end()
    finally:
        reader.close()
    return fields_of(parts)


def _json_fields(exchange: Exchange) -> dict[str, Any]:
    return read_object(b"".join(exchange.pieces()))


def _most_input(wish: Any) -> int | None:
    """Return the tokens that a request can have at most, where its text bounds them.

    An order's query may be read with each of its documents.
    """
    if not isinstance(wish, RankRequest):
        return None
    query = len(wish.query.encode("utf-8", "replace"))
    texts = sum(len(text.encode("utf-8", "replace")) for text in wish.documents)
    return query * len(wish.documents) + texts


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    """Return a field as it may be kept: what is a file is only named."""
    if isinstance(value, Part):
        return f"[a file of {len(value.content):,} bytes]"
    if isinstance(value, str):
        if value[:5].lower() == "data:":
            return "[a file]"
        return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value

"""Images of a chat: whatever a caller has, as the URL that a message carries.

Nothing is fetched; an http(s) URL is for the model's server to read.
"""

from __future__ import annotations

import binascii
import os
from typing import Any, Literal, TypeAlias

from trunkline.errors import InvalidInputError
from trunkline.media.data_urls import base64_decoded, wrong_data
from trunkline.media.pil import PilImage, encoded
from trunkline.media.sniff import sniff
from trunkline.media.sources import Readable, path_in, read_file, read_path, scheme_of
from trunkline.media.wanted import MAX_CHAT_IMAGE, accepts, refusal, too_large, unknown
from trunkline.wire.message import parse_url

MAX_BYTES = MAX_CHAT_IMAGE

Detail: TypeAlias = Literal["auto", "low", "high"]

ImageSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | PilImage
)
"""An http(s) or `data:` URL, a path (or `file://`), bytes, an open binary file, a PIL image."""


def image_part(source: ImageSource, *, detail: Detail | None = None) -> dict[str, Any]:
    """Return `source` as a content part: `{"type": "image_url", "image_url": {"url": ...}}`.

    `detail` asks for a resolution where the model knows that notion. Raises InvalidInputError as
    `image_url` does.
    """
    image = {"url": image_url(source)}
    if detail is not None:
        if detail not in ("auto", "low", "high"):
            raise InvalidInputError(
                f"{detail!r} is not a detail.", hint='Give "auto", "low" or "high".'
            )
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def image_url(source: ImageSource, *, max_bytes: int = MAX_BYTES, files: bool = True) -> str:
    """Return what the wire's `image_url.url` carries for `source`.

    An http(s) URL is passed on as it is, for the model's server to fetch; everything else is
    checked and becomes a `data:` URL. `max_bytes` limits the image itself. `files=False` refuses
    text that names a file: for messages that somebody else wrote. Raises InvalidInputError,
    before anything is sent, for what is no image or cannot be read.
    """
    if isinstance(source, str):
        return _from_text(source, max_bytes, files=files)
    return _data_url(_content(source, max_bytes), max_bytes)


def _from_text(text: str, max_bytes: int, *, files: bool) -> str:
    scheme = scheme_of(text)
    if scheme in ("http", "https"):
        parse_url(text)
        return text
    if scheme == "data":
        return _checked_data_url(text, max_bytes)
    path = path_in(text, "image", files=files)
    return _data_url(read_path(path, "image", max_bytes), max_bytes)


def _content(source: Any, max_bytes: int) -> bytes:
    """Return the bytes of a source that is not text, at most one more than allowed."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, os.PathLike):
        return read_path(os.fsdecode(source), "image", max_bytes)
    if isinstance(source, PilImage):
        return encoded(source)
    if callable(getattr(source, "read", None)):
        return read_file(source, "image", max_bytes)
    raise InvalidInputError(
        f"A {type(source).__name__} cannot be used as an image.",
        hint="Give a URL, a path, bytes, a file opened with 'rb' or a PIL image.",
    )


def _data_url(content: bytes, max_bytes: int) -> str:
    kind = media_type(content, max_bytes)
    return f"data:{kind};base64,{binascii.b2a_base64(content, newline=False).decode()}"


def _checked_data_url(url: str, max_bytes: int) -> str:
    """Return a `data:` URL unchanged, having looked into it."""
    head, comma, text = url.partition(",")
    declared, *options = head[5:].lower().split(";")
    if not comma or not options or options[-1].strip() != "base64":
        raise wrong_data("it is not written as data:image/png;base64,...")
    if not declared.startswith("image/"):
        raise wrong_data(f"it says that it holds {declared[:60] or 'plain text'!r}, not an image")
    kind = media_type(base64_decoded(text, max_bytes), max_bytes)
    if _TYPE_ALIASES.get(declared, declared) != kind:
        raise wrong_data(f"it says {declared[:60]}, and its content is {kind}")
    return url


_TYPE_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "image/tif": "image/tiff",
}


def media_type(content: bytes, max_bytes: int = MAX_BYTES) -> str:
    """Return the media type of an image's bytes, such as `image/png`.

    Raises InvalidInputError where they are empty, more than `max_bytes`, or no image that models
    take; the hint then says what to do with it.
    """
    if not content:
        raise InvalidInputError("The image is empty.", hint="Check how it was made.")
    if len(content) > max_bytes:
        raise too_large("The image", len(content), max_bytes, "image")
    kind = sniff(content)
    if kind is None:
        raise unknown("The image", content, "image")
    if not accepts("image", kind):
        raise refusal("The image", kind, "image")
    return kind.media_type

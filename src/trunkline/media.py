"""Images on their way in: whatever a caller has, as the URL that a message carries.

What an image is, its content says; names are not believed. Nothing is fetched, and PIL is never
imported.
"""

from __future__ import annotations

import binascii
import io
import os
import re
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable
from urllib.parse import unquote, urlsplit

from trunkline.errors import InvalidInputError
from trunkline.wire.message import parse_url

MAX_BYTES = 20 * 1024 * 1024
"""What most servers take at the most, before base64 makes it a third larger."""

Detail: TypeAlias = Literal["auto", "low", "high"]


@runtime_checkable
class PilImage(Protocol):
    """What is used of a PIL image."""

    @property
    def mode(self) -> str:
        """How pixels are stored: RGB, RGBA, CMYK, ..."""
        ...

    @property
    def info(self) -> Any:
        """What else the file said, by name."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        ...

    def convert(self, mode: str) -> Any:
        """Return the image in another mode."""
        ...

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:  # noqa: A002 - PIL's name
        """Write the image."""
        ...


class Readable(Protocol):
    """A file opened in binary mode, or anything that reads like one."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""
        ...


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
    scheme = _SCHEME.match(text[:40])
    name = scheme[0].lower() if scheme else None
    if name in ("http", "https"):
        parse_url(text)
        return text
    if name == "data":
        return _checked_data_url(text, max_bytes)
    if name not in (None, "file"):
        raise InvalidInputError(
            f"{_shown(text)} cannot be used as an image: it is not an http(s) URL.",
            hint="Give an http(s) or data: URL, a path, bytes, an open file or a PIL image.",
        )
    if not files:
        raise InvalidInputError(
            f"{_shown(text)} is not a URL, and paths are not read here.",
            hint="To send a file of your own, write trunkline.image(path) into the message.",
        )
    return _data_url(_file_content(_file_path(text) if name else text, max_bytes), max_bytes)


# A drive letter (C:\cat.png) is no scheme, and neither is a colon within a file's name.
_SCHEME = re.compile(r"data(?=:)|[a-z][a-z0-9+.-]+(?=://)", re.IGNORECASE)


def _content(source: Any, max_bytes: int) -> bytes:
    """Return the bytes of a source that is not text, at most one more than allowed."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, os.PathLike):
        return _file_content(os.fspath(source), max_bytes)
    if isinstance(source, PilImage):
        return _encoded(source)
    if callable(getattr(source, "read", None)):
        return _read(source, max_bytes)
    raise InvalidInputError(
        f"A {type(source).__name__} cannot be used as an image.",
        hint="Give a URL, a path, bytes, a file opened with 'rb' or a PIL image.",
    )


def _read(file: Any, max_bytes: int) -> bytes:
    content = file.read(max_bytes + 1)
    if isinstance(content, str):
        raise InvalidInputError(
            "The image's file is open in text mode.", hint="Open it with open(path, 'rb')."
        )
    if not content:
        raise InvalidInputError(
            "The image's file has nothing left to read.",
            hint="It is empty, or was read before: file.seek(0) goes back to its beginning.",
        )
    return bytes(content)


def _file_path(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise InvalidInputError(
            f"{_shown(url)} names a file on another machine.",
            hint="A file URL has three slashes: file:///home/me/cat.png.",
        )
    path = unquote(parts.path)
    return path[1:] if re.match(r"/[a-zA-Z]:", path) else path


def _file_content(path: str, max_bytes: int) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path too long or with a NUL must fail in here
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        why = _FILE_TROUBLE.get(type(error), str(getattr(error, "strerror", None) or error))
        raise InvalidInputError(
            f"The image {_shown(path)} cannot be read: {why}.",
            hint="Give a path that exists, an http(s) or data: URL, or the image's bytes.",
        ) from error
    if not content:
        raise InvalidInputError(
            f"The image {_shown(path)} is empty.", hint="Check how it was made."
        )
    return content


_FILE_TROUBLE: dict[type[BaseException], str] = {
    FileNotFoundError: "there is no such file",
    IsADirectoryError: "it is a directory",
    PermissionError: "permission is denied",
}


# PIL's modes that the two formats hold; any other is converted.
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_JPEG_MODES = frozenset({"L", "RGB"})
_WITH_ALPHA = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}


def _encoded(image: PilImage) -> bytes:
    """Return a PIL image as JPEG where it came from one, else as PNG, which loses nothing."""
    if 0 in image.size:
        raise InvalidInputError(
            f"The image is {image.size[0]} x {image.size[1]} pixels.", hint="Check how it was made."
        )
    from_jpeg = getattr(image, "format", None) == "JPEG"
    options: dict[str, Any] = {"format": "JPEG", "quality": 95} if from_jpeg else {"format": "PNG"}
    if image.info.get("exif"):
        options["exif"] = image.info["exif"]  # it says which way is up
    buffer = io.BytesIO()
    try:
        if image.mode not in (_JPEG_MODES if from_jpeg else _PNG_MODES):
            image = image.convert(_WITH_ALPHA.get(image.mode, "RGB"))
        image.save(buffer, **options)
    except (OSError, ValueError, SystemError) as error:
        raise InvalidInputError(
            f"The PIL image cannot be encoded: {error}.",
            hint="Load it whole first (image.load()), or give the file's path instead.",
        ) from error
    return buffer.getvalue()


def _data_url(content: bytes, max_bytes: int) -> str:
    kind = media_type(content, max_bytes)
    return f"data:{kind};base64,{binascii.b2a_base64(content, newline=False).decode()}"


def _checked_data_url(url: str, max_bytes: int) -> str:
    """Return a `data:` URL unchanged, having looked into it."""
    head, comma, text = url.partition(",")
    declared, *options = head[5:].lower().split(";")
    if not comma or not options or options[-1].strip() != "base64":
        raise _wrong_data("it is not written as data:image/png;base64,...")
    if not declared.startswith("image/"):
        raise _wrong_data(f"it says that it holds {declared[:60] or 'plain text'!r}, not an image")
    if len(text) // 4 * 3 - 2 > max_bytes:  # refused before the work of decoding
        raise _too_large(len(text) // 4 * 3, max_bytes)
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise _wrong_data(f"its base64 is malformed ({error})") from error
    kind = media_type(content, max_bytes)
    if _TYPE_ALIASES.get(declared, declared) != kind:
        raise _wrong_data(f"it says {declared[:60]}, and its content is {kind}")
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
        raise _too_large(len(content), max_bytes)
    head = content[:1024]
    for kind, matches in _IMAGES:
        if matches(head):
            return kind
    for what, matches, hint in _OTHERS:
        if matches(head):
            raise InvalidInputError(f"The image is {what}, which models do not take.", hint=hint)
    raise InvalidInputError(
        f"The image's type is unknown; it begins with {head[:12]!r}.",
        hint="Give a PNG, JPEG, WebP or GIF.",
    )


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _is_bmp(head: bytes) -> bool:
    # Two letters prove little, so the size of the header behind them has to be one that exists.
    return head[:2] == b"BM" and head[14:18] in {
        bytes((n, 0, 0, 0)) for n in (12, 40, 56, 108, 124)
    }


def _is_brand(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[4:8] == b"ftyp" and (not brands or head[8:12] in brands)


def _is_markup(tag: bytes) -> Callable[[bytes], bool]:
    def matches(head: bytes) -> bool:
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        return text.startswith(tag) or (
            text.startswith((b"<?xml", b"<!--", b"<!doctype")) and tag in text
        )

    return matches


_IMAGES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("image/png", _starts(b"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", _starts(b"\xff\xd8\xff")),
    ("image/gif", _starts(b"GIF87a", b"GIF89a")),
    ("image/webp", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    ("image/bmp", _is_bmp),
    ("image/tiff", _starts(b"II*\x00", b"MM\x00*")),
)

_CONVERT = "Convert it to PNG or JPEG first, for instance by opening it with PIL."

_OTHERS: tuple[tuple[str, Callable[[bytes], bool], str], ...] = (
    ("an AVIF file", _is_brand(b"avif", b"avis"), _CONVERT),
    (
        "a HEIC file",
        _is_brand(b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"),
        "Convert it to JPEG first; phones can also be set to take JPEG.",
    ),
    ("a video", _is_brand(), "Take single frames out of it and send those as images."),
    ("a JPEG XL file", _starts(b"\xff\x0a", b"\x00\x00\x00\x0cJXL "), _CONVERT),
    ("an icon (ICO)", _starts(b"\x00\x00\x01\x00"), _CONVERT),
    ("an SVG drawing", _is_markup(b"<svg"), "Render it to PNG first."),
    ("a PDF document", _starts(b"%PDF-"), "Render its pages to PNG first, and send each."),
    ("a web page", _is_markup(b"<html"), "The download brought a page about the image instead."),
    (
        "a Git LFS pointer",
        _starts(b"version https://git-lfs"),
        "Fetch the file itself with git lfs pull, or take its resolve/main URL.",
    ),
)


def _too_large(size: int, max_bytes: int) -> InvalidInputError:
    # A file is read only up to the limit, so that how large it is beyond that is not known.
    told = f"more than {max_bytes:,}" if size <= max_bytes + 1 else f"{size:,}"
    return InvalidInputError(
        f"The image has {told} bytes; the limit is {max_bytes:,}.",
        hint="Scale it down: models see no more than some 2,000 pixels a side. Or give a URL.",
    )


def _wrong_data(why: str) -> InvalidInputError:
    return InvalidInputError(
        f"The data: URL cannot be used as an image: {why}.",
        hint="Give the image's bytes or path instead, and the URL is written for you.",
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 120 else f"{text[:117]}...")

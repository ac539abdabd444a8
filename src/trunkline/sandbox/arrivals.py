"""Files that reached the sandbox: as bytes, base64, a `data:` URL or a URL; what they are is sniffed."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any
from urllib.parse import urlsplit

import msgspec

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)


class NoFileError(ValueError):
    """What came is no file, or not of the kind that is wanted."""


class Arrived(msgspec.Struct, frozen=True):
    """A file that came: what it is by its own bytes, or where it lies."""

    media_type: str
    size: int = 0
    said_type: str | None = None
    """The type that its `data:` URL gives."""
    seconds: float | None = None
    pixels: tuple[int, int] | None = None
    host: str | None = None
    """The host of its URL; it is not fetched."""

    def __str__(self) -> str:
        """Say what it is."""
        if self.host:
            return f"a file at {self.host}"
        more = f", {self.seconds:g} seconds" if self.seconds is not None else ""
        return f"{self.media_type} of {self.size} bytes{more}"


def arrived(value: Any, *, kind: str, bare: bool = True) -> Arrived:
    """Look at a file; `kind` is `image` or `audio`. Raises NoFileError for anything else.

    `bare` says whether base64 may come without a `data:` URL around it.
    """
    if isinstance(value, bytes):
        return _checked(value, kind, None)
    if not isinstance(value, str) or not value:
        raise NoFileError("it is neither a file nor a text that holds one")
    if value.startswith(("http://", "https://")):
        host = urlsplit(value).hostname
        if not host:
            raise NoFileError("its URL names no host")
        return Arrived(f"{kind}/*", host=host)
    said, data = None, value
    if not bare and not value.startswith("data:"):
        raise NoFileError("it is neither a URL nor a data URL")
    if value.startswith("data:"):
        head, comma, data = value[5:].partition(",")
        said, mark, _ = head.partition(";")
        if not comma or not mark or not head.endswith(";base64"):
            raise NoFileError("its data URL is not base64")
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoFileError("it is not base64") from error
    return _checked(content, kind, said)


def _checked(content: bytes, kind: str, said: str | None) -> Arrived:
    sniffed = media_type(content)
    fits = sniffed.startswith(f"{kind}/") or (kind == "audio" and sniffed.startswith("video/"))
    if not fits:
        raise NoFileError(f"{len(content)} bytes that are no {kind}")
    seconds = _seconds(content) if sniffed == "audio/wav" else None
    pixels = _pixels(content) if sniffed == "image/png" else None
    return Arrived(sniffed, len(content), said, seconds, pixels)


def media_type(content: bytes) -> str:
    """Return what a file is by its first bytes; `application/octet-stream` for no known kind."""
    if content[:4] == b"RIFF":
        return {b"WAVE": "audio/wav", b"WEBP": "image/webp"}.get(content[8:12], "video/avi")
    if content[4:8] == b"ftyp":
        return "audio/mp4" if content[8:11] == b"M4A" else "video/mp4"
    found = (kind for start, kind in _BEGINNINGS if content.startswith(start))
    return next(found, "application/octet-stream")


def _seconds(content: bytes) -> float | None:
    """Return how long a WAV is; None where its header does not tell."""
    at = 12
    rate = 0
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int(struct.unpack("<I", content[at + 4 : at + 8])[0])
        if name == b"fmt " and at + 20 <= len(content):
            rate = struct.unpack("<I", content[at + 16 : at + 20])[0]
        if name == b"data":
            return round(min(size, len(content) - at - 8) / rate, 2) if rate else None
        at += 8 + size + size % 2
    return None


def _pixels(content: bytes) -> tuple[int, int] | None:
    if len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height

"""Results that are files: from what an answer names to images, videos and sounds.

It fetches nothing; what a Fetch asks for is the flow's affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from trunkline.dialects.shape import Fetch, Reading, unreadable
from trunkline.types.media import Media
from trunkline.types.results import ImageResponse

_SCHEMES = ("https://", "http://", "data:", "sandbox://")
_SAYS_NOTHING = frozenset({"application/octet-stream", "binary/octet-stream"})


class File(msgspec.Struct, frozen=True):
    """A file that an answer names, and what it tells of it."""

    url: str
    media_type: str | None = None
    extra: dict[str, Any] = {}

    def told(self, media: Media, extra: dict[str, Any] | None = None) -> Media:
        """Return `media` with what the answer tells of it; its own type is the better one."""
        return msgspec.structs.replace(
            media,
            media_type=media.media_type or self.media_type,
            extra={**media.extra, **self.extra, **(extra or {})},
        )


def read_object(reading: Reading) -> dict[str, Any]:
    """Return an answer that is a JSON object; raises InvalidResponseError for anything else."""
    answer = reading.json
    if not isinstance(answer, dict):
        raise unreadable(reading, "it is not a JSON object")
    return answer


def rest(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return what is left of an answer without the fields that were read."""
    return {name: value for name, value in answer.items() if name not in names}


def read_file(value: Any) -> File | None:
    """Read a URL, or an object with one (`{"url": ..., "content_type": ...}`); else None."""
    if isinstance(value, str) and value.startswith(_SCHEMES):
        return File(value)
    if not isinstance(value, dict):
        return None
    url, kind = value.get("url"), value.get("content_type")
    if not isinstance(url, str) or not url.startswith(_SCHEMES):
        return None
    known = kind if isinstance(kind, str) and kind not in _SAYS_NOTHING else None
    return File(url, known, rest(value, "url", "content_type"))


def read_files(value: Any) -> list[File]:
    """Read one file or a list of them; what is no file is left out."""
    values: list[Any] = value if isinstance(value, list) else [value]
    return [file for file in map(read_file, values) if file is not None]


def images(files: Sequence[File], extra: dict[str, Any]) -> Fetch:
    """Return what fetches `files` and makes them one ImageResponse."""

    def build(media: tuple[Media, ...]) -> ImageResponse:
        told = [file.told(each) for file, each in zip(files, media, strict=True)]
        return ImageResponse(told, extra=extra)

    return Fetch(_urls(files), build)


def one(file: File, extra: dict[str, Any]) -> Fetch:
    """Return what fetches `file` and makes it the Media that is the whole result."""
    return Fetch((file.url,), lambda media: file.told(media[0], extra))


def _urls(files: Iterable[File]) -> tuple[str, ...]:
    return tuple(file.url for file in files)

"""Files that a model made: what they are, said by their content first and by their server second."""

from __future__ import annotations

from trunkline.errors import InvalidResponseError
from trunkline.media.data_urls import media_type_in
from trunkline.media.names import without_query
from trunkline.media.sniff import Kind, sniff, sniff_text
from trunkline.types.media import Media

_SAYS_NOTHING = frozenset({"application/octet-stream", "binary/octet-stream"})
_RAW = ("audio/pcm", "audio/l16", "audio/l24", "audio/raw", "audio/x-raw")
"""Samples without a header: what their first bytes look like is chance."""
_NO_MEDIA = frozenset({"text/html", "application/json"})


def result_media(content: bytes, declared_type: str | None, url: str | None) -> Media:
    """Return `content` as a result; its type is None where neither it nor its server tells.

    Raises InvalidResponseError where it is empty, a web page, or JSON: no file came.
    """
    if not content:
        raise InvalidResponseError(f"The file{_place(url)} is empty.")
    kind = sniff(content)
    found = kind or sniff_text(content)
    if found is not None and found.media_type in _NO_MEDIA:
        raise InvalidResponseError(
            f"Instead of a file, {found.what} came{_place(url)}.",
            body=content[:2000].decode("utf-8", "replace"),
        )
    return Media(content, _media_type(kind, _declared(declared_type)), url)


def _declared(header: str | None) -> str | None:
    declared = media_type_in(header)
    return None if declared in _SAYS_NOTHING else declared


def _media_type(kind: Kind | None, declared: str | None) -> str | None:
    if kind is None or (kind.weak and declared in _RAW):
        return declared
    if kind.sound is not None and declared is not None and declared.startswith("audio/"):
        return kind.sound
    return kind.media_type


def _place(url: str | None) -> str:
    return f" at {without_query(url)}" if url else ""

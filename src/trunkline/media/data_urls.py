"""`data:` URLs, read strictly (RFC 2397): what is malformed is refused, not repaired."""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

from trunkline.errors import InvalidInputError

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BAD_CHARACTER = re.compile(r"[^!-~]")


def decode_data_url(text: str, max_bytes: int) -> tuple[bytes, str]:
    """Return the content of a `data:` URL and its media type, lower-case and without parameters.

    The type is what the URL says, `text/plain` where it says none. Raises InvalidInputError where
    the URL is malformed or holds more than `max_bytes`.
    """
    head, comma, payload = text.partition(",")
    if head[:5].lower() != "data:" or not comma:
        raise wrong_data("it is not written as data:<type>;base64,<content>")
    declared, *options = (part.strip().lower() for part in head[5:].split(";"))
    declared = declared or "text/plain"
    if media_type_in(declared) is None:
        raise wrong_data(f"{declared[:60]!r} is no media type")
    if not options or options[-1] != "base64":
        return _percent_decoded(payload, max_bytes), declared
    if "%" in payload:  # + / = may be written as any other character of a URL may be
        payload = _percent_decoded(payload, max_bytes * 4 // 3 + 4).decode("latin-1")
    return base64_decoded(payload, max_bytes), declared


def media_type_in(header: str | None) -> str | None:
    """Return the media type that a Content-Type begins with, lower-case; None where it has none."""
    found = (header or "").partition(";")[0].strip().lower()
    return found if _MEDIA_TYPE.fullmatch(found) else None


def base64_decoded(text: str, max_bytes: int) -> bytes:
    """Return the bytes that base64 text stands for; raises InvalidInputError."""
    if len(text) // 4 * 3 - 2 > max_bytes:  # refused before the work of decoding
        raise _too_long(max_bytes)
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise wrong_data(f"its base64 is malformed ({error})") from error
    if len(content) > max_bytes:
        raise _too_long(max_bytes)
    return content


def _percent_decoded(text: str, max_bytes: int) -> bytes:
    if len(text) - 2 * text.count("%") > max_bytes:
        raise _too_long(max_bytes)
    if _BAD_CHARACTER.search(text) or _BAD_ESCAPE.search(text):
        raise wrong_data("it has characters that need percent-encoding")
    return unquote_to_bytes(text)


def wrong_data(why: str) -> InvalidInputError:
    """Return the error for a `data:` URL that cannot be used."""
    return InvalidInputError(
        f"The data: URL cannot be used: {why}.",
        hint="Give the bytes or the path instead, and the URL is written for you.",
    )


def _too_long(max_bytes: int) -> InvalidInputError:
    return InvalidInputError(
        f"The data: URL has too many bytes; the limit is {max_bytes:,}.",
        hint="Make the file smaller, or give its http(s) URL.",
    )

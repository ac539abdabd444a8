"""Whether a file is of the kind that is wanted, and the errors where it is not.

Every refusal is an InvalidInputError that says what the file is and what to do with it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from trunkline.errors import InvalidInputError
from trunkline.media.sniff import Kind, sniff, sniff_text
from trunkline.types.tasks import MAX_FILE

Wanted: TypeAlias = Literal["image", "audio", "video", "document"]

MAX_CHAT_IMAGE = 20 * 1024 * 1024
"""What most chat servers take at the most, before base64 makes it a third larger."""
MAX_IMAGE = 100 * 1024 * 1024
"""Bytes of an image or a document that a task is given."""
MAX_AUDIO = MAX_FILE
MAX_VIDEO = MAX_FILE
LIMITS: dict[Wanted, int] = {
    "image": MAX_IMAGE,
    "audio": MAX_AUDIO,
    "video": MAX_VIDEO,
    "document": MAX_IMAGE,
}

PHRASES: dict[Wanted, str] = {
    "image": "an image",
    "audio": "audio",
    "video": "a video",
    "document": "an image or a PDF document",
}
_FORMATS: dict[Wanted, str] = {
    "image": "Give a PNG, JPEG, WebP or GIF.",
    "audio": "Give a WAV, FLAC, MP3, Ogg, M4A or WebM file.",
    "video": "Give an MP4, MOV or WebM file.",
    "document": "Give a PDF, PNG or JPEG.",
}
_SMALLER: dict[Wanted, str] = {
    "image": "Scale it down: models see no more than some 2,000 pixels a side. Or give a URL.",
    "audio": "Cut it into pieces, or compress it: FLAC halves a WAV, Ogg and MP3 take a tenth.",
    "video": "Cut it into pieces, or take a smaller resolution.",
    "document": "Cut it into pieces, or scale its images down.",
}
_TAKE_SOUND = "Take its sound out first, for instance: ffmpeg -i film.avi -vn sound.flac."


def checked(content: bytes, wanted: Wanted, max_bytes: int, subject: str) -> Kind | None:
    """Return what `content` is, or None where that is unknown.

    Raises InvalidInputError where it is empty, too large, or known and not what is wanted.
    `subject` begins the error: `The file 'cat.png'`.
    """
    if not content:
        raise InvalidInputError(f"{subject} is empty.", hint="Check how it was made.")
    if len(content) > max_bytes:
        raise too_large(subject, len(content), max_bytes, wanted)
    kind = sniff(content) or sniff_text(content)
    if kind is not None and not accepts(wanted, kind):
        raise refusal(subject, kind, wanted)
    return kind


def accepts(wanted: Wanted, kind: Kind) -> bool:
    """Tell whether `kind` will do."""
    if wanted == "document" and accepts("image", kind):
        return True
    if wanted == "audio" and kind.sound is not None:
        return True
    return kind.family == wanted and kind.taken


def media_type_for(wanted: Wanted, kind: Kind) -> str:
    """Return the media type to send: a container that is given for its sound is called audio."""
    return kind.sound if wanted == "audio" and kind.sound is not None else kind.media_type


def refusal(subject: str, kind: Kind, wanted: Wanted) -> InvalidInputError:
    """Return the error for a file of the wrong kind."""
    wrong = kind.family != wanted and not (wanted == "document" and kind.family == "image")
    why = f"and {PHRASES[wanted]} is expected" if wrong else "which models do not take"
    return InvalidInputError(
        f"{subject} is {kind.what}, {why}.", hint=_way_out(kind, wanted) or _FORMATS[wanted]
    )


def _way_out(kind: Kind, wanted: Wanted) -> str | None:
    """Return what to do with the file, where it can become what is wanted."""
    if wanted == "audio" and kind.family == "video":
        return _TAKE_SOUND
    can_become = wanted in ("image", "document") or kind.family in (wanted, "text", "application")
    return kind.hint if can_become else None


def unknown(subject: str, content: bytes, wanted: Wanted) -> InvalidInputError:
    """Return the error for a file that is nothing we know."""
    return InvalidInputError(
        f"{subject}'s type is unknown; it begins with {content[:12]!r}.", hint=_FORMATS[wanted]
    )


def too_large(subject: str, size: int, max_bytes: int, wanted: Wanted) -> InvalidInputError:
    """Return the error for `size` bytes, which may be all that was read."""
    # A file is read only up to the limit, so that how large it is beyond that is not known.
    told = f"more than {max_bytes:,}" if size <= max_bytes + 1 else f"{size:,}"
    return InvalidInputError(
        f"{subject} has {told} bytes; the limit is {max_bytes:,}.", hint=_SMALLER[wanted]
    )

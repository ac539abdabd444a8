"""A PIL image as the bytes of a file. PIL is never imported: the image brings what is used of it."""

from __future__ import annotations

import io
from typing import Any, Protocol, runtime_checkable

from trunkline.errors import InvalidInputError


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


# PIL's modes that the two formats hold; any other is converted.
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_JPEG_MODES = frozenset({"L", "RGB"})
_WITH_ALPHA = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}


def encoded(image: PilImage) -> bytes:
    """Return a PIL image as JPEG where it came from one, else as PNG, which loses nothing.

    Raises InvalidInputError for an image without pixels, and for one that PIL cannot write.
    """
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

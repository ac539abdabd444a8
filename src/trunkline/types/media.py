"""Images, sounds and videos: what a caller hands in, and what a model made."""

from __future__ import annotations

import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.errors import InvalidResponseError
from trunkline.types.receipt import Receipt
from trunkline.types.record import Record

if TYPE_CHECKING:
    import os

_SUFFIXES = {
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/webm": ".webm",
    "audio/x-wav": ".wav",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}


class Blob(msgspec.Struct, frozen=True):
    """A file on its way to a model: its bytes and what they are, or the URL where it lies."""

    content: bytes = b""
    media_type: str = "application/octet-stream"
    """As sniffed from the content: `image/png`, `audio/wav`."""
    url: str | None = None
    """An http(s) URL; the content is then empty until somebody fetches it."""
    name: str | None = None
    """File name for a form, with the ending that its type has; never a path."""

    @property
    def base64(self) -> str:
        """The content as base64 text."""
        return binascii.b2a_base64(self.content, newline=False).decode()

    @property
    def data_url(self) -> str:
        """The content as a `data:` URL."""
        return f"data:{self.media_type};base64,{self.base64}"

    @property
    def reference(self) -> str:
        """The URL where it lies, else the content as a `data:` URL."""
        return self.url if self.url is not None and not self.content else self.data_url

    @property
    def file_name(self) -> str:
        """A name with an ending that tells the type, as multipart forms need one."""
        suffix = _SUFFIXES.get(self.media_type, ".bin")
        return self.name or f"{self.media_type.partition('/')[0] or 'file'}{suffix}"

    def __repr__(self) -> str:
        """Show what it is, not the bytes."""
        where = f" at {self.url}" if self.url else ""
        return f"Blob({self.media_type}, {len(self.content):,} bytes{where})"


class Media(Record, msgspec.Struct, frozen=True):
    """An image, a sound or a video that a model made: bytes, a URL, or both."""

    content: bytes | None = None
    """None where only the URL was asked for (`download=False`)."""
    media_type: str | None = None
    url: str | None = None
    """Where the provider keeps it, for a while; None where it came as bytes."""
    revised_prompt: str | None = None
    extra: dict[str, Any] = {}
    receipt: Receipt | None = None

    @property
    def b64_json(self) -> str | None:
        """The content as base64 text, under OpenAI's name; None without content."""
        if self.content is None:
            return None
        return binascii.b2a_base64(self.content, newline=False).decode()

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        """Return plain values in OpenAI's shape, the content as `b64_json`; JSON can hold them."""
        fields = super().model_dump(exclude_none=exclude_none)
        fields.pop("content", None)
        if self.content is not None or not exclude_none:
            fields["b64_json"] = self.b64_json
        return fields

    @property
    def suffix(self) -> str:
        """The ending that a file of this type usually has: `.png`."""
        return _SUFFIXES.get(self.media_type or "", ".bin")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the content to `path` and return the path; raises InvalidResponseError without any.

        A path without an ending gets the one that the type has.
        """
        target = Path(path)
        if not target.suffix:
            target = target.with_name(target.name + self.suffix)
        target.write_bytes(self.bytes)
        return target

    @property
    def bytes(self) -> bytes:
        """The content; raises InvalidResponseError where only the URL is here."""
        if self.content is None:
            raise InvalidResponseError(
                "The file's content was not fetched.",
                hint="Leave out download=False, or fetch its .url yourself, without a token.",
            )
        return self.content

    def pil(self) -> Any:
        """Return the content as a PIL image; needs Pillow (`pip install trunkline[images]`)."""
        import io  # with PIL, only where a picture is wanted as one

        from PIL import Image

        image = Image.open(io.BytesIO(self.bytes))
        image.load()
        return image

    def __repr__(self) -> str:
        """Show what it is, not the bytes."""
        size = "" if self.content is None else f", {len(self.content):,} bytes"
        where = f", {self.url}" if self.url else ""
        return f"Media({self.media_type or 'unknown type'}{size}{where})"

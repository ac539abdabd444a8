"""From what is on the command line, in files and on stdin to one message of the user."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trunkline.errors import InvalidInputError
from trunkline.media import MAX_BYTES, image_part

Part = dict[str, Any]
MAX_FILE = 32 * 1024 * 1024
"""More than any model reads; a larger file is a mistake."""


def user_message(text: str, images: Iterable[Part] = ()) -> dict[str, Any]:
    """Return a message of the user; its content is text alone where there are no images."""
    images = list(images)
    if not images:
        return {"role": "user", "content": text}
    words: list[Part] = [{"type": "text", "text": text}] if text else []
    return {"role": "user", "content": [*words, *images]}


def gather(
    prompt: str | None, piped: bytes, files: Iterable[str], images: Iterable[str]
) -> dict[str, Any]:
    """Return the message that all inputs make: files, then the prompt, then what was piped in.

    Raises InvalidInputError for what cannot be read, and where there is nothing to say.
    """
    texts: list[str] = []
    parts = [image_part(image) for image in images]
    for path in files:
        content = _read(path)
        text = as_text(content)
        if text is None:
            parts.append(_image(content, path))
        else:
            texts.append(f'<file name="{path}">\n{text.rstrip()}\n</file>')
    if prompt:
        texts.append(prompt)
    text = as_text(piped)
    if text is None:
        parts.append(_image(piped, "standard input"))
    elif text.strip():
        texts.append(text.rstrip())
    if not texts and not parts:
        raise InvalidInputError(
            "There is nothing to say.", hint="Give a PROMPT, pipe something in, or name a --file."
        )
    return user_message("\n\n".join(texts), parts)


def as_text(content: bytes) -> str | None:
    """Return `content` as text, or None where it is none."""
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"The file {path!r} cannot be read: {why}.") from error
    if len(content) > MAX_FILE:
        raise InvalidInputError(f"The file {path!r} has more than {MAX_FILE:,} bytes.")
    return content


def _image(content: bytes, name: str) -> Part:
    try:
        return image_part(content)
    except InvalidInputError as error:
        known = len(content) > MAX_BYTES or "type is unknown" not in error.message
        why = error.message if known else "it is neither UTF-8 text nor an image that models take."
        raise InvalidInputError(f"{name}: {why}", hint=error.hint if known else None) from error

"""From a path or an open file to bytes, never more of them than allowed and one.

What the bytes are is not asked here, only how many there are.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Protocol
from urllib.parse import unquote

from trunkline.errors import InvalidInputError
from trunkline.media.wanted import Wanted, too_large

_CHUNK = 1024 * 1024
_END = 2


class Readable(Protocol):
    """A file opened in binary mode, or anything that reads like one."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""
        ...


# A drive letter (C:\cat.png) is no scheme, and neither is a colon within a file's name.
_SCHEME = re.compile(r"data(?=:)|[a-z][a-z0-9+.-]+(?=://)", re.IGNORECASE)


def scheme_of(text: str) -> str | None:
    """Return the lower-case scheme of a URL, or None for what can only be a path."""
    found = _SCHEME.match(text[:40])
    return found[0].lower() if found else None


def path_in(text: str, wanted: Wanted, *, files: bool) -> str:
    """Return the path that a text names, itself or as a `file://` URL.

    Raises InvalidInputError for another kind of URL, and with `files=False` for every path.
    """
    scheme = scheme_of(text)
    if scheme not in (None, "file"):
        article = "an image" if wanted == "image" else wanted
        raise InvalidInputError(
            f"{shown(text)} cannot be used as {article}: it is not an http(s) URL.",
            hint="Give an http(s) or data: URL, a path, bytes or an open file.",
        )
    if not files:
        raise InvalidInputError(
            f"{shown(text)} is not a URL, and paths are not read here.",
            hint="To send a file of your own, write trunkline.image(path) into the message."
            if wanted == "image"
            else "To send a file of your own, give its bytes.",
        )
    return _file_path(text) if scheme else text


def _file_path(url: str) -> str:
    host, slash, rest = url.partition("://")[2].partition("/")
    if host.lower() not in ("", "localhost"):
        raise InvalidInputError(
            f"{shown(url)} names a file on another machine.",
            hint="A file URL has three slashes: file:///home/me/cat.png.",
        )
    path = unquote(slash + re.split(r"[?#]", rest)[0])
    return path[1:] if re.match(r"/[a-zA-Z]:", path) else path


def read_path(path: str, wanted: Wanted, max_bytes: int) -> bytes:
    """Return a file's content, at most `max_bytes + 1` of it.

    Raises InvalidInputError where it cannot be read, is empty, or says that it is larger; in the
    last case nothing is read.
    """
    subject = f"The {wanted} {shown(path)}"
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path too long or with a NUL must fail in here
            size = _file_size(file) or 0
            _check_size(size, max_bytes, wanted, subject)
            content = _read(file, max_bytes, size)
    except InvalidInputError:
        raise
    except (OSError, ValueError) as error:
        why = _FILE_TROUBLE.get(type(error), str(getattr(error, "strerror", None) or error))
        raise InvalidInputError(
            f"{subject} cannot be read: {why}.",
            hint=f"Give a path that exists, an http(s) or data: URL, or the {wanted}'s bytes.",
        ) from error
    if not content:
        raise InvalidInputError(f"{subject} is empty.", hint="Check how it was made.")
    return content


_FILE_TROUBLE: dict[type[BaseException], str] = {
    FileNotFoundError: "there is no such file",
    IsADirectoryError: "it is a directory",
    PermissionError: "permission is denied",
}


def read_file(file: Any, wanted: Wanted, max_bytes: int) -> bytes:
    """Return what is left of an open file, at most `max_bytes + 1` of it.

    Raises InvalidInputError where the file is in text mode, at its end, closed, or says that more
    is left than allowed; in the last case nothing is read.
    """
    subject = f"The {wanted}'s file"
    try:
        # One in text mode is found out by reading it.
        size = 0 if hasattr(file, "encoding") else _size_left(file)
        _check_size(size, max_bytes, wanted, subject)
        content = _read(file, max_bytes, size)
    except InvalidInputError:
        raise
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"{subject} cannot be read: {error}.", hint="Give a file that is open for reading."
        ) from error
    except _NotBytes as error:
        raise InvalidInputError(f"{subject} {error}.", hint=error.hint) from error
    if not content:
        raise InvalidInputError(
            f"{subject} has nothing left to read.",
            hint="It is empty, or was read before: file.seek(0) goes back to its beginning.",
        )
    return content


class _NotBytes(Exception):  # noqa: N818 - it never leaves this file
    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


def _check_size(size: int, max_bytes: int, wanted: Wanted, subject: str) -> None:
    if size > max_bytes:
        raise too_large(subject, size, max_bytes, wanted)


def _file_size(file: Any) -> int | None:
    """Return the size of the file on disk, None where it is none; devices and pipes have no size."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _size_left(file: Any) -> int:
    """Return how much there is left to read as far as can be told without reading, else 0."""
    size = _file_size(file)
    try:
        here = file.tell()
        if size is None:  # not on disk, perhaps in memory: its end can be asked for
            size = file.seek(0, _END)
            file.seek(here)
        return int(size) - int(here)
    except (OSError, ValueError, AttributeError, TypeError):
        return 0


def _read(file: Any, max_bytes: int, expected: int) -> bytes:
    """Read to the end or the limit; one read may bring less than it was asked for."""
    chunks: list[bytes] = []
    left = max_bytes + 1
    while left > 0:
        chunk = file.read(min(left, max(_CHUNK, expected + 1)))
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise _not_bytes(chunk)
        if not chunk:
            break
        chunks.append(bytes(chunk))
        left -= len(chunks[-1])
        expected = 0
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _not_bytes(chunk: Any) -> _NotBytes:
    if isinstance(chunk, str):
        return _NotBytes("is open in text mode", "Open it with open(path, 'rb').")
    if hasattr(chunk, "__await__"):
        if hasattr(chunk, "close"):
            chunk.close()
        return _NotBytes("has to be awaited", "Give the bytes: await file.read().")
    return _NotBytes(
        f"reads as {type(chunk).__name__} instead of bytes", "Open it with open(path, 'rb')."
    )


def shown(text: str) -> str:
    """Return `text` quoted, and cut where it is long."""
    return repr(text if len(text) <= 120 else f"{text[:117]}...")

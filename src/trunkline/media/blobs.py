"""Whatever a caller has as a Blob: its bytes, or the URL where they lie.

What it is, its content says; names are not believed. Nothing is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from trunkline.errors import InvalidInputError
from trunkline.media.data_urls import decode_data_url, media_type_in
from trunkline.media.names import file_name, name_in_url, without_query
from trunkline.media.pil import PilImage, encoded
from trunkline.media.sniff import Kind
from trunkline.media.sources import Readable, path_in, read_file, read_path, scheme_of, shown
from trunkline.media.wanted import (
    LIMITS,
    PHRASES,
    Wanted,
    checked,
    media_type_for,
    too_large,
    unknown,
)
from trunkline.media.waveform import Waveform, is_array, wav
from trunkline.types.media import Blob, Media
from trunkline.wire.message import parse_url

FileSource: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | Readable
    | Blob
    | Media
    | Mapping[str, Any]
    | tuple[Any, ...]
)
"""An http(s) or `data:` URL, a path (or `file://`), bytes, an open binary file, a Blob, the result of
another call, `(name, content)` as OpenAI's client takes it, a row of a dataset."""
ImageInput: TypeAlias = FileSource | PilImage
AudioInput: TypeAlias = FileSource | Waveform
"""Also an array of samples, or `(array, sampling_rate)`."""


class _Asked(msgspec.Struct, frozen=True):
    wanted: Wanted
    max_bytes: int
    sampling_rate: Any
    files: bool


class _Given(msgspec.Struct, frozen=True):
    """A source that has been read."""

    content: bytes = b""
    name: str | None = None
    declared: str | None = None
    """What the caller says it is; asked only where the content does not tell."""
    url: str | None = None


def blob(
    source: Any,
    wanted: Wanted,
    *,
    max_bytes: int | None = None,
    sampling_rate: int = 16_000,
    files: bool = True,
) -> Blob:
    """Return `source`, an ImageInput or AudioInput, as a Blob of the kind that is wanted.

    An http(s) URL stays one and is not fetched. `max_bytes` limits the content, else `LIMITS`
    does; a file that says it is larger is not read. `sampling_rate` is that of an array.
    `files=False` refuses text that names a file: for input that somebody else wrote. Raises
    InvalidInputError for what cannot be read, and for content that is something else.
    """
    limit = LIMITS[wanted] if max_bytes is None else max_bytes
    asked = _Asked(wanted, limit, sampling_rate, files)
    given = _read(source, asked)
    if given.url is not None:
        parse_url(given.url)
        declared = media_type_in(given.declared) or "application/octet-stream"
        return Blob(b"", declared, given.url, file_name(given.name, None))
    subject = f"The file {shown(given.name)}" if given.name else "The content"
    return _blob(given, wanted, limit, subject)


def check_fetched(
    content: bytes, declared_type: str, wanted: Wanted, url: str, max_bytes: int
) -> Blob:
    """Return the Blob for `content` that came from `url`.

    `declared_type` is the answer's Content-Type; the content decides. Raises InvalidInputError
    for a web page and whatever else is not wanted; it names the URL without its query, which may
    hold a signature.
    """
    subject = f"The {media_type_in(declared_type) or 'file'} at {without_query(url)}"
    made = _blob(_Given(content, name_in_url(url)), wanted, max_bytes, subject)
    return Blob(made.content, made.media_type, url, made.name)


def _blob(given: _Given, wanted: Wanted, max_bytes: int, subject: str) -> Blob:
    kind = checked(given.content, wanted, max_bytes, subject)
    if kind is None:
        kind = _declared(given, wanted)
    if kind is None:
        raise unknown(subject, given.content, wanted)
    made = Blob(given.content, media_type_for(wanted, kind), None, file_name(given.name, kind))
    if not made.file_name.endswith(".bin") or not kind.suffixes:
        return made
    return Blob(made.content, made.media_type, None, f"{wanted}{kind.suffixes[0]}")


def _declared(given: _Given, wanted: Wanted) -> Kind | None:
    """Return what the caller says that it is, for a format we do not know."""
    found = media_type_in(given.declared)
    family = "application" if wanted == "document" else wanted
    if found is None or not found.startswith(f"{family}/") or found == "application/octet-stream":
        return None
    return Kind(found, "a file")


def _read(source: Any, asked: _Asked) -> _Given:
    for kind, reader in _READERS:
        if isinstance(source, kind):
            return reader(source, asked)
    if callable(getattr(source, "read", None)):
        return _from_file(source, asked)
    raise _no_source(source, asked)


def _from_text(text: str, asked: _Asked) -> _Given:
    scheme = scheme_of(text)
    if scheme in ("http", "https"):
        return _Given(url=text)
    if scheme == "data":
        return _Given(decode_data_url(text, asked.max_bytes)[0])
    return _from_path(path_in(text, asked.wanted, files=asked.files), asked)


def _from_path(path: Any, asked: _Asked) -> _Given:
    text = os.fsdecode(path)
    return _Given(read_path(text, asked.wanted, asked.max_bytes), text)


def _from_memory(content: Any, asked: _Asked) -> _Given:
    view = memoryview(content)
    if view.nbytes > asked.max_bytes:  # before it is copied
        raise too_large("The content", view.nbytes, asked.max_bytes, asked.wanted)
    return _Given(content if isinstance(content, bytes) else view.tobytes())


def _from_file(file: Any, asked: _Asked) -> _Given:
    name = getattr(file, "name", None)
    content = read_file(file, asked.wanted, asked.max_bytes)
    return _Given(content, name if isinstance(name, str) else None)


def _from_blob(source: Blob, _: _Asked) -> _Given:
    if not source.content and source.url is not None:
        return _Given(b"", source.name, source.media_type, source.url)
    return _Given(source.content, source.name, source.media_type)


def _from_media(source: Media, asked: _Asked) -> _Given:
    if source.content is None and source.url is not None:
        return _from_text(source.url, msgspec.structs.replace(asked, files=False))
    return _Given(source.content or b"", None, source.media_type)


def _from_pil(image: PilImage, _: _Asked) -> _Given:
    return _Given(encoded(image), getattr(image, "filename", None) or None)


def _from_array(array: Waveform, asked: _Asked) -> _Given:
    return _sound(array, asked.sampling_rate, asked)


def _sound(array: Any, rate: Any, asked: _Asked) -> _Given:
    if asked.wanted != "audio":
        raise InvalidInputError(
            f"An array cannot be used as {PHRASES[asked.wanted]}.",
            hint="Make an image of it first: PIL.Image.fromarray(array).",
        )
    return _Given(wav(array, rate, asked.max_bytes))


def _from_tuple(source: tuple[Any, ...], asked: _Asked) -> _Given:
    """Read `(array, rate)`, `(rate, array)` as scipy has it, or `(name, content[, type])`."""
    if len(source) == 2 and is_array(source[0]):
        return _sound(source[0], source[1], asked)
    if len(source) == 2 and is_array(source[1]):
        return _sound(source[1], source[0], asked)
    name, content, declared, *_ = (*source, None, None, None)
    is_file = len(source) in (2, 3, 4) and (name is None or isinstance(name, str))
    if not is_file or isinstance(content, (str, tuple, Mapping)):
        raise _no_source(source, asked)
    given = _read(content, asked)
    return _Given(given.content, name or given.name, declared or given.declared, given.url)


def _from_row(source: Mapping[str, Any], asked: _Asked) -> _Given:
    """Read a file as rows of a dataset hold it: an array with its rate, bytes, or a path."""
    array = source.get("array", source.get("raw"))
    if array is not None and "sampling_rate" in source:
        return _sound(array, source["sampling_rate"], asked)
    path = source.get("path")
    if isinstance(source.get("bytes"), bytes):
        name = path if isinstance(path, str) else None
        return _Given(_from_memory(source["bytes"], asked).content, name)
    if isinstance(path, str):
        return _from_text(path, asked)
    raise _no_source(source, asked)


def _no_source(source: object, asked: _Asked) -> InvalidInputError:
    more = {"image": " or a PIL image", "audio": " or an array of samples"}.get(asked.wanted, "")
    return InvalidInputError(
        f"A {type(source).__name__} cannot be used as {PHRASES[asked.wanted]}.",
        hint=f"Give a URL, a path, bytes, a file opened with 'rb'{more}.",
    )


_Reader: TypeAlias = Callable[[Any, _Asked], _Given]
_READERS: tuple[tuple[Any, _Reader], ...] = (
    (str, _from_text),
    ((bytes, bytearray, memoryview), _from_memory),
    (os.PathLike, _from_path),
    (Blob, _from_blob),
    (Media, _from_media),
    (tuple, _from_tuple),
    (Mapping, _from_row),
    (PilImage, _from_pil),
    (Waveform, _from_array),
)

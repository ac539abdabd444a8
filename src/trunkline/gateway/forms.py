"""Forms with files (multipart/form-data) as clients send them: pieces of bytes in, parts out.

Everything stays in memory and within limits; what a client calls a file is only ever a label.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from trunkline.dialects.multipart import Part
from trunkline.dialects.openai_rules import RequestError

_LONGEST_NAME = 200
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary"})
_CHARSETS = frozenset({b"", b"utf-8", b"utf8", b"us-ascii"})
_QUIET = logging.getLogger(f"{__name__}.parser")
_QUIET.disabled = True  # what is wrong with a form its client is told; nobody else has to be


class FormLimits(msgspec.Struct, frozen=True):
    """The most that a form may have."""

    files: int = 32
    fields: int = 64
    text: int = 1024 * 1024
    """Bytes of one field that is no file."""
    headers: int = 8
    """Lines in front of one part."""
    head: int = 4096
    """Bytes of them."""


def read_form(
    pieces: Iterable[bytes], content_type: bytes, limits: FormLimits | None = None
) -> list[Part]:
    """Return the parts of a form in their order; raises RequestError, with the status to answer."""
    reader = FormReader(boundary_in(content_type), limits or FormLimits())
    try:
        for piece in pieces:
            reader.feed(piece)
        return reader.end()
    finally:
        reader.close()


def boundary_in(content_type: bytes) -> bytes:
    """Return the boundary that a form's content type names; raises RequestError."""
    kind, told = parse_options_header(content_type)
    if kind.strip() != b"multipart/form-data":
        raise RequestError("The body must be JSON or a form (multipart/form-data).", status=415)
    boundary = told.get(b"boundary", b"")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise _wrong("its Content-Type names no boundary that could be one")
    return boundary


class FormReader:
    """Feed it a form's bytes in any pieces, then take the parts."""

    def __init__(self, boundary: bytes, limits: FormLimits) -> None:
        """Await the first boundary."""
        self._limits = limits
        self._parts: list[Part] = []
        self._files = 0
        self._whole = False
        self._begin()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._value,
                "on_header_end": self._header,
                "on_headers_finished": self._headed,
                "on_part_data": self._data,
                "on_part_end": self._ended,
                "on_end": self._finished,
            },
        )
        self._parser.logger = _QUIET

    def feed(self, data: bytes) -> None:
        """Read on; raises RequestError."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _wrong("it is malformed") from error

    def end(self) -> list[Part]:
        """Return the parts; raises RequestError where the last boundary is missing."""
        if not self._whole:
            raise _wrong("its last boundary is missing: it was cut off, or is none")
        return self._parts

    def close(self) -> None:
        """Let go of everything: parser and reader hold each other, and what is large."""
        self._parser.callbacks = {}
        self._parts = []
        self._pieces.clear()

    # called by the parser

    def _begin(self) -> None:
        self._name = self._line = b""
        self._head = 0
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._size = 0
        self._part = Part("", b"")

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._line += data[start:end]

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self._limits.head:
            raise _large("a part's headers are too long")

    def _header(self) -> None:
        name = self._name.strip().lower()
        if name in self._headers:
            raise _wrong("a part has a header twice")
        if len(self._headers) == self._limits.headers:
            raise _large("a part has too many headers")
        self._headers[name] = self._line.strip()
        self._name = self._line = b""

    def _headed(self) -> None:
        part = self._part = _part_of(self._headers)
        if part.filename is not None:
            self._files += 1
        limits, fields = self._limits, len(self._parts) + 1 - self._files
        if self._files > limits.files:
            raise _large(f"it has more than {limits.files} files")
        if fields > limits.fields:
            raise _large(f"it has more than {limits.fields} fields")

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._part.filename is None and self._size > self._limits.text:
            raise _large(f"its field {self._part.name!r} has more than {self._limits.text:,} bytes")
        self._pieces.append(data[start:end])

    def _ended(self) -> None:
        pieces, self._pieces = self._pieces, []
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._parts.append(msgspec.structs.replace(self._part, content=content))

    def _finished(self) -> None:
        self._whole = True


def _part_of(headers: dict[bytes, bytes]) -> Part:
    """Return a part, still empty, as its headers describe it."""
    kind, told = parse_options_header(headers.get(b"content-disposition"))
    if kind.strip() != b"form-data":
        raise _wrong("a part is no form-data")
    name, filename = _text(told.get(b"name")), _text(told.get(b"filename"))
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise _wrong("a part has no name, or one that cannot be one")
    if filename is not None and not (filename.isprintable() or not filename):
        raise _wrong(f"the file {name!r} has a name with control characters")
    encoding = headers.get(b"content-transfer-encoding", b"").lower()
    declared, more = parse_options_header(headers.get(b"content-type"))
    if encoding not in _ENCODINGS:
        raise _wrong(
            f"the part {name!r} is encoded ({encoding[:40]!r}): send its bytes as they are"
        )
    if declared.strip().startswith(b"multipart/"):
        raise _wrong(f"the part {name!r} is a form itself")
    if filename is None and more.get(b"charset", b"").lower() not in _CHARSETS:
        raise _wrong(f"the field {name!r} is not in UTF-8")
    return Part(name, b"", filename, declared.decode("latin-1") or None)


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _wrong("a part's name is not UTF-8") from error


def _wrong(why: str) -> RequestError:
    return RequestError(f"The form cannot be read: {why}.", code="invalid_form")


def _large(why: str) -> RequestError:
    return RequestError(f"The form is too large: {why}.", code="request_too_large", status=413)

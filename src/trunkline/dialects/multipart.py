"""Forms with files (multipart/form-data, RFC 7578), written and read as browsers do.

Pure and deterministic: the same parts give the same bytes. Nothing here knows what a form is for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import msgspec

MAX_PARTS = 128
MAX_HEAD = 8 * 1024
"""Bytes of one part's headers."""
MAX_BODY = 512 * 1024 * 1024


class FormError(ValueError):
    """The bytes are no form, or the values cannot be written as one."""


class FormTooLargeError(FormError):
    """A form has more parts or bytes than allowed."""


class Part(msgspec.Struct, frozen=True):
    """One field of a form, or one file."""

    name: str
    content: bytes
    filename: str | None = None
    """None for a field that is no file."""
    content_type: str | None = None

    @property
    def text(self) -> str:
        """The content as text; raises FormError where it is not UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise FormError(f"the field {self.name!r} is not UTF-8") from error


def write_form(
    fields: Iterable[tuple[str, str]], files: Iterable[Part] = (), boundary: str | None = None
) -> tuple[bytes, str]:
    """Return a form's body and its content type, fields before files.

    Who routes by a field can then read it from the beginning of the body. Without a `boundary` one
    is derived from the content. Raises FormError for one that is malformed or occurs within a part,
    and for text that UTF-8 cannot hold.
    """
    try:
        parts = [*(Part(name, value.encode()) for name, value in fields), *files]
        heads = [_head(part) for part in parts]
    except UnicodeEncodeError as error:
        raise FormError(f"text that is not Unicode: {error.reason}") from error
    mark = _boundary(boundary_for(parts) if boundary is None else boundary)
    if boundary and any(mark in part.content for part in parts):
        raise FormError("the boundary occurs within a part")
    pieces: list[bytes] = []
    for head, part in zip(heads, parts, strict=True):
        pieces += (b"--", mark, b"\r\n", head, b"\r\n\r\n", part.content, b"\r\n")
    pieces += (b"--", mark, b"--\r\n")
    return b"".join(pieces), f"multipart/form-data; boundary={mark.decode()}"


def boundary_for(parts: Iterable[Part]) -> str:
    """Return a boundary that is the same for the same parts and occurs in none of them."""
    held = list(parts)
    digest = hashlib.sha256()
    for part in held:
        for piece in (part.name.encode(), part.content):
            digest.update(len(piece).to_bytes(8))
            digest.update(piece)
    while True:
        boundary = f"form-{digest.hexdigest()[:40]}"
        if not any(boundary.encode() in part.content for part in held):
            return boundary
        digest.update(b"again")


def read_form(
    body: bytes,
    content_type: str,
    *,
    max_parts: int = MAX_PARTS,
    max_head: int = MAX_HEAD,
    max_body: int = MAX_BODY,
) -> list[Part]:
    """Return the parts of a form in their order.

    `content_type` is the whole header, with the boundary. Raises FormTooLargeError beyond a limit,
    and FormError for everything that is no form.
    """
    if len(body) > max_body:
        raise FormTooLargeError(f"the form has more than {max_body:,} bytes")
    mark = b"--" + _boundary_of(content_type)
    line = b"\r\n" + mark
    if body.startswith(mark):
        at = len(mark)
    elif (found := body.find(line)) >= 0:
        at = found + len(line)
    else:
        raise FormError("its boundary does not occur")
    parts: list[Part] = []
    while not body.startswith(b"--", at):
        if len(parts) == max_parts:
            raise FormTooLargeError(f"the form has more than {max_parts} parts")
        begin = _line_end(body, at)
        middle = body.find(b"\r\n\r\n", begin, begin + max_head + 4)
        if middle < 0:
            long = len(body) - begin > max_head
            raise (FormTooLargeError if long else FormError)("a part's headers do not end")
        end = body.find(line, middle + 4)
        if end < 0 or line in body[begin:middle]:
            raise FormError("its closing boundary is missing")
        parts.append(_part(body[begin + 2 : middle], body[middle + 4 : end]))
        at = end + len(line)
    return parts


_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_FORM_TYPE = re.compile(r"multipart/form-data\s*;(.*)", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"([^"]*)"|([^\s;"]*))\s*(?:;|$)')
_ESCAPES = (("\n", "%0A"), ("\r", "%0D"), ('"', "%22"))


def _head(part: Part) -> bytes:
    said = f'Content-Disposition: form-data; name="{_escape(part.name)}"'
    if part.filename is not None:
        said += f'; filename="{_escape(part.filename)}"'
    if part.content_type is not None:
        if not part.content_type.isprintable() or not part.content_type.isascii():
            raise FormError(f"{part.content_type!r} is no content type")
        said += f"\r\nContent-Type: {part.content_type}"
    return said.encode()


def _escape(name: str) -> str:
    for raw, written in _ESCAPES:
        name = name.replace(raw, written)
    return name


def _unescape(name: str) -> str:
    for raw, written in _ESCAPES:
        name = name.replace(written, raw)
    return name


def _boundary_of(content_type: str) -> bytes:
    form = _FORM_TYPE.fullmatch(content_type.strip())
    if form is None:
        raise FormError(f"its type is not multipart/form-data but {content_type[:80]!r}")
    return _boundary(_parameters(form[1]).get("boundary", ""))


def _boundary(text: str) -> bytes:
    if not _BOUNDARY.fullmatch(text):
        raise FormError(f"{text[:80]!r} is no boundary")
    return text.encode("ascii")


def _line_end(body: bytes, at: int) -> int:
    """Return where the line of a boundary ends; only white space may follow it."""
    end = body.find(b"\r\n", at)
    if end < 0:
        raise FormError("its closing boundary is missing")
    if body[at:end].strip(b" \t"):
        raise FormError("something stands behind a boundary")
    return end


def _part(head: bytes, content: bytes) -> Part:
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError as error:
        raise FormError("a part's headers are not UTF-8") from error
    pairs = [line.partition(":") for line in lines]
    headers = {name.strip().lower(): value for name, _, value in pairs}
    if len(headers) < len(pairs):
        raise FormError("a part has a header twice")
    kind, _, rest = headers.get("content-disposition", "").partition(";")
    told = _parameters(rest)
    if kind.strip().lower() != "form-data" or "name" not in told:
        raise FormError("a part has no name")
    filename = told.get("filename")
    return Part(
        name=_unescape(told["name"]),
        content=content,
        filename=None if filename is None else _unescape(filename),
        content_type=headers.get("content-type", "").strip() or None,
    )


def _parameters(text: str) -> dict[str, str]:
    """Read `a=b; c="d"`; raises FormError where anything else stands there."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip()):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise FormError(f"a header cannot be read: {text[at : at + 80]!r}")
        found.setdefault(match[1].lower(), match[3] if match[2] is None else match[2])
        at = match.end()
    return found

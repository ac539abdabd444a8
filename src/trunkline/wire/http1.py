"""HTTP/1.1 without I/O: how requests, heads and chunks are written, and what is refused.

`http1_read` is the other half. Neither opens anything nor reads a clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from trunkline.errors import InvalidInputError
from trunkline.wire.message import HttpRequest

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_header(name: str, value: str) -> None:
    """Refuse a header that would break out of its line; raises InvalidInputError."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(f"{name[:80]!r} is not a header name.")
    if _UNSAFE.search(value) or not value.isascii() or value != value.strip():
        raise InvalidInputError(
            f"The value of header {name!r} has line breaks, control or non-ASCII characters, or "
            "white space around it.",
            hint="Header values are plain ASCII text on one line.",
        )


def check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse headers of which one would break out of its line; raises InvalidInputError."""
    names = [name for name, _ in headers]
    values = "".join([value for _, value in headers])
    safe = values.isascii() and not _UNSAFE.search(values)
    if safe and "" not in names and _NAME.fullmatch("".join(names) or "none"):
        return
    for name, value in headers:
        check_header(name, value)


def write_request(request: HttpRequest, *, absolute: bool = False) -> bytes:
    """Return the request as bytes, head and body in one piece; raises as `write_request_head`."""
    return write_request_head(request, absolute=absolute) + request.body


def write_request_head(request: HttpRequest, *, absolute: bool = False) -> bytes:
    """Return all of the request in front of its body.

    `absolute` puts the whole URL in the request line, as a proxy of plain HTTP expects.
    Raises InvalidInputError for a header that would break out of its line.
    """
    url = request.url
    lines = [
        f"{request.method} {url if absolute else url.target} HTTP/1.1\r\nhost: {url.authority}"
    ]
    check_headers(request.headers)
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(request.body)}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"


def write_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return a response head as bytes; raises InvalidInputError for an unsafe header."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}"]
    for name, value in headers:
        check_header(name, value)
        lines.append(f"{name}: {value}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"


def write_chunk(data: bytes) -> bytes:
    """Return one piece of a chunked body; an empty one would end it and is refused."""
    if not data:
        raise ValueError("an empty chunk ends the body: use LAST_CHUNK")
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"

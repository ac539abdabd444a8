"""Requests and response heads as values, and the URLs they go to. Bytes are http1's affair."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from trunkline.errors import InvalidInputError

DEFAULT_PORTS = {"http": 80, "https": 443, "sandbox": 0}
_REACHABLE = frozenset({"http", "https"})


class Url(msgspec.Struct, frozen=True):
    """An absolute http(s) URL in the pieces that a connection and a request line need."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, as the request line has them."""

    @property
    def authority(self) -> str:
        """Return `host[:port]`, as the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return the URL whole."""
        return f"{self.scheme}://{self.authority}{self.target}"


SANDBOX = Url("sandbox", "sandbox", 0, "/")
"""The emulator in this process."""


class HttpRequest(msgspec.Struct, frozen=True):
    """A request to send; header names are lower-case."""

    method: str
    url: Url
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    limit: int | None = None
    """Bytes that the answer's body may have; None leaves it to the transport."""
    public: bool = False
    """Refuse to send it to a private address: the URL is not the caller's own."""
    once: bool = False
    """Send it on a new connection: on a used one that died it would have to be sent again, and what
    it starts may have begun."""


class ResponseHead(msgspec.Struct, frozen=True):
    """Status and headers of an answer; header names are lower-case, repeats joined by `, `."""

    status: int
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def content_type(self) -> str:
        """The media type alone, lower-case: `text/event-stream`."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def request_id(self) -> str | None:
        """The id to give a provider's support, from whichever header carries it."""
        for name in ("x-request-id", "x-amzn-trace-id", "x-amz-cf-id", "inference-id"):
            if name in self.headers:
                return self.headers[name]
        return None


@functools.lru_cache(maxsize=512)
def parse_url(text: str) -> Url:
    """Read an absolute http(s) URL; raises InvalidInputError for anything else.

    Credentials and fragments are refused rather than dropped: the first would leak, the second
    says that the URL is not what its writer thinks.
    """
    if any(c.isspace() or not c.isprintable() for c in text) or "\\" in text:
        raise _wrong(text, "it contains white space, control characters or backslashes")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _wrong(text, str(error)) from error
    if parts.scheme not in _REACHABLE:
        raise _wrong(text, "it does not begin with http:// or https://")
    if not parts.hostname:
        raise _wrong(text, "it names no host")
    if parts.username is not None or parts.password is not None:
        raise _wrong(text, "it contains a user name; give credentials as token= instead", hide=True)
    if parts.fragment:
        raise _wrong(text, "it has a fragment")
    try:
        host = (
            parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        )
    except UnicodeError as error:
        raise _wrong(text, "its host is not a valid name") from error
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii():
        raise _wrong(text, "its path has characters that need percent-encoding")
    return Url(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port, target)


def below(base: Url, path: str) -> Url:
    """Return the URL of `path`, with its query if it has one, below another URL's path."""
    start = base.target.partition("?")[0].rstrip("/")
    place = f"{start}/{path.lstrip('/')}" if path else start or "/"
    return msgspec.structs.replace(base, target=place)


def _wrong(text: str, why: str, *, hide: bool = False) -> InvalidInputError:
    shown = "The URL" if hide else repr(text[:200])
    return InvalidInputError(
        f"{shown} cannot be used as a URL: {why}.",
        hint="Give an absolute URL such as https://host/v1.",
    )

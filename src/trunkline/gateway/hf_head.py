"""Heads on their way through `/hf`: what of a client's request goes on, and what of an answer comes back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from trunkline._version import __version__
from trunkline.dialects.openai_server import RequestError
from trunkline.gateway.connected import Connected
from trunkline.gateway.hf_routes import JOB_URLS, PREFIX, HfRoute
from trunkline.wire import strict_json
from trunkline.wire.json_splice import splice
from trunkline.wire.message import Url

_ASKED = (
    b"accept",
    b"accept-language",
    b"content-type",
    b"prefer",
    b"x-source-channel",
    b"x-use-cache",
    b"x-wait-for-model",
)
"""A client's headers that go on; never its credential, its cookies, or where it says that it comes from."""
_ANSWERED = (
    b"content-type",
    b"content-disposition",
    b"x-error-code",
    b"x-error-message",
    b"x-hf-warning",
)
_VALUE = re.compile(rb"[\x20-\x7e\t]{0,2000}")
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,261}")


def router_root(upstream: Connected) -> Url:
    """Return the router's address: its API lies at `/v1` below it, and each provider at its name."""
    base = upstream.base
    return msgspec.structs.replace(base, target=base.target.rstrip("/").removesuffix("/v1") or "/")


def request_head(
    upstream: Connected, route: HfRoute, method: str, sent: Mapping[bytes, bytes]
) -> bytes:
    """Return a request's head, up to where its length would stand; raises RequestError."""
    url = router_root(upstream)
    lines = [
        f"{method} {url.target.rstrip('/')}{route.target} HTTP/1.1".encode(),
        f"host: {url.authority}".encode(),
        f"user-agent: trunkline/{__version__}".encode(),
        b"accept-encoding: identity",
    ]
    for name in _ASKED:
        value = sent.get(name)
        if value is None:
            continue
        if _VALUE.fullmatch(value) is None:
            raise RequestError(f"The header {name.decode()} has characters that none has.")
        lines.append(name + b": " + value)
    if upstream.secret is not None:
        lines.append(b"authorization: Bearer " + upstream.secret.value.encode())
    if upstream.config.bill_to:
        lines.append(b"x-hf-bill-to: " + upstream.config.bill_to.encode())
    return b"\r\n".join(lines) + b"\r\n"


def answer_lines(
    status: int, headers: dict[bytes, bytes], root: Url, public: str = ""
) -> bytes | None:
    """Return the header lines of an answer; None where it redirects to somewhere else.

    Names in `headers` are in small letters.
    """
    lines = b"x-content-type-options: nosniff\r\n"
    for name in (*_ANSWERED, b"retry-after") if status >= 400 else _ANSWERED:
        value = headers.get(name)
        if value is not None and _VALUE.fullmatch(value) is not None:
            lines += b"%b: %b\r\n" % (name, value)
    upstream_id = headers.get(b"x-request-id")
    if upstream_id is not None and _VALUE.fullmatch(upstream_id) is not None:
        lines += b"x-upstream-request-id: %b\r\n" % upstream_id
    location = headers.get(b"location")
    if location is not None:
        place = own_place(location.decode("latin-1"), root)
        if place is not None:
            return lines + b"location: %b\r\n" % (path_of(public) + place).encode()
        if 300 <= status < 400:
            return None
    return lines


def own_place(location: str, root: Url) -> str | None:
    """Return where a place of the router is on this gateway; None for any other place."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return None
    base = root.target.rstrip("/")
    elsewhere = (parts.scheme or parts.netloc) and (parts.scheme, parts.netloc) != (
        root.scheme,
        root.authority,
    )
    if elsewhere or not location.isascii() or not parts.path.startswith(f"{base}/"):
        return None
    if re.search(r"[\x00-\x20\\]|//|/\.", parts.path + parts.query):
        return None
    query = f"?{parts.query}" if parts.query else ""
    return PREFIX + parts.path.removeprefix(base) + query


def path_of(public: str) -> str:
    """Return the path below which a proxy has the gateway; mostly there is none."""
    return urlsplit(public).path.rstrip("/")


def job_base(route: HfRoute, host: bytes, public: str, *, secure: bool) -> str | None:
    """Return what job URLs of a provider begin with on this gateway; None where it has none.

    Where nobody said how clients find it (`public`), they did by the `host` that they ask.
    """
    if route.provider not in JOB_URLS:
        return None
    if not public and _HOST.fullmatch(host) is None:
        return None
    found = public.rstrip("/") or f"http{'s' if secure else ''}://{host.decode('ascii')}"
    return f"{found}{PREFIX}/{route.provider}"


def with_own_urls(provider: str, data: bytes, base: str) -> bytes:
    """Return a job's answer whose URLs of the provider's API lead through this gateway."""
    try:
        body = strict_json.decode_strict(data)
    except strict_json.JsonError:
        return data
    changed = {row[0] for row in JOB_URLS[provider] if _lead(body, row, base)}
    if not changed:
        return data
    return splice(data, {name: strict_json.encode(body[name]) for name in changed})


def _lead(body: Any, row: tuple[str, ...], base: str) -> bool:
    """Exchange one URL in a decoded answer; tells whether it was there."""
    *way, last = row
    for name in way:
        body = body.get(name) if isinstance(body, dict) else None
    url = body.get(last) if isinstance(body, dict) else None
    if not isinstance(url, str) or not url.startswith("https://"):
        return False
    parts = urlsplit(url)
    query = parts.query or ("_subdomain=queue" if parts.netloc == "queue.fal.run" else "")
    body[last] = f"{base}{parts.path}" + (f"?{query}" if query else "")
    return True

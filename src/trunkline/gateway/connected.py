"""An upstream as it was configured, with its address and credential, and what requests to it begin with."""

from __future__ import annotations

import msgspec

from trunkline._version import __version__
from trunkline.errors import InvalidInputError
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.providers.table import PROVIDERS
from trunkline.types import Secret
from trunkline.wire.message import Url, below, parse_url


class Connected(msgspec.Struct, frozen=True):
    """A configured upstream, its address read and its credential found."""

    name: str
    config: UpstreamConfig
    base: Url
    secret: Secret | None


def request_head(upstream: Connected, url: Url) -> bytes:
    """Return a request's head up to the value of `content-length`; the client adds nothing to it."""
    row = (
        PROVIDERS.get(upstream.config.provider or "")
        if upstream.config.kind == "provider"
        else None
    )
    headers = {
        "user-agent": f"trunkline/{__version__}",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",
        "content-type": "application/json",
    }
    if upstream.secret is not None:
        name, scheme = (row.auth_header, row.scheme) if row else ("authorization", "Bearer")
        headers[name] = f"{scheme} {upstream.secret.value}".lstrip()
    headers.update(row.headers if row else ())
    if upstream.config.bill_to:
        headers["x-hf-bill-to"] = upstream.config.bill_to
    lines = [f"POST {url.target} HTTP/1.1", f"host: {url.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("ascii") + b"\r\ncontent-length: "


def read_base(upstream: UpstreamConfig, router: str) -> Url:
    """Return the address below which an upstream's paths lie; raises InvalidInputError."""
    if upstream.kind == "provider":
        row = PROVIDERS.get(upstream.provider or "")
        if row is None:
            raise InvalidInputError(f"No provider {upstream.provider!r} is known.")
        return parse_url(upstream.base_url or row.base_url)
    base = upstream.base_url or router
    url = parse_url(base)
    if upstream.kind == "huggingface" and not url.target.rstrip("/").endswith("/v1"):
        return below(url, "v1")
    return url

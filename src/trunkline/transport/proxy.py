"""Which proxy a request goes through, and the CONNECT that opens a tunnel. Bytes and values only."""

from __future__ import annotations

import base64
import ipaddress
from urllib.parse import unquote, urlsplit

import msgspec

from trunkline.errors import APIConnectionError, ConfigurationError
from trunkline.wire.http1 import write_request_head
from trunkline.wire.http1_read import ResponseReader
from trunkline.wire.message import HttpRequest, Url

_LARGE = 64 * 1024
"""Bytes of a body that is worth a write of its own."""


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy."""

    host: str
    port: int
    authorization: str | None = None
    """Value of `proxy-authorization`, from user and password in the proxy's URL."""

    @property
    def url(self) -> Url:
        """Where the proxy is."""
        return Url("http", self.host, self.port, "/")

    def __repr__(self) -> str:
        """Hide the credentials."""
        return f"Proxy({self.host}:{self.port})"


class Proxies(msgspec.Struct, frozen=True):
    """The proxies to use by scheme, and the hosts that are reached without one."""

    http: Proxy | None = None
    https: Proxy | None = None
    bypass: tuple[str, ...] = ()
    """Hosts, domain suffixes (`.example.org`), networks (`10.0.0.0/8`), or `*`, as in NO_PROXY."""

    def choose(self, url: Url) -> Proxy | None:
        """Return the proxy for `url`, or None."""
        proxy = self.https if url.scheme == "https" else self.http
        return None if proxy is None or self._bypassed(url) else proxy

    def _bypassed(self, url: Url) -> bool:
        return any(_matches(rule, url) for rule in self.bypass)


def parse_proxy(text: str, origin: str) -> Proxy:
    """Read a proxy's URL; raises ConfigurationError naming `origin`, never the URL itself."""
    parts, port = urlsplit(""), 0
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port or 80
    except ValueError:
        pass  # it is refused below, without a word of what it says
    if parts.scheme != "http" or not parts.hostname or not 0 < port < 65536:
        raise ConfigurationError(
            f"{origin} is not the address of an HTTP proxy: http://host:port is expected "
            "(SOCKS and TLS to the proxy are not supported)."
        )
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Proxy(parts.hostname, port, authorization)


def write_through(request: HttpRequest, proxy: Proxy | None) -> tuple[bytes, ...]:
    """Return `request` as bytes for its server, or for the proxy where that has to read it.

    Plain HTTP goes through a proxy with the whole URL in its first line; through a tunnel the
    proxy sees nothing. A large body is a piece of its own, so that it need not be copied once more.
    Raises InvalidInputError as write_request_head.
    """
    body = request.body
    if proxy is None or request.url.scheme == "https":
        head = write_request_head(request)
    else:
        if proxy.authorization:
            headers = (*request.headers, ("proxy-authorization", proxy.authorization))
            request = msgspec.structs.replace(request, headers=headers)
        head = write_request_head(request, absolute=True)
    return (head, body) if len(body) > _LARGE else (head + body,)


def write_connect(url: Url, proxy: Proxy) -> bytes:
    """Return the request for a tunnel to `url`'s host."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    head = f"CONNECT {host}:{url.port} HTTP/1.1\r\nhost: {host}:{url.port}\r\n"
    if proxy.authorization:
        head += f"proxy-authorization: {proxy.authorization}\r\n"
    return (head + "\r\n").encode("ascii")


def check_tunnel(reader: ResponseReader, proxy: Proxy) -> bool:
    """Tell whether the proxy has opened the tunnel; raises APIConnectionError where it refused."""
    if reader.head is None:
        return False
    status = reader.head.status
    if not 200 <= status < 300:
        raise APIConnectionError(
            f"The proxy {proxy.host}:{proxy.port} refused the tunnel with {status}.",
            hint="Check HTTPS_PROXY, its user and password, and NO_PROXY.",
            should_retry=False if status < 500 else None,
        )
    return True


def _matches(rule: str, url: Url) -> bool:
    rule = rule.strip().lower()
    if rule == "*":
        return True
    if "/" in rule:
        try:
            return ipaddress.ip_address(url.host) in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    host, colon, port = rule.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        if int(port) != url.port:
            return False
        rule = host
    name = rule.strip("[]").lstrip("*").lstrip(".")
    return bool(name) and (url.host == name or url.host.endswith(f".{name}"))

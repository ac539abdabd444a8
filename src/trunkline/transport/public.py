"""Whether an address is a public one: for URLs that a server named, not the caller."""

from __future__ import annotations

import ipaddress
from typing import Any

from trunkline.errors import InvalidResponseError
from trunkline.wire.message import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_GLOBAL = ipaddress.IPv6Network("2000::/3")
"""All that is handed out of IPv6: what lies outside is local, reserved or a disguise."""
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses as a NAT64 gateway writes them (RFC 6052)."""
_RESERVED = ipaddress.IPv4Network("192.0.0.0/24")
_AZURE = ipaddress.IPv4Address("168.63.129.16")
"""Where clouds have services of their own that look public (Oracle's metadata in the first); older
Pythons call most of the first one global."""
_LOCAL_NAMES = (".home.arpa", ".internal", ".lan", ".local", ".localdomain", ".localhost")


def is_public(address: Address) -> bool:
    """Tell whether an address is reachable by everybody: no host's own, no network's own."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL:
            return False
    elif address in _RESERVED or address == _AZURE:
        return False
    return address.is_global and not address.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for."""
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def may_be_public(host: str) -> bool:
    """Tell whether a host may be public; what a name resolves to, `check_peer` looks at.

    A name whose last part is a number is none, but an address in one of the ways that only
    resolvers read (`127.1`, `2130706433`, `0x7f.1`).
    """
    name = host.rstrip(".").lower()
    try:
        return is_public(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        last = name.rpartition(".")[2]
        numeric = last.isdigit() or last.startswith("0x")
        return "." in name and not numeric and not name.endswith(_LOCAL_NAMES)


def check_peer(request: HttpRequest, peer: Any) -> None:
    """Raise InvalidResponseError where `request` wants a public server and `peer` is none.

    `peer` is a socket's address of the other side. Behind a proxy that is the proxy's: names are
    then the proxy's affair.
    """
    if not request.public or not isinstance(peer, tuple):
        return
    address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    if not is_public(address):
        raise InvalidResponseError(
            f"{request.url.authority} has a private address ({address}); nothing is fetched there.",
            hint="Pass download=False to get the file's URL, and decide yourself.",
        )

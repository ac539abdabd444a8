"""Whether an address is a public one: for URLs that a server named, not the caller."""

from __future__ import annotations

import ipaddress
from typing import Any

from trunkline.errors import InvalidResponseError
from trunkline.wire.message import HttpRequest


def check_peer(request: HttpRequest, peer: Any) -> None:
    """Raise InvalidResponseError where `request` wants a public server and `peer` is none.

    `peer` is a socket's address of the other side. Behind a proxy that is the proxy's: names are
    then the proxy's affair.
    """
    if not request.public or not isinstance(peer, tuple):
        return
    address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None) or address
    if not mapped.is_global:
        raise InvalidResponseError(
            f"{request.url.authority} has a private address ({address}); nothing is fetched there.",
            hint="Pass download=False to get the file's URL, and decide yourself.",
        )

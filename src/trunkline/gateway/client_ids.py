"""A client's own id for a request: kept in the log and the ledger beside ours, never in its place. Pure."""

from __future__ import annotations

import re

from trunkline.gateway.refusals import Fault

CLIENT_IDS: dict[bytes, int] = {b"x-client-request-id": 512, b"x-request-id": 128}
"""Headers that hold one, the first of them first, and how many characters each may have."""
_FIT = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def client_id(headers: dict[bytes, bytes]) -> str | Fault | None:
    """Return a client's own id, None where it has none, or what is wrong with it."""
    for name, most in CLIENT_IDS.items():
        value = headers.get(name)
        if value is not None:
            fits = len(value) <= most and _FIT.fullmatch(value)
            return value.decode("ascii") if fits else _unfit(name.decode(), most)
    return None


def _unfit(name: str, most: int) -> Fault:
    return Fault(
        400,
        "invalid_client_request_id",
        f"The header {name} has to be 1 to {most} printable ASCII characters. Shorten it, or leave it "
        "out: every answer has an id of the gateway's in x-request-id.",
    )

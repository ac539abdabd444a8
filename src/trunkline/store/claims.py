"""Requests that name themselves, so that what they ask for is done once: who took which name, and how it ended.

Records and the part of the seam that keeps them. An answer that is kept is a person's text, as it came.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, Protocol

import msgspec

ClaimState = Literal["running", "answered", "large", "unknown"]
"""`running`: not ended, or its process died. `answered`: the answer is kept. `large`: it was more than
is kept. `unknown`: it was broken off, and nobody can tell what came of it."""


class Claim(msgspec.Struct, frozen=True):
    """One request that was the first of its name."""

    id: bytes
    """SHA-256 of whose name it is, and the name."""
    request: bytes
    """SHA-256 of what was asked for."""
    call: str
    """The request id, which is that of the call in the ledger."""
    boot: str
    """The process that took it."""
    state: ClaimState = "running"
    status: int = 0
    """What was answered; with `lines`, which are header lines, and `body`."""
    lines: bytes = b""
    body: bytes = b""


class Claims(Protocol):
    """Keeps claims for a time. Every method raises StoreError."""

    def claim(self, claim: Claim, *, seconds: float) -> Claim | None:
        """Take a name for so long, in one round trip; return the claim that has it already, or None.

        A claim whose time is over, by the store's clock, has nothing any more.
        """
        ...

    def fulfil(self, claim: Claim) -> bool:
        """Write down how a call ended that has its name; tells whether it still had it."""
        ...

    def release(self, claim: Claim) -> None:
        """Give a name back that this call has: nothing was done about it."""
        ...

    def release_unsent(self, boots: Collection[str]) -> int:
        """Give back running claims of dead processes whose calls the ledger does not know.

        Only for processes of which the whole journal is in the store: then nothing was sent for them.
        """
        ...

    def purge_claims(self) -> int:
        """Delete claims whose time is over and return how many there were."""
        ...

"""What every store says to processes that it does not know, or no longer. Pure."""

from __future__ import annotations

from trunkline.store.seam import StoreConflictError, StoreLostError


def given_up(boot: str) -> StoreLostError:
    """Return what a process is told that was given up, or has left."""
    return StoreLostError(
        f"This process ({boot}) was given up by others, or has left: its calls are settled. End it "
        "and start it anew."
    )


def joined_already(boot: str) -> StoreConflictError:
    """Return what a process is told whose name is taken."""
    return StoreConflictError(
        f"A process {boot} serves already, or was given up; begin with a new name."
    )


def cannot_add_up(unknown: set[str], known: tuple[str, ...]) -> str:
    """Say what spend cannot be added up by."""
    return f"Spend cannot be added up by {', '.join(sorted(unknown))}; use {', '.join(known)}."

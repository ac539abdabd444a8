"""A schema as numbered steps: what a step is, and whether those that a database has are ours. Pure.

A step that was released is never edited: every database has its checksum. Add another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from trunkline.store.seam import StoreError, StoreTooNewError


class Migration(msgspec.Struct, frozen=True):
    """One step; its number is its place in the list, from 1."""

    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """SHA-256 of its text."""
        text = "\n;\n".join((self.name, *self.statements))
        return hashlib.sha256(text.encode()).hexdigest()


class Applied(msgspec.Struct, frozen=True):
    """A step that a database has."""

    number: int
    name: str
    checksum: str


def check_applied(known: Sequence[Applied], steps: Sequence[Migration], place: str) -> None:
    """Refuse a schema that is newer than this program's, or another; `place` says whose it is."""
    if len(known) > len(steps):
        raise StoreTooNewError(
            f"The store {place} was changed by a newer Trunkline: its schema has step {len(known)} "
            f"({known[-1].name}), this program knows {len(steps)}. Use the newer program, or a "
            "backup from before."
        )
    for at, (one, step) in enumerate(zip(known, steps, strict=False), 1):
        if (one.number, one.checksum) != (at, step.checksum):
            raise StoreError(
                f"The store {place} was made with another step {one.number} of the schema "
                f"({one.name}) than this program's ({step.name}); use the program that made it."
            )

"""How much of a stream is kept back before any of it is delivered. Pure."""

from __future__ import annotations

from typing import Any

import msgspec


class Hold(msgspec.Struct, frozen=True):
    """So many tokens, so many seconds, or with neither everything until the end."""

    tokens: int | None = None
    seconds: float | None = None


class Holding:
    """What one stream keeps back."""

    def __init__(self, hold: Hold | None, now: float) -> None:
        """Begin at `now`; without a hold nothing is kept back."""
        self._hold = hold
        self._kept: list[Any] | None = None if hold is None else []
        self.until: float | None = None
        """When what is kept goes out in any case."""
        if hold is not None and hold.seconds is not None:
            self.until = now + hold.seconds

    @property
    def holds(self) -> bool:
        """Whether nothing has been delivered yet because it is kept back."""
        return self._kept is not None

    def passed(self, events: list[Any], now: float) -> list[Any]:
        """Return what of all that has come may be delivered."""
        if self._kept is None:
            return events
        self._kept += events
        limit = self._hold.tokens if self._hold is not None else None
        late = self.until is not None and now >= self.until
        if late or (limit is not None and len(self._kept) >= limit):
            return self.release()
        return []

    def release(self) -> list[Any]:
        """Return all that was kept back; nothing is from now on."""
        kept, self._kept, self.until = self._kept or [], None, None
        return kept

    def dropped(self) -> None:
        """Forget what was kept back of an answer that broke off."""
        if self._kept is not None:
            self._kept = []

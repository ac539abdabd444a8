"""Calls that wait until somebody lets them in, in their order, and how fast they get in. Pure: no clock.

Those that wait for the same gates stand in one line. Interactive calls are served newest first: who
has waited longest has most likely given up. Batch calls stand behind them, oldest first, and give way
when a line is full. What a call is, and whether it can be let in, is for the doorkeeper to know.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

import msgspec

from trunkline.store.records import Priority

REMEMBERED = 30.0
"""Seconds of waiting after which what was seen of a line's pace counts for a third."""
_MOST_LINES = 256
"""Lines whose pace is known though nobody stands in them."""

C = TypeVar("C")


class Ticket(msgspec.Struct, Generic[C], eq=False, frozen=True):
    """One call that waits."""

    place: Hashable
    """What it waits for; calls that wait for the same are one line."""
    kind: Priority
    since: float
    until: float
    """When it waits no longer."""
    call: C


class _Line(Generic[C]):
    """Those that wait for the same."""

    __slots__ = ("at", "batch", "interactive", "let_in", "waited")

    def __init__(self) -> None:
        self.interactive: dict[Ticket[C], None] = {}
        self.batch: dict[Ticket[C], None] = {}
        self.at = 0.0
        self.waited = 0.0
        """Seconds in which somebody waited, the older ones counting less, up to `at`."""
        self.let_in = 0.0
        """Calls that were let in meanwhile, counted likewise."""

    def __len__(self) -> int:
        return len(self.interactive) + len(self.batch)

    def go_on(self, now: float) -> None:
        """Let time pass: only that in which somebody waits says how fast calls are let in."""
        if self:
            fading = math.exp(-max(now - self.at, 0.0) / REMEMBERED)
            self.waited = self.waited * fading + REMEMBERED * (1.0 - fading)
            self.let_in *= fading
        self.at = now

    def pace(self) -> float | None:
        """Return the seconds from one call that is let in to the next; None before the first."""
        return self.waited / self.let_in if self.let_in else None

    def first(self) -> Ticket[C]:
        return next(reversed(self.interactive)) if self.interactive else next(iter(self.batch))


class Queue(Generic[C]):
    """Every line of a process."""

    def __init__(self, size: int) -> None:
        """Let `size` calls wait in each line."""
        self.size = size
        self.counts: dict[Priority, int] = {"interactive": 0, "batch": 0}
        """Those that wait."""
        self.total = 0
        self.until = math.inf
        """When to look again for those that have waited long enough: none has before."""
        self._lines: dict[Hashable, _Line[C]] = {}

    def __len__(self) -> int:
        """Return how many calls wait."""
        return self.total

    def __iter__(self) -> Iterator[Ticket[C]]:
        """Yield all that wait."""
        for line in self._lines.values():
            yield from line.interactive
            yield from line.batch

    def waits(self, place: Hashable) -> int:
        """Return how many calls wait in a line."""
        line = self._lines.get(place)
        return 0 if line is None else len(line)

    def join(self, ticket: Ticket[C], now: float) -> Ticket[C] | None:
        """Take a call in. Returns the one that has to go: a batch call behind, or the call itself."""
        line = self._lines.get(ticket.place)
        if line is None:
            line = self._new_line(ticket.place)
        line.go_on(now)
        gone: Ticket[C] | None = None
        if len(line) >= self.size:
            if ticket.kind == "batch" or not line.batch:
                return ticket
            gone = next(reversed(line.batch))
            self._drop(line, gone)
        (line.batch if ticket.kind == "batch" else line.interactive)[ticket] = None
        self.until = min(self.until, ticket.until)
        self.counts[ticket.kind] += 1
        self.total += 1
        return gone

    def leave(self, ticket: Ticket[C], now: float) -> bool:
        """Let go of a call that waits no longer; tells whether it did."""
        line = self._lines.get(ticket.place)
        if line is None or (ticket not in line.interactive and ticket not in line.batch):
            return False
        line.go_on(now)
        self._drop(line, ticket)
        return True

    def let_in(self, ticket: Ticket[C], now: float) -> None:
        """Let go of a call that is let in."""
        line = self._lines[ticket.place]
        line.go_on(now)
        line.let_in += 1.0
        self._drop(line, ticket)

    def heads(self) -> list[Ticket[C]]:
        """Return the first of each line, in the order in which they have a claim to be let in."""
        firsts = [line.first() for line in self._lines.values() if line]
        return sorted(firsts, key=_claim)

    def late(self, now: float) -> list[Ticket[C]]:
        """Let go of those that have waited long enough, and return them."""
        if now < self.until:
            return []
        found = [ticket for ticket in self if ticket.until <= now]
        for ticket in found:
            self.leave(ticket, now)
        self.until = min((ticket.until for ticket in self), default=math.inf)
        return found

    def estimate(self, place: Hashable, kind: Priority, now: float) -> float | None:
        """Return after about how many seconds a call that comes now is let in; None if unknown."""
        line = self._lines.get(place)
        if line is None:
            return None
        line.go_on(now)
        pace = line.pace()
        if pace is None:
            return None
        return pace * (1 + (len(line) if kind == "batch" else 0))

    def drained(self, place: Hashable, kind: Priority, now: float) -> float | None:
        """Return after about how many seconds those have been let in that stand before a newcomer.

        Of interactive calls that is all of them: a call that is turned away comes back as the newest.
        """
        line = self._lines.get(place)
        pace = None if line is None else line.pace()
        if line is None or pace is None:
            return None
        line.go_on(now)
        return pace * max(len(line) if kind == "batch" else len(line.interactive), 1)

    def _drop(self, line: _Line[C], ticket: Ticket[C]) -> None:
        del (line.batch if ticket.kind == "batch" else line.interactive)[ticket]
        self.counts[ticket.kind] -= 1
        self.total -= 1

    def _new_line(self, place: Hashable) -> _Line[C]:
        if len(self._lines) >= _MOST_LINES:
            self._lines = {at: line for at, line in self._lines.items() if line}
        line = self._lines[place] = _Line()
        return line


def _claim(ticket: Ticket[C]) -> tuple[bool, float]:
    batch = ticket.kind == "batch"
    return batch, ticket.since if batch else -ticket.since

"""How targets do and how fast they are, told to other processes on the store, and heard from them.

What is measured outlives the process: its words stay in the store until they count for nothing any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from trunkline.routing.health import Bad
from trunkline.routing.measures import HALF_LIFE, Measures
from trunkline.routing.traffic import Traffic
from trunkline.store.records import Told
from trunkline.store.seam import SharedStore

ROUND_SECONDS = 2.0
"""Between two rounds: by how much one process knows later than another that a target fails."""
KEPT_SECONDS = 10 * HALF_LIFE
"""After which nothing of what was said counts."""
_FRESH_SECONDS = 30.0
"""After which nobody's word is taken for how a target does now."""


class _Words(msgspec.Struct, frozen=True):
    """What a process says."""

    bad: list[Bad] = []
    measures: msgspec.Raw = msgspec.Raw(b"null")


class Hearsay:
    """Tells and hears."""

    def __init__(
        self,
        traffic: Traffic,
        store: SharedStore,
        boot: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Say nothing yet."""
        self._traffic = traffic
        self._store = store
        self._boot = boot
        self._clock = clock
        self._wall = wall
        self._own = Measures()
        """What this process measured itself."""
        self._heard = False

    async def round(self) -> None:
        """Tell what is new, and take over what others have told; raises StoreError."""
        words = self._words()
        if self._heard and not self._own.tracks:
            return  # it has no routes, or nobody calls them
        self._heard = True
        heard = await asyncio.to_thread(self._exchange, words)
        self._take(*heard)

    def close(self) -> None:
        """Leave what was measured to those that come; blocking, raises StoreError."""
        words = self._words()
        if self._own.tracks:
            self._store.tell(self._boot, msgspec.json.encode(words), seconds=KEPT_SECONDS)

    def _words(self) -> _Words:
        self._own.add(self._traffic.take_fresh(), self._wall())
        bad = self._traffic.health.told(self._clock())
        return _Words(bad, msgspec.Raw(self._own.to_json()))

    def _exchange(self, words: _Words) -> tuple[list[Bad], list[Measures]]:
        """Talk to the store, on another thread."""
        said = msgspec.json.encode(words)
        told = self._store.tell(self._boot, said, seconds=KEPT_SECONDS)
        return understood(told)

    def _take(self, bad: Sequence[Bad], measured: Sequence[Measures]) -> None:
        now, wall = self._clock(), self._wall()
        together = Measures()
        for measures in (self._own, self._traffic.fresh, *measured):
            together.add(measures, wall)
        self._traffic.measures = together
        self._traffic.health.hear(bad, now)


def understood(told: Sequence[Told]) -> tuple[list[Bad], list[Measures]]:
    """Read what others said; what cannot be read was said by another version, and says nothing."""
    bad: list[Bad] = []
    measured: list[Measures] = []
    for one in told:
        try:
            words = msgspec.json.decode(one.said, type=_Words)
        except (msgspec.MsgspecError, ValueError):
            continue
        measured.append(Measures.from_json(bytes(words.measures)))
        if one.age < _FRESH_SECONDS:
            bad += [_later(row, one.age) for row in words.bad]
    return bad, measured


def _later(row: Bad, seconds: float) -> Bad:
    """Return what was said as it is some seconds later."""
    return msgspec.structs.replace(
        row, shut=max(row.shut - seconds, 0.0), cool=max(row.cool - seconds, 0.0)
    )

"""Marks that a watch keeps in a file: read again when the file has changed, off the calls' way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from trunkline.errors import InvalidResponseError
from trunkline.marked import load_marks
from trunkline.routing.marks import Mark, Place, standing

LOOK = 2.0
"""Seconds between two looks at the file."""
_log = logging.getLogger(__name__)


class Marking:
    """The marks as the file had them at the last look. One that cannot be read leaves those before."""

    def __init__(
        self, path: Callable[[], str | None], clock: Callable[[], float] = time.time
    ) -> None:
        """Read nothing yet. `path` is what is configured now; `clock` tells seconds since 1970."""
        self._path = path
        self._clock = clock
        self._marks: tuple[Mark, ...] = ()
        self._seen: tuple[str, int, int] | None = None
        self._standing: Mapping[Place, str] = {}

    async def look(self) -> None:
        """Read the file if it is another than before, and leave out what has ended since."""
        path = self._path()
        try:
            if path is None:
                self._marks, self._seen = (), None
            else:
                await asyncio.to_thread(self._read, path)
        except (InvalidResponseError, OSError, RuntimeError) as error:
            _log.warning(
                "the marks cannot be read; those before count", extra={"reason": str(error)}
            )
        self._standing = standing(self._marks, self._clock())

    def standing(self, _: float) -> Mapping[Place, str]:
        """Return the places to be routed around, each with its reason."""
        return self._standing

    def _read(self, told: str) -> None:
        path = Path(told).expanduser()
        try:
            found = path.stat()
        except FileNotFoundError:
            self._marks, self._seen = (), None
            return
        seen = (told, found.st_ino, found.st_mtime_ns)  # it is replaced, never written over
        if seen != self._seen:
            self._seen = seen
            before = {mark.place for mark in self._marks}
            self._marks = load_marks(path)
            self._tell(before)

    def _tell(self, before: set[Place]) -> None:
        now = {mark.place: mark.reason for mark in self._marks}
        for place in now.keys() - before:
            _log.warning(
                "a provider is marked, and routed around",
                extra={"provider": place[0], "model": place[1], "reason": now[place]},
            )
        for provider, model in before - now.keys():
            _log.info("a mark is lifted", extra={"provider": provider, "model": model})

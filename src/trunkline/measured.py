"""The file of measures: what programs of this user have seen of providers, kept between runs."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from trunkline.kept_files import alone, beside_catalog, replace_file
from trunkline.routing.measures import Measures
from trunkline.settings import Settings

EVERY = 30.0
"""Seconds between two times that a program keeps what it measured."""


def measures_file(settings: Settings) -> Path | None:
    """Return where measures are kept: beside the catalog, a file for each router.

    None for a user without a home.
    """
    return beside_catalog(settings, "measures")


def load_measures(path: Path | None) -> Measures:
    """Return the measures kept at `path`; none where there is no such file, or no readable one."""
    if path is None:
        return Measures()
    try:
        return Measures.from_json(path.read_bytes())
    except OSError:
        return Measures()


def add_measures(path: Path, fresh: Measures) -> None:
    """Add what was measured to what is kept, one process at a time. Raises OSError."""
    if not fresh.tracks:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(path):
        kept = load_measures(path)
        kept.add(fresh, time.time())
        replace_file(path, kept.to_json())


class Keeper:
    """Keeps what one program measures: now and then, and when it ends."""

    def __init__(self, path: Path | None, take: Callable[[], Measures]) -> None:
        """`take` gives what was measured since it was last asked."""
        self._path = path
        self._take = take
        self._next = time.monotonic() + EVERY
        self._process = os.getpid()
        if path is not None:
            _KEEPERS.add(self)

    def looked(self) -> None:
        """Keep what is there if it is time to, in a thread: the disk is none of a call's business."""
        now = time.monotonic()
        if self._path is None or now < self._next:
            return
        self._next = now + EVERY
        with contextlib.suppress(RuntimeError):  # no thread is left, or the program is about to end
            threading.Thread(target=self.keep, name="trunkline-measures", daemon=True).start()

    def keep(self) -> None:
        """Keep what is there. What cannot be kept is lost: measures are worth no failed program."""
        if (
            self._path is not None and self._process == os.getpid()
        ):  # a child's parent keeps its own
            with contextlib.suppress(OSError):
                add_measures(self._path, self._take())

    def end(self) -> None:
        """Keep what is there, for the last time."""
        _KEEPERS.discard(self)
        self.keep()


_KEEPERS: weakref.WeakSet[Keeper] = weakref.WeakSet()
"""Those of clients that are not closed; one that nobody holds any more keeps what it kept so far."""


@atexit.register
def _keep_all() -> None:
    for keeper in list(_KEEPERS):
        keeper.keep()

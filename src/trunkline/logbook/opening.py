"""Opens the log that a client was made with: where it is, what it keeps, for how long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.log_settings import LogSettings
from trunkline.logbook.notes import Ended, Note
from trunkline.logbook.writer import LogWriter
from trunkline.routing.carry import Journey
from trunkline.store.logged import Logged

if TYPE_CHECKING:
    from trunkline.catalog import Catalog


class Logbook:
    """Begins notes, and has them written."""

    def __init__(self, settings: LogSettings, prices: Callable[[], Catalog]) -> None:
        """Open nothing yet; `prices` has the catalog that needs no network."""
        self._writer: LogWriter[Ended] = LogWriter(
            Path(settings.file or ""), _rows(prices), settings.keep
        )
        self._content = settings.content

    def note(self, journey: Journey[Any]) -> Note:
        """Begin the note of one call."""
        return Note(self._writer, journey, content=self._content)

    def flush(self) -> None:
        """Write what waits, and close the file until more comes."""
        self._writer.flush()


def _rows(prices: Callable[[], Catalog]) -> Callable[[Ended], Logged]:
    """Return what makes rows; all that it needs is loaded by the thread that writes the first."""
    made: list[Callable[[Ended], Logged]] = []

    def make(ended: Ended) -> Logged:
        if not made:
            from trunkline.logbook.rows import Rows

            made.append(Rows(prices))
        return made[0](ended)

    return make

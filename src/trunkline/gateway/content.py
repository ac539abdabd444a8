"""Prompts and answers, kept for a time where the operator asked for it, and never as they came.

Adding costs the event loop next to nothing; a thread of its own reads, redacts, stores and purges.
Knows no sockets and no SQL.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from trunkline.gateway.config import ContentConfig
from trunkline.gateway.readable_text import LONGEST_READ, Readable, answer_text, prompt_text
from trunkline.gateway.redactor import Redactor
from trunkline.store.records import Content
from trunkline.store.seam import StoreError, StoreValueError

MOST_WAITING = 2000
"""Calls that may wait to be read and stored."""
MOST_WAITING_BYTES = 32 << 20
_BATCH = 50
_PURGE_SECONDS = 60.0
_CLOSE_SECONDS = 15.0
_DAY = 86_400.0
_LOG = logging.getLogger(__name__)


class ContentStore(Protocol):
    """The part of a store that is used here."""

    def keep(self, contents: Iterable[Content]) -> None:
        """Keep prompts and answers."""
        ...

    def purge(self, now: float) -> int:
        """Delete what has had its time."""
        ...


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    """A call's bodies as they came."""

    id: str
    prompt: bytes
    answer: bytes
    at: float

    @property
    def size(self) -> int:
        return len(self.prompt) + len(self.answer)


class ContentKeeper:
    """Keeps what it is given, redacted, in the background; counts what it cannot.

    It purges even while nothing is kept: what was kept before still has its time.
    """

    def __init__(
        self, store: ContentStore, config: ContentConfig, clock: Callable[[], float]
    ) -> None:
        """Start the thread. Raises ConfigurationError for a pattern of the operator's that is slow."""
        self._store = store
        self._config = config
        self._clock = clock
        self._redactor = Redactor(config)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._added_bytes = 0
        """Written by the adding thread alone, as is `dropped`; the next two by the other one."""
        self._taken_bytes = 0
        self._purged = float("-inf")
        self.dropped = 0
        """Calls that were not kept, as too many waited."""
        self.lost = 0
        """Calls that were not kept, as the store failed."""
        self._open = True
        self._thread = threading.Thread(target=self._run, name="content", daemon=True)
        self._thread.start()

    def add(self, request_id: str, prompt: bytes, answer: bytes) -> None:
        """Keep a call's request and answer (JSON, or a stream's bytes), if that was asked for."""
        if not self._config.store:
            return
        waiting = _Waiting(request_id, self._short(prompt), self._short(answer), self._clock())
        bytes_waiting = self._added_bytes - self._taken_bytes + waiting.size
        full = bytes_waiting > MOST_WAITING_BYTES or self._queue.qsize() >= MOST_WAITING
        if full or not self._open:
            self.dropped += 1
            return
        self._added_bytes += waiting.size
        self._queue.put(waiting)

    def close(self) -> None:
        """Keep what waits and end the thread; what is added later is dropped. Harmless when closed."""
        if self._open:
            self._open = False
            self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            _LOG.error("content.unfinished", extra={"waiting": self._queue.qsize()})

    def _short(self, body: bytes) -> bytes:
        """Return a body that is too long to be read cut to what may be kept of it, and one more."""
        return body if len(body) <= LONGEST_READ else body[: self._config.max_bytes + 1]

    def _run(self) -> None:
        more = True
        while more:
            self._purge()
            batch, more = self._take()
            self._keep(batch)

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Return what waits, after a while perhaps nothing, and whether there may be more."""
        batch: list[_Waiting] = []
        try:
            found = self._queue.get(timeout=_PURGE_SECONDS)
            while found is not None:
                batch.append(found)
                if len(batch) == _BATCH:
                    return batch, True
                found = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _keep(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        try:
            self._keep_all([self._content(waiting) for waiting in batch])
        except Exception as error:
            # The thread has to live on, whatever one call's text or the store does to it.
            self._failed("content.lost", error, len(batch))
            self.lost += len(batch)
        self._taken_bytes += sum(waiting.size for waiting in batch)

    def _keep_all(self, contents: list[Content]) -> None:
        try:
            self._store.keep(contents)
        except StoreValueError:
            # One text must not cost those beside it: not every store can keep every character.
            self._store.keep([_keepable(content) for content in contents])

    def _content(self, waiting: _Waiting) -> Content:
        return Content(
            id=waiting.id,
            prompt=self._redacted(prompt_text(waiting.prompt), waiting.prompt),
            answer=self._redacted(answer_text(waiting.answer), waiting.answer),
            kept=waiting.at,
            expires=waiting.at + self._config.retention_days * _DAY,
        )

    def _redacted(self, found: Readable, body: bytes) -> str:
        """Return text fit to be kept; a body of the full size was cut by whoever collected it."""
        whole = found.whole or len(body) < self._config.max_bytes
        return self._redactor.redact(found.text, whole=whole)

    def _purge(self) -> None:
        now = self._clock()
        if self._purged <= now < self._purged + _PURGE_SECONDS:
            return
        self._purged = now
        try:
            self._store.purge(now)
        except Exception as error:
            self._failed("content.not_purged", error)  # and tried again in a while

    def _failed(self, event: str, error: Exception, calls: int | None = None) -> None:
        """Log a failure; the text of any but the store's may have been a client's."""
        told = str(error) if isinstance(error, StoreError) else type(error).__name__
        _LOG.error(event, extra={"error": told, "calls": calls})


def _keepable(content: Content) -> Content:
    """Return a content of which every store can keep every character."""
    kept = {
        name: getattr(content, name)
        .encode("utf-8", "replace")
        .decode()
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
        for name in ("prompt", "answer")
    }
    return msgspec.structs.replace(content, **kept)

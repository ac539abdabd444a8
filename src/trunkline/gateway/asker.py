"""The clock, timers and threads that leases are asked for with: the event loop's, or a test's own.

The store's own calls block; an `Asker` makes one of them at a time, and tells its end on the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from trunkline.store.seam import StoreError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
_log = logging.getLogger(__name__)


class Asker(Generic[Asked, Answer]):
    """Asks on a thread of its own, one thing after the other."""

    def __init__(self, name: str, ask: Callable[[Asked], Answer]) -> None:
        """Start nothing yet; `ask` blocks, and raises StoreError."""
        self.busy = False
        self._name = name
        self._ask = ask
        self._queue: SimpleQueue[tuple[Asked, Callable[[Answer | StoreError], None]] | None] = (
            SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def ask(self, asked: Asked, told: Callable[[Answer | StoreError], None]) -> None:
        """Ask; `told` gets the answer, or the error, on the loop's thread. Only when not busy."""
        self.busy = True
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put((asked, told))

    def close(self) -> None:
        """End the thread when it has the answer that it waits for."""
        self._queue.put(None)

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            if job is None:
                return
            asked, told = job
            answer: Answer | StoreError
            try:
                answer = self._ask(asked)
            except StoreError as error:
                answer = error
            except Exception as error:  # the thread has to live, and tell
                _log.exception("leases cannot be asked for")
                answer = StoreError(f"Leases cannot be asked for: {type(error).__name__}: {error}")
            loop = self._loop
            if loop is None or loop.is_closed():
                return
            try:
                loop.call_soon_threadsafe(self._done, told, answer)
            except RuntimeError:
                return  # the loop was closed just now

    def _done(
        self, told: Callable[[Answer | StoreError], None], answer: Answer | StoreError
    ) -> None:
        self.busy = False
        told(answer)


class Timer(Protocol):
    """Something that is done later."""

    def cancel(self) -> None:
        """Do not do it."""
        ...


class Times:
    """Time as the event loop has it."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """Ask `wall` for the time by the calendar."""
        self._wall = wall

    def now(self) -> float:
        """Return the monotonic time."""
        return time.monotonic()

    def wall(self) -> float:
        """Return the seconds since 1970."""
        return self._wall()

    def later(self, seconds: float, do: Callable[..., Any], *given: Any) -> Timer:
        """Do something in so many seconds."""
        return asyncio.get_running_loop().call_later(seconds, do, *given)

    def asker(self, name: str, ask: Callable[[Asked], Answer]) -> Asker[Asked, Answer]:
        """Return what asks on a thread of its own."""
        return Asker(name, ask)

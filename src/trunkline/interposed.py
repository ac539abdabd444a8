"""What stands between clients and the wire: nothing, save while a test records or replays.

It holds for the whole process: threads and event loops that were there before are meant too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from trunkline.routing.carry import Flow
from trunkline.transport.seam import AsyncTransport, Transport
from trunkline.types import Secret

T = TypeVar("T")


class Interposer(Protocol):
    """What sees every request of every client, and may answer it itself."""

    def blocking(self, transport: Transport) -> Transport:
        """Return what is asked in place of `transport`."""
        ...

    def awaiting(self, transport: AsyncTransport) -> AsyncTransport:
        """Return what is asked in place of `transport`."""
        ...

    def flow(self, flow: Flow[T]) -> Flow[T]:
        """Return what is driven in place of `flow`."""
        ...

    def apart(self, owner: object, make: Callable[[], T]) -> T:
        """Return what `owner` remembers while this is here, apart from what it knew before."""
        ...

    @property
    def token(self) -> Secret | None:
        """What stands in for a token where none is found."""
        ...


_lock = threading.Lock()
_present: tuple[Interposer, ...] = ()


def present() -> Interposer | None:
    """Return the innermost one that is here."""
    return _present[-1] if _present else None


@contextmanager
def interposed(interposer: Interposer) -> Generator[None]:
    """Have `interposer` stand there, in front of those that do already."""
    global _present  # noqa: PLW0603 - it holds for the process, as the default clients do
    with _lock:
        _present = (*_present, interposer)
    try:
        yield
    finally:
        with _lock:
            _present = tuple(other for other in _present if other is not interposer)


def seen(transport: Transport) -> Transport:
    """Return what a blocking client asks in place of `transport`."""
    return _present[-1].blocking(transport) if _present else transport


def seen_async(transport: AsyncTransport) -> AsyncTransport:
    """Return what an awaiting client asks in place of `transport`."""
    return _present[-1].awaiting(transport) if _present else transport


def driven(flow: Flow[T]) -> Flow[T]:
    """Return what is driven in place of `flow`."""
    return _present[-1].flow(flow) if _present else flow

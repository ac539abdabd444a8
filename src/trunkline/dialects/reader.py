"""What reads a streamed answer: bytes in, events out, and at the end how it ended."""

from __future__ import annotations

from typing import Protocol, TypeVar

from trunkline.errors import APIError

EventT = TypeVar("EventT")


class Reader(Protocol[EventT]):
    """One stream's reader. What it makes of the whole is for its own kind to say.

    A failure does not raise before the events in front of it have been handed out: it waits in
    `failure`. It is set, too, when the input ends before the answer did.
    """

    failure: APIError | None
    done: bool
    """Nothing more will come: the end, or a failure, has been seen."""
    said_done: bool
    """Whether the end was marked, so that the server needs only a moment to end its response."""

    def feed(self, data: bytes) -> list[EventT]:
        """Return the events that `data` completes."""
        ...

    def finish(self, cut: APIError | None = None) -> list[EventT]:
        """Take the end of the input; `cut` is the error that ended it, if one did."""
        ...

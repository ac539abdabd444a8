"""Streams of JSON events in general: what each kind of answer reads out of them is its subclass's.

Pure: bytes in, events out. `ChunkReader` does the same for chats, which are many and in a hurry.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from trunkline.dialects import failures
from trunkline.errors import APIError, InvalidResponseError, StreamTruncated
from trunkline.wire import strict_json
from trunkline.wire.sse import Event, EventReader, EventTooLargeError

EventT = TypeVar("EventT")
WholeT = TypeVar("WholeT")

DONE = b"[DONE]"
MAX_EVENT_BYTES = 64 << 20
"""An event may hold a whole answer, images within it."""
_PARTIAL = "What arrived is in .text and .partial; it is not the whole answer."


class JsonEventReader(Generic[EventT, WholeT]):
    """Reads one stream of objects; a subclass says what they mean.

    Events that only announce an answer are held back until there is something of it, so that a
    call which fails before that can be made again.
    """

    def __init__(self) -> None:
        """Start a stream."""
        self._events = EventReader(MAX_EVENT_BYTES)
        self._held: list[EventT] = []
        self.failure: APIError | None = None
        self.done = False
        self.said_done = False
        self.begun = False
        """Whether anything has been handed out."""

    def whole(self) -> WholeT:
        """Return the whole so far."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether the answer has ended, as far as its events say."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The answer's text so far."""
        raise NotImplementedError

    @property
    def usage(self) -> Any:
        """Token counts, once they have come."""
        raise NotImplementedError

    def _read(self, body: dict[str, Any], events: list[EventT]) -> None:
        """Take one decoded object; raises InvalidResponseError where it cannot be read."""
        raise NotImplementedError

    def feed(self, data: bytes) -> list[EventT]:
        """Return the events that `data` completes."""
        events: list[EventT] = []
        too_large: EventTooLargeError | None = None
        try:
            found = self._events.feed(data)
        except EventTooLargeError as error:
            found, too_large = error.before, error
        for event in found:
            if self.done:
                break
            self._event(event, events)
        if too_large is not None and not self.done:
            self._break(InvalidResponseError(f"The stream cannot be read: {too_large}."))
        return events

    def finish(self, cut: APIError | None = None) -> list[EventT]:
        """Take the end of the input; `cut` is the error that ended it, if one did."""
        events: list[EventT] = []
        if self.done:
            return events
        if cut is None:
            for event in self._events.finish():
                if event.data.strip() == DONE or _is_json(event.data):
                    self._event(event, events)
        if not self.done:
            self._end(cut)
        return events

    def _event(self, event: Event, events: list[EventT]) -> None:
        data = event.data.strip()
        if data == DONE:
            self.said_done = True
            self._end(None)
        elif event.name == "error":
            self._fail(failures.error_for(failures.failure_in_stream(data)))
        elif data:
            try:
                body = self._decoded(data)
                failure = _failure(body, data)
                if failure is None:
                    self._read(body, events)
                else:
                    self._fail(failure)
            except InvalidResponseError as error:
                self._break(error)

    def _decoded(self, data: bytes) -> dict[str, Any]:
        try:
            body = strict_json.decode_sent(data)
        except strict_json.JsonError as error:
            raise InvalidResponseError(
                f"An event of the stream is not JSON: {error}.", body=_shown(data)
            ) from error
        if not isinstance(body, dict):
            raise InvalidResponseError("An event of the stream is no object.", body=_shown(data))
        return body

    def _give(self, event: EventT, events: list[EventT]) -> None:
        """Hand out an event, after those that were held back."""
        self.begun = True
        if self._held:
            events += self._held
            self._held = []
        events.append(event)

    def _give_later(self, event: EventT, events: list[EventT]) -> None:
        """Hand out an event that announces the answer with the first that is one."""
        if self.begun:
            events.append(event)
        else:
            self._held.append(event)

    def _finish_well(self) -> None:
        """Note that the answer has said its end."""
        self.done = self.said_done = True

    def _end(self, cut: APIError | None) -> None:
        self.done = True
        if self.finished:
            return
        self.failure = self._truncated(cut)

    def _truncated(self, cut: APIError | None) -> StreamTruncated:
        how = (
            f"The stream broke off: {cut.message}"
            if cut
            else "The stream ended without saying that the answer is whole."
        )
        error = StreamTruncated(
            how,
            text=self.text,
            usage=self.usage,
            partial=self.whole(),
            hint=_PARTIAL if self.begun else None,
        )
        error.received = self.begun
        error.__cause__ = cut
        return error

    def _break(self, error: InvalidResponseError) -> None:
        """Stop at something unreadable; what came before it must not be lost."""
        if self.begun:
            self._end(error)
        else:
            self._fail(error)

    def _fail(self, error: APIError) -> None:
        self.done = True
        self.failure = error


def _failure(body: dict[str, Any], data: bytes) -> APIError | None:
    if body.get("type") == "error":
        return failures.error_for(failures.failure_in_stream(data))
    failure = None if isinstance(body.get("type"), str) else failures.failure_in_body(body)
    return failures.error_for(failure) if failure else None


def _shown(data: bytes) -> str:
    return data[:2000].decode("utf-8", "replace")


def _is_json(data: bytes) -> bool:
    try:
        strict_json.decode(data)
    except strict_json.JsonError:
        return False
    return True

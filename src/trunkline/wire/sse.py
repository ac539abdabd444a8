"""Server-sent events, as the WHATWG describes them: bytes in, events out, and back.

Lines end with CR, LF or CRLF and with nothing else; text is decoded per whole event, so that a
character split between reads is never harmed.
"""

from __future__ import annotations

import re

import msgspec

MAX_EVENT_BYTES = 1 << 20
"""An event larger than this is refused: memory stays bounded whatever a server sends."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event: its data as bytes (UTF-8, lines joined by LF) and its name, empty if none."""

    data: bytes
    name: str = ""


class EventTooLargeError(ValueError):
    """One event passed the limit; `before` are those of the same read that came in front of it."""

    def __init__(self, limit: int, before: list[Event]) -> None:
        """Keep the events that were whole."""
        super().__init__(f"a server-sent event is larger than {limit} bytes")
        self.before = before


class EventReader:
    """Turns the bytes of a stream into events. Feeding may split the bytes anywhere."""

    __slots__ = (
        "_after_cr",
        "_data",
        "_limit",
        "_long",
        "_name",
        "_rest",
        "_size",
        "_started",
        "_waiting",
        "comments",
    )

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        """Start at the beginning of a stream; `limit` is an event's size in bytes."""
        self._rest = b""
        self._long: list[bytes] = []
        """What has come of a line since `_rest`: joined once, since a line may be megabytes."""
        self._waiting = 0
        """The size of `_long`."""
        self._after_cr = False
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0
        self._limit = limit
        self._started = False
        self.comments = 0
        """How many comment lines (keep-alives) have passed."""

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes; raises EventTooLargeError."""
        if not self._started:
            data = self._rest + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest = data
                return []
            self._rest = b""
            self._started = True
            data = data.removeprefix(_BOM)
        if self._after_cr and data:  # the line has ended; only now is it known to be by CRLF
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if self._rest:
            if b"\n" not in data and b"\r" not in data:
                return self._wait(data)
            self._join()
        if b"\r" not in data and not self._data and not self._name:
            return self._feed_plain(data)
        return self._feed_lines(data)

    def finish(self) -> list[Event]:
        """Return the event whose last line was complete but whose blank line never came.

        A browser drops such an event; providers end streams with a bare `data: [DONE]`, and
        whether a whole line is worth anything is for the reader of its JSON to say.
        """
        events: list[Event] = []
        self._join()
        rest, self._rest = self._rest, b""
        if rest:
            self._line(rest, events)
        self._line(b"", events)
        return events

    def _wait(self, data: bytes) -> list[Event]:
        """Put by more of a line that has not ended."""
        self._long.append(data)
        self._waiting += len(data)
        self._check(len(self._rest) + self._waiting, [])
        return []

    def _join(self) -> None:
        if self._long:
            self._rest = b"".join([self._rest, *self._long])
            self._long, self._waiting = [], 0

    def _feed_plain(self, data: bytes) -> list[Event]:
        """Read events of the one shape nearly all are: a single `data:` line, ended by LF LF."""
        if self._rest:
            data = self._rest + data
        blocks = data.split(b"\n\n")
        tail = blocks.pop()
        events: list[Event] = []
        for index, block in enumerate(blocks):
            if block[:6] == b"data: " and b"\n" not in block and len(block) <= self._limit:
                events.append(Event(block[6:]))
            else:
                self._rest = b""
                return self._feed_lines(b"\n\n".join([*blocks[index:], tail]), events)
        if b"\n" in tail or len(tail) > self._limit:
            self._rest = b""
            return self._feed_lines(tail, events)
        self._rest = tail
        return events

    def _feed_lines(self, data: bytes, events: list[Event] | None = None) -> list[Event]:
        data = self._rest + data
        self._rest = b""
        events = [] if events is None else events
        start = 0
        for end in _LINE_END.finditer(data):
            self._line(data[start : end.start()], events)
            start = end.end()
        self._rest = data[start:]
        self._after_cr = data.endswith(b"\r")
        self._check(len(self._rest), events)
        return events

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                events.append(Event(b"\n".join(self._data), self._name))
            self._data, self._name, self._size = [], "", 0
            return
        field, _, value = line.partition(b":")
        if not field:
            self.comments += 1
            return
        value = value.removeprefix(b" ")
        if field == b"data":
            self._check(len(value), events)
            self._size += len(value) + 1
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")

    def _check(self, more: int, events: list[Event]) -> None:
        if self._size + more > self._limit:
            raise EventTooLargeError(self._limit, events)


def write_event(data: bytes, name: str = "") -> bytes:
    """Return one event as bytes; `data` may have several lines."""
    head = f"event: {name}\n".encode() if name else b""
    lines = b"".join(b"data: " + line + b"\n" for line in _LINE_END.split(data))
    return head + lines + b"\n"

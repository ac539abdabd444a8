"""What a streamed answer says of itself, read while its bytes go through: usage, the end, errors. Pure.

Only what matters is decoded (msgspec, typed); nothing is written anew. Events go on whole, so that an
error can follow a stream that was cut in the middle of one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects import failures
from trunkline.dialects.openai_read import DeltaReader
from trunkline.errors import InvalidResponseError
from trunkline.gateway.mending import Mender
from trunkline.gateway.tap_frames import NOTHING, NULL_SIZE, ChunkFrame, decode_chunk, index_of
from trunkline.gateway.tokens import Tokens, read_usage
from trunkline.types import ChunkChoice
from trunkline.wire import strict_json
from trunkline.wire.sse import Event, EventReader, EventTooLargeError, write_event

MOST_EVENT = 1 << 20
"""Bytes that one event may have."""
DONE = b"[DONE]"
_BYTES_PER_TOKEN = 4
"""As receipts estimate where nobody counted."""
_LONG = 64 * 1024
"""Bytes of an event from which it is gathered by a reader that need not join it at each read."""
_MOST_CHOICES = 1024
"""Choices that one answer may have."""
_NO_INDEX: Any = object()


class StreamTap:
    """Follows a streamed answer. Feed it the bytes; it gives back those that may go on."""

    __slots__ = (
        "_ended",
        "_hide_usage",
        "_index",
        "_mended",
        "_mender",
        "_open",
        "_plain",
        "_reader",
        "_rest",
        "done",
        "events",
        "failure",
        "finished",
        "said_bytes",
        "tokens",
        "unreadable",
    )

    most_event = MOST_EVENT

    def __init__(self, *, hide_usage: bool = False) -> None:
        """Start a stream; `hide_usage` keeps back the frame with usage that only we asked for."""
        self._hide_usage = hide_usage
        self._rest = b""
        self._plain = False
        """Whether lines end with LF alone, as far as has been seen."""
        self._reader: EventReader | None = None
        """Reads the rest of a stream that is not plain."""
        self._index = _NO_INDEX
        """The last event's choice, as the event told it."""
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._mended = b""
        """What goes on in place of the last event's data."""
        self._mender = Mender()
        self.tokens = Tokens()
        self.done = False
        """Whether the end was marked."""
        self.finished = False
        """Whether every choice that began gave its reason for ending."""
        self.failure: bytes | None = None
        """The data of an event that is an error, or that cannot be read; nothing follows it."""
        self.unreadable = False
        """Whether that event cannot be read: the answer broke off, then, and nobody said why."""
        self.events = 0
        """Events that said something."""
        self.said_bytes = 0
        """Size of the text in them."""

    @property
    def whole(self) -> bool:
        """Whether the answer ended as answers end: with a reason, which the mark alone is not."""
        return self.failure is None and self.finished

    @property
    def estimated_output(self) -> int:
        """About how many tokens were delivered, by their text."""
        return -(-self.said_bytes // _BYTES_PER_TOKEN)

    def feed(self, data: bytes) -> bytes:
        """Return the whole events of what has come; the mark of the end is kept back."""
        if self.failure is not None or self.done:
            return b""
        if (
            self._plain
            and not self._rest
            and data[:7] == b"data: {"
            and data.find(b"\n") == len(data) - 2
            and data[-1:] == b"\n"
            and b"\r" not in data
        ):
            # one whole event, as nearly every read brings it: no need to take it apart
            return data if self._event(data[6:-2], "") else self._instead()
        if not self._plain:
            return self._feed_odd(data) if self._reader is not None else self._feed_first(data)
        if self._rest:
            data = self._rest + data
        if b"\r" in data or len(data) > self.most_event:
            return self._feed_other(data)
        end = data.rfind(b"\n\n")
        if end < 0:
            return self._keep(data)
        rest = data[end + 2 :]
        self._rest = b""
        if data.find(b"\n\n") == end and not rest:
            return self._block(data[:end])
        out = b"".join([self._block(block) for block in data[:end].split(b"\n\n")])
        return out + self._keep(rest) if rest else out

    def finish(self) -> bytes:
        """Take the end of the input; returns a last event whose blank line never came."""
        rest, self._rest = self._rest, b""
        if self.failure is not None or self.done:
            return b""
        if self._reader is not None:
            out = self._written(self._reader.finish())
        else:
            rest = rest.rstrip(b"\n")
            out = self._block(rest) if rest else b""
        self._forgive()
        return out

    def _forgive(self) -> None:
        """Take back a failure that is an event cut in its middle."""
        failure = self.failure
        if failure is not None and (self.unreadable or not _is_json(failure)):
            self.failure, self.unreadable = None, False

    def _keep(self, rest: bytes) -> bytes:
        """Keep what has come of an event."""
        if self.failure is None and not self.done:
            if len(rest) > _LONG:
                return self._feed_other(rest)
            self._rest = rest
        return b""

    def _block(self, block: bytes) -> bytes:
        """Look at one event's lines, and return what of them goes on to the client."""
        if self.failure is not None or self.done:
            return b""
        if block[:6] == b"data: " and b"\n" not in block:
            return block + b"\n\n" if self._event(block[6:], "") else self._instead()
        events = _reader_within(self.most_event).feed(block + b"\n\n")
        if events:  # without the ids and times to wait that no client of this API asks for
            return self._written(events)
        only_comments = all(line[:1] in (b":", b"") for line in block.split(b"\n"))
        return block + b"\n\n" if only_comments else b""

    def _feed_first(self, data: bytes) -> bytes:
        """Begin: only here may a mark of the byte order stand."""
        if not data:
            return b""
        if data[:1] == b"\xef":
            self._reader = EventReader(self.most_event)
            return self._feed_odd(data)
        self._plain = True
        return self.feed(data)

    def _feed_other(self, data: bytes) -> bytes:
        """Go on with a stream that turns out not to be plain, or to have long events."""
        self._plain = False
        self._rest = b""
        self._reader = _reader_within(self.most_event)
        return self._feed_odd(data)

    def _feed_odd(self, data: bytes) -> bytes:
        """Read a stream whose lines end in another way; its events are written anew."""
        if self._reader is None:
            return b""
        try:
            return self._written(self._reader.feed(data))
        except EventTooLargeError as error:
            sent = self._written(error.before)
            if self.failure is None and not self.done:
                self._break(b"an event is larger than %d bytes" % self.most_event)
            return sent

    def _instead(self) -> bytes:
        """Return what goes on in place of an event that does not."""
        mended, self._mended = self._mended, b""
        return write_event(mended) if mended else b""

    def _written(self, events: list[Event]) -> bytes:
        written: list[bytes] = []
        for event in events:
            if self._event(event.data, event.name):
                written.append(write_event(event.data, event.name))
            elif self._mended:
                written.append(write_event(self._mended, event.name))
                self._mended = b""
        return b"".join(written)

    def _event(self, data: bytes, name: str) -> bool:
        if self.failure is not None or self.done:
            return False
        if data[:1] != b"{" or name == "error":
            return self._rare(data, name)
        try:
            chunk = decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._odd(data)
        if chunk.error is not None:
            return self._odd(data)
        return self._look(chunk, data)

    def _look(self, chunk: ChunkFrame, data: bytes) -> bool:
        usage, choices = chunk.usage, chunk.choices
        if usage is None and choices is not None and len(choices) == 1:
            choice = choices[0]
            delta = choice.delta
            if delta is not None and not choice.finish_reason and choice.index == self._index:
                text = delta.content or delta.reasoning_content or delta.reasoning
                if text and len(delta.tool_calls) <= NULL_SIZE:  # a piece of text: nearly all are
                    self.events += 1
                    self.said_bytes += len(text) if text.isascii() else _size(text)
                    return True
        if choices is None:
            return self._odd(data)
        if usage is not None or chunk.x_groq is not None:
            aside = chunk.x_groq or {}
            self._count(read_usage(aside.get("usage")) if usage is None else usage.tokens())
        if not choices:
            return usage is None or not self._hide_usage
        well = True
        for position, choice in enumerate(choices):
            delta = choice.delta or NOTHING
            thought = delta.reasoning or delta.reasoning_content or delta.reasoning_text
            calls = len(delta.tool_calls)
            said = _size(choice.text or delta.content) + _size(thought) + _size(delta.refusal)
            if calls > NULL_SIZE:
                said += calls // 2
                well = self._reads_well(choice.index, position, delta.tool_calls, data) and well
            elif choice.delta is None and choice.text is None:
                well = False
            self._choice(choice.index, position, said, choice.finish_reason)
        self._index = choices[-1].index
        return self.failure is None and (well or self._mend(data))

    def _reads_well(self, told: Any, position: int, calls: msgspec.Raw, data: bytes) -> bool:
        """Tell whether fragments of tool calls may go on as they came."""
        try:
            return self._mender.reads_well(index_of(told, position), position, calls)
        except InvalidResponseError:
            self._break(data)
            return False

    def _mend(self, data: bytes) -> bool:
        """Put a chunk into the form that clients read; tells whether it was in it."""
        mended = self._mender.chunk(data)
        if mended == data:
            return self._readable(data)
        self._mended = mended
        return False

    def _mend_odd(self, data: bytes, body: dict[str, Any]) -> bool:
        """Do the same for a chunk of which nothing has been looked at, given decoded, too."""
        try:
            self._mender.look(body)
        except InvalidResponseError:
            self._break(data)
            return False
        return self._mend(data)

    def _choice(self, told: Any, position: int, said: int, finish: str | None) -> None:
        """Take note of what one choice of an event says."""
        index = index_of(told, position)
        if finish:
            self._ended.add(index)
            self._open.discard(index)
        elif index not in self._ended:
            self._open.add(index)
        self.finished = bool(self._ended) and not self._open
        if said:
            self.events += 1
            self.said_bytes += said
        if len(self._open) + len(self._ended) > _MOST_CHOICES:
            self._break(b"more than %d choices" % _MOST_CHOICES)

    def _count(self, tokens: Tokens) -> None:
        if tokens.told:
            self.tokens = tokens

    def _rare(self, data: bytes, name: str) -> bool:
        text = data.strip()
        if text == DONE:
            self.done = True
        elif name == "error":
            self._fail(data)
        elif text[:1] == b"{":
            return self._event(text, "")
        elif text:
            self._break(data)
        return False

    def _odd(self, data: bytes) -> bool:
        """Look at a chunk of which some field is of an unusual kind, or whose text is damaged."""
        try:
            body = strict_json.decode_sent(data)
        except strict_json.JsonError:
            self._break(data)
            return False
        if failures.failure_in_body(body) is not None:
            self._fail(data)
            return False
        usage, aside = body.get("usage"), body.get("x_groq")
        if usage is None and isinstance(aside, dict):
            self._count(read_usage(aside.get("usage")))
        else:
            self._count(read_usage(usage))
        try:
            calls = _without_calls(body.get("choices"))
            chunk = DeltaReader().read(body)
        except InvalidResponseError:
            self._break(data)
            return False
        for position, choice in enumerate(chunk.choices if chunk else ()):
            said = _said(choice) + (0 if position else calls // 2)
            self._choice(choice.index, position, said, choice.finish_reason)
        self._index = _NO_INDEX
        if self.failure is not None:
            return False
        if usage is not None and self._hide_usage and not (chunk and chunk.choices):
            return False
        return self._mend_odd(data, strict_json.decode_sent(data))

    def _readable(self, data: bytes) -> bool:
        """Put marks for bytes that are no text, where clients would fail on them."""
        try:
            data.decode()
        except UnicodeDecodeError:
            self._mended = data.decode("utf-8", "replace").encode()
            return False
        return True

    def _break(self, data: bytes) -> None:
        self._fail(data)
        self.unreadable = True

    def _fail(self, data: bytes) -> None:
        self.failure = data
        self._rest = b""


def _size(text: str | None) -> int:
    if not text:
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _reader_within(limit: int) -> EventReader:
    """Return a reader for what is not a stream's beginning."""
    reader = EventReader(limit)
    reader.feed(b"\n")
    return reader


def _without_calls(choices: Any) -> int:
    """Take calls of tools out of a chunk, which need what came before to be read; return their size."""
    size = 0
    for choice in choices if isinstance(choices, list) else ():
        delta = choice.get("delta") if isinstance(choice, dict) else None
        calls = delta.pop("tool_calls", None) if isinstance(delta, dict) else None
        if calls:
            size += len(str(calls))
    return size


def _said(choice: ChunkChoice) -> int:
    delta, text = choice.delta, choice.extra.get("text")
    said = (text if isinstance(text, str) else None, delta.content, delta.reasoning, delta.refusal)
    return sum(_size(part) for part in said)


def _is_json(data: bytes) -> bool:
    try:
        strict_json.decode_sent(data)
    except strict_json.JsonError:
        return False
    return True

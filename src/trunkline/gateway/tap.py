"""What a relayed answer says of itself, read while its bytes go through: usage, the end, errors. Pure.

Only what matters is decoded (msgspec, typed); nothing is written anew. Events go on whole, so that an
error can follow a stream that was cut in the middle of one.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from trunkline.wire import strict_json
from trunkline.wire.sse import EventReader, EventTooLargeError, write_event

MOST_EVENT = 1 << 20
"""Bytes that one event may have."""
DONE = b"[DONE]"
_BYTES_PER_TOKEN = 4
"""As receipts estimate where nobody counted."""
_MOST_TOKENS = 1 << 40
"""A count above this is no count."""


_NO_RAW = msgspec.Raw()
_NULL_SIZE = 4
"""Bytes of `null`; a raw value that is no longer says nothing."""


class Tokens(msgspec.Struct, gc=False):
    """Token counts as the upstream told them; what is no count is None."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None

    @property
    def told(self) -> bool:
        """Whether anything was counted."""
        return self.input is not None or self.output is not None


_Count = Annotated[int, msgspec.Meta(ge=0, lt=_MOST_TOKENS)]


class _Details(msgspec.Struct, gc=False):
    cached_tokens: _Count | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _Details | None = None


def _tokens(usage: _Usage) -> Tokens:
    details = usage.prompt_tokens_details
    cached = None if details is None else details.cached_tokens
    return Tokens(usage.prompt_tokens, usage.completion_tokens, cached)


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: msgspec.Raw = _NO_RAW
    refusal: str | None = None


_NOTHING = _Delta()


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    index: int | None = 0


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    x_groq: dict[str, Any] | None = None


class _Whole(msgspec.Struct, gc=False):
    usage: _Usage | None = None
    error: Any = None
    choices: msgspec.Raw = _NO_RAW
    data: msgspec.Raw = _NO_RAW


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_whole = msgspec.json.Decoder(_Whole).decode


def read_whole(data: bytes) -> Tokens | None:
    """Read an answer that was not streamed; None where it is no answer: no JSON, or an error."""
    try:
        whole = _decode_whole(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_loosely(data)
    if whole.error is not None or (len(whole.choices) <= _NULL_SIZE and len(whole.data) < 2):
        return None
    return Tokens() if whole.usage is None else _tokens(whole.usage)


def _read_loosely(data: bytes) -> Tokens | None:
    """Read an answer of which some field is not what it should be, or whose text is damaged."""
    try:
        body = strict_json.decode_sent(data)
    except strict_json.JsonError:
        return None
    if not isinstance(body, dict) or body.get("error"):
        return None
    if body.get("choices") is None and body.get("data") is None:
        return None
    return read_usage(body.get("usage"))


def read_usage(usage: Any) -> Tokens:
    """Read token counts, of chats and of embeddings; what is no count is None."""
    if not isinstance(usage, dict):
        return Tokens()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    told = (usage.get("prompt_tokens"), usage.get("completion_tokens"), cached)
    return Tokens(*[_count(count) for count in told])


def _count(value: Any) -> int | None:
    if type(value) is int and 0 <= value < _MOST_TOKENS:
        return value
    if isinstance(value, float) and value.is_integer():
        return _count(int(value))
    return None


class StreamTap:
    """Follows a streamed answer. Feed it the bytes; it gives back those that may go on."""

    __slots__ = (
        "_ended",
        "_hide_usage",
        "_last",
        "_open",
        "_plain",
        "_reader",
        "_rest",
        "done",
        "events",
        "failure",
        "said_bytes",
        "tokens",
        "unreadable",
    )

    def __init__(self, *, hide_usage: bool = False) -> None:
        """Start a stream; `hide_usage` keeps back the frame with usage that only we asked for."""
        self._hide_usage = hide_usage
        self._rest = b""
        self._plain = True
        self._reader: EventReader | None = None
        self.tokens = Tokens()
        self.done = False
        """Whether the end was marked."""
        self._ended = False
        self._open: set[int | None] = set()
        """Choices that have begun and not ended."""
        self._last: int | None = -1
        """The choice that spoke last."""
        self.failure: bytes | None = None
        """The data of an event that is an error, or that cannot be read; nothing follows it."""
        self.unreadable = False
        """Whether that event cannot be read: the answer broke off, then, and nobody said why."""
        self.events = 0
        """Events that said something."""
        self.said_bytes = 0
        """Size of the text in them."""

    @property
    def finished(self) -> bool:
        """Whether every choice that began gave its reason for ending."""
        return self._ended and not self._open

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
            return data if self._event(data[6:-2], "") else b""
        if not self._plain:
            return self._feed_odd(data)
        if self._rest:
            data = self._rest + data
        if b"\r" in data or data[:1] == b"\xef":
            self._plain = False
            self._rest = b""
            return self._feed_odd(data)
        end = data.rfind(b"\n\n")
        if end < 0:
            self._keep(data)
            return b""
        rest = data[end + 2 :]
        if rest:
            self._keep(rest)
        else:
            self._rest = b""
        if data.find(b"\n\n") == end and not rest:
            return self._block(data[:end])
        return b"".join([self._block(block) for block in data[:end].split(b"\n\n")])

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
        if self.unreadable:  # cut in the middle of an event
            self.failure, self.unreadable = None, False
        return out

    def _keep(self, rest: bytes) -> None:
        self._rest = rest
        if len(rest) > MOST_EVENT:
            self._break(b"an event is larger than %d bytes" % MOST_EVENT)

    def _block(self, block: bytes) -> bytes:
        """Look at one event's lines, and return what of them goes on to the client."""
        if self.failure is not None or self.done:
            return b""
        if block[:6] == b"data: " and b"\n" not in block:
            return block + b"\n\n" if self._event(block[6:], "") else b""
        events = EventReader(MOST_EVENT).feed(block + b"\n\n")
        if events:  # without the ids and times to wait that no client of this API asks for
            return self._written(events)
        only_comments = all(line[:1] in (b":", b"") for line in block.split(b"\n"))
        return block + b"\n\n" if only_comments else b""

    def _feed_odd(self, data: bytes) -> bytes:
        """Read a stream whose lines end in another way; its events are written anew."""
        if self._reader is None:
            self._reader = EventReader(MOST_EVENT)
        try:
            events = self._reader.feed(data)
        except EventTooLargeError as error:
            events = error.before
            self._reader = None
            sent = self._written(events)
            self._break(b"an event is larger than %d bytes" % MOST_EVENT)
            return sent
        return self._written(events)

    def _written(self, events: list[Any]) -> bytes:
        return b"".join(write_event(e.data, e.name) for e in events if self._event(e.data, e.name))

    def _event(self, data: bytes, name: str) -> bool:
        if self.failure is not None or self.done:
            return False
        if data[:1] != b"{" or name == "error":
            return self._rare(data, name)
        try:
            chunk = _decode_chunk(data)
        except msgspec.ValidationError:
            return self._loose(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._damaged(data)
        if chunk.error is not None:
            self._fail(data)
            return False
        return self._look(chunk)

    def _look(self, chunk: _Chunk) -> bool:
        usage, choices = chunk.usage, chunk.choices
        if usage is None and choices is not None and len(choices) == 1:
            choice = choices[0]
            delta = choice.delta
            if delta is not None and not choice.finish_reason:
                text = delta.content or delta.reasoning_content or delta.reasoning
                if text and len(delta.tool_calls) <= _NULL_SIZE:  # a piece of text: nearly all are
                    self.events += 1
                    self.said_bytes += len(text) if text.isascii() else _size(text)
                    if choice.index != self._last:
                        self._speaks(choice.index)
                    return True
        if usage is not None or chunk.x_groq is not None:
            tokens = (
                read_usage((chunk.x_groq or {}).get("usage")) if usage is None else _tokens(usage)
            )
            if tokens.told:
                self.tokens = tokens
        if not choices:
            return usage is None or not self._hide_usage
        for choice in choices:
            self._speaks(choice.index, ends=bool(choice.finish_reason))
            delta = choice.delta or _NOTHING
            text = choice.text or delta.content
            thought = delta.reasoning or delta.reasoning_content
            calls = delta.tool_calls
            if text or thought or len(calls) > _NULL_SIZE:
                self.events += 1
                self.said_bytes += _size(text) + _size(thought) + len(calls) // 2
        return True

    def _speaks(self, index: int | None, *, ends: bool = False) -> None:
        """Note which choice goes on, or ends."""
        self._last = index
        if ends:
            self._ended = True
            self._open.discard(index)
        else:
            self._open.add(index)

    def _rare(self, data: bytes, name: str) -> bool:
        text = data.strip()
        if text == DONE:
            self.done = True
            return False
        if not text:
            return True
        if name == "error":
            self._fail(data)
            return False
        if text[:1] != b"{":
            self._break(data)
            return False
        return self._event(text, "")

    def _loose(self, data: bytes) -> bool:
        """Look at a chunk of which some field is of an unusual kind."""
        body = strict_json.decode_sent(data)
        if body.get("error"):
            self._fail(data)
            return False
        usage, choices = body.get("usage"), body.get("choices")
        tokens = read_usage(usage)
        if tokens.told:
            self.tokens = tokens
        if not isinstance(choices, list):
            return True
        for choice in choices:
            if isinstance(choice, dict):
                index = choice.get("index")
                ends = bool(choice.get("finish_reason"))
                self._speaks(index if type(index) is int else 0, ends=ends)
                self.events += 1
                self.said_bytes += len(str(choice.get("delta") or choice.get("text") or "")) // 2
        return bool(choices) or not self._hide_usage

    def _damaged(self, data: bytes) -> bool:
        try:
            body = strict_json.decode_repaired(data)
        except strict_json.JsonError:
            self._break(data)
            return False
        return self._loose(strict_json.encode(body)) if isinstance(body, dict) else True

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

"""Streams of Anthropic's Messages API, as the one who writes them: a chat's events in, a message's out.

One block is open at a time, as clients expect. A piece of text, which nearly every event is, goes from
one event into the other as the bytes that it came in.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.anthropic_answer import Told, stop_of, usage_of
from trunkline.dialects.anthropic_calls import Calls
from trunkline.dialects.chunk_glance import Delta, Fragment, more_arguments, only_choice
from trunkline.dialects.openai_read import DeltaReader
from trunkline.dialects.think import ThinkSplitter
from trunkline.errors import InvalidResponseError
from trunkline.types import ChunkChoice, Usage
from trunkline.wire import strict_json
from trunkline.wire.sse import EventReader

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{'
_HEADS = {
    "text": _DELTA + b'"type":"text_delta","text":',
    "thinking": _DELTA + b'"type":"thinking_delta","thinking":',
    "tool_use": _DELTA + b'"type":"input_json_delta","partial_json":',
}
_TAIL = b"}}\n\n"
_UNSIGNED = _DELTA + b'"type":"signature_delta","signature":""' + _TAIL
"""Clients send back only what thinking has a signature: it is empty, since nobody signs it here."""
_EMPTY: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
_QUOTES = 2
"""Bytes of a text in JSON that are not of the text."""


_encode = msgspec.json.Encoder().encode


class MessageWriter:
    """Writes one message. Feed it whole events of the chat's stream."""

    __slots__ = (
        "_begun",
        "_calls",
        "_deltas",
        "_finish",
        "_head",
        "_index",
        "_later",
        "_open",
        "_refused",
        "_said",
        "_sequence",
        "_splitter",
        "_told",
        "_usage",
    )

    def __init__(self, told: Told) -> None:
        """Start a message."""
        self._told = told
        self._begun = False
        self._index = -1
        """The last block's."""
        self._open = ""
        """The kind of the block that is open."""
        self._head = b""
        """What a delta of it begins with."""
        self._calls = Calls(told.id)
        self._later: list[tuple[str, str]] = []
        """What was said or thought within a call's arguments."""
        self._deltas = DeltaReader()
        self._splitter = ThinkSplitter()
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._sequence: Any = None
        self._refused = False
        self._said = 0

    def events(self, data: bytes) -> bytes:
        """Write whole events; raises InvalidResponseError for one that cannot be told."""
        if data[:6] == b"data: " and data.find(b"\n") == len(data) - 2:
            return self._chunk(data[6:-2])
        written = []
        for block in data.split(b"\n\n"):
            if block[:6] == b"data: " and b"\n" not in block:
                written.append(self._chunk(block[6:]))
            elif block:
                written.append(self._unusual(block))
        return b"".join(written)

    def end(self) -> bytes:
        """Write what ends the message."""
        thought, text = self._splitter.finish()
        written = [self._begin(), *self._both(thought, text)]
        written += [self._end_calls(), self._close()]
        reason, sequence = stop_of(
            self._finish,
            self._sequence,
            self._told,
            calls=self._calls.any,
            refused=self._refused,
        )
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": usage_of(self._usage, self._told, self._said),
        }
        return b"".join(written) + _event(b"message_delta", delta) + _STOP

    # events of the chat

    def _chunk(self, data: bytes) -> bytes:
        """Write one event; what is more than a piece of the open block is read by `_slow`."""
        choice = only_choice(data)
        if choice is None or choice.delta is None or choice.index:
            return self._slow(data)
        said = self._more(choice.delta)
        if not said:
            return self._slow(data)
        text = _encode(said)
        self._said += len(text) - _QUOTES
        return self._head + text + _TAIL

    def _more(self, delta: Delta) -> str | None:
        """Return what a delta adds to the open block; None where it may be anything else."""
        text, thought = delta.content, delta.reasoning_content or delta.reasoning
        if delta.refusal or delta.reasoning_text:
            return None
        if delta.tool_calls:
            return None if text or thought else self._more_arguments(delta.tool_calls)
        if self._open == "text":
            return None if thought or not self._splitter.answering else text
        if self._open == "thinking":
            return None if text else thought
        return None

    def _more_arguments(self, fragments: list[Fragment]) -> str | None:
        told, calls = more_arguments(fragments), self._calls
        if (
            told is None
            or self._open != "tool_use"
            or calls.waiting
            or self._deltas.continued(0, told[0]) != calls.at
        ):
            return None
        if told[1]:
            calls.add(told[1])
        return told[1]

    def _slow(self, data: bytes) -> bytes:
        try:
            body = strict_json.decode_sent(data)
        except strict_json.JsonError as error:
            raise InvalidResponseError("An event of the stream is not JSON.") from error
        chunk = self._deltas.read(body) if isinstance(body, dict) else None
        if chunk is None:
            return b""
        self._usage = chunk.usage or self._usage
        return b"".join([self._choice(c) for c in chunk.choices if c.index == 0])

    def _unusual(self, block: bytes) -> bytes:
        """Write an event of several lines, or a comment: the server is still there."""
        events = EventReader().feed(block + b"\n\n")
        if events:
            return b"".join([self._chunk(event.data) for event in events])
        return self._begin() + _PING

    def _choice(self, choice: ChunkChoice) -> bytes:
        delta = choice.delta
        written = [self._begin()]
        if delta.reasoning:
            written.append(self._say("thinking", delta.reasoning))
        if delta.content:
            thought, text = self._splitter.feed(delta.content)
            written += self._both(thought, text)
        if delta.refusal:
            self._refused = True
            written.append(self._say("text", delta.refusal))
        if delta.tool_calls and not self._calls.any:
            thought, text = self._splitter.finish()  # what it held back stands in front of them
            written += self._both(thought, text)
        for call in delta.tool_calls or ():
            self._said += len((call.function and call.function.arguments) or "")
            self._calls.take(call)
            written.append(self._go_on())
        if choice.finish_reason:
            self._finish = choice.finish_reason
            self._sequence = choice.extra.get("stop_reason")
        return b"".join(written)

    # events of the message

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        told = self._told
        message: dict[str, Any] = {
            "id": told.id,
            "type": "message",
            "role": "assistant",
            "model": told.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": told.guess, "output_tokens": 0},
        }
        return _event(b"message_start", {"type": "message_start", "message": message}) + _PING

    def _both(self, thought: str, text: str) -> tuple[bytes, bytes]:
        return self._say("thinking", thought), self._say("text", text)

    def _say(self, kind: str, text: str) -> bytes:
        """Write more of what is said or thought; within a call's arguments it waits."""
        if not text:
            return b""
        self._said += len(text)
        if kind == "thinking" and self._told.hide_thinking:
            return b""
        if self._open == "tool_use" and not self._calls.complete:
            self._later.append((kind, text))
            return b""
        opened = b"" if self._open == kind else self._start(_EMPTY[kind])
        return opened + self._piece(text)

    def _go_on(self) -> bytes:
        """Write what has come of calls of tools: one after the other, however they came."""
        calls, written = self._calls, b""
        while True:
            if self._open == "tool_use":
                text = calls.taken()
                written += self._piece(text) if text else b""
                if not calls.waiting or not calls.complete:
                    return written
            else:
                calls.check_over()
            if not calls.next():
                return written
            written += self._start({"type": "tool_use", **calls.begun(), "input": {}})

    def _end_calls(self) -> bytes:
        """Write the calls whose turn never came, and the text that came within one."""
        written = self._go_on()
        while self._calls.next():
            written += self._start({"type": "tool_use", **self._calls.begun(), "input": {}})
            written += self._piece(self._calls.taken())
        if self._calls.waiting:
            raise InvalidResponseError("The model called a tool without naming it.")
        later, self._later = self._later, []
        if later:
            written += self._close() + b"".join([self._say(kind, text) for kind, text in later])
        return written

    def _piece(self, text: str) -> bytes:
        return self._head + strict_json.encode(text) + _TAIL

    def _start(self, block: dict[str, Any]) -> bytes:
        closed = self._close()
        self._index += 1
        self._open = block["type"]
        self._head = _HEADS[self._open] % self._index
        started = {"type": "content_block_start", "index": self._index, "content_block": block}
        return closed + _event(b"content_block_start", started)

    def _close(self) -> bytes:
        kind, self._open = self._open, ""
        if not kind:
            return b""
        signed = _UNSIGNED % self._index if kind == "thinking" else b""
        stopped = {"type": "content_block_stop", "index": self._index}
        return signed + _event(b"content_block_stop", stopped)


def _event(name: bytes, body: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, strict_json.encode(body))

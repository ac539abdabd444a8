"""A chat's stream, told as the events of OpenAI's Responses API. Pure: bytes in, bytes out.

Events that add a piece to a text that is open already, as nearly all do, are written with two
concatenations; whatever else a chat says goes through the reader of chats.
"""

from __future__ import annotations

from typing import Any

from trunkline.dialects.chunk_glance import Fragment, more_arguments, only_choice
from trunkline.dialects.openai_read import DeltaReader
from trunkline.dialects.responses_answer import (
    COMPLETED,
    INCOMPLETE,
    Body,
    Envelope,
    cut_short,
    encode,
    read_logprobs,
    status_of,
    usage_body,
)
from trunkline.dialects.responses_items import FIELDS, OPEN, Called, Spoken, Text
from trunkline.dialects.think import ThinkSplitter
from trunkline.errors import InvalidResponseError
from trunkline.types import ChunkChoice, ToolCallDelta, Usage
from trunkline.wire import strict_json
from trunkline.wire.sse import EventReader


class ResponseStream:
    """Writes one stream."""

    def __init__(self, envelope: Envelope) -> None:
        """Begin before the chat's first event."""
        self._envelope = envelope
        self._events = EventReader()
        self._deltas = DeltaReader()
        self._splitter: ThinkSplitter | None = ThinkSplitter()
        """None once no tag can begin what the model says."""
        self._sequence = 0
        self._items: list[Spoken | Called] = []
        self._open: Spoken | None = None
        """The item that pieces of text are added to."""
        self._text: Text | None = None
        """Its part that they are added to."""
        self._calls: dict[int, Called] = {}
        self._choice: int | None = None
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._more: Body = {}

    def feed(self, data: bytes) -> bytes:
        """Tell what whole events of the chat say; raises InvalidResponseError."""
        if data[:7] == b"data: {" and data.find(b"\n") == len(data) - 2 and self._sequence:
            return self._chunk(data[6:-2])
        begin = self._begin() if not self._sequence else b""
        told = [self._chunk(event.data) for event in self._events.feed(data)]
        return b"".join([begin, *told])

    def end(self) -> bytes:
        """Tell the end of a chat that has ended well."""
        status = status_of(self._finish)
        return b"".join(
            [
                b"" if self._sequence else self._begin(),
                self._held_back(),
                self._close_all(status),
                self._event(f"response.{status}", response=self._response(status)),
            ]
        )

    def fail(self, code: str, message: str, cause: Body) -> bytes:
        """Tell an error: as an event, which clients raise, and as the response's own end.

        `cause` is the error as a chat's body has it; `code` is one that responses may end with.
        """
        begin = b"" if self._sequence else self._begin()
        named = {name: cause.get(name) for name in ("code", "message", "param")}
        error = self._event("error", **named, error=cause)
        for item in self._items:
            if item.status == OPEN:
                item.status = INCOMPLETE
        failed = self._response("failed", error={"code": code, "message": message})
        return begin + error + self._event("response.failed", response=failed)

    # writing

    def _event(self, kind: str, **fields: Any) -> bytes:
        number = self._sequence
        self._sequence = number + 1
        body = encode({"type": kind, **fields, "sequence_number": number})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), body)

    def _begin(self) -> bytes:
        started = self._envelope.response(OPEN, [])
        created = self._event("response.created", response=started)
        return created + self._event("response.in_progress", response=started)

    def _response(self, status: str, error: Body | None = None) -> Body:
        return self._envelope.response(
            status,
            [item.body() for item in self._items],
            error=error,
            incomplete_details=cut_short(self._finish),
            usage=usage_body(self._usage),
            **self._more,
        )

    # reading

    def _chunk(self, data: bytes) -> bytes:
        choice = only_choice(data)
        if choice is None or choice.index != self._choice or choice.has_logprobs:
            return self._unusual(data)
        delta = choice.delta
        if delta is None or delta.refusal is not None:
            return self._unusual(data)
        thought = delta.reasoning or delta.reasoning_content or delta.reasoning_text
        if delta.tool_calls:
            told = None if thought or delta.content else self._more_of_a_call(delta.tool_calls)
            return self._unusual(data) if told is None else told
        text = self._text
        if text is not None:
            if text.kind == "output_text" and self._splitter is None and not thought:
                return self._add(text, delta.content or "")
            if text.kind == "reasoning_text" and not delta.content:
                return self._add(text, thought or "")
        return self._unusual(data)

    def _more_of_a_call(self, fragments: list[Fragment]) -> bytes | None:
        """Tell more of a call that has been told; None where it may be anything else."""
        told = more_arguments(fragments)
        if told is None or self._choice is None:
            return None
        call = self._calls.get(self._deltas.continued(self._choice, told[0]))
        return None if call is None or call.index < 0 else self._argued(call, told[1])

    def _add(self, text: Text, piece: str) -> bytes:
        if not piece:
            return b""
        text.pieces.append(piece)
        number = self._sequence
        self._sequence = number + 1
        return b'%b%b%b,"sequence_number":%d}\n\n' % (
            text.before,
            encode(piece),
            text.behind,
            number,
        )

    def _unusual(self, data: bytes) -> bytes:
        """Tell a chunk that does more than add a piece to what is open."""
        try:
            body = strict_json.decode_sent(data)
        except strict_json.JsonError as error:
            raise InvalidResponseError("An event of the stream is not JSON.") from error
        chunk = self._deltas.read(body) if isinstance(body, dict) else None
        if chunk is None:
            return b""
        if chunk.usage is not None:
            self._usage = chunk.usage
        tier = chunk.extra.get("service_tier")
        if isinstance(tier, str):
            self._more = {"service_tier": tier}
        told: list[bytes] = []
        for choice in chunk.choices:
            if self._choice is None:
                self._choice = choice.index
            if choice.index == self._choice:
                told += self._say(choice)
        return b"".join(told)

    def _say(self, choice: ChunkChoice) -> list[bytes]:
        delta = choice.delta
        content, thought = delta.content or "", delta.reasoning or ""
        if thought:
            self._splitter = None
        if content and self._splitter is not None:
            thought, content = self._splitter.feed(content)
            if content:
                self._splitter = None
        told = [self._tell("reasoning_text", thought)] if thought else []
        if content:
            told.append(self._tell("output_text", content, read_logprobs(choice.logprobs)))
        if delta.refusal:
            told.append(self._held_back() + self._tell("refusal", delta.refusal))
        if delta.tool_calls:
            told.append(self._held_back())
            told += [self._called(call) for call in delta.tool_calls]
        if choice.finish_reason is not None:
            self._finish = choice.finish_reason
        return told

    def _held_back(self) -> bytes:
        """Tell what was held back in case a tag would follow."""
        splitter, self._splitter = self._splitter, None
        if splitter is None:
            return b""
        thought, content = splitter.finish()
        told = self._tell("reasoning_text", thought) if thought else b""
        return told + self._tell("output_text", content) if content else told

    # texts

    def _tell(self, kind: str, piece: str, logprobs: list[Any] | None = None) -> bytes:
        begun = b""
        text = self._text
        if text is None or text.kind != kind:
            begun, text = self._open_text(kind)
        if not logprobs:
            return begun + self._add(text, piece)
        text.pieces.append(piece)
        text.logprobs += logprobs
        fields = {**text.place, "delta": piece, "logprobs": logprobs}
        return begun + self._event("response.output_text.delta", **fields)

    def _open_text(self, kind: str) -> tuple[bytes, Text]:
        """Begin a part, and an item for it where the open one is of another kind."""
        thought = kind == "reasoning_text"
        told = self._close_text()
        item = self._open
        if item is None or item.thought != thought:
            told += self._close_item(COMPLETED)
            index = len(self._items)
            name = "reasoning" if thought else "message"
            item = Spoken(self._envelope.item_id(name, index), index, thought=thought)
            self._open = item
            self._items.append(item)
            told += self._added(item)
        place = {
            "item_id": item.id,
            "output_index": item.index,
            "content_index": len(item.parts),
        }
        text = self._text = Text(kind, place)
        told += self._event("response.content_part.added", **place, part=text.part())
        item.parts.append(text)
        return told, text

    def _close_text(self) -> bytes:
        text, self._text = self._text, None
        if text is None:
            return b""
        more: Body = {"logprobs": text.logprobs} if text.kind == "output_text" else {}
        fields = {**text.place, FIELDS[text.kind]: text.text, **more}
        done = self._event(f"response.{text.kind}.done", **fields)
        return done + self._event("response.content_part.done", **text.place, part=text.part())

    def _close_item(self, status: str) -> bytes:
        item, self._open = self._open, None
        return b"" if item is None else self._item_done(item, status)

    def _added(self, item: Spoken | Called) -> bytes:
        fields = {"output_index": item.index, "item": item.body()}
        return self._event("response.output_item.added", **fields)

    def _item_done(self, item: Spoken | Called, status: str) -> bytes:
        item.status = status
        fields = {"output_index": item.index, "item": item.body()}
        return self._event("response.output_item.done", **fields)

    # calls

    def _called(self, delta: ToolCallDelta) -> bytes:
        call = self._calls.get(delta.index)
        if call is None:
            call = self._calls[delta.index] = Called(f"call_{delta.index}")
        function = delta.function
        if delta.id and call.index < 0:
            call.call = delta.id
        piece = (function.arguments or "") if function else ""
        if call.index >= 0:
            return self._argued(call, piece)
        if piece:
            call.arguments.append(piece)
        call.name = (function.name if function else None) or call.name
        return self._begin_call(call) if call.name else b""

    def _begin_call(self, call: Called) -> bytes:
        """Tell a call, and what of its arguments came before its name."""
        told = self._close_text() + self._close_item(COMPLETED)
        early, call.arguments = "".join(call.arguments), []
        call.index = len(self._items)
        call.begin(self._envelope.item_id("function_call", call.index))
        self._items.append(call)
        return told + self._added(call) + self._argued(call, early)

    def _argued(self, call: Called, piece: str) -> bytes:
        if not piece:
            return b""
        call.arguments.append(piece)
        number = self._sequence
        self._sequence = number + 1
        return b'%b%b,"sequence_number":%d}\n\n' % (call.before, encode(piece), number)

    def _close_all(self, status: str) -> bytes:
        told = self._close_text() + self._close_item(status)
        for call in self._calls.values():
            if call.index < 0:
                told += self._begin_call(call)
        last = len(self._items) - 1
        for call in self._calls.values():
            if not call.arguments:
                told += self._argued(call, "{}")
            place = {"item_id": call.id, "output_index": call.index}
            fields = {**place, "name": call.name, "arguments": "".join(call.arguments)}
            told += self._event("response.function_call_arguments.done", **fields)
            told += self._item_done(call, status if call.index == last else COMPLETED)
        return told

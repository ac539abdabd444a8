"""OpenAI's chat completions, as the one who asks: a Chat out, a Completion or chunks in."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects import failures
from trunkline.dialects.openai_read import DeltaReader, read_completion
from trunkline.dialects.think import ThinkSplitter, split_think
from trunkline.errors import APIError, InvalidResponseError, StreamTruncated
from trunkline.types import Chat, Choice, Chunk, ChunkChoice, Completion, Delta
from trunkline.wire import strict_json
from trunkline.wire.fold import Fold
from trunkline.wire.message import ResponseHead
from trunkline.wire.sse import Event, EventReader, EventTooLargeError

DONE = b"[DONE]"
_PARTIAL = "What arrived is in .text and .partial; it is not the whole answer."


def chat_body(chat: Chat, model: str) -> dict[str, Any]:
    """Return the request's body for `chat`.

    `model` comes first, so that a proxy can route after reading a small prefix. Usage is asked
    for in every stream, since some servers report it only then.
    """
    body = {"model": model, "messages": chat.messages, **chat.parameters}
    if chat.stream:
        body["stream"] = True
        body["stream_options"] = {
            "include_usage": True,
            **(chat.parameters.get("stream_options") or {}),
        }
    body.update(chat.extra_body)
    return body


def read_answer(data: bytes, *, think_tags: bool = False) -> Completion:
    """Read the body of a 200 that was not streamed.

    Raises the mapped error where the body is one all the same, else InvalidResponseError.
    """
    try:
        body = strict_json.decode_sent(data)
    except strict_json.JsonError as error:
        text = data[:2000].decode("utf-8", "replace")
        raise InvalidResponseError(f"The answer is not JSON: {error}.", body=text) from error
    if not isinstance(body, dict):
        raise InvalidResponseError("The answer is JSON, but no object.", body=body)
    failure = failures.failure_in_body(body)
    if failure:
        raise failures.error_for(failure)
    completion = read_completion(body)
    return _think_apart(completion) if think_tags else completion


class ChunkReader:
    """Reads a streamed answer: bytes in, chunks out, and at the end the whole.

    A failure does not raise before the chunks in front of it have been handed out: it waits in
    `failure`. It is set, too, when the input ends before the answer did.
    """

    __slots__ = (
        "_deltas",
        "_events",
        "_keep_usage_frames",
        "_splitters",
        "done",
        "failure",
        "fold",
        "repaired",
        "said_done",
    )

    def __init__(self, *, think_tags: bool = False, keep_usage_frames: bool = False) -> None:
        """Start a stream.

        `keep_usage_frames` leaves a frame with usage and no choices as it is; else it gets one
        choice that adds nothing, so that `chunk.choices[0]` is safe in every loop.
        """
        self._events = EventReader()
        self._deltas = DeltaReader()
        self._splitters: dict[int, ThinkSplitter] | None = {} if think_tags else None
        self._keep_usage_frames = keep_usage_frames
        self.fold = Fold()
        self.failure: APIError | None = None
        self.done = False
        """Nothing more will come: the end, or a failure, has been seen."""
        self.said_done = False
        """Whether the end was marked with `[DONE]`; not every server does."""
        self.repaired = 0
        """Events whose text was no valid UTF-8 or JSON and was mended, a mark for each bad spot."""

    @property
    def think_tags(self) -> bool:
        """Whether thoughts in tags are read apart."""
        return self._splitters is not None

    @property
    def keeps_usage_frames(self) -> bool:
        """Whether a frame with usage alone stays as it is."""
        return self._keep_usage_frames

    def feed(self, data: bytes) -> list[Chunk]:
        """Return the chunks that `data` completes."""
        chunks: list[Chunk] = []
        too_large: EventTooLargeError | None = None
        try:
            events = self._events.feed(data)
        except EventTooLargeError as error:
            events, too_large = error.before, error
        for event in events:
            if self.done:
                break
            self._event(event, chunks)
        if too_large is not None and not self.done:
            self._break(chunks, InvalidResponseError(f"The stream cannot be read: {too_large}."))
        return chunks

    def finish(self, cut: APIError | None = None) -> list[Chunk]:
        """Take the end of the input; `cut` is the error that ended it, if one did."""
        chunks: list[Chunk] = []
        if not self.done:
            if cut is None:
                self._last_event(chunks)
            if not self.done:
                self._end(chunks, cut)
        return chunks

    def _event(self, event: Event, chunks: list[Chunk]) -> None:
        data = event.data
        if data[:1] != b"{" or event.name == "error":
            self._rare_event(event, chunks)
            return
        try:
            body = self._decoded(data)
            if "error" in body or "choices" not in body:
                failure = failures.failure_in_body(body)
                if failure:
                    self._fail(failures.error_for(failure))
                    return
            chunk = self._deltas.read(body)
        except InvalidResponseError as error:
            self._break(chunks, error)
        else:
            if chunk is not None:
                self._add(chunk, chunks)

    def _decoded(self, data: bytes) -> dict[str, Any]:
        try:
            body: dict[str, Any] = strict_json.decode(data)
        except strict_json.JsonError as error:
            try:
                body = strict_json.decode_repaired(data)
            except strict_json.JsonError:
                text = data[:2000].decode("utf-8", "replace")
                raise InvalidResponseError(
                    f"An event of the stream is not JSON: {error}.", body=text
                ) from error
            self.repaired += 1
        return body

    def _rare_event(self, event: Event, chunks: list[Chunk]) -> None:
        data = event.data.strip()
        if data == DONE:
            self.said_done = True
            self._end(chunks, None)
        elif event.name == "error":
            self._fail(failures.error_for(failures.failure_in_stream(data)))
        elif data[:1] == b"{":
            self._event(Event(data), chunks)
        elif data:
            text = data[:2000].decode("utf-8", "replace")
            unread = InvalidResponseError("An event of the stream is no object.", body=text)
            self._break(chunks, unread)

    def _last_event(self, chunks: list[Chunk]) -> None:
        """Read an event whose blank line never came, if it is whole in itself."""
        for event in self._events.finish():
            if event.data.strip() == DONE or _is_json(event.data):
                self._event(event, chunks)

    def _add(self, chunk: Chunk, chunks: list[Chunk]) -> None:
        if self._splitters is not None:
            chunk = self._think_apart(chunk, self._splitters)
        self.fold.add(chunk)
        if not chunk.choices and not self._keep_usage_frames:
            chunk = msgspec.structs.replace(chunk, choices=[ChunkChoice(0, Delta())])
        chunks.append(chunk)

    def _think_apart(self, chunk: Chunk, splitters: dict[int, ThinkSplitter]) -> Chunk:
        choices: list[ChunkChoice] = []
        for choice in chunk.choices:
            delta = choice.delta
            splitter = splitters.setdefault(choice.index, ThinkSplitter())
            thought, answer = splitter.feed(delta.content or "") if delta.content else ("", "")
            if choice.finish_reason:
                last_thought, last_answer = splitter.finish()
                thought, answer = thought + last_thought, answer + last_answer
            delta = msgspec.structs.replace(
                delta, content=answer or None, reasoning=(delta.reasoning or "") + thought or None
            )
            choices.append(msgspec.structs.replace(choice, delta=delta))
        return msgspec.structs.replace(chunk, choices=choices)

    def _end(self, chunks: list[Chunk], cut: APIError | None) -> None:
        self.done = True
        if self.fold.finished:
            return
        self._release(chunks)
        self.failure = self._truncated(cut)

    def _release(self, chunks: list[Chunk]) -> None:
        """Hand out what was held back in case a tag would follow."""
        for index, splitter in (self._splitters or {}).items():
            thought, answer = splitter.finish()
            if thought or answer:
                delta = Delta(content=answer or None, reasoning=thought or None)
                chunk = Chunk(None, None, [ChunkChoice(index, delta)])
                self.fold.add(chunk)
                chunks.append(chunk)

    def _truncated(self, cut: APIError | None) -> StreamTruncated:
        how = (
            f"The stream broke off: {cut.message}"
            if cut
            else "The stream ended without a finish reason."
        )
        error = StreamTruncated(
            how,
            text=self.fold.text,
            usage=self.fold.usage,
            partial=self.fold.completion(),
            hint=None if self.fold.empty else _PARTIAL,
        )
        error.received = not self.fold.empty
        error.__cause__ = cut
        return error

    def _break(self, chunks: list[Chunk], error: InvalidResponseError) -> None:
        """Stop at something unreadable; what came before it must not be lost."""
        if self.fold.empty:
            self._fail(error)
        else:
            self._end(chunks, error)

    def _fail(self, error: APIError) -> None:
        self.done = True
        self.failure = error


def refuse_unstreamed(head: ResponseHead, data: bytes) -> APIError:
    """Return the error for a 200 that should have been a stream of events and is not."""
    try:
        failure = failures.failure_in_body(strict_json.decode(data))
    except strict_json.JsonError:
        failure = None
    if failure:
        return failures.error_for(failure)
    return InvalidResponseError(
        f"A stream was asked for and {head.content_type or 'something without a type'} came.",
        status=head.status,
        body=data[:2000].decode("utf-8", "replace"),
        hint="The server may not stream: try without stream=True, and check its address.",
    )


def is_event_stream(head: ResponseHead) -> bool:
    """Tell whether an answer may be events: its type says so, or says nothing that denies it."""
    kind = head.content_type
    return kind in ("", "text/event-stream", "text/plain", "application/octet-stream")


def _is_json(data: bytes) -> bool:
    try:
        strict_json.decode(data)
    except strict_json.JsonError:
        return False
    return True


def _think_apart(completion: Completion) -> Completion:
    choices = [_think_apart_in(choice) for choice in completion.choices]
    return msgspec.structs.replace(completion, choices=choices)


def _think_apart_in(choice: Choice) -> Choice:
    content = choice.message.content or ""
    thought, answer = split_think(content)
    if answer == content or choice.message.reasoning:
        return choice
    message = msgspec.structs.replace(choice.message, content=answer, reasoning=thought)
    return msgspec.structs.replace(choice, message=message)

"""The text that a person would read in a request's or an answer's body; the body where none shows.

Pure bytes in, text out. Whatever cannot be read is no error here: it is kept as it came.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trunkline.wire.sse import EventReader, EventTooLargeError

LONGEST_READ = 1 << 20
"""Bytes of a body that is parsed; a longer one is text as it came."""
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError)


class Readable(msgspec.Struct, frozen=True):
    """Text, and whether it is known to be all there was."""

    text: str
    whole: bool


class _Part(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None


class _Function(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, frozen=True):
    index: int | None = None
    function: _Function | None = None


class _Message(msgspec.Struct, frozen=True):
    role: str | None = None
    content: str | list[_Part | str] | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Request(msgspec.Struct, frozen=True):
    messages: list[_Message] | None = None
    prompt: str | list[str] | None = None
    input: str | list[str] | None = None


class _Choice(msgspec.Struct, frozen=True):
    index: int = 0
    message: _Message | None = None
    delta: _Message | None = None
    text: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    error: object = None


_REQUESTS = msgspec.json.Decoder(_Request)
_ANSWERS = msgspec.json.Decoder(_Answer)


def prompt_text(body: bytes) -> Readable:
    """Return the messages of a request, or its prompt or inputs."""
    try:
        request = _REQUESTS.decode(body) if len(body) <= LONGEST_READ else _Request()
    except _UNREADABLE:
        return _as_it_came(body)
    parts = [f"{said.role or 'unknown'}: {_said(said)}" for said in request.messages or ()]
    for given in (request.prompt, request.input):
        parts += [given] if isinstance(given, str) else given or ()
    return Readable("\n\n".join(parts), whole=True) if parts else _as_it_came(body)


def answer_text(body: bytes) -> Readable:
    """Return what an answer says, be it JSON or a stream of events."""
    if len(body) > LONGEST_READ:
        return _as_it_came(body)
    if body.lstrip()[:1] != b"{":
        return _stream_text(body) or _as_it_came(body)
    try:
        choices = _ANSWERS.decode(body).choices
    except _UNREADABLE:
        return _as_it_came(body)
    parts = [choice.text or _said(choice.message or _Message()) for choice in choices]
    return Readable("\n\n".join(parts), whole=True) if any(parts) else _as_it_came(body)


def _as_it_came(body: bytes) -> Readable:
    return Readable(body.decode("utf-8", "replace"), whole=False)


def _said(message: _Message) -> str:
    content = message.content
    if isinstance(content, list):
        content = "\n".join(_part(part) for part in content)
    calls = (call.function for call in message.tool_calls or ())
    called = (f"{call.name}({call.arguments or ''})" for call in calls if call is not None)
    parts = (message.reasoning_content, content, message.refusal, *called)
    return "\n".join(part for part in parts if part)


def _part(part: _Part | str) -> str:
    if isinstance(part, str):
        return part
    return part.text if part.text is not None else f"[{part.type}]"


def _stream_text(body: bytes) -> Readable | None:
    """Return what the pieces of a stream spell out; None where it is no such stream."""
    reader = EventReader()
    try:
        events = [*reader.feed(body), *reader.finish()]
    except EventTooLargeError:
        return None
    pieces: dict[tuple[int, str], list[str]] = {}
    whole = False
    for event in events:
        if event.data == b"[DONE]":
            whole = True
            continue
        try:
            answer = _ANSWERS.decode(event.data)
        except _UNREADABLE:
            continue  # the last one may have been cut; none is worth losing the others for
        if answer.error is not None:
            pieces.setdefault((0, "error"), []).append(event.data.decode("utf-8", "replace"))
        for index, kind, text in _pieces(answer.choices):
            pieces.setdefault((index, kind), []).append(text)
    joined = ("".join(texts) for texts in pieces.values())
    return Readable("\n\n".join(joined), whole=whole) if pieces else None


def _pieces(choices: Iterable[_Choice]) -> Iterable[tuple[int, str, str]]:
    """Yield pieces of text, each with its choice and what it belongs to."""
    for choice in choices:
        delta = choice.delta or _Message()
        said = delta.content
        if isinstance(said, list):
            said = "".join(_part(part) for part in said)
        kinds = {
            "reasoning": delta.reasoning_content,
            "text": said or choice.text,
            "refusal": delta.refusal,
        }
        yield from ((choice.index, kind, text) for kind, text in kinds.items() if text)
        for call in delta.tool_calls or ():
            if call.function is not None:
                named = f"{call.function.name}: " if call.function.name else ""
                text = f"{named}{call.function.arguments or ''}"
                yield choice.index, f"call {call.index}", text

"""Reads an HTTP answer as OpenAI's clients do, which pass over little: what they would trip over is said.

Written apart from the SDK's own readers, which forgive more. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from trunkline.conformance.outcome import Called, Heard, Outcome, Said, Shape, Tokens, Told
from trunkline.wire.retry_after import read_retry_after

_LINE_END = re.compile(r"\r\n|\r|\n")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class GarbageError(Exception):
    """What came is no answer; the text says why."""


def read(shape: Shape, heard: Heard) -> Outcome:
    """Return what a client makes of an answer."""
    head = "\n".join(f"{name}: {value}" for name, value in heard.headers.items()).encode()
    found = _read(shape, heard)
    return Outcome(
        found.ended, found.said, found.error, found.garbage, head, head + b"\n\n" + heard.body
    )


def _read(shape: Shape, heard: Heard) -> Outcome:
    status = heard.status
    if status is None:
        return Outcome("limit" if heard.ended == "limit" else "broken")
    if status >= 400:
        late = heard.ended == "limit"
        return Outcome("limit") if late else Outcome("error", error=_told(status, heard))
    try:
        if status != 200:
            raise GarbageError(f"status {status}, which is neither an answer nor an error")
        if heard.ended == "large":
            raise GarbageError(f"more than {len(heard.body) >> 20} MB, without end")
        return _streamed(heard) if shape == "stream" else _whole(heard)
    except GarbageError as error:
        return Outcome("garbage", garbage=str(error))


# whole answers


def _whole(heard: Heard) -> Outcome:
    if heard.ended != "whole":
        return Outcome("limit" if heard.ended == "limit" else "broken")
    body = _json(heard)
    if body.get("error"):
        raise GarbageError(f"200 with an error in it: {_message(body['error'])[:120]}")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise GarbageError("200 without a choice")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise GarbageError("200 with a choice that has no message")
    calls = [_called(call, call.get("id")) for call in _objects(message, "tool_calls")]
    said = Said(
        _text(message), tuple(calls), _finish(choice), _tokens(body), _is_estimate(body), chunks=1
    )
    return Outcome("finished", said)


def _json(heard: Heard) -> dict[str, Any]:
    kind = heard.headers.get("content-type", "no content type").partition(";")[0]
    if not heard.body:
        raise GarbageError("200 with nothing")
    try:
        body = json.loads(heard.body.decode("utf-8"))
    except ValueError:
        raise GarbageError(f"200 with what is no JSON ({kind})") from None
    if not isinstance(body, dict):
        raise GarbageError("200 with JSON that is no object")
    return body


def _told(status: int, heard: Heard) -> Told:
    try:
        body = json.loads(heard.body.decode("utf-8"))
        message = _message(body.get("error", body) if isinstance(body, dict) else body)
    except ValueError:
        message = ""
    return Told(status, message, read_retry_after(heard.headers))


def _message(error: Any) -> str:
    """Return an error's own words."""
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error.get("type") or ""
    return error if isinstance(error, str) else json.dumps(error)


# streams


def _streamed(heard: Heard) -> Outcome:
    body = heard.body
    if heard.ended == "whole" and body.lstrip()[:1] in (b"{", b"["):
        whole = _json(heard)
        told = "an error" if whole.get("error") else "a whole answer"
        raise GarbageError(f"200 with {told} as JSON where a stream was asked for")
    said = _Folded()
    for name, data in _events(body):
        if data.strip() == "[DONE]":
            return Outcome("finished", said.said())
        try:
            error = said.take(name, data)
        except GarbageError as wrong:
            return Outcome("garbage", said.said(), garbage=str(wrong))
        if error is not None:
            return Outcome("error", said.said(), error)
    return _unmarked(heard, said)


def _unmarked(heard: Heard, said: _Folded) -> Outcome:
    """Return what a stream without an end mark comes to."""
    found = said.said()
    if heard.ended == "whole" and not found.chunks and not found.finish:
        kind = heard.headers.get("content-type", "no content type").partition(";")[0]
        raise GarbageError(f"200 with no event in it ({kind})")
    if heard.ended == "whole":
        return Outcome("finished" if found.finish else "ended", found)
    return Outcome("limit" if heard.ended == "limit" else "broken", found)


def _events(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield names and data of the whole events, as the WHATWG says."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    name, data = "", list[str]()
    *lines, _ = _LINE_END.split(text)  # the last one has no end yet
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value


class _Folded:
    """Adds chunks up as clients do: calls by their index."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, list[str]] = {}
        self._finish: str | None = None
        self._tokens: Tokens | None = None
        self._estimated = False
        self._chunks = 0

    def take(self, name: str, data: str) -> Told | None:
        """Take one event; returns the error that it is. Raises GarbageError."""
        try:
            data.encode("utf-8")
        except UnicodeEncodeError:
            raise GarbageError("an event that is not UTF-8") from None
        try:
            chunk = json.loads(data)
        except ValueError:
            if name == "error":
                return Told(None, data, in_stream=True)
            raise GarbageError("an event that is no JSON") from None
        if not isinstance(chunk, dict):
            raise GarbageError("an event that is no object")
        if chunk.get("error") or name == "error":
            return _told_in_stream(chunk)
        self._add(chunk)
        return None

    def _add(self, chunk: dict[str, Any]) -> None:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise GarbageError("an event whose `choices` is no list")
        if chunk.get("usage") is not None:
            self._tokens, self._estimated = _tokens(chunk), _is_estimate(chunk)
        self._chunks += bool(choices)
        for choice in choices:
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if not isinstance(delta, dict):
                raise GarbageError("a choice without a delta")
            self._text.append(_text(delta))
            self._finish = _finish(choice) or self._finish
            for part in _objects(delta, "tool_calls"):
                self._add_call(part)

    def _add_call(self, part: dict[str, Any]) -> None:
        index = part.get("index")
        if not isinstance(index, int):
            raise GarbageError("a tool call's fragment without an index")
        called = _called(part, part.get("id"))
        known = self._calls.setdefault(index, ["", "", ""])
        known[0] = known[0] or called.id
        known[1] = known[1] or called.name
        known[2] += called.arguments

    def said(self) -> Said:
        """Return what has come."""
        calls = tuple(Called(*self._calls[index]) for index in sorted(self._calls))
        return Said(
            "".join(self._text), calls, self._finish, self._tokens, self._estimated, self._chunks
        )


def _told_in_stream(chunk: dict[str, Any]) -> Told:
    error = chunk.get("error", chunk)
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return Told(status, _message(error), in_stream=True)


# pieces of both


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if content is None:
        return ""
    if not isinstance(content, str):
        raise GarbageError("content that is no text")
    return content


def _finish(choice: dict[str, Any]) -> str | None:
    told = choice.get("finish_reason")
    if told is not None and not isinstance(told, str):
        raise GarbageError("a finish reason that is no text")
    return told or None


def _objects(message: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = message.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise GarbageError(f"`{name}` that is no list of objects")
    return found


def _called(call: dict[str, Any], told: Any) -> Called:
    function = call.get("function") or {}
    arguments = function.get("arguments") or ""
    if not isinstance(arguments, str):
        raise GarbageError("a tool call's arguments that are no text")
    return Called(told or "", function.get("name") or "", arguments)


def _tokens(body: dict[str, Any]) -> Tokens | None:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, answer, total = (
        value if isinstance(value := usage.get(name), int) else None for name in _COUNTS
    )
    found = (prompt, answer, total)
    return None if found == (None, None, None) else found


def _is_estimate(body: dict[str, Any]) -> bool:
    usage = body.get("usage")
    return isinstance(usage, dict) and bool(usage.get("estimated"))

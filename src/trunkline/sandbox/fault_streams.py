"""Faults that end an answer before its end, or put an error where an answer should be: F1 to F6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.dialects.openai_chat import ChunkReader
from trunkline.dialects.openai_server import DONE_EVENT, completion_body
from trunkline.sandbox.fault import Case, Fault, event_of
from trunkline.sandbox.reply import Cut, Pause, Reply, Reset, Step

_HTML = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body></body></html>"
_OVERLOADED = {
    "error": {
        "message": "The engine is currently overloaded, please try again later",
        "type": "overloaded_error",
        "code": 503,
    }
}
_FAILED = {"error": {"message": "Internal server error", "type": "server_error", "code": 500}}
_TGI = {
    "error": {
        "message": "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
        "http_status_code": 422,
    }
}
_GENERATION = {"error": "Request failed during generation: CUDA error", "error_type": "generation"}
_TOOL_USE = {
    "error": {
        "message": "Tool call validation failed: parameters did not match the schema",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
        "failed_generation": '{"name": "get_weather"}',
        "status_code": 400,
    }
}
_SETTLE = Pause(0.02)
"""Lets what was sent arrive before the connection is broken: a reset may overtake it."""

_How = Callable[[Case], Reply]


# endings


def _no_done(case: Case) -> Reply:
    return case.reply([piece for piece in case.pieces if piece != DONE_EVENT])


def _no_finish(case: Case) -> Reply:
    return case.reply([*case.content, DONE_EVENT] if case.streamed else case.content, "chunked")


def _inside_event(case: Case) -> Reply:
    opened = case.opened()
    rest = opened[-1]
    return case.reply([*opened[:-1], rest[: len(rest) // 2]], "chunked")


def _broken_json(case: Case) -> Reply:
    opened = case.opened()
    half = opened[-1][: len(opened[-1]) // 2]
    return case.reply([*opened[:-1], half + b"\n\n"], "chunked")


def _cut_length(case: Case) -> Reply:
    whole = b"".join(case.pieces)
    half = len(whole) // 2
    return case.reply([whole[:half], Cut(), whole[half:]], "length")


def _before(*steps: Step) -> _How:
    """Return a fault that takes `steps` before the head."""

    def how(case: Case) -> Reply:
        return msgspec.structs.replace(case.good, before=steps)

    return how


def _opened_then(*steps: Step, framing: Any = "chunked") -> _How:
    """Return a fault that sends half of the content and then takes `steps`."""

    def how(case: Case) -> Reply:
        return case.reply([*case.opened(), *steps], framing)

    return how


# errors inside a 200


def _error(body: Any, *, first: bool = False, name: str = "") -> _How:
    """Return a fault that sends `body` as an event, at once or after half of the content."""

    def how(case: Case) -> Reply:
        if not case.streamed:
            return case.reply([event_of(body)[6:].strip()], "length")
        head = f"event: {name}\n".encode() if name else b""
        return case.reply([*([] if first else case.opened()), head + event_of(body)])

    return how


def _error_then_done(case: Case) -> Reply:
    failed = _error(_FAILED)(case)
    return case.reply([*failed.steps, DONE_EVENT]) if case.streamed else failed


def _instead(kind: str, body: bytes) -> _How:
    """Return a fault that answers 200 with something else."""

    def how(case: Case) -> Reply:
        others = tuple(
            h for h in case.good.headers if h[0] not in ("content-type", "cache-control")
        )
        return Reply(case.good.status, (("content-type", kind), *others), (body,))

    return how


def _unstreamed(case: Case) -> Reply:
    if not case.streamed or not case.chats:
        return case.good
    reader = ChunkReader()
    for piece in case.pieces:
        reader.feed(piece)
    return _instead("application/json", completion_body(reader.fold.completion()))(case)


STREAMS: tuple[Fault, ...] = (
    Fault("truncated", "F1", "ends cleanly in the middle: no finish reason, no [DONE]",
          _opened_then()),
    Fault("truncated-close", "F1", "the same, ended by closing", _opened_then(framing="close")),
    Fault("no-finish", "F1", "[DONE] comes, a finish reason does not", _no_finish),
    Fault("no-done", "F2", "a finish reason comes, [DONE] does not", _no_done),
    Fault("cut-event", "F3", "ends inside an event", _inside_event),
    Fault("broken-json", "F3", "ends with an event that is half a JSON", _broken_json),
    Fault("cut", "F4", "the connection closes without the last chunk", _opened_then(Cut())),
    Fault("cut-length", "F4", "the connection closes before the announced length", _cut_length),
    Fault("reset", "F4", "the connection is reset in the middle", _opened_then(_SETTLE, Reset())),
    Fault("cut-head", "F4", "the connection closes inside the head",
          _before(b"HTTP/1.1 200 OK\r\ncontent-ty", Cut())),
    Fault("no-answer", "F4", "the connection closes without a byte", _before(Cut())),
    Fault("reset-at-once", "F4", "the connection is reset without a byte", _before(Reset())),
    Fault("error-first", "F5", "an error as the first event", _error(_OVERLOADED, first=True)),
    Fault("error-mid-stream", "F5", "an error after half of the text", _error(_FAILED)),
    Fault("error-then-done", "F5", "the same, and then [DONE] (vLLM)",
          _error_then_done),
    Fault("error-tgi", "F5", "an error with http_status_code (TGI)", _error(_TGI, first=True)),
    Fault("error-string", "F5", "an error as a string (TGI)", _error(_GENERATION)),
    Fault("event-error", "F5", "a named event `error` (Groq)", _error(_TOOL_USE, name="error")),
    Fault("json-error-200", "F6", "200 with an error as JSON",
          _instead("application/json", event_of(_OVERLOADED)[6:].strip())),
    Fault("json-200", "F6", "200 with the whole answer as JSON where a stream was asked for",
          _unstreamed),
    Fault("html-200", "F6", "200 with a web page", _instead("text/html", _HTML)),
    Fault("empty-200", "F6", "200 with nothing", _instead("application/json", b"")),
)  # fmt: skip

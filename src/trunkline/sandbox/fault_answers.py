"""Faults of what an answer says of itself: its model, its choices, its finish, its type; F40."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.dialects.openai_server import DONE_EVENT
from trunkline.sandbox.fault import Case, Fault, event_of
from trunkline.sandbox.reply import Reply
from trunkline.wire import strict_json

_Chunk = dict[str, Any]
_How = Callable[[Case], Reply]
_MORE = {"index": 0, "delta": {"content": " and more"}, "finish_reason": None}


def _each(edit: Callable[[int, _Chunk], _Chunk]) -> _How:
    """Return a fault that changes each chunk, or the one body; it is told which."""

    def how(case: Case) -> Reply:
        return case.edited(lambda chunks: [edit(i, chunk) for i, chunk in enumerate(chunks)])

    return how


def _choices(edit: Callable[[_Chunk], _Chunk]) -> _How:
    """Return a fault that changes each choice."""
    return _each(lambda _, body: {**body, "choices": [edit(c) for c in body.get("choices", ())]})


def _wordless(choice: _Chunk) -> _Chunk:
    """Take the words out of a choice."""
    name = "message" if "message" in choice else "delta"
    said = choice[name]
    return {**choice, name: {**said, "content": None} if "content" in said else said}


def _bare(choice: _Chunk) -> _Chunk:
    return {k: v for k, v in choice.items() if k not in ("message", "delta")}


def _ended_oddly(choice: _Chunk) -> _Chunk:
    return {**choice, "finish_reason": choice.get("finish_reason") and "eos_token"}


def _typed(kind: str | None) -> _How:
    """Return a fault that calls the answer's type `kind`; None says none."""

    def how(case: Case) -> Reply:
        others = tuple(h for h in case.good.headers if h[0] != "content-type")
        headers = (("content-type", kind), *others) if kind else others
        return msgspec.structs.replace(case.good, headers=headers)

    return how


def _null(case: Case) -> Reply:
    typed = ("content-type", "application/json")
    return Reply(case.good.status, (typed,), (b"null",))


def _streamed(case: Case) -> Reply:
    """Answer in events where a whole answer was asked for."""
    if case.streamed or not case.chats:
        return case.good
    body = strict_json.decode(case.pieces[0])
    choice = body["choices"][0]
    head = {**body, "object": "chat.completion.chunk"}
    parts = [
        {"index": 0, "delta": choice["message"], "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]},
    ]
    events = [event_of({**head, "choices": [part]}) for part in parts]
    typed = ("content-type", "text/event-stream")
    return Reply(200, (typed,), (*events, DONE_EVENT), "chunked")


def _after_done(case: Case) -> Reply:
    if not case.streamed or not case.chats:
        return case.good
    more = {**strict_json.decode(case.pieces[0][6:]), "choices": [_MORE]}
    return case.reply([*case.pieces, event_of(more), DONE_EVENT])


ANSWERS: tuple[Fault, ...] = (
    Fault("after-done", "F2", "goes on after [DONE]", _after_done),
    Fault("events-200", "F6", "200 with events where a whole answer was asked for", _streamed),
    Fault("null-200", "F6", "200 with `null`", _null),
    Fault("type-text", "F6", "a good answer that calls itself plain text",
          _typed("text/plain; charset=utf-8")),
    Fault("type-none", "F6", "a good answer that does not say what it is", _typed(None)),
    Fault("wrong-model", "F40", "another model answers",
          _each(lambda _, body: {**body, "model": "other-org/other-model"})),
    Fault("wrong-id", "F40", "every chunk has another id",
          _each(lambda i, body: {**body, "id": f"chatcmpl-{i}"})),
    Fault("null-content", "F40", "the content is null", _choices(_wordless)),
    Fault("no-choices", "F40", "`choices` is empty", _each(lambda _, b: {**b, "choices": []})),
    Fault("null-choices", "F40", "`choices` is null", _each(lambda _, b: {**b, "choices": None})),
    Fault("no-message", "F40", "choices without a message", _choices(_bare)),
    Fault("null-finish", "F40", "the finish reason is null",
          _choices(lambda choice: {**choice, "finish_reason": None})),
    Fault("odd-finish", "F40", "the finish reason is `eos_token` (TGI)", _choices(_ended_oddly)),
)  # fmt: skip

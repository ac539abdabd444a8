"""What an API that answers with text has of its own: a row, which the flows of all of them read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from trunkline.dialects.event_reader import JsonEventReader
from trunkline.errors import InvalidResponseError
from trunkline.types.tasks import TaskCall
from trunkline.wire import strict_json

EventT = TypeVar("EventT")
WholeT = TypeVar("WholeT")


class AnswerForm(msgspec.Struct, Generic[EventT, WholeT], frozen=True):
    """One API: how a call is written, and how its answer is read."""

    route: str
    """Its last part below `/v1`: `responses`."""
    write: Callable[[TaskCall, str, bool], dict[str, Any]]
    """Makes the body from a call, the server's name for the model, and whether to stream."""
    read: Callable[[bytes], WholeT]
    """Reads a whole answer; raises the error that it tells of, or InvalidResponseError."""
    reader: Callable[[], JsonEventReader[EventT, WholeT]]
    text_of: Callable[[EventT], str]
    """Returns the text of the answer that an event adds."""
    asked: Callable[[TaskCall], list[str]]
    """Returns the texts of the question, to estimate tokens from."""
    said: Callable[[WholeT], list[str]]
    """Returns all texts of the answer, to estimate tokens from."""
    headers: tuple[tuple[str, str], ...] = ()
    own: frozenset[str] = frozenset()
    """The providers that serve it at their own address, where chat is beside it."""


def decoded(data: bytes) -> dict[str, Any]:
    """Return a whole answer's object; raises InvalidResponseError where it is none."""
    try:
        body = strict_json.decode_sent(data)
    except strict_json.JsonError as error:
        text = data[:2000].decode("utf-8", "replace")
        raise InvalidResponseError(f"The answer is not JSON: {error}.", body=text) from error
    if not isinstance(body, dict):
        raise InvalidResponseError("The answer is JSON, but no object.", body=body)
    return body


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, copied so that they can be taken apart."""
    return (
        [dict(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    )


def take_object(row: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Take an object out of `row`; a null goes, anything else stays there."""
    return row.pop(name, None) if isinstance(row.get(name), dict | None) else None


def take_list(row: dict[str, Any], name: str) -> list[Any] | None:
    """Take a list out of `row`; a null goes, anything else stays there."""
    return row.pop(name, None) if isinstance(row.get(name), list | None) else None


def texts_in(messages: Any) -> list[str]:
    """Return the texts of messages as every chat-like API has them: as content or in its parts."""
    if isinstance(messages, str):
        return [messages]
    found: list[str] = []
    for message in objects(messages):
        content = message.get("content")
        if isinstance(content, str):
            found.append(content)
        found += [part["text"] for part in objects(content) if isinstance(part.get("text"), str)]
    return found

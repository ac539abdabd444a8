"""A caller's messages, checked and made ready for the wire before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from trunkline.errors import InvalidInputError
from trunkline.types import Message, Messages, ToolCall

_PLAIN_ROLES = ("user", "system", "assistant")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def prepare_messages(messages: Messages) -> list[dict[str, Any]]:
    """Return the messages as wire dicts; images given as files, bytes or objects become URLs.

    Raises InvalidInputError, naming the message, for what no provider could take.
    """
    given: object = messages  # callers without a type checker give anything
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidInputError(
            f"messages is a {type(given).__name__}, not a list of messages.",
            hint='Write messages=[{"role": "user", "content": "..."}].',
        )
    prepared: list[dict[str, Any]] = [
        cast("dict[str, Any]", message)
        if _is_plain(message)
        else _prepare(message, f"messages[{i}]")
        for i, message in enumerate(given)
    ]
    if not prepared:
        raise InvalidInputError(
            "messages is empty.", hint='Write messages=[{"role": "user", "content": "..."}].'
        )
    return prepared


def _is_plain(message: object) -> bool:
    """Tell whether a message is what most are, a role and a text, and needs no second look."""
    return (
        type(message) is dict
        and len(message) == 2
        and type(message.get("content")) is str
        and message.get("role") in _PLAIN_ROLES
    )


def _prepare(message: object, place: str) -> dict[str, Any]:
    if isinstance(message, Message):
        return _from_answer(message)
    if not isinstance(message, Mapping):
        dump: Any = getattr(message, "model_dump", None)  # another client's message object
        if dump is None:
            raise InvalidInputError(f"{place} is a {type(message).__name__}, not a message.")
        message = {key: value for key, value in dump().items() if value is not None}
    _check_role(message, place)
    wire = message if isinstance(message, dict) else dict(message)
    if None in wire.values():  # as model_dump() leaves them; some servers refuse nulls
        wire = {key: value for key, value in wire.items() if value is not None or key == "content"}
    content = wire.get("content")
    if content is not None and not isinstance(content, str):
        wire = {**wire, "content": _parts(content, f"{place}.content")}
    calls = wire.get("tool_calls")
    if isinstance(calls, (list, tuple)) and any(isinstance(call, ToolCall) for call in calls):
        written = [call.to_dict() if isinstance(call, ToolCall) else call for call in calls]
        wire = {**wire, "tool_calls": written}
    return wire


def _check_role(message: Mapping[str, Any], place: str) -> None:
    """Refuse a role that there is not, and a message without what its role needs."""
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise InvalidInputError(f"{place} has the role {role!r}.", hint=f"Roles are {known}.")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise InvalidInputError(
            f"{place} is a tool's result without tool_call_id.",
            hint="It is the id of the tool call that it answers.",
        )
    if message.get("content") is None:
        if role != "assistant" and "content" not in message:
            raise InvalidInputError(f"{place} ({role}) has no content.")
        if role in ("system", "developer", "user"):
            raise InvalidInputError(f"{place} ({role}) has None for content.")


def _from_answer(message: Message) -> dict[str, Any]:
    """Write an earlier answer back, without its reasoning: several providers refuse that."""
    wire: dict[str, Any] = {"role": message.role}
    if message.content is not None or not message.tool_calls:
        wire["content"] = message.content or ""
    if message.tool_calls:
        wire["tool_calls"] = [call.to_dict() for call in message.tool_calls]
    if message.refusal:
        wire["refusal"] = message.refusal
    return wire


def _parts(content: Any, place: str) -> list[dict[str, Any]]:
    if isinstance(content, (bytes, Mapping)) or not isinstance(content, Iterable):
        raise InvalidInputError(
            f"{place} is a {type(content).__name__}; text or a list of parts is expected."
        )
    parts = [_part(part, f"{place}[{i}]") for i, part in enumerate(content)]
    if not parts:
        raise InvalidInputError(f"{place} is an empty list.")
    return parts


def _part(part: Any, place: str) -> dict[str, Any]:
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        raise InvalidInputError(
            f"{place} is no content part.",
            hint='Parts look like {"type": "text", "text": "..."} or {"type": "image_url", ...}.',
        )
    kind = part["type"]
    if kind == "text" and not isinstance(part.get("text"), str):
        raise InvalidInputError(f"{place} is a text part without text.")
    if kind == "image_url":
        return _image_part(part, place)
    return part if isinstance(part, dict) else dict(part)


def _image_part(part: Mapping[str, Any], place: str) -> dict[str, Any]:
    image = part.get("image_url")
    source = image.get("url") if isinstance(image, Mapping) else image
    if source is None:
        raise InvalidInputError(f"{place} is an image part without a URL.")
    from trunkline.media.image import image_url  # keeps chats of text alone fast to start

    try:
        url = image_url(source)
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error.message}", hint=error.hint) from error
    rest = image if isinstance(image, Mapping) else {}
    return {**part, "image_url": {**rest, "url": url}}

"""Answers in forms on which OpenAI's clients fail, put into the form that they read. Pure.

Nearly every answer goes on as it came; who reads it on its way says which does not.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.errors import InvalidResponseError
from trunkline.gateway.tokens import is_text
from trunkline.wire import strict_json

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Fragment(msgspec.Struct, gc=False):
    index: int
    id: str | None = None
    function: _Function | None = None


_decode_fragments = msgspec.json.Decoder(list[_Fragment]).decode


class _Slot:
    """A tool call of a stream: the index and id that it was told with, and its index for clients."""

    __slots__ = ("id", "out", "told")

    def __init__(self, told: int | None, call_id: str, out: int) -> None:
        self.told, self.id, self.out = told, call_id, out


class Mender:
    """Mends the chunks of one stream, whose tool calls need what came before to be read."""

    __slots__ = ("_calls", "_instead")

    def __init__(self) -> None:
        """Start a stream."""
        self._calls: dict[int, list[_Slot]] = {}
        self._instead: dict[int, list[Any]] = {}
        """Fragments that go on in place of those of a choice, by its position in the chunk."""

    def reads_well(self, choice: int, position: int, raw: bytes | msgspec.Raw) -> bool:
        """Tell whether a choice's fragments may go on as they are.

        Raises InvalidResponseError for a fragment that belongs to no call.
        """
        try:
            parts = _decode_fragments(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._instead[position] = self._rewritten(choice, bytes(raw))
            return False
        told = [part.index for part in parts]
        found = [
            self._place(
                choice, part.index, part.id or "", begins=bool(part.function and part.function.name)
            )
            for part in parts
        ]
        if found == told:
            return True
        bodies = strict_json.decode_sent(bytes(raw))
        self._instead[position] = [
            {**body, "index": index} for body, index in zip(bodies, found, strict=True)
        ]
        return False

    def chunk(self, data: bytes) -> bytes:
        """Return a chunk's data in the form that clients read; `data` itself where it is in it."""
        body = strict_json.decode_sent(data)
        changed = _mend_usage(body)
        if not isinstance(body.get("choices"), list):
            body["choices"], changed = [], True
        for position, choice in enumerate(body["choices"]):
            if isinstance(choice, dict):
                changed = self._mend_choice(position, choice) or changed
        self._instead = {}
        return strict_json.encode(body) if changed else data

    def look(self, body: Any) -> None:
        """Look at the calls in a decoded chunk that is mended next; raises as `reads_well`."""
        choices = body.get("choices")
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            delta = choice.get("delta") if isinstance(choice, dict) else None
            calls = delta.get("tool_calls") if isinstance(delta, dict) else None
            if calls:
                told = choice.get("index")
                index = told if isinstance(told, int) and told >= 0 else position
                self.reads_well(index, position, strict_json.encode(calls))

    def _mend_choice(self, position: int, choice: dict[str, Any]) -> bool:
        changed = False
        if not isinstance(choice.get("delta"), dict) and choice.get("text") is None:
            choice["delta"], changed = {}, True
        if position in self._instead:
            choice["delta"] = {**choice["delta"], "tool_calls": self._instead[position]}
            changed = True
        return changed

    def _rewritten(self, choice: int, raw: bytes) -> list[Any]:
        """Return fragments that are of an odd kind, each with an index and with text as arguments."""
        items = strict_json.decode_sent(raw)
        found: list[Any] = []
        if not isinstance(items, list | dict):
            raise InvalidResponseError("A chunk's tool calls are no list.")
        for item in [items] if isinstance(items, dict) else items:
            if not isinstance(item, dict):
                raise InvalidResponseError("A tool call's fragment is no object.")
            function = item.get("function")
            function = function if isinstance(function, dict) else {}
            told, given = item.get("index"), item.get("id")
            index = self._place(
                choice,
                told if isinstance(told, int) else None,
                "" if given is None else str(given),
                begins=bool(function.get("name")),
            )
            found.append({**item, "index": index, "function": _with_text(function)})
        return found

    def _place(self, choice: int, told: int | None, call_id: str, *, begins: bool) -> int:
        """Return the index of the call that a fragment belongs to: by its own index, then by its id."""
        slots = self._calls.setdefault(choice, [])
        for slot in reversed(slots):
            another = call_id and slot.id and call_id != slot.id
            if told is not None and told == slot.told and not another:
                slot.id = slot.id or call_id
                return slot.out
            if told is None and call_id and call_id == slot.id:
                return slot.out
        if told is None and not call_id and not begins:
            if not slots:
                raise InvalidResponseError("A tool call's fragment belongs to no call.")
            return slots[-1].out
        taken = {slot.out for slot in slots}
        out = told if told is not None and told >= 0 and told not in taken else None
        slots.append(_Slot(told, call_id, max(taken, default=-1) + 1 if out is None else out))
        return slots[-1].out


def whole(data: bytes) -> bytes | None:
    """Return a whole answer in the form that clients read; None where it says nothing."""
    try:
        body = strict_json.decode_sent(data)
    except strict_json.JsonError:
        return None
    changed = _mend_usage(body) or not is_text(data)
    choices = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict):
            changed = _mend_calls(message) or changed
        elif not isinstance(choice, dict) or choice.get("text") is None:
            return None
    return strict_json.encode(body) if changed else data


def _mend_usage(body: dict[str, Any]) -> bool:
    """Take usage away that counts below zero: it is unknown, then."""
    usage = body.get("usage")
    counts = [usage.get(name) for name in _COUNTS] if isinstance(usage, dict) else []
    if not any(isinstance(count, int | float) and count < 0 for count in counts):
        return False
    body["usage"] = None
    return True


def _mend_calls(message: dict[str, Any]) -> bool:
    """Make calls a list, and their arguments text."""
    calls = message.get("tool_calls")
    items = [calls] if isinstance(calls, dict) else calls
    if not isinstance(items, list):
        return False
    mended = [
        {**item, "function": _with_text(item["function"])}
        if isinstance(item, dict) and isinstance(item.get("function"), dict)
        else item
        for item in items
    ]
    if mended == calls:
        return False
    message["tool_calls"] = mended
    return True


def _with_text(function: dict[str, Any]) -> dict[str, Any]:
    """Return a function's part of a call with its arguments as text; old TGI sends the object."""
    arguments = function.get("arguments")
    if arguments is None and isinstance(function.get("parameters"), dict):
        arguments = function["parameters"]  # what models, and with them old TGI, call it
    if arguments is None or isinstance(arguments, str):
        return function
    return {**function, "arguments": strict_json.encode(arguments).decode()}

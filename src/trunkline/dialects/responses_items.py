"""The items of a response while they grow, piece by piece. Pure."""

from __future__ import annotations

from typing import Any

from trunkline.dialects.responses_answer import (
    Body,
    call_item,
    encode,
    message_item,
    reasoning_item,
    text_part,
)

FIELDS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}
"""Kinds of text, and the field that has it in a part and in the event of its end."""
OPEN = "in_progress"


def _delta(kind: str, place: Body) -> bytes:
    """Return an event that adds a piece, up to the piece."""
    start = encode({"type": kind, **place})
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), start[:-1])


class Text:
    """A part of a message or of what was thought, as it grows."""

    __slots__ = ("before", "behind", "kind", "logprobs", "pieces", "place")

    def __init__(self, kind: str, place: Body) -> None:
        """Begin without text; `place` is what each of its events says of where it is."""
        self.kind = kind
        self.place = place
        self.pieces: list[str] = []
        self.logprobs: list[Any] = []
        self.before = _delta(f"response.{kind}.delta", place)
        self.behind = b',"logprobs":[]' if kind == "output_text" else b""

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self.pieces)

    def part(self) -> Body:
        """Return the part as it stands."""
        if self.kind == "output_text":
            return text_part(self.text, self.logprobs)
        return {"type": self.kind, FIELDS[self.kind]: self.text}


class Spoken:
    """A message, or a stretch of thinking, as it grows."""

    __slots__ = ("id", "index", "parts", "status", "thought")

    def __init__(self, item_id: str, index: int, *, thought: bool) -> None:
        """Begin without parts, as the output's item number `index`."""
        self.id = item_id
        self.index = index
        self.thought = thought
        self.parts: list[Text] = []
        self.status = OPEN

    def body(self) -> Body:
        """Return the item as it stands."""
        parts = [part.part() for part in self.parts]
        return (reasoning_item if self.thought else message_item)(self.id, parts, self.status)


class Called:
    """A call as its fragments arrive; it is told once its name is known."""

    __slots__ = ("arguments", "before", "call", "id", "index", "name", "status")

    def __init__(self, call: str) -> None:
        """Begin under the id that it has where the chat tells none."""
        self.call = call
        self.id = ""
        self.before = b""
        self.index = -1
        self.name = ""
        self.arguments: list[str] = []
        self.status = OPEN

    def begin(self, item_id: str) -> None:
        """Take the id of the item, once its place is known."""
        self.id = item_id
        place = {"item_id": item_id, "output_index": self.index}
        self.before = _delta("response.function_call_arguments.delta", place)

    def body(self) -> Body:
        """Return the item as it stands."""
        return call_item(self.id, self.call, self.name, "".join(self.arguments), self.status)

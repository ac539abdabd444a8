"""A conversation as a value: its turns, what is sent of them, and how it is saved. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.cli.answer import Answer
from trunkline.cli.inert import inert, inert_json
from trunkline.cli.inputs import Part, user_message

INTERRUPTED = "[interrupted]"


class Turn(msgspec.Struct, frozen=True):
    """What the user said and what the model answered."""

    asked: dict[str, Any]
    said: str
    interrupted: bool = False

    @property
    def answer(self) -> str:
        """The answer, marked where it was cut off."""
        return f"{self.said}\n\n{INTERRUPTED}" if self.interrupted else self.said


class Conversation:
    """The turns so far; images wait for the next one."""

    def __init__(self, system: str | None = None) -> None:
        """Begin with nothing said."""
        self.system = system
        self.turns: list[Turn] = []
        self.images: list[Part] = []

    def message(self, text: str) -> dict[str, Any]:
        """Return what the user says next, with the images that wait for it."""
        return user_message(text, self.images)

    def messages(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return everything that goes to the model, `asked` last."""
        said = [] if self.system is None else [{"role": "system", "content": self.system}]
        for turn in self.turns:
            said += [turn.asked, {"role": "assistant", "content": turn.answer}]
        return [*said, asked]

    def keep(self, asked: dict[str, Any], answer: Answer) -> bool:
        """Remember a turn; one without an answer is not, as roles have to take turns."""
        if not answer.text:
            return False
        self.turns.append(Turn(asked, answer.text, answer.interrupted))
        self.images = []
        return True

    def clear(self) -> None:
        """Forget what was said; the system prompt stays."""
        self.turns = []
        self.images = []

    def as_json(self, model: str) -> str:
        """Write it as the model and its messages."""
        messages = self.messages({})[:-1]
        text = msgspec.json.encode({"model": model, "messages": messages})
        return inert_json(msgspec.json.format(text, indent=2).decode()) + "\n"

    def as_markdown(self, model: str) -> str:
        """Write it for people; images are mentioned only."""
        parts = [f"# Chat with {model}"]
        if self.system is not None:
            parts.append(f"## System\n\n{self.system}")
        for turn in self.turns:
            parts += [f"## You\n\n{_shown(turn.asked)}", f"## Model\n\n{inert(turn.answer)}"]
        return "\n\n".join(parts) + "\n"


def _shown(asked: dict[str, Any]) -> str:
    content = asked["content"]
    if isinstance(content, str):
        return content
    return "\n\n".join(part.get("text", "(an image)") for part in content)

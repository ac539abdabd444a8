"""`<think>...</think>` at the start of an answer, told apart from the answer itself."""

from __future__ import annotations

_OPEN = "<think>"
_CLOSE = "</think>"


def split_think(text: str) -> tuple[str | None, str]:
    """Return reasoning and answer of a whole text.

    Some templates put the opening tag into the prompt, so that a text may hold only the closing
    one. Reasoning that never ends is all reasoning.
    """
    start = text.lstrip()
    if not start.startswith(_OPEN) and _CLOSE not in text:
        return None, text
    before, closed, after = start.removeprefix(_OPEN).partition(_CLOSE)
    return before.strip() or None, after.lstrip() if closed else ""


class ThinkSplitter:
    """The same for text that arrives in pieces; tags may be split between them.

    The closing tag alone cannot be known before it comes, so only an opening tag starts reasoning.
    """

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        """Start before the first piece."""
        self._held = ""
        self._state = "start"

    @property
    def answering(self) -> bool:
        """Whether all that is to come is the answer's."""
        return self._state == "answer"

    def feed(self, text: str) -> tuple[str, str]:
        """Return what `text` adds to the reasoning and to the answer."""
        if self._state == "answer":
            return "", text
        text = self._held + text
        self._held = ""
        if self._state == "start":
            begun = text.lstrip()
            if begun.startswith(_OPEN):
                self._state = "opened"
                text = begun.removeprefix(_OPEN)
            elif _OPEN.startswith(begun):
                self._held = text
                return "", ""
            else:
                self._state = "answer"
                return "", text
        return self._after(text) if self._state == "closed" else self._think(text)

    def finish(self) -> tuple[str, str]:
        """Return what was held back in case a tag would follow."""
        held, self._held = self._held, ""
        return (held.rstrip(), "") if self._state in ("opened", "thinking") else ("", held)

    def _think(self, text: str) -> tuple[str, str]:
        if self._state == "opened":
            text = text.lstrip()
            if text:
                self._state = "thinking"
        thought, closed, answer = text.partition(_CLOSE)
        if closed:
            self._state = "closed"
            return thought.rstrip(), self._after(answer)[1]
        keep = next((n for n in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:n])), 0)
        # white space in front of the closing tag is no reasoning: it waits for what follows it
        said = text[: len(text) - keep].rstrip()
        self._held = text[len(said) :]
        return said, ""

    def _after(self, text: str) -> tuple[str, str]:
        text = text.lstrip()
        if text:
            self._state = "answer"
        return "", text

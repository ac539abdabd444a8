"""Text of others made fit to print: models and servers do not get to drive the terminal.

Escape sequences, other control characters and the bidirectional ones that make text read other
than it is are taken out; line breaks and tabs stay. Pure text.
"""

from __future__ import annotations

import re

_HELD = 2000
"""Characters that wait for the end of an escape sequence; one that is longer is none."""

# ECMA-48: CSI; strings (OSC, DCS, SOS, PM, APC) up to BEL or ST; two-character escapes.
_SEQUENCE = re.compile(
    rf"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    rf"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{{0,{_HELD}}}(?:\x07|\x1b\\|\x9c)"
    rf"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
_BEGUN = re.compile(
    rf"(?:\x1b\[|\x9b)[0-?]*[ -/]*\Z"
    rf"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{{0,{_HELD}}}\x1b?\Z"
    rf"|\x1b[ -/]*\Z"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u206f]")
_SECRET = re.compile(r"\bhf_[A-Za-z0-9_]{6,}")


def inert(text: str) -> str:
    """Return `text` without what a terminal would obey."""
    return _CONTROLS.sub("", _SEQUENCE.sub("", text))


def inert_line(text: str) -> str:
    """Return `text` as one line, without what a terminal would obey."""
    return " ".join(inert(text).split())


def inert_json(text: str) -> str:
    r"""Return JSON with such characters written as `\uXXXX`: the same value, safe to print."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def hide_secrets(text: str, *secrets: str | None) -> str:
    """Return `text` with `secrets`, and whatever looks like a Hugging Face token, left out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "****")
    return _SECRET.sub("hf_****", text)


class Inert:
    """`inert` for text that comes in pieces: a sequence split between two is still found."""

    def __init__(self) -> None:
        """Begin with nothing held back."""
        self._held = ""

    def feed(self, text: str) -> str:
        """Return what may be printed now."""
        text = _SEQUENCE.sub("", self._held + text)
        begun = _BEGUN.search(text)
        start = len(text) if begun is None else begun.start()
        self._held = text[start:]
        return _CONTROLS.sub("", text[:start])

    def finish(self) -> str:
        """Return what was held back for the end of a sequence that never came."""
        held, self._held = self._held, ""
        return inert(held)

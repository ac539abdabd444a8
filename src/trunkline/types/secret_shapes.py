"""What keys and tokens look like, and taking them out of text. Pure text; linear in its length.

Over-cautious on purpose: a harmless word that looks like a key is taken out too.
"""

from __future__ import annotations

import re

# A key may stand right behind an escape of JSON (`\n`, `\u000a`) whose letters are no part of it.
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
_DIGIT_SOON = r"(?=[A-Za-z_-]{0,39}[0-9])"

SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    # First, since a bearer's token may have a key inside it.
    ("token", re.compile(r"[Bb](?i:earer)(?:\s|%20|\\[nrt])+[A-Za-z0-9._~+/=-]{8,}")),
    ("token", re.compile(r"eyJ[A-Za-z0-9_.-]{16,}")),
    ("key", re.compile(r"hf_[A-Za-z0-9_]{6,}")),
    ("key", re.compile(_START + r"(?:sk|tl)[-_][A-Za-z0-9_-]{8,}")),
    ("key", re.compile(r"(?:sk|tl)-" + _DIGIT_SOON + r"[A-Za-z0-9_-]{20,}")),
    ("key", re.compile(r"gh[opsur]_[A-Za-z0-9_]{20,}|github_pat_[A-Za-z0-9_]{20,}")),
    ("key", re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|gsk_[A-Za-z0-9_]{20,}")),
)
"""What a kind of secret is called, and its shape, in the order in which they are looked for."""

_LAST_WORD = re.compile(r"(?<![A-Za-z0-9_.+=/~@%:-])[A-Za-z0-9_.+=/~@%:-]+\Z")
_LAST_NUMBER = re.compile(r"(?<![0-9])(?:[0-9][ -]?)+\Z")
_LONGEST_HEAD = 256
"""Characters at a cut that may be the head of a secret; of a longer one the shape is seen."""

_HIDDEN = "[hidden]"
_SHORTEST = 6
"""A registered secret shorter than this would take words out of everything."""


def looks_secret(text: str) -> bool:
    """Tell whether something in `text` looks like a key or a token."""
    return any(shape.search(text) for _, shape in SHAPES)


def without_cut_word(text: str) -> str:
    """Return `text`, which was cut at its end, without the piece of a word or number there.

    The piece may be the head of a secret, too short for its shape to be seen. Secrets that can be
    seen have to be taken out before.
    """
    near = text[-_LONGEST_HEAD:]
    kept = _LAST_NUMBER.sub("", _LAST_WORD.sub("", near))
    return text[: len(text) - len(near)] + kept


class Secrets:
    """Secrets that this process knows, beside those that can be told by their shape."""

    def __init__(self) -> None:
        """Know none."""
        self._known: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"Secrets({len(self._known)} known)"

    def hide(self, secret: str | None) -> None:
        """Have `secret` taken out of all that is cleaned from now on; too short ones are not."""
        if secret and len(secret) >= _SHORTEST and secret not in self._known:
            # The longest first: one secret may be the beginning of another.
            self._known = tuple(sorted((*self._known, secret), key=len, reverse=True))

    def clean(self, text: str) -> str:
        """Return `text` without secrets."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, _HIDDEN)
        for _, shape in SHAPES:
            text = shape.sub(_HIDDEN, text)
        return text

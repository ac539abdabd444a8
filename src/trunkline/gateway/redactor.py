"""Takes secrets and personal data out of text before it is kept. Pure text.

What is too long is cut first, so that the time it takes is bounded; linear patterns only.
"""

from __future__ import annotations

import re

from trunkline.gateway.config import ContentConfig
from trunkline.gateway.operator_patterns import OperatorPattern
from trunkline.types.secret_shapes import SHAPES, without_cut_word

# Begins at the start of a run of such characters only, and never gives any back.
_AROUND_AT = re.compile(r"(?<![\w.+%-])[\w.+%-]++(?:@[\w.+%-]++)+")
_MAIL_DOMAIN = re.compile(r"@[\w.+%-]*\.[^\W\d_]{2}")
_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12,}+")
_CARD_LENGTHS = range(19, 12, -1)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""A digit doubled, its own digits added up."""


class Redactor:
    """Makes text fit to be kept, by what the operator said."""

    def __init__(self, config: ContentConfig) -> None:
        """Read the operator's patterns; raises ConfigurationError for one that may be slow."""
        self._most = config.max_bytes
        self._patterns = [
            OperatorPattern(pattern, f"content.redact[{number}]")
            for number, pattern in enumerate(config.redact)
        ]

    def redact(self, text: str, *, whole: bool = True) -> str:
        """Return `text` with `[redacted:kind]` in place of what is not to be kept.

        Text that is too long, or was not `whole` when it came, ends with a mark that says so, and
        without the piece of a word before it: that may be the head of a secret.
        """
        encoded = text.encode("utf-8", "replace")
        if len(encoded) > self._most:
            whole = False
        clean = self._replaced(encoded[: self._most].decode("utf-8", "ignore"))
        return clean if whole else f"{without_cut_word(clean)}[cut]"

    def _replaced(self, text: str) -> str:
        for kind, shape in SHAPES:
            text = shape.sub(f"[redacted:{kind}]", text)
        text = _AROUND_AT.sub(lambda found: _without_address(found[0]), text)
        text = _DIGITS.sub(lambda found: _without_cards(found[0]), text)
        for pattern in self._patterns:
            text = pattern.replace(text, "[redacted:pattern]")
        return text


def _without_address(run: str) -> str:
    """Return what stands around an `@`, replaced if it has a domain: `host` and `1.2.3` are none."""
    if not _MAIL_DOMAIN.search(run):
        return run
    return f"[redacted:email]{run[len(run.rstrip('.+%-')) :]}"


def _without_cards(run: str) -> str:
    """Return digits, with single spaces or hyphens between, without the card numbers in them."""
    at = [place for place, sign in enumerate(run) if sign.isdigit()]
    sums = _luhn_sums([int(run[place]) for place in at])
    kept: list[str] = []
    done = 0
    for first, start in enumerate(at):
        after = _card_end(run, at, sums, first)
        if after:
            if start >= done:  # else it overlaps the one before: one mark for both
                kept += (run[done:start], "[redacted:card]")
            done = max(done, at[after - 1] + 1)
    return "".join((*kept, run[done:]))


def _card_end(run: str, at: list[int], sums: tuple[list[int], list[int]], first: int) -> int:
    """Return the number of the digit behind the card that begins with digit `first`, or 0."""
    begins = at[first] == 0 or not run[at[first] - 1].isdigit()
    if not begins or run[at[first]] not in "23456":
        return 0
    for length in _CARD_LENGTHS:
        after = first + length
        if after > len(at) or (after < len(at) and at[after] == at[after - 1] + 1):
            continue
        total = sums[(after - 1) % 2]
        if (total[after] - total[first]) % 10 == 0:
            return after
    return 0


def _luhn_sums(digits: list[int]) -> tuple[list[int], list[int]]:
    """Return running sums with every odd digit doubled, and with every even one."""
    even, odd = [0], [0]
    for number, digit in enumerate(digits):
        plain, doubled = digit, _DOUBLED[digit]
        even.append(even[-1] + (doubled if number % 2 else plain))
        odd.append(odd[-1] + (plain if number % 2 else doubled))
    return even, odd

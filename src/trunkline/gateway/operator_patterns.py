"""Operators' regular expressions, let in only where hostile text cannot make them slow.

Python's engine backtracks, and holds up the whole process meanwhile. So the steps that a pattern may
take at one place are counted when it is read, and it is searched for piece by piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _parser  # type: ignore[attr-defined]  # the parse tree has no public door
from typing import Any

from trunkline.errors import ConfigurationError

MOST_STEPS = 2000
"""Steps that a pattern may take at one place of a text: it reads no further than that, too."""
LONGEST_PATTERN = 1000
_PIECE = 1000
"""Characters that are searched in one go."""
_PLAIN = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"})
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_END = 0
"""Steps of what follows where nothing does."""


class OperatorPattern:
    """One pattern that takes time in proportion to the text's length."""

    def __init__(self, text: str, place: str = "content.redact") -> None:
        """Read it; raises ConfigurationError, which names `place`, for one that may be slow."""
        problem = f"{place}: the pattern {text!r} "
        if len(text) > LONGEST_PATTERN:
            raise ConfigurationError(f"{problem}is longer than {LONGEST_PATTERN} characters.")
        try:
            self._pattern = re.compile(text)
            tree: Any = _parser.parse(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise ConfigurationError(f"{problem}is no regular expression: {error}.") from error
        if tree.getwidth()[0] == 0:
            raise ConfigurationError(f"{problem}matches empty text, which is everywhere.")
        try:
            _steps(tree, _END)
        except _SlowError as error:
            raise ConfigurationError(f"{problem}{error}") from error

    def replace(self, text: str, by: str) -> str:
        """Return `text` with `by` in place of what the pattern matches."""
        kept: list[str] = []
        at = 0
        for start, end in self._spans(text):
            kept += (text[at:start], by)
            at = end
        return "".join((*kept, text[at:]))

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        at = 0
        while at < len(text):
            found = self._pattern.search(text, at, at + _PIECE + MOST_STEPS)
            if found is None or found.start() >= at + _PIECE:
                at += _PIECE
                continue
            # The piece's end is not the text's: only what matches without it counts.
            whole = self._pattern.match(text, found.start())
            at = found.start() + 1
            if whole is not None and whole.end() >= at:
                yield whole.span()
                at = whole.end()


class _SlowError(Exception):
    """Why a pattern may be slow, and what to write instead."""


def _steps(items: Any, after: int) -> int:
    """Return the most steps that items of a parse tree take, `after` being those of what follows."""
    for name, told in ((str(op), told) for op, told in reversed(list(items))):
        if name in _PLAIN:
            after += 1
        elif name in _REPEATS:
            after = _steps_of_repeat(told[0], told[1], told[2], after)
        elif name == "BRANCH":
            after = sum(_steps(branch, after) for branch in told[1]) + 1
        elif name == "SUBPATTERN":
            after = _steps(told[3], after)
        elif name == "ATOMIC_GROUP":
            after = _steps(told, after)
        elif name in {"ASSERT", "ASSERT_NOT"}:
            after = _steps(told[1], 1) + after
        else:
            raise _SlowError(f"refers back to a group ({name}), which takes no bounded time.")
        if after > MOST_STEPS:
            raise _SlowError(
                f"may take more than {MOST_STEPS} steps at each place of a text. "
                "Bound its repeats more tightly, as in {1,20}."
            )
    return after


def _steps_of_repeat(least: int, most: int, items: Any, after: int) -> int:
    if most == _parser.MAXREPEAT:
        if _varies(items):
            raise _SlowError(
                "has nested quantifiers, as in (a+)+, which can take time without end. "
                "Repeat only what has one length, or write the inner repeat as {1,20}."
            )
        if after != _END:
            raise _SlowError(
                "has an open-ended repeat (+, * or {n,}) before its end. "
                "Say how much it may take, as in {1,60}."
            )
        return least + _steps(items, 1)  # it takes all it can and never gives back
    steps = after
    for count in range(most, 0, -1):
        steps = _steps(items, steps) + (after if count > least else 0)
    return steps + 1


def _varies(items: Any) -> bool:
    """Tell whether something within can match more than one length by repeating."""
    for op, told in items:
        name = str(op)
        if name in _REPEATS and (told[0] != told[1] or _varies(told[2])):
            return True
        if name == "BRANCH" and any(_varies(branch) for branch in told[1]):
            return True
        if name == "SUBPATTERN" and _varies(told[3]):
            return True
        if name == "ATOMIC_GROUP" and _varies(told):
            return True
    return False

"""Text that fits a regular expression, for the expressions that schemas use.

Knows literals, classes, groups, alternatives and repetition; looking around and back is skipped.
"""

from __future__ import annotations

from collections.abc import Callable

_CLASSES = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyz0123456789_",
    "s": " ",
    "D": "abcdefghijklmnopqrstuvwxyz",
    "W": "-",
    "S": "abcdefghijklmnopqrstuvwxyz",
}
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_ANY = "abcdefghijklmnopqrstuvwxyz"
_PRINTABLE = "".join(map(chr, range(0x61, 0x7B))) + "".join(map(chr, range(0x20, 0x61)))
_MOST = 10_000
"""Characters in one text, and thereby the work that a pattern can ask for."""


class _Writer:
    """Walks an expression once and writes a text that it matches."""

    def __init__(self, pattern: str, pick: Callable[[int], int]) -> None:
        self.pattern = pattern
        self.at = 0
        self.pick = pick
        self.left = _MOST

    def alternatives(self) -> str:
        options = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            options.append(self.sequence())
        return options[self.pick(len(options))]

    def sequence(self) -> str:
        text = ""
        while self.peek() not in ("", "|", ")"):
            start = self.at
            piece = self.atom()
            low, high = self.repetition()
            text += piece
            count = low + self.pick(min(high - low, 3) + 1)
            if count == 0:
                text = text[: len(text) - len(piece)]
            after = self.at
            for _ in range(1, count):  # again, so that picks differ
                self.at = start
                text += self.atom()
            self.at = after
        return text

    def atom(self) -> str:
        self.left -= 1
        if self.left < 0:
            raise ValueError("the pattern asks for too much")
        char = self.next()
        if char == "(":
            return self.group()
        if char == "[":
            chars = self.char_class()
            return chars[self.pick(len(chars))] if chars else ""
        if char == "\\":
            chars = self.escape()
            return chars[self.pick(len(chars))] if chars else ""
        if char == ".":
            return _ANY[self.pick(len(_ANY))]
        return "" if char in "^$" else char

    def group(self) -> str:
        looking = self.pattern.startswith(("?=", "?!", "?<=", "?<!"), self.at)
        if self.pattern.startswith(("?<", "?P<"), self.at) and not looking:
            self.at = self.pattern.index(">", self.at) + 1
        elif self.peek() == "?":
            self.at += 3 if self.pattern.startswith("?<", self.at) else 2
        text = self.alternatives()
        self.at += 1  # the closing bracket
        return "" if looking else text

    def char_class(self) -> str:
        negated = self.peek() == "^"
        self.at += negated
        chars = ""
        while self.peek() not in ("", "]") or (self.peek() == "]" and not chars):
            first = self.next()
            first = self.escape() if first == "\\" else first
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("", "]"):
                self.at += 1
                last = self.next()
                last = self.escape() if last == "\\" else last
                until = min(ord(last[0]), ord(first[0]) + 99)
                first = "".join(map(chr, range(ord(first[0]), until + 1)))
            chars += first
        self.at += 1
        return "".join(c for c in _PRINTABLE if c not in chars) if negated else chars

    def escape(self) -> str:
        char = self.next()
        if char in "bBAZz":
            return ""
        if char in "ux":
            size = 4 if char == "u" else 2
            code, self.at = self.pattern[self.at : self.at + size], self.at + size
            return chr(int(code, 16))
        return _CLASSES.get(char) or _CONTROL.get(char) or char

    def repetition(self) -> tuple[int, int]:
        char = self.peek()
        low, high = {"*": (0, 3), "+": (1, 4), "?": (0, 1)}.get(char, (1, 1))
        if char == "{":
            end = self.pattern.find("}", self.at)
            first, comma, last = self.pattern[self.at + 1 : end].partition(",")
            low = int(first or 0)
            high = int(last) if last else low + 3 * bool(comma)
            self.at = end
        elif char not in ("*", "+", "?") or not char:
            return 1, 1
        self.at += 1
        if self.peek() in ("?", "+"):  # lazy or possessive: no difference here
            self.at += 1
        return low, max(high, low)

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def next(self) -> str:
        char = self.peek()
        self.at += 1
        return char


def text_for(pattern: str, pick: Callable[[int], int]) -> str | None:
    """Return text that `pattern` matches, None for one that is beyond this; `pick(n)` chooses."""
    try:
        return _Writer(pattern, pick).alternatives()
    except (ValueError, IndexError, RecursionError):
        return None

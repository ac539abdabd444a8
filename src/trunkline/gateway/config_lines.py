"""On which line of a TOML text each key stands, for messages. It reads no values.

Exact for text that tomllib takes; for other text it finds what it can and never fails.
"""

from __future__ import annotations

import re
import tomllib

from trunkline.gateway.config_problems import Where

_TOKENS = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}=,.\n]"
    r"|[^\s\[\]{}=,.\"'#]+"
    r"|[\"']",
    re.DOTALL,
)
_DEEPEST = 20
"""Parts of a dotted key that are looked at; no configuration has as many."""
_END = ""
"""The token after the last."""


def line_of(text: str, where: Where) -> int | None:
    """Return the line on which a place is written, or the nearest place that it is in."""
    lines, _ = scan(text)
    return nearest(lines, where)


def nearest(lines: dict[Where, int], where: Where) -> int | None:
    """Return the line of `where` or of the nearest place around it; None where there is none."""
    for end in range(len(where), 0, -1):
        if where[:end] in lines:
            return lines[where[:end]]
    return None


def scan(text: str) -> tuple[dict[Where, int], list[tuple[Where, int]]]:
    """Return the first line of each key, and the keys that are written again with their lines."""
    scanner = _Scanner(text)
    try:
        scanner.document()
    except RecursionError:
        pass  # nested deeper than tomllib takes; what was found until here is good
    return scanner.lines, scanner.again


class _Scanner:
    """Walks over the tokens of a text and notes where keys are."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Where, int] = {}
        self.again: list[tuple[Where, int]] = []
        self._tokens: list[tuple[str, int]] = []
        line = 1
        for found in _TOKENS.finditer(text):
            token = found[0]
            if not token.startswith("#"):
                self._tokens.append((token, line))
            line += token.count("\n")
        self._tokens.append((_END, line))
        self._at = 0
        self._tables: dict[Where, int] = {}
        """How many tables each array of tables has so far."""

    def document(self) -> None:
        table: Where = ()
        while self._now != _END:
            if self._now == "\n":
                self._at += 1
            elif self._now == "[":
                table = self._header()
            else:
                self._pair(table)
                self._skip_line()

    @property
    def _now(self) -> str:
        return self._tokens[self._at][0]

    def _header(self) -> Where:
        line = self._tokens[self._at][1]
        self._at += 1
        array = self._now == "["
        if array:
            self._at += 1
        where = self._within(self._key("]\n"))
        if array:
            count = self._tables.get(where, 0)
            self._tables[where] = count + 1
            self.lines.setdefault(where, line)
            where = (*where, count)
        self._note(where, line)
        self._skip_line()
        return where

    def _within(self, where: Where) -> Where:
        """Return where a header leads: through the last table of each array on its way."""
        found: Where = ()
        for number, part in enumerate(where, 1):
            found = (*found, part)
            if found in self._tables and number < len(where):
                found = (*found, self._tables[found] - 1)
        return found

    def _pair(self, table: Where) -> None:
        line = self._tokens[self._at][1]
        key = self._key("=,}\n")
        where = (*table, *key)
        for end in range(len(table) + 1, len(where)):
            self.lines.setdefault(where[:end], line)
        if key:
            self._note(where, line)
        if self._now == "=":
            self._at += 1
            self._value(where)

    def _note(self, where: Where, line: int) -> None:
        if where in self.lines:
            self.again.append((where, line))
        else:
            self.lines[where] = line

    def _key(self, ends: str) -> Where:
        """Read a dotted key up to one of the characters in `ends`."""
        parts: list[str] = []
        while self._now != _END and self._now not in ends:
            if self._now != "." and len(parts) < _DEEPEST:
                parts.append(_named(self._now))
            self._at += 1
        return tuple(parts)

    def _value(self, where: Where) -> None:
        if self._now == "[":
            self._array(where)
        elif self._now == "{":
            self._inline_table(where)
        else:
            while self._now != _END and self._now not in ",]}\n":
                self._at += 1

    def _array(self, where: Where) -> None:
        self._at += 1
        count = 0
        while self._now not in ("]", _END):
            if self._now in (",", "\n", "}", "="):
                self._at += 1
                continue
            self.lines.setdefault((*where, count), self._tokens[self._at][1])
            self._value((*where, count))
            count += 1
        self._at += self._now != _END

    def _inline_table(self, where: Where) -> None:
        self._at += 1
        while self._now not in ("}", _END):
            if self._now in (",", "\n", "]", "="):
                self._at += 1
            else:
                self._pair(where)
        self._at += self._now != _END

    def _skip_line(self) -> None:
        while self._now not in ("\n", _END):
            self._at += 1


def _named(token: str) -> str:
    """Return the name that a token of a key stands for."""
    if not token.startswith(('"', "'")):
        return token
    try:
        return next(iter(tomllib.loads(f"{token} = 0")))
    except tomllib.TOMLDecodeError:
        return token  # the text is wrong here, and tomllib says so elsewhere

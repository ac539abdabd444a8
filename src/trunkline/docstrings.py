"""What a docstring says of a function and of its parameters: Google's, NumPy's and reST's way."""

from __future__ import annotations

import inspect
import re


def read_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """Return the first paragraph as one line, and what is said of each parameter."""
    lines = inspect.cleandoc(text or "").splitlines()
    return _summary(lines), {**_field_list(lines), **_numpy(lines), **_google(lines)}


_HEADER = re.compile(r"(args|arguments|params|parameters)\s*:", re.IGNORECASE)
_SECTION = re.compile(
    r"(args|arguments|params|parameters|returns?|yields?|raises|examples?|notes?)\s*:",
    re.IGNORECASE,
)
_RULE = re.compile(r"-{3,}\s*")


def _summary(lines: list[str]) -> str:
    taken: list[str] = []
    for line, after in zip(lines, [*lines[1:], ""], strict=False):
        ends = not line.strip() or line.startswith(":") or _SECTION.fullmatch(line.strip())
        if ends or _RULE.fullmatch(after):
            break
        taken.append(line.strip())
    return " ".join(taken)


_GOOGLE_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:(?:\s+(.*))?")


def _google(lines: list[str]) -> dict[str, str]:
    """Read `Args:` followed by indented `name (type): text`."""
    start = next((i for i, line in enumerate(lines) if _HEADER.fullmatch(line.strip())), None)
    if start is None:
        return {}
    entries = _indented(lines[start + 1 :], _indent(lines[start]))
    return _entries(entries, _GOOGLE_ENTRY)


_NUMPY_ENTRY = re.compile(r"\*{0,2}(\w+)()\s*(?::.*)?")


def _numpy(lines: list[str]) -> dict[str, str]:
    """Read `Parameters`, underlined, followed by `name : type` and indented text."""
    heads = [i for i, line in enumerate(lines[1:]) if _RULE.fullmatch(line.strip())]
    for number, start in enumerate(heads):
        if lines[start].strip().lower() in ("parameters", "other parameters"):
            end = heads[number + 1] if number + 1 < len(heads) else len(lines)
            return _entries(lines[start + 2 : end], _NUMPY_ENTRY)
    return {}


_FIELD = re.compile(r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")


def _field_list(lines: list[str]) -> dict[str, str]:
    """Read `:param type name: text`."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in lines:
        field = _FIELD.match(line.strip())
        if field:
            current = found[field[1]] = [field[2]]
        elif not line.strip() or line.lstrip().startswith(":"):
            current = None
        elif current is not None:
            current.append(line)
    return _joined(found)


def _entries(lines: list[str], entry: re.Pattern[str]) -> dict[str, str]:
    """Read entries that begin at the first line's indentation and go on further in."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    level = next((_indent(line) for line in lines if line.strip()), 0)
    for line in lines:
        if not line.strip():
            continue
        begins = entry.fullmatch(line.strip()) if _indent(line) <= level else None
        if begins:
            current = found[begins[1]] = [begins[2] or ""]
        elif current is not None:
            current.append(line)
    return _joined(found)


def _indented(lines: list[str], level: int) -> list[str]:
    """Return the lines further in than `level`, up to the first that is not."""
    end = next((i for i, s in enumerate(lines) if s.strip() and _indent(s) <= level), len(lines))
    return lines[:end]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(found: dict[str, list[str]]) -> dict[str, str]:
    said = {name: " ".join(line.strip() for line in lines) for name, lines in found.items()}
    return {name: text.strip() for name, text in said.items() if text.strip()}

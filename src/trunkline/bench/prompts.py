"""What is asked, as values, and prompts read from a user's file. Pure: bytes in, prompts out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from trunkline.dialects.messages import prepare_messages
from trunkline.errors import InvalidInputError
from trunkline.wire import strict_json

FORMS = (".txt", ".jsonl")
_FIELDS = frozenset(
    {"name", "prompt", "messages", "tools", "tool_choice", "response_format", "expect"}
)
_KINDS = ("contains", "equals", "json", "tool")


class Expect(msgspec.Struct, frozen=True):
    """What a right answer is."""

    kind: Literal["contains", "equals", "json", "tool"]
    value: Any
    """The text, the JSON value, or the tool's name."""
    arguments: dict[str, Any] | None = None
    """Arguments that the call of the tool must have; it may have others."""

    def __str__(self) -> str:
        """Say what is expected."""
        if self.kind == "tool":
            given = "" if self.arguments is None else strict_json.encode(self.arguments).decode()
            return f"a call of {self.value}({given})"
        value = (
            self.value if isinstance(self.value, str) else strict_json.encode(self.value).decode()
        )
        return value if self.kind in ("equals", "json") else f"...{value}..."


class Prompt(msgspec.Struct, frozen=True):
    """One thing to ask, at temperature 0."""

    name: str
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: Any = None
    response_format: dict[str, Any] | None = None
    expect: Expect | None = None
    looks_at: str = ""
    """What shows in a wrong answer: `arithmetic`, `long context`."""
    context: int = 0
    """Tokens, roughly, that a provider's context must hold for it."""

    weight: float | None = None
    """How much an answer that is wrong, or differs, tells of its place; 1.0 is enough by itself."""

    @property
    def counts(self) -> float:
        """`weight`, or what is usual: all of it where one answer is right, else half."""
        if self.weight is not None:
            return self.weight
        return 0.5 if self.expect is None else 1.0

    @property
    def text(self) -> str:
        """What the last message says, to show it by."""
        content = self.messages[-1].get("content")
        if isinstance(content, str):
            return content
        parts = content if isinstance(content, list) else []
        return " ".join(str(part.get("text", "...")) for part in parts if isinstance(part, dict))


def read_prompts(data: bytes, name: str) -> tuple[Prompt, ...]:
    """Read a file of prompts: one a line, or with `.jsonl` an object a line.

    Raises InvalidInputError that names the file and the line.
    """
    lower = name.lower()
    if not lower.endswith(FORMS):
        raise InvalidInputError(
            f"The file of prompts {name} is neither .txt nor .jsonl.",
            hint='A .txt has a prompt a line; a .jsonl {"prompt": ...} or {"messages": [...]} a line.',
        )
    read = _objects if lower.endswith(".jsonl") else _lines
    found = tuple(read(_numbered(data, name), name))
    if not found:
        raise InvalidInputError(f"The file of prompts {name} has no prompt.")
    names = [prompt.name for prompt in found]
    twice = next((n for i, n in enumerate(names) if n in names[:i]), None)
    if twice is not None:
        raise InvalidInputError(f"The file of prompts {name} has two prompts named {twice!r}.")
    return found


def prompt_of(row: object, name: str) -> Prompt:
    """Make a prompt of a decoded object; raises InvalidInputError that says what is wrong."""
    if not isinstance(row, dict):
        raise InvalidInputError("it is no object.")
    unknown = sorted(set(row) - _FIELDS)
    if unknown:
        raise InvalidInputError(
            f"it has no field {unknown[0]!r}; known are {', '.join(sorted(_FIELDS))}."
        )
    tools = () if row.get("tools") is None else row["tools"]
    form = row.get("response_format")
    if not isinstance(tools, (list, tuple)) or not all(isinstance(t, dict) for t in tools):
        raise InvalidInputError("`tools` is no list of objects.")
    if form is not None and not isinstance(form, dict):
        raise InvalidInputError("`response_format` is no object.")
    told = row.get("name", name)
    if not isinstance(told, str) or not told:
        raise InvalidInputError("`name` is no text.")
    return Prompt(
        name=told,
        messages=_messages(row),
        tools=tuple(tools),
        tool_choice=row.get("tool_choice"),
        response_format=form,
        expect=None if row.get("expect") is None else _expect(row["expect"]),
    )


def _messages(row: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    prompt, messages = row.get("prompt"), row.get("messages")
    if (prompt is None) == (messages is None):
        raise InvalidInputError("it needs either `prompt` or `messages`.")
    if messages is None:
        if not isinstance(prompt, str) or not prompt.strip():
            raise InvalidInputError("`prompt` is no text.")
        return ({"role": "user", "content": prompt},)
    return tuple(prepare_messages(messages))


def _expect(told: object) -> Expect:
    if isinstance(told, str):
        return Expect("contains", told)
    if not isinstance(told, dict):
        raise InvalidInputError("`expect` is neither a text nor an object.")
    kinds = [kind for kind in _KINDS if kind in told]
    more = set(told) - set(kinds) - ({"arguments"} if kinds == ["tool"] else set())
    if len(kinds) != 1 or more:
        raise InvalidInputError(
            "`expect` takes one of contains, equals, json and tool (with arguments)."
        )
    kind, value, arguments = kinds[0], told[kinds[0]], told.get("arguments")
    if kind != "json" and not isinstance(value, str):
        raise InvalidInputError(f"`expect.{kind}` is no text.")
    if arguments is not None and not isinstance(arguments, dict):
        raise InvalidInputError("`expect.arguments` is no object.")
    return msgspec.convert({"kind": kind, "value": value, "arguments": arguments}, Expect)


def _numbered(data: bytes, name: str) -> Iterator[tuple[int, str]]:
    """Return the lines that are not empty, with their numbers."""
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{name}, line {number}: it is not UTF-8.") from error
        if text:
            yield number, text


def _lines(lines: Iterable[tuple[int, str]], _: str) -> Iterator[Prompt]:
    for number, text in lines:
        yield Prompt(f"line {number}", ({"role": "user", "content": text},))


def _objects(lines: Iterable[tuple[int, str]], name: str) -> Iterator[Prompt]:
    for number, text in lines:
        try:
            yield prompt_of(strict_json.decode(text.encode()), f"line {number}")
        except strict_json.JsonError as error:
            raise InvalidInputError(f"{name}, line {number}: it is not JSON: {error}.") from error
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{name}, line {number}: {error.message}", hint=error.hint
            ) from error

"""Whether an answer is the one that was expected, and how alike two answers are. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

from trunkline.bench.prompts import Expect
from trunkline.bench.values import Answer
from trunkline.wire import strict_json

_LONG = 1_000
"""Words beyond which texts are compared by the words they share, not by their order."""
_FENCE = re.compile(r"^```[a-z]*\n(.*?)\n?```$", re.DOTALL)


def wrong_with(answer: Answer, expect: Expect) -> str | None:
    """Return what is wrong with an answer; None where it is as expected."""
    return _JUDGES[expect.kind](answer, expect)


def normal(text: str) -> str:
    """Return a text without what no reader would call a difference."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def same(one: Answer, other: Answer) -> bool:
    """Tell whether two answers are the same once normalised: as values, where both are JSON."""
    if _called(one) != _called(other):
        return False
    if normal(one.text) == normal(other.text):
        return True
    values = [_json(answer.text) for answer in (one, other)]
    return all(isinstance(value, (dict, list)) for value in values) and values[0] == values[1]


@lru_cache(maxsize=2_048)
def similarity(one: Answer, other: Answer) -> float:
    """Return how alike two answers are: 1.0 the same, 0.0 nothing in common.

    The matrix and the search for who stands out ask for the same pairs.
    """
    if same(one, other):
        return 1.0
    words = [normal(answer.shown()).split() for answer in (one, other)]
    if not all(words):
        return 0.0
    if max(map(len, words)) > _LONG:
        return _overlap(*words)
    return SequenceMatcher(None, words[0], words[1], autojunk=False).ratio()


def _overlap(one: list[str], other: list[str]) -> float:
    shared = sum((Counter(one) & Counter(other)).values())
    return 2 * shared / (len(one) + len(other))


def _called(answer: Answer) -> list[tuple[str, Any]]:
    """Return the calls of tools, their arguments as values where they are JSON."""
    return [(call.name, _json(call.arguments, call.arguments)) for call in answer.calls]


def _json(text: str, otherwise: Any = None) -> Any:
    try:
        return strict_json.decode(text.strip().encode())
    except (strict_json.JsonError, UnicodeEncodeError):
        return otherwise


def _contains(answer: Answer, expect: Expect) -> str | None:
    if normal(expect.value) in normal(answer.text):
        return None
    return f"{expect.value!r} is not in it"


def _equals(answer: Answer, expect: Expect) -> str | None:
    bare = normal(answer.text).strip(" .!\"'*`")
    return None if bare == normal(expect.value) else f"it is not {expect.value!r}"


def _as_json(answer: Answer, expect: Expect) -> str | None:
    value = _json(answer.text)
    if value is None:
        fenced = _FENCE.match(answer.text.strip())
        inner = None if fenced is None else _json(fenced[1])
        return "it is JSON in a code fence" if inner is not None else "it is not JSON"
    if value == expect.value:
        return None
    if isinstance(value, dict) and isinstance(expect.value, dict):
        fields = sorted({*value, *expect.value})
        off = [name for name in fields if value.get(name) != expect.value.get(name)]
        return f"of its JSON {', '.join(off)} is not as expected"
    return "it is other JSON"


def _tool(answer: Answer, expect: Expect) -> str | None:
    if not answer.calls:
        spelt = expect.value in answer.text
        return "the call is written as text" if spelt else "no tool is called"
    named = [call for call in answer.calls if call.name == expect.value]
    if not named:
        return f"{answer.calls[0].name!r} is called, not {expect.value!r}"
    if len(answer.calls) > 1:
        return f"{len(answer.calls)} tools are called, not one"
    arguments = _json(named[0].arguments)
    if not isinstance(arguments, dict):
        return "the arguments are no JSON object"
    for name, value in (expect.arguments or {}).items():
        given = arguments.get(name)
        if given != value and not _alike(given, value):
            return f"the argument {name!r} is {given!r}, not {value!r}"
    return None


def _alike(given: Any, value: Any) -> bool:
    """Tell whether two texts differ in case alone, or one says more: `Oslo, Norway`."""
    return (
        isinstance(given, str)
        and isinstance(value, str)
        and normal(given).startswith(normal(value))
    )


_JUDGES = {"contains": _contains, "equals": _equals, "json": _as_json, "tool": _tool}

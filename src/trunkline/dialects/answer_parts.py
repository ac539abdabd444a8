"""The parts that answers to tasks are made of, and what is said of one that does not fit.

Parsers take decoded JSON and return results; they raise MisfitError, which `reads` turns into the
error that a caller sees.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any, TypeVar

from trunkline.dialects.fields import is_number
from trunkline.dialects.shape import Reading, Wish, unreadable
from trunkline.types.results import Items

T = TypeVar("T")
Parse = Callable[[Any, Wish], Any]

_SHOWN = 5
_NUMERAL = re.compile(r"-?\d{1,300}(\.\d{1,300})?([eE][-+]?\d{1,3})?", re.ASCII)


class MisfitError(Exception):
    """An answer is not what its task gives; the text says in which way."""


def reads(parse: Parse) -> Callable[[Reading, Wish], Any]:
    """Return `parse` as a shape's `read`: it gets the decoded answer."""

    def read(reading: Reading, wish: Wish) -> Any:
        answer = reading.json
        try:
            return parse(answer, wish)
        except MisfitError as error:
            raise unreadable(reading, str(error)) from error

    return read


def shown(answer: Any) -> str:
    """Say in a few words what came, without quoting much of it."""
    if isinstance(answer, dict):
        error = answer.get("error")
        error = error.get("message") if isinstance(error, dict) else error
        if error and isinstance(error, (str, list)):
            return f"an error: {str(error)[:300]}"
        names = [str(name) for name in answer]
        more = ", ..." if len(names) > _SHOWN else ""
        return f"an object with {', '.join(names[:_SHOWN])}{more}" if names else "an empty object"
    if isinstance(answer, list):
        return _shown_list(answer)
    if answer is None or isinstance(answer, bool):
        return {None: "null", True: "true", False: "false"}[answer]
    return "a text" if isinstance(answer, str) else "a number"


def _shown_list(answer: list[Any]) -> str:
    if not answer:
        return "an empty list"
    first = answer[0]
    inner = f"a list of {len(first):,}" if isinstance(first, list) else shown(first)
    return f"a list of {len(answer):,}, first {inner}"


def misfit(answer: Any, expected: str) -> MisfitError:
    """Return the error for `answer`, which came instead of what was `expected`."""
    return MisfitError(f"it is {shown(answer)}, where {expected} is expected")


def an_object(answer: Any, expected: str) -> dict[str, Any]:
    """Return a copy of an object, for taking apart; what is left of it is what nobody declared."""
    if not isinstance(answer, dict):
        raise misfit(answer, expected)
    return dict(answer)


def text(row: dict[str, Any], name: str) -> str:
    """Take a text out of `row`."""
    value = row.pop(name, None)
    if not isinstance(value, str):
        raise MisfitError(f"{name} is {shown(value)}, not a text")
    return value


def name(row: dict[str, Any], key: str) -> str:
    """Take a text out of `row` that some servers write as a number: a class, an answer, a cell."""
    value = row.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        row[key] = str(value)
    return text(row, key)


def optional_text(row: dict[str, Any], name: str) -> str | None:
    """Take a text out of `row`; None where it has none."""
    if row.get(name) is None:
        row.pop(name, None)
        return None
    return text(row, name)


def number(value: Any, name: str) -> float:
    """Return a number as it came; some servers write it as text."""
    told = value
    if isinstance(value, str) and _NUMERAL.fullmatch(value):
        told = float(value) if set(value) & set(".eE") else int(value)
    if not is_number(told):
        raise MisfitError(f"{name} is {shown(value)}, not a number")
    found: float = told
    return found


def optional_number(row: dict[str, Any], name: str) -> float | None:
    """Take a number out of `row`; None where it has none."""
    value = row.pop(name, None)
    return None if value is None else number(value, name)


def optional_count(row: dict[str, Any], name: str) -> int | None:
    """Take a whole number out of `row`; None where it has none."""
    value = optional_number(row, name)
    if value is None or value == int(value):
        return None if value is None else int(value)
    raise MisfitError(f"{name} is {value}, not a whole number")


def unwrapped(answer: Any, *names: str) -> Any:
    """Return what an object holds under one of `names`, else the answer itself."""
    if isinstance(answer, dict):
        return next((answer[name] for name in names if name in answer), answer)
    return answer


def several(answer: Any, wish: Wish, parse: Callable[[Any], T]) -> Items[Any]:
    """Read a list of objects, each with `parse`.

    Lists within a list become Items within Items; one alone is unwrapped, unless a list was asked.
    Some servers of endpoints put the list under `results`; others leave it out around one object.
    """
    answer = unwrapped(answer, "results")
    if isinstance(answer, dict):
        answer = [answer]
    if not isinstance(answer, list):
        raise misfit(answer, "a list of objects")
    nested = bool(answer) and all(isinstance(part, list) for part in answer)
    if not nested:
        return Items(parse(item) for item in answer)
    if len(answer) == 1 and not isinstance(wish.inputs, list):
        return Items(parse(item) for item in answer[0])
    return Items(Items(parse(item) for item in part) for part in answer)


def alone(answer: Any) -> Any:
    """Return the one object that a list holds, however deep; anything else as it is."""
    while isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], (list, dict)):
        answer = answer[0]
    return answer


def decoded(value: str, name: str) -> bytes:
    """Return the bytes of base64 text, also of a `data:` URL, and without its padding."""
    head, comma, tail = value.partition(",")
    packed = "".join((tail if comma and head.startswith("data:") else value).split())
    try:
        return binascii.a2b_base64(packed + "=" * (-len(packed) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise MisfitError(f"{name} is not base64 ({error})") from error

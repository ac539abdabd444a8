"""What a row of the wall says: what is true of a fault, and what may come of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.conformance.outcome import SHAPES, Shape, Tokens

VerdictName = Literal["pass", "safe error", "wrong", "hang"]

Kind = Literal[
    "upstream",
    "busy",
    "late",
    "rate",
    "asked",
    "missing",
    "credential",
    "money",
    "conflict",
    "either",
]
"""What an error that tells the truth is about."""

_SERVER = frozenset(range(500, 600))
_ASKED = frozenset({400, 413, 415, 422})

TRUE_STATUSES: dict[Kind, frozenset[int]] = {
    "upstream": _SERVER | {424},
    "busy": _SERVER | {429},
    "late": _SERVER | {408},
    "rate": frozenset({429}),
    "asked": _ASKED,
    "missing": frozenset({400, 404, 410}),
    "credential": frozenset({401, 403, 500, 502}),
    "money": frozenset({402, 403}),
    "conflict": _SERVER | {409},
    "either": _SERVER | _ASKED | {424},
}
"""Statuses that say what happened, by what it is about."""

BLAME: dict[Kind, str] = {
    "upstream": "the upstream failed: a 5xx",
    "busy": "the upstream is busy: a 5xx or 429",
    "late": "the upstream is late: a 5xx or 408",
    "rate": "a rate limit: 429, or 503 with Retry-After",
    "asked": "the request is refused: 400, 413 or 422",
    "missing": "there is no such model: 404 or 400",
    "credential": "a credential is refused: 401, 403 or 502",
    "money": "the money is used up: 402",
    "conflict": "a conflict: 409 or a 5xx",
    "either": "the upstream refused or failed: a 4xx or 5xx of that kind",
}


class Row(msgspec.Struct, frozen=True):
    """One fault: what may come of it, and what is true then."""

    fault: str
    may: tuple[VerdictName, ...]
    """The verdicts that are expected."""
    why: str
    """Why those."""
    told: Kind = "upstream"
    shapes: tuple[Shape, ...] = SHAPES
    front: tuple[str, ...] = ("",)
    """What the fault puts in front of the text; any of these is right."""
    tokens: Literal["good", "unknown", "last"] | Tokens = "good"
    """What the upstream tells of usage: as without the fault, nothing, on each chunk, or this."""
    finishes: tuple[str | None, ...] = ()
    """Finish reasons that are right; none means that of the answer without the fault."""
    wordless: bool = False
    """Whether the answer has no text."""
    calls: int = 0
    """How many tool calls the answer has; the request has tools then."""
    one_id: bool = False
    """Whether all of them have the same id."""
    wait: float | None = None
    """Seconds that the upstream asks to wait."""
    hidden: tuple[bytes, ...] = ()
    """What no head of the client's answer may hold."""
    then: bool = False
    """Whether the calls right behind are looked at, too."""
    heavy: bool = False
    """Whether it is an attack on time or memory: such calls come last, one by one."""
    leaves: bool = False
    """Whether it has no end: the client leaves, and the upstream has to notice."""


def bears(fault: str, why: str, **more: object) -> Row:
    """Return a row for what can be borne: a right answer, and nothing else, is expected."""
    return _row(fault, ("pass",), why, more)


def fails(fault: str, why: str, **more: object) -> Row:
    """Return a row for what nobody can make good: an error is expected."""
    return _row(fault, ("safe error",), why, more)


def either(fault: str, why: str, **more: object) -> Row:
    """Return a row where a right answer and an error are both in order."""
    return _row(fault, ("pass", "safe error"), why, more)


def _row(fault: str, may: tuple[VerdictName, ...], why: str, more: dict[str, object]) -> Row:
    return msgspec.convert({"fault": fault, "may": may, "why": why, **more}, Row)

"""The calls that the wall makes, one for a row and a shape, and what is kept of each. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from trunkline.conformance.judge import Verdict
from trunkline.conformance.outcome import SHAPES, Shape
from trunkline.conformance.rows import Row, VerdictName, bears
from trunkline.conformance.wall import WALL
from trunkline.errors import ConfigurationError
from trunkline.sandbox import FAULTS

PLAIN = "plain"
"""The model that has no fault."""
VERDICTS: tuple[VerdictName, ...] = ("pass", "safe error", "wrong", "hang")

_TOKENS = 16
"""Few enough that every answer ends for its length: a made-up `stop` is seen."""
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Tells it for a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    for name in ("get_weather", "get_time")
]


class Call(msgspec.Struct, frozen=True):
    """One call: a row in one shape."""

    row: Row
    shape: Shape

    @property
    def model(self) -> str:
        """The model's name as the sandbox knows it; each shape has its own, since faults count."""
        fault = self.fault
        return f"{self.shape}/{PLAIN}" if fault is None else f"{self.shape}/fault-{fault}"

    @property
    def fault(self) -> str | None:
        """The fault that is asked for; None for a call without one."""
        return None if self.row.fault == PLAIN else self.row.fault


_PLAIN = bears(PLAIN, "nothing is wrong with it")
PLAIN_CALLS: dict[Shape, Call] = {shape: Call(_PLAIN, shape) for shape in SHAPES}
"""Calls without a fault."""
BEHIND = 3
"""Calls that are made right behind one whose connection may be spoilt."""


class Result(msgspec.Struct, frozen=True):
    """What came of one call."""

    client: str
    """Who asked: `gateway`, `Client` or `AsyncClient`."""
    fault: str
    group: str
    shape: Shape
    says: str
    """What the fault does."""
    verdict: VerdictName
    expected: bool
    """Whether it is one of the verdicts that the row expects."""
    may: tuple[VerdictName, ...]
    why: str
    asked: int
    """How often the sandbox was asked for this call."""
    seconds: float


def calls_for(only: Sequence[str] = ()) -> list[Call]:
    """Return the calls of the rows that `only` names: faults, patterns or groups; none names all.

    Raises ConfigurationError for a name that fits no row.
    """
    rows = [row for row in WALL if not only or any(_fits(row, name) for name in only)]
    for name in only:
        if not any(_fits(row, name) for row in rows):
            raise ConfigurationError(
                f"No fault of the wall is called {name!r}, nor a group: --list shows them."
            )
    return [Call(row, shape) for row in rows for shape in row.shapes]


def _fits(row: Row, name: str) -> bool:
    return fnmatch.fnmatchcase(row.fault, name) or FAULTS[row.fault].row == name


def parameters(shape: Shape, *, tools: bool) -> dict[str, Any]:
    """Return a call's parameters, as OpenAI names them."""
    told: dict[str, Any] = {"max_tokens": _TOKENS}
    if tools:
        told["tools"] = _TOOLS
    if shape == "stream":
        told["stream_options"] = {"include_usage": True}
    return told


def messages(mark: str) -> list[dict[str, Any]]:
    """Return what is said: `mark` is found again at the upstream, and in the answer."""
    return [{"role": "user", "content": f"{mark} is the mark of this call. Say it again."}]


def result_of(client: str, call: Call, verdict: Verdict, asked: int, seconds: float) -> Result:
    """Return what is kept of a call."""
    row = call.row
    fault = FAULTS[row.fault]
    return Result(
        client,
        row.fault,
        fault.row,
        call.shape,
        fault.says,
        verdict.name,
        verdict.expected,
        row.may,
        verdict.why,
        asked,
        round(seconds, 3),
    )


def count(results: Iterable[Result]) -> dict[str, int]:
    """Return how many there are of each verdict."""
    found = dict.fromkeys(VERDICTS, 0)
    for result in results:
        found[result.verdict] += 1
    return {str(name): number for name, number in found.items()}

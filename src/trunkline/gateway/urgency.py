"""How urgent a request is: whether it may wait behind others, and by when it has to be over.

Said by its headers, its key and its route. A client can make a call less urgent than its key and
route have it, never more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import msgspec

from trunkline.dialects.openai_server import RequestError
from trunkline.errors import DeadlineExceeded
from trunkline.gateway.guard import Refusal
from trunkline.store.records import Priority

DEADLINE_HEADER = b"x-trunkline-deadline"
PRIORITY_HEADER = b"x-trunkline-priority"
PASSED = "deadline_exceeded"
"""The code of a call whose own deadline passed."""
_PATIENCE = (b"x-stainless-read-timeout", b"x-stainless-timeout")
"""In which OpenAI's own clients say for how many seconds they wait for an answer to begin."""
_LONGEST = 7 * 86400.0
_DIGITS = 32


class Urgency(msgspec.Struct, frozen=True):
    """What was said."""

    kind: Priority = "interactive"
    deadline: float = math.inf
    """Monotonic time at which the call is over."""
    seconds: float = math.inf
    """How long it has in all."""


ORDINARY = Urgency()


def read_urgency(
    headers: Mapping[bytes, bytes], kind: Priority, seconds: float, began: float
) -> Urgency:
    """Return how urgent a request is that may take `seconds` by its key and route, and is of a kind.

    Raises RequestError for a header that says nothing sensible.
    """
    told = headers.get(PRIORITY_HEADER)
    if told is not None:
        asked = _kind(told)
        kind = "batch" if "batch" in (asked, kind) else "interactive"
    wanted = headers.get(DEADLINE_HEADER)
    if wanted is not None:
        seconds = min(seconds, _seconds(wanted))
    return Urgency(kind, began + seconds, seconds)


def patience(headers: Mapping[bytes, bytes]) -> float:
    """Return for how many seconds a client says that it waits for an answer's first byte."""
    told = [found for name in _PATIENCE if (found := _number(headers.get(name, b""))) is not None]
    return min(told, default=math.inf)


def _kind(told: bytes) -> Priority:
    word = told.strip().lower()
    if word == b"batch":
        return "batch"
    if word == b"interactive":
        return "interactive"
    raise RequestError(
        "The header x-trunkline-priority is 'interactive' or 'batch'. Leave it out, or send one of them.",
        param=PRIORITY_HEADER.decode(),
        code="invalid_priority",
    )


def _seconds(told: bytes) -> float:
    seconds = _number(told)
    if seconds is None:
        raise RequestError(
            "The header x-trunkline-deadline is a number of seconds, above 0 and at most a week: "
            "by then the whole answer has to be there.",
            param=DEADLINE_HEADER.decode(),
            code="invalid_deadline",
        )
    return seconds


def _number(told: bytes) -> float | None:
    try:
        seconds = float(told) if len(told) <= _DIGITS else math.nan
    except ValueError:
        return None
    return seconds if 0 < seconds <= _LONGEST else None


def passed(urgency: Urgency) -> DeadlineExceeded:
    """Return the error of what was not over by its deadline."""
    return DeadlineExceeded(f"This was to be over within {urgency.seconds:g} s, and was not.")


def seconds_left(urgency: Urgency) -> float | None:
    """Return for how long what has this deadline may go on; None without one."""
    if math.isinf(urgency.deadline):
        return None
    return max(urgency.deadline - time.monotonic(), 0.0)


def too_late(urgency: Urgency, *, wait: float | None = None) -> Refusal:
    """Say that a call's deadline has passed before it was sent, or would while it waits."""
    said = f"This call was to be over within {urgency.seconds:g} s."
    why = (
        "That time passed before it could be sent; it was not."
        if wait is None
        else f"About {wait:.0f} s pass before an upstream lets it in; it was not sent."
    )
    return Refusal(
        504, PASSED, f"{said} {why}", "Allow more, or try again later.", wait, "deadline"
    )

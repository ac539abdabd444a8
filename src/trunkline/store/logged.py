"""What the log of calls holds, as values: a call, its attempts, and its content where it was kept.

Field by field the columns of the log's tables, which docs/log.md explains to those who query them.
"""

from __future__ import annotations

import msgspec


class LoggedCall(msgspec.Struct, frozen=True):
    """One call, once it has ended."""

    id: str
    """`call_` and characters that grow with time."""
    started: str
    """UTC, as ISO 8601 has it, to the microsecond: texts sort as the times do."""
    task: str
    model: str
    outcome: str
    """`ok`, `failed`, `broken`, `left` or `cancelled`."""
    seconds: float
    stream: bool = False
    request_id: str | None = None
    job: str | None = None
    provider: str | None = None
    answered_model: str | None = None
    first_token: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    token_source: str = "unknown"  # noqa: S105 - tokens of text
    cost: str | None = None
    """US dollars, as a decimal; None is unknown, and never zero."""
    cost_source: str = "unknown"
    cost_detail: str = ""
    prices_as_of: str | None = None
    error: str | None = None
    status: int | None = None
    message: str | None = None
    attempts: int = 0
    bill_to: str | None = None
    credential: str | None = None
    """Where the credential was found, in words; never the credential."""
    route: str | None = None
    """The RouteReport, as JSON."""
    version: str = ""


class LoggedAttempt(msgspec.Struct, frozen=True):
    """One HTTP exchange of a call."""

    call: str
    number: int
    provider: str | None
    model: str
    url: str
    status: int | None
    error: str | None
    request_id: str | None
    started: float
    """Seconds since the call began."""
    seconds: float
    role: str = "first"
    moved: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: str | None = None


class LoggedContent(msgspec.Struct, frozen=True):
    """What was asked and answered, as JSON; kept only where the user wants it."""

    call: str
    asked: str
    answered: str | None


class Logged(msgspec.Struct, frozen=True):
    """A call with all that is kept of it."""

    call: LoggedCall
    attempts: tuple[LoggedAttempt, ...] = ()
    content: LoggedContent | None = None


class LogFilter(msgspec.Struct, frozen=True):
    """Which calls to list; what is None or False does not matter."""

    model: str | None = None
    """A part of the name that was called, or that answered."""
    provider: str | None = None
    task: str | None = None
    since: str | None = None
    """As `LoggedCall.started`."""
    failed: bool = False
    """Only those whose outcome is not `ok`."""

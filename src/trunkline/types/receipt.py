"""What happened to a call: its attempts, who served it, how long it took, what it used.

Built once from the attempts; the log, the bill and every screen read this same value.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.types.cost import Cost
from trunkline.types.record import Record
from trunkline.types.route import RouteReport

TokenSource = Literal["provider", "estimated", "unknown"]
AttemptRole = Literal["first", "retry", "failover", "hedge", "restart", "continue"]


class Attempt(Record, msgspec.Struct, frozen=True):
    """One HTTP exchange with one target, and how it ended."""

    number: int
    """Counts from 1 within the call."""
    provider: str | None
    """Provider asked for, or the one that the answer named; None when the router chose unseen."""
    model: str
    """Model name as it stood in the request's body."""
    url: str
    status: int | None
    """HTTP status; None when no answer came."""
    error: str | None
    """Class name of the error that ended it; None for success."""
    request_id: str | None
    started: float
    """Seconds since the call began."""
    seconds: float
    """How long the exchange took."""
    role: AttemptRole = "first"
    """What it was for: the first there, the same again, the next place on the route, ..."""
    moved: str | None = None
    """Why the call did not end with it, where another attempt followed."""
    tokens: TokenCount | None = None
    """What it used, where that is known of this attempt apart; None is "nobody told"."""
    cost: Cost | None = None
    """What it cost, where somebody has worked it out."""


class TokenCount(Record, msgspec.Struct, frozen=True):
    """Tokens of a call and where the numbers come from."""

    input: int | None
    output: int | None
    source: TokenSource
    """`provider`: as reported. `estimated`: counted here from the text. `unknown`: neither."""


class Receipt(Record, msgspec.Struct, frozen=True):
    """What happened, in one frozen value."""

    provider: str | None
    """Provider that served the answer, from `x-inference-provider`, else the one asked for."""
    model: str | None
    """Model as the answer names it."""
    request_id: str | None
    attempts: tuple[Attempt, ...]
    time_to_first_token: float | None
    """Seconds from the call's start to the first event of a stream (None without streaming)."""
    total_time: float
    """Seconds from the call's start to the end of the answer."""
    tokens: TokenCount
    cost: Cost | None = None
    """What it cost, where somebody has worked it out (`cost(result)` does); None is "not yet"."""
    called: str | None = None
    """Model string as the caller gave it, where it was kept: prices are listed by that name."""
    route: RouteReport | None = None
    """Who could have served the call and how each was rated, where it had a route."""
    call_id: str | None = None
    """The call's id in the local log; None where calls are not logged."""

    def __repr__(self) -> str:
        """Show who served it, how long it took and what it used."""
        first = (
            "" if self.time_to_first_token is None else f", first {self.time_to_first_token:.3f}s"
        )
        tries = len(self.attempts)
        return (
            f"Receipt({self.provider or 'unknown provider'}, {tries} attempt{'s'[: tries != 1]}"
            f"{first}, {self.total_time:.3f}s, {self.tokens.input}+{self.tokens.output} tokens "
            f"({self.tokens.source}), request {self.request_id}"
            f"{'' if self.call_id is None else f', logged as {self.call_id}'})"
        )

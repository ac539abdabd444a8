"""Why a call went where it went: who could have served it, how each was rated, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from trunkline.types.record import Record


class PolicyLike(Protocol):
    """A Policy, which stands above this room."""

    @property
    def title(self) -> str:
        """The policy in a few words."""
        ...


RouteLike: TypeAlias = str | Sequence[str] | Mapping[str, Any] | PolicyLike
"""What a caller may give as `route=`."""
SERVER = "endpoint"
"""How a route names the server at `api_base`."""
NumberSource = Literal["measured", "catalog", "mixed", "unknown"]
"""Where a candidate's speed is from: seen by this program itself, told by the catalog, some of each."""


class Candidate(Record, msgspec.Struct, frozen=True):
    """One place that could serve a call, and how it was rated."""

    name: str
    """The place as a route names it: a provider, or a model string of its own."""
    provider: str | None
    model: str
    """The model as its provider is asked for it."""
    score: float | None = None
    """What the policy ordered by, the least first; None where nothing was known to rate it by."""
    cost: Decimal | None = None
    """What this call is expected to cost there, in US dollars."""
    first_token: float | None = None
    """Seconds to the first token that are expected."""
    throughput: float | None = None
    """Tokens a second that are expected."""
    error_rate: float | None = None
    """Part of the calls there that failed lately, as measured here; None where none was made."""
    source: NumberSource = "unknown"
    excluded: str | None = None
    """Why it was not to be asked; None where it was."""


class RouteReport(Record, msgspec.Struct, frozen=True):
    """How a call's route came about."""

    policy: str
    """The policy in a few words: `fastest by first token`."""
    candidates: tuple[Candidate, ...]
    """Those that could be asked in the order in which they would be, then those left out."""
    notes: tuple[str, ...] = ()
    """What the policy had to do without, and what was done instead; what was done about a cut stream."""

    @property
    def order(self) -> tuple[Candidate, ...]:
        """The candidates that could be asked, in their order."""
        return tuple(c for c in self.candidates if c.excluded is None)

    def table(self) -> str:
        """Return a line for each candidate and why it was not asked, for errors."""
        width = max((len(c.name) for c in self.candidates), default=0)
        return "\n".join(
            f"  {c.name:<{width}}  {c.excluded or 'could be asked'}" for c in self.candidates
        )

"""What a call costs, or may cost, and where each number is from. Unknown is None, never zero."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from trunkline.types.record import Record

CostSource = Literal["provider", "catalog", "unknown"]


class Cost(Record, msgspec.Struct, frozen=True):
    """What one answer cost. Amounts are exact decimals; prices are for a million tokens."""

    amount: Decimal | None = None
    """None where a price or a token count is unknown; `detail` says which."""
    currency: str = "USD"
    source: CostSource = "unknown"
    """`provider`: it reported the amount itself. `catalog`: tokens times the price listed there."""
    as_of: datetime | None = None
    """When the prices were told (UTC); None where no price was used."""
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    detail: str = ""
    """How the amount came about, or why there is none."""
    estimated: bool = False
    """Whether the tokens were counted here, from the text, because the provider told none."""
    low: Decimal | None = None
    """Where the provider is unknown and the price of each that it can be is known: the least."""
    high: Decimal | None = None
    """The same: the most."""

    @property
    def is_known(self) -> bool:
        """Whether there is an amount."""
        return self.amount is not None

    def __str__(self) -> str:
        """Say the amount, the range or that it is unknown, and how that came about."""
        if self.amount is not None:
            said = f"${self.amount:f}"
        elif self.low is not None and self.high is not None:
            said = f"${self.low:f} to ${self.high:f}"
        else:
            said = "unknown"
        return f"{'about ' if self.estimated and said != 'unknown' else ''}{said}: {self.detail}"


class OfferEstimate(Record, msgspec.Struct, frozen=True):
    """What a call would cost at one provider, in US dollars."""

    provider: str
    low: Decimal | None
    """With an answer of no tokens."""
    high: Decimal | None
    """With the longest answer."""
    input_price: Decimal | None
    output_price: Decimal | None
    max_output_tokens: int | None
    """The longest answer: `max_tokens`, or what the provider's context holds; None is unknown."""


class Estimate(Record, msgspec.Struct, frozen=True):
    """What a call would cost, before it is made."""

    model: str
    input_tokens: int
    """Counted roughly from the text, four bytes a token; the provider counts on its own."""
    offers: tuple[OfferEstimate, ...]
    """A row for each provider that the call can go to."""
    low: Decimal | None
    """The least of all offers; None where one of them is unknown."""
    high: Decimal | None
    """The most of all offers; None where one of them is unknown."""
    source: str
    """Where the prices are from: the catalog's `source`."""
    as_of: datetime
    detail: str
    currency: str = "USD"

    def age(self, now: datetime) -> timedelta:
        """Return how old the prices are."""
        return now - self.as_of

    def __str__(self) -> str:
        """Say the range and where it is from."""
        if self.low is None and self.high is None:
            said = "unknown"
        elif self.high is None:
            said = f"${self.low:f} or more"
        else:
            said = f"${self.low:f} to ${self.high:f}"
        return f"{said}: {self.detail}"

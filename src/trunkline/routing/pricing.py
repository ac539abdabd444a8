"""What each attempt of a call on a route cost, as far as can be told. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trunkline.providers.prices import price_of
from trunkline.routing.ranking import Option
from trunkline.types import Attempt
from trunkline.types.cost import Cost


def priced(attempts: Iterable[Attempt], asked: Iterable[Option]) -> tuple[Attempt, ...]:
    """Return attempts with their costs, at the prices of the places that they went to, one each.

    One whose tokens nobody told has none: it is unknown, which is not nothing.
    """
    return tuple(_with_cost(*row) for row in zip(attempts, asked, strict=False))


def _with_cost(attempt: Attempt, option: Option) -> Attempt:
    tokens = attempt.tokens
    if tokens is None or option.provider is None:
        return attempt
    pricing = option.pricing
    amount = price_of(tokens.input, tokens.output, pricing)
    least = price_of(tokens.input, 0, pricing)
    detail = f"Prices of {option.provider} as the route had them."
    if amount is None and tokens.output is None:
        detail = f"It was hung up on: what it bills is not known. {detail}"
    cost = Cost(
        amount,
        source="unknown" if amount is None else "catalog",
        input_price=pricing.input,
        output_price=pricing.output,
        detail=detail,
        estimated=tokens.source == "estimated",
        low=least if amount is None else None,
    )
    return msgspec.structs.replace(attempt, cost=cost)

"""Money: prices read exactly, and tokens times price. Pure; it does not know where prices are from.

Decimals throughout, since binary fractions do not hold 0.93. Unknown is None, never zero.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

import msgspec

_EXACT = decimal.Context(prec=120)
"""More digits than any price times any token count has."""
_DIGITS = 12
"""Significant digits that a price may have; what a binary fraction adds comes after them."""
_LARGEST = 12
"""Power of ten beyond which a figure, or its inverse, is no price."""
_PER_MILLION = -6


class Pricing(msgspec.Struct, frozen=True):
    """US dollars for a million tokens."""

    input: Decimal | None = None
    output: Decimal | None = None


FREE = Pricing(Decimal(0), Decimal(0))


def exact(value: Any) -> Decimal | None:
    """Return a number, or text that is one, without the noise of binary fractions.

    0.9299999999999999 is 0.93, as `/v1/models` writes it. None for what is no finite number of
    zero or more.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        number = Decimal(f"{value:.{_DIGITS}g}" if isinstance(value, float) else value)
    except decimal.InvalidOperation:
        return None
    if not number.is_finite() or number < 0:
        return None
    if number and abs(number.adjusted()) > _LARGEST:
        return None
    return shorter(number)


def shorter(number: Decimal) -> Decimal:
    """Return the same number without zeros at the end: 1 for 1.00 and for 1E+0."""
    if number == number.to_integral_value():
        return number.quantize(Decimal(1), context=_EXACT)
    return number.normalize(_EXACT)


def price_of(
    input_tokens: int | None, output_tokens: int | None, pricing: Pricing
) -> Decimal | None:
    """Return what so many tokens cost, exactly; None where a count or its price is unknown.

    No tokens cost nothing, whatever their price.
    """
    sides = ((input_tokens, pricing.input), (output_tokens, pricing.output))
    return total(_side(tokens, price) for tokens, price in sides)


def total(amounts: Any) -> Decimal | None:
    """Return the exact sum; None where one of them is None."""
    added = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        added = _EXACT.add(added, amount)
    return shorter(added)


def _side(tokens: int | None, price: Decimal | None) -> Decimal | None:
    if tokens is None or tokens < 0:
        return None
    if tokens == 0:
        return Decimal(0)
    if price is None:
        return None
    return _EXACT.multiply(Decimal(tokens), price).scaleb(_PER_MILLION, _EXACT)

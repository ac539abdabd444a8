"""Money in whole picodollars (10^-12 US dollars): what counters, ledgers and budgets add up.

A price for a million tokens with up to six decimals is then a whole amount for each token, and sums
are exact. Decimals are for people; they come in and go out here.
"""

from __future__ import annotations

import decimal
from decimal import Decimal

PICOS = 10**12
"""Picodollars in a dollar."""
LARGEST = 9 * 10**18
"""More than any one amount may be: what a 64-bit column holds, about nine million dollars."""
_EXACT = decimal.Context(prec=120)
_MILLION = 10**6


def picos(dollars: Decimal) -> int:
    """Return dollars as picodollars, a fraction of one rounded up: no amount becomes nothing."""
    scaled = _EXACT.multiply(dollars, Decimal(PICOS))
    return int(scaled.to_integral_value(rounding=decimal.ROUND_CEILING, context=_EXACT))


def dollars(amount: int) -> Decimal:
    """Return picodollars as dollars, exactly and without zeros at the end."""
    number = Decimal(amount).scaleb(-12, _EXACT).normalize(_EXACT)
    return (
        number.quantize(Decimal(1), context=_EXACT)
        if number == number.to_integral_value()
        else number
    )


def shown(amount: int | None, places: int | None = None) -> str:
    """Return an amount as text for people: `$0.0123`; unknown is said so, and little is never zero."""
    if amount is None:
        return "unknown"
    number = dollars(amount)
    if places is None:
        return f"${number:f}"
    least = Decimal(1).scaleb(-places)
    return f"under ${least:f}" if 0 < number < least else f"${number:.{places}f}"


def cost_of(input_tokens: int, output_tokens: int, input_price: int, output_price: int) -> int:
    """Return what tokens cost; prices are picodollars for a million tokens. Rounded up."""
    return -(-(input_tokens * input_price + output_tokens * output_price) // _MILLION)

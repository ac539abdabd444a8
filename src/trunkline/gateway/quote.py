"""What a call can cost at most before it is sent, and what it did cost afterwards. Pure.

Every token is at least a byte of text, so that a body's size bounds its prompt; where there is more than
text, only the model's context does. What has no bound, or no price, is unknown: never zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from trunkline.gateway.tokens import Tokens
from trunkline.store.records import Entry
from trunkline.types.money import LARGEST, cost_of

if TYPE_CHECKING:
    from trunkline.gateway.asked import Asked

_BYTES_PER_TOKEN = 4
_MOST_CONTEXT = 16_000_000
"""Tokens that no model's context has: counts above are not believed where none is known."""


class Tariff(msgspec.Struct, frozen=True):
    """Prices in picodollars for a million tokens, and where they are from; None is unknown."""

    input: int | None = None
    output: int | None = None
    context: int | None = None
    source: str = ""
    request: int | None = None
    """For a call, whatever it uses: counts where tokens, or their prices, are not known."""


UNKNOWN = Tariff()


def most(asked: Asked, size: int, tariff: Tariff, *, output: bool = True) -> tuple[int | None, int]:
    """Return the most that a request of `size` bytes can cost, and about how many tokens it will use.

    The first is None where no price is known, or nothing bounds the tokens. `output` is False where
    nothing is generated.
    """
    likely = -(-size // _BYTES_PER_TOKEN)
    longest: int | None = 0
    if output:
        longest = asked.most_output
        if longest is not None:
            longest *= asked.answers
            likely += longest
        elif tariff.context is not None:
            longest = tariff.context * asked.answers
    prompt = tariff.context if asked.more_than_text else size
    input_price, output_price = tariff.input, tariff.output
    if input_price == 0 and output_price == 0:
        return 0, likely
    if input_price is None:
        return tariff.request, likely
    if prompt is None or longest is None:
        return None, likely
    if output_price is None:
        if longest:
            return None, likely
        output_price = 0
    amount = cost_of(prompt, longest, input_price, output_price)
    return min(amount, LARGEST), likely


def most_of_media(asked: Asked, tariff: Tariff) -> int | None:
    """Return the most that a call for pictures, sounds, videos or an order can cost, if it is known.

    That is the price of a call; or of its tokens, where its text bounds them.
    """
    if tariff.input == 0 and tariff.output == 0:
        return 0
    told = tariff.request
    if asked.most_input is not None and tariff.input is not None:
        told = max(cost_of(asked.most_input, 0, tariff.input, 0), told or 0)
    return None if told is None else min(told, LARGEST)


def settle(entry: Entry, tokens: Tokens, tariff: Tariff, answers: int) -> None:
    """Write on an entry what its tokens cost; implausible counts are clamped, and it is said so."""
    told_input, told_output = tokens.input, tokens.output
    context = tariff.context or _MOST_CONTEXT
    if (told_input or 0) > context or (told_output or 0) > context:
        told_input, over_input = _plausible(told_input, context)
        told_output, over_output = _plausible(told_output, context * answers)
        if over_input or over_output:
            entry.note = "usage clamped: more than the model's context"
    entry.input_tokens, entry.output_tokens = told_input, told_output
    if tokens.cached is not None:
        entry.cached_tokens = tokens.cached
    entry.price_source = tariff.source
    input_price, output_price = tariff.input, tariff.output
    cost: int | None
    if told_input and told_output and input_price and output_price:
        exact = cost_of(told_input, told_output, input_price, output_price)
        cost = min(exact, LARGEST)
    else:
        cost = price(told_input, told_output, tariff)
    entry.input_price, entry.output_price, entry.cost = input_price, output_price, cost
    if cost is not None and cost > entry.reserved > 0 and entry.note is None:
        entry.note = "cost above the reserve"


def settle_call(entry: Entry, amount: int) -> None:
    """Write on an entry what its call cost as such."""
    entry.cost = amount
    entry.price_source = f"{entry.price_source}, for a call"


def price(input_tokens: int | None, output_tokens: int | None, tariff: Tariff) -> int | None:
    """Return what tokens cost; None where a count that is not free is unknown."""
    input_price, output_price = tariff.input, tariff.output
    if input_price == 0 and output_price == 0:
        return 0
    if input_tokens is None or input_price is None:
        return None
    if output_tokens is None:
        if output_price != 0:
            return None
        output_tokens = 0
    if output_price is None:
        if output_tokens:
            return None
        output_price = 0
    amount = cost_of(input_tokens, output_tokens, input_price, output_price)
    return min(amount, LARGEST)


def _plausible(count: int | None, limit: int) -> tuple[int | None, bool]:
    if count is None or count <= limit:
        return count, False
    return limit, True


def text_tokens(size: int) -> int:
    """Return about how many tokens a text of `size` bytes has."""
    return -(-size // _BYTES_PER_TOKEN)

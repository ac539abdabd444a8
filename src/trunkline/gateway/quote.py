"""What a call can cost at most before it is sent, and what it did cost afterwards. Pure.

Every token is at least a byte of text, so that a body's size bounds its prompt; where there is more than
text, only the model's context does. What has no bound, or no price, is unknown: never zero.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.gateway.tap import Tokens
from trunkline.store.records import Entry
from trunkline.types.money import LARGEST, cost_of

_BYTES_PER_TOKEN = 4
_MOST_CONTEXT = 16_000_000
"""Tokens that no model's context has: counts above are not believed where none is known."""


class Tariff(msgspec.Struct, frozen=True):
    """Prices in picodollars for a million tokens, and where they are from; None is unknown."""

    input: int | None = None
    output: int | None = None
    context: int | None = None
    source: str = ""

    @property
    def free(self) -> bool:
        """Whether it is known to cost nothing."""
        return self.input == 0 and self.output == 0


UNKNOWN = Tariff()


class Bound(msgspec.Struct, frozen=True):
    """The most tokens that a call can use; None where nothing bounds them."""

    input: int | None
    output: int | None
    likely: int
    """About how many it will use: what rates count before it has ended."""


def bound(
    body: dict[str, Any],
    size: int,
    context: int | None,
    *,
    output: bool = True,
    more_than_text: bool = False,
) -> Bound:
    """Return what a request of `size` bytes can use. `output` is False where nothing is generated."""
    most_input = context if more_than_text else size
    likely = -(-size // _BYTES_PER_TOKEN)
    if not output:
        return Bound(most_input, 0, likely)
    answers = _answers(body) if "n" in body or "best_of" in body else 1
    asked = _asked(body)
    if asked is not None:
        return Bound(most_input, asked * answers, likely + asked * answers)
    return Bound(most_input, None if context is None else context * answers, likely)


def _answers(body: dict[str, Any]) -> int:
    """Return how many answers are generated."""
    told = [body.get("n"), body.get("best_of")]
    return max([count for count in told if type(count) is int], default=1)


def _asked(body: dict[str, Any]) -> int | None:
    """Return the longest answer that the client asked for."""
    asked = body.get("max_tokens")
    other = body.get("max_completion_tokens")
    if type(other) is int:
        return other if type(asked) is not int else max(asked, other)
    return asked if type(asked) is int else None


def most(bounds: Bound, tariff: Tariff) -> int | None:
    """Return the most that a call can cost; None where that is unknown."""
    if tariff.free:
        return 0
    if bounds.input is None or bounds.output is None or tariff.input is None:
        return None
    if tariff.output is None and bounds.output:
        return None
    return min(cost_of(bounds.input, bounds.output, tariff.input, tariff.output or 0), LARGEST)


def settle(entry: Entry, tokens: Tokens, tariff: Tariff, bounds: Bound) -> None:
    """Write on an entry what its tokens cost; implausible counts are clamped, and it is said so."""
    told_input, told_output = tokens.input, tokens.output
    context = tariff.context or _MOST_CONTEXT
    if (told_input or 0) > context or (told_output or 0) > context:
        told_input, over_input = _plausible(told_input, max(context, bounds.input or 0))
        told_output, over_output = _plausible(told_output, max(context, bounds.output or 0))
        if over_input or over_output:
            entry.note = "usage clamped: more than the model's context"
    entry.input_tokens, entry.output_tokens = told_input, told_output
    entry.cached_tokens = tokens.cached
    entry.input_price, entry.output_price = tariff.input, tariff.output
    entry.price_source = tariff.source
    cost = entry.cost = price(told_input, told_output, tariff)
    if cost is not None and cost > entry.reserved > 0 and entry.note is None:
        entry.note = "cost above the reserve"


def price(input_tokens: int | None, output_tokens: int | None, tariff: Tariff) -> int | None:
    """Return what tokens cost; None where a count that is not free is unknown."""
    if tariff.free:
        return 0
    if input_tokens is None or (output_tokens is None and tariff.output != 0):
        return None
    if tariff.input is None or (tariff.output is None and output_tokens):
        return None
    return min(cost_of(input_tokens, output_tokens or 0, tariff.input, tariff.output or 0), LARGEST)


def _plausible(count: int | None, limit: int) -> tuple[int | None, bool]:
    if count is None or count <= limit:
        return count, False
    return limit, True


def text_tokens(size: int) -> int:
    """Return about how many tokens a text of `size` bytes has."""
    return -(-size // _BYTES_PER_TOKEN)
